"""The page of the study of scaling: failure by model, hours and steps, device-hours, curves, beside the paper's."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from drivetrain.evaluate.tables import baseline_table, difference_table, interval_text, percent, plain_table
from drivetrain.studies.scaling import published
from drivetrain.studies.scaling.plan import SCRATCH
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Series, card

FIGURES = (("val_failure_rate", "Failure rate"), ("val_progress_ratio", "Progress"))
Rows = Mapping[str, Mapping[str, Any]]


def scaling_page(results: Mapping[str, Any]) -> str:
    """The page of `results.json`; what was not measured is left out."""
    tables, cells = results.get("tables", {}), results.get("cells", {})
    last = tables.get(str(max(results["steps"])), {})
    titles = {name: title(name, results) for name in cells}
    parts = [
        "<h1>Scaling: models, hours, steps</h1>",
        f"<p class='lead'>{escape(_lead(results))}</p>",
        _sets(results.get("sets", {})),
        *[_failures(results, budget) for budget in sorted(results["steps"])],
        _figure_5(results, last),
        _costs(results),
        _figure_6(results),
        _ablation(results, last),
        baseline_table(tables.get("0", {}), titles, "", "Cloned alone"),
        baseline_table(last, titles, "", f"After {max(results['steps']):,} agent-steps of PPO"),
        difference_table(last, titles),
        difference_table({n: e for n, e in results.get("by_model", {}).items() if not n.endswith(SCRATCH)}, titles),
    ]
    return build_page("Scaling", None, "".join(parts), "report")


def title(name: str, results: Mapping[str, Any]) -> str:
    """Of a cell."""
    cell = results["cells"][name]
    return f"{cell['model']}, {_hours(cell['hours'], results)}{', no pre-training' if cell['scratch'] else ''}"


def _hours(key: str, results: Mapping[str, Any]) -> str:
    return f"{results['sets'][key]['hours']:.3g} h"


def _lead(results: Mapping[str, Any]) -> str:
    steps = ", ".join(f"{each:,}" for each in sorted(results["steps"]))
    return (
        f"Recipe {results['recipe']} on {results['data']}: BC, then PPO at a constant rate, compared after {steps} "
        f"agent-steps of PPO. Seeds: {results['seeds']}. A set of fewer hours is a part of one of more, drawn among "
        "the training recordings; validation and test drives are the same for all. The policy is chosen on "
        f"validation, the latest within {100 * results['slack']:.0f} percentage points of the fewest failures, and "
        "reported on test; intervals resample recordings, with all seeds' drives of one together."
    )


def _sets(sets: Rows) -> str:
    rows = [
        [f"{row['hours']:.3g} h", f"{row['recordings']}", f"{row['groups']}", f"{row['egos']:,}"]
        + [f"{row['driven_hours']:.3g} h", f"{row['val_egos']:,}", f"{row['test_egos']:,}"]
        for row in sets.values()
    ]
    head = ("Recorded", "Recordings", "Groups", "Egos", "That these drive", "Egos of validation", "Egos of test")
    return "<h2>Sets of training data</h2>" + plain_table(head, rows) if rows else ""


def _grid(results: Mapping[str, Any], text: Mapping[str, str]) -> str:
    """A row a model, a column a set: what stands under the cells' names; pre-trained cells alone."""
    rows = []
    for model, count in results["models"].items():
        of = {cell["hours"]: name for name, cell in results["cells"].items() if _is(cell, model, False)}
        rows.append([f"{model} ({count:,})", *(text.get(of.get(key, ""), "–") for key in results["sets"])])
    return plain_table(("Parameters", *(_hours(key, results) for key in results["sets"])), rows)


def _is(cell: Mapping[str, Any], model: str, scratch: bool) -> bool:
    return cell["model"] == model and cell["scratch"] == scratch


def _failures(results: Mapping[str, Any], budget: int) -> str:
    table: Rows = results.get("tables", {}).get(str(budget), {})
    if not table:
        return ""
    text = {name: _with_interval(entry["failure_rate"]) for name, entry in table.items()}
    return f"<h2>Failure rate on test after {budget:,} agent-steps of PPO</h2>" + _grid(results, text)


def _with_interval(figure: Mapping[str, Any]) -> str:
    return f"{percent(figure['value'])} ({interval_text(figure)})"


def _published(values: Sequence[Sequence[float | None]], unit: float, form: str) -> str:
    rows = [
        [model, *("–" if value is None else form.format(value / unit) for value in row)]
        for model, row in zip(published.MODELS, values, strict=True)
    ]
    return plain_table(("Parameters", *(f"{hours:,.0f} h" for hours in published.HOURS)), rows)


