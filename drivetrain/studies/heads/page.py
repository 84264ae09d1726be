"""The page of the study of heads: tables with intervals, likelihoods, memory against entries."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from drivetrain.evaluate.tables import baseline_table, difference_table, plain_table
from drivetrain.studies.heads.plan import title
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Series, card

STAGES = {"bc": "BC", "bc_ppo": "BC + PPO"}


def heads_page(results: Mapping[str, Any]) -> str:
    """The page of `results.json`; what was not measured is left out."""
    titles = {head: title(head) for head in results["seeds"]}
    several = {head for head, seeds in results["seeds"].items() if seeds == max(results["seeds"].values())}
    parts = ["<h1>Heads side by side</h1>", f"<p class='lead'>{escape(_lead(results))}</p>"]
    for stage, name in STAGES.items():
        table = {head: entry for head, entry in results.get("tables", {}).get(stage, {}).items() if head in several}
        parts += [baseline_table(table, titles, "columns", name), difference_table(table, titles)]
        parts += [baseline_table(results.get("one_seed", {}).get(stage, {}), titles, "columns", f"{name}, one seed")]
    parts += [_likelihoods(results, titles), _curves(results.get("curves", {}), titles)]
    parts += [_left_out(results.get("left_out", {}))]
    parts += [_memory(results.get("memory", {})), _seconds(results.get("seconds", {}), titles)]
    return build_page("Heads", None, "".join(parts), "report")


def _lead(results: Mapping[str, Any]) -> str:
    return (
        f"The same scenes, encoder and events for every head, and {results['agent_steps']:,.0f} agent-steps, "
        f"{results['cloned']:,.0f} of them of cloning. Policies were chosen on validation: of cloning the lowest loss, "
        f"of PPO the latest within {100 * results['slack']:.0f} percentage points of the fewest failures."
    )


def _likelihoods(results: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    own, places = results.get("choices", {}), results.get("places", {})
    if not own or not places:
        return ""

    def cell(figure: Mapping[str, Any]) -> str:
        return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"

    rows = [
        [titles[head], cell(figure), f"{figure['uniform']:.2f}", *(cell(of[head]) for of in places.values())]
        for head, figure in own.items()
    ]
    head = ("Head", "Own choices", "Uniform", *(f"Places, {float(kernel):g} m" for kernel in places))
    note = (
        "Nats per second of held-out recorded driving, under the cloned policies. Own choices: of the head's own "
        "cells, so that heads over one grid may be compared, and no others. Places: where the log is a second on, by "
        f"{results['samples']} sampled drives a normal kernel of so many metres about each; the same for all heads."
    )
    return f"<h2>How likely recorded driving is</h2><p>{note}</p>" + plain_table(head, rows)


def _curves(curves: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    charts = []
    for figure, name in (("val_failure_rate", "Failure rate"), ("val_ade", "ADE, m")):
        series = [Series(titles[head], rows["steps"], rows[figure]) for head, rows in curves.items()]
        charts.append(card(Chart(name, series, "agent-steps", percent=figure == "val_failure_rate")))
    return f"<h2>PPO on validation</h2><div class='charts'>{''.join(charts)}</div>" if curves else ""


def _left_out(left_out: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    charts = []
    for head, rows in left_out.items():
        for key, name in (("skipped", "left out"), ("off", "off by")):
            series = {}
            for row in rows:
                order = ", in order" if row["ordered"] else ""
                label = f"2^{math.log2(row['least']):.0f}, {row['tokens']} × {row['entries']}{order}"
                series.setdefault(label, []).append((row["steps"], row[key]))
            drawn = [Series(label, *zip(*points, strict=True)) for label, points in series.items()]
            charts.append(card(Chart(f"{title(head)}: {name}", drawn, "agent-steps", percent=True)))
    note = (
        "Blocks of the gradient below a threshold of |softmax − onehot|, and the norm of what is lost of the gradient."
    )
    return (
        f"<h2>What a filter leaves out</h2><p>{note}</p><div class='charts'>{''.join(charts)}</div>" if charts else ""
    )


def _memory(memory: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for head, row in memory.items():
        each = [[f"{row[stage][key] / 1e6:,.1f} MB" for key in ("activations", "logits")] for stage in STAGES]
        rows.append([title(head), f"{row['entries']:,}", f"{row['bc']['held'] / 1e6:,.1f} MB", *each[0], *each[1]])
    if not rows:
        return ""
    parts = [[f"Temporaries, {name}", f"Logits of a minibatch, {name}"] for name in STAGES.values()]
    head = ("Head", "Entries", "Policy, gradient, optimiser", *parts[0], *parts[1])
    note = "One update, by the compiled program's own account; the logits are counted, and held by no vocabulary."
    return f"<h2>Memory</h2><p>{note}</p>" + plain_table(head, rows)


def _seconds(seconds: Mapping[str, Mapping[str, Mapping[str, float]]], titles: Mapping[str, str]) -> str:
    rows = [
        [titles[head], *(f"{of[stage]['median']:.2f} s, {of[stage]['least']:.2f} s at least" for stage in STAGES)]
        for head, of in seconds.items()
    ]
    return "<h2>Seconds an update</h2>" + plain_table(("Head", *STAGES.values()), rows) if rows else ""
