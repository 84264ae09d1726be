"""The page of the study of staleness: curves of both by delay, tables with intervals."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from drivetrain.evaluate.tables import baseline_table, difference_table, plain_table
from drivetrain.studies.staleness.plan import CORRECTIONS, name_of, old, parts_of, title
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Series, card

FIGURES = (("val_failure_rate", "Failure rate"), ("val_progress_ratio", "Progress"))


def staleness_page(results: Mapping[str, Any]) -> str:
    """The page of `results.json`; what was not measured is left out."""
    tables = results.get("tables", {})
    names = list(tables.get("last", {}))
    titles = {name: title(name) for name in names}
    best = name_of(0, "corrected")
    parts = [
        "<h1>Learning from stale policies</h1>",
        f"<p class='lead'>{escape(_lead(results))}</p>",
        _by_delay(tables),
        _curves(results.get("curves", {})),
        baseline_table(tables.get("last", {}), titles, best, "The last policies, on the test part"),
        difference_table(tables.get("last", {}), titles),
        baseline_table(tables.get("chosen", {}), titles, best, "Those chosen on validation, on the test part"),
        difference_table(tables.get("chosen", {}), titles),
        _cells(results),
    ]
    return build_page("Staleness", None, "".join(parts), "report")


def _lead(results: Mapping[str, Any]) -> str:
    return (
        "PPO from its first step on, whose actor is given policies so many updates old, in step, so that every window "
        "is of a policy exactly that old. V-trace: the learner recomputes values and ratios of a window before it "
        "learns from it. The learner's values alone: its ratios are taken for one. No correction: the values are those "
        "of the policy that drove, too. All clip the surrogate about the policy that drove. "
        f"{results['agent_steps']:,.0f} agent-steps each, {results['of_update']:,.0f} an update, {results['seeds']} "
        "seeds. The last policies are nobody's choice; the chosen ones are the latest within "
        f"{100 * results['slack']:.0f} percentage points of the fewest failures on validation."
    )


def _by_delay(tables: Mapping[str, Any]) -> str:
    """Failure on the test part over the delay; where nothing is stale, all kinds are one."""
    charts = []
    for which, table in tables.items():
        series = []
        for kind, words in CORRECTIONS.items():
            own = [name for name in table if parts_of(name)[1] == kind or not parts_of(name)[0]]
            own.sort(key=lambda name: parts_of(name)[0])
            rates = [table[name]["failure_rate"]["value"] for name in own]
            series.append(Series(words, [parts_of(name)[0] for name in own], rates))
        heading = f"Failure rate on test, {which} policies"
        charts.append(card(Chart(heading, series, "updates that the driving policies are old", percent=True)))
    return f"<div class='charts'>{''.join(charts)}</div>" if charts else ""


def _curves(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    charts = []
    for figure, words in FIGURES:
        for delay in sorted({parts_of(name)[0] for name in curves} - {0}):
            names = [name for name in curves if parts_of(name)[0] in (0, delay)]
            names.sort(key=lambda name: (parts_of(name)[0] == 0, list(CORRECTIONS).index(parts_of(name)[1])))
            series = [Series(title(name), curves[name]["steps"], curves[name][figure]) for name in names]
            charts.append(card(Chart(f"{words}, policies {old(delay)}", series, "agent-steps", percent=True)))
    note = "On validation, means over seeds; greedy drives of the policy as it was then."
    return f"<h2>How they learnt</h2><p>{note}</p><div class='charts'>{''.join(charts)}</div>" if charts else ""


def _cells(results: Mapping[str, Any]) -> str:
    rows = []
    for name, seeds in results.get("whole", {}).items():
        stale = results["stale"][name]
        rows.append(
            [
                title(name),
                " · ".join(f"{100 * value:.1f} %" for value in seeds),
                f"{stale['staleness_mean']:.1f}",
                f"{stale['divergence']:.3f}",
                f"{100 * stale['clipped']:.0f} %",
                f"{results['seconds'][name]:.0f} s",
            ]
        )
    if not rows:
        return ""
    head = ("Cell", "Validation failure, all judgements, each seed", "Updates old", "KL, nats", "Clipped", "Training")
    note = (
        "Updates old, the divergence of the learner's policy from the one that drove, and the share of ratios beyond "
        "the clip are medians over the second half of the runs."
    )
    return f"<h2>Cell by cell</h2><p>{note}</p>" + plain_table(head, rows)