def _figure_5(results: Mapping[str, Any], last: Rows) -> str:
    """Failure over hours, a curve a model; and theirs."""
    ours, theirs = [], []
    for model in results.get("models", {}):
        own = {cell["hours"]: name for name, cell in results["cells"].items() if _is(cell, model, False)}
        keys = [key for key in results["sets"] if own.get(key) in last]
        rates = [last[own[key]]["failure_rate"]["value"] for key in keys]
        ours.append(Series(model, [results["sets"][key]["hours"] for key in keys], rates))
    for model, row in zip(published.MODELS, published.FAILURE, strict=True):
        points = [(hours, rate) for hours, rate in zip(published.HOURS, row, strict=True) if rate is not None]
        theirs.append(Series(model, *zip(*points, strict=True)))
    label = "hours of training recordings"
    charts = card(Chart("Here: failure rate on test", ours, label, percent=True))
    charts += card(Chart("Theirs (figure 5a)", theirs, label, percent=True))
    note = (
        f"Theirs: {published.SOURCE}, figure 5a, the least failure rate on their evaluation set over "
        f"{published.STEPS:,} agent-steps; drives of San Francisco, without seeds or intervals. Their data, task and "
        "budget are not those of this page: only the shape of the curves compares."
    )
    table = "<h2>As published: least failure rate (figure 5a)</h2>" + _published(published.FAILURE, 0.01, "{:.2f} %")
    return f"<h2>Failure over data</h2><p>{escape(note)}</p><div class='charts'>{charts}</div>{table}"


def _costs(results: Mapping[str, Any]) -> str:
    theirs = f"<h2>As published: GPU hours (figure 5b)</h2>{_published(published.GPU_HOURS, 1.0, '{:,.0f} h')}"
    spent: Rows = results.get("spent", {})
    if not spent:
        return theirs
    hours = {name: f"{row['improving_hours']:.3g} h" for name, row in spent.items()}
    rows = [
        [title(name, results), f"{row['cloned']:,.0f}", f"{row['improved']:,.0f}"]
        + [f"{3600.0 * row[key]:,.0f} s" for key in ("cloning_hours", "improving_hours")]
        + [f"{row['improved'] / max(3600.0 * row['improving_hours'] / row['devices'], 1e-9):,.0f}"]
        + [f"{row['fastest']:,.0f}", f"{row['devices']:.0f} × {row['device']}"]
        for name, row in spent.items()
    ]
    head = (
        "Cell",
        "Steps of BC",
        "Of PPO",
        "Device-seconds of BC",
        "Of PPO",
        "Agent-steps/s of PPO",
        "At its fastest",
        "Devices",
    )
    note = (
        "Updates times the median of those that were timed, times the devices, medians over seeds; judging, testing "
        "and compiling are not in it. The fastest update is the one that other work disturbed least."
    )
    by_cell = f"<h2>Cell by cell</h2>{plain_table(head, rows)}"
    return f"<h2>Device-hours of PPO</h2><p>{note}</p>{_grid(results, hours)}{theirs}{by_cell}"


def _figure_6(results: Mapping[str, Any]) -> str:
    curves: Rows = results.get("curves", {})
    charts = []
    for figure, words in FIGURES:
        for key in results.get("sets", {}):
            own = {name: cell for name, cell in results["cells"].items() if cell["hours"] == key and name in curves}
            series = [
                Series(cell["model"], curves[name]["steps"], curves[name][figure])
                for name, cell in own.items()
                if not cell["scratch"]
            ]
            heading = f"{words} on validation, {_hours(key, results)}"
            charts.append(card(Chart(heading, series, "agent-steps of PPO", percent=True)))
    if not any(charts):
        return ""
    note = f"Means over seeds. {published.CURVES} ({published.SOURCE})"
    return f"<h2>Over steps</h2><p>{escape(note)}</p><div class='charts'>{''.join(charts)}</div>"


def _ablation(results: Mapping[str, Any], last: Rows) -> str:
    curves, charts, rows = results.get("curves", {}), [], []
    for name in [name for name in results.get("cells", {}) if name.endswith(SCRATCH)]:
        whole = name.removesuffix(SCRATCH)
        pairs = [(words, each) for words, each in (("BC, then PPO", whole), ("PPO alone", name)) if each in curves]
        heading = title(whole, results) if whole in results["cells"] else name
        for figure, words in FIGURES:
            series = [Series(called, curves[each]["steps"], curves[each][figure]) for called, each in pairs]
            charts.append(card(Chart(f"{heading}: {words.lower()}", series, "agent-steps of PPO", percent=True)))
        rows += [
            [f"{heading}: {called}", _with_interval(last[each]["failure_rate"])]
            + [_with_interval(last[each]["progress_ratio"])]
            for called, each in pairs
            if each in last
        ]
    if not rows:
        return ""
    table = plain_table(("Cell", "Failure rate on test", "Progress"), rows)
    note = f"{published.ABLATION} ({published.SOURCE})"
    charts = f"<div class='charts'>{''.join(charts)}</div><p>Curves are of validation, means over seeds. On test:</p>"
    return f"<h2>Without pre-training</h2><p>{escape(note)}</p>{charts}{table}"
