"""The page of the study of learning rules: tables with intervals, curves over steps and seconds, sweeps."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from drivetrain.evaluate.tables import baseline_table, difference_table, plain_table
from drivetrain.studies.learning_rules import RULES, TITLES
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Level, Series, card

OURS = "apg_margins"


def study_page(results: Mapping[str, Any]) -> str:
    """The page of `results.json`; what was not measured is left out."""
    parts = [
        "<h1>Learning rules, head to head</h1>",
        f"<p class='lead'>{escape(_lead(results))}</p>",
        *[_comparison(name, tables, results) for name, tables in results.get("tables", {}).items()],
        _learning(results.get("curves", {})),
        _overfit(results.get("overfit", {})),
        _gradients(results.get("gradients", {})),
        *[_noise(name, tables["noise"]) for name, tables in results.get("tables", {}).items()],
        _agents(results.get("agents", {})),
        _crowds(results.get("crowds", {})),
        _memory(results.get("memory", {})),
        _spent(results.get("spent", {})),
    ]
    return build_page("Learning rules", None, "".join(parts), "report")


def _lead(results: Mapping[str, Any]) -> str:
    return (
        "The same scenes, policy and events for every rule. Compared at "
        f"{results['agent_steps']:,.0f} agent-steps, and at {results['seconds']:.0f} s of training, what the fastest "
        f"took; {results['seeds']} seeds, each of which drives every test episode. Policies were chosen on validation: "
        "the latest within "
        f"{100 * results['slack']:.0f} percentage points of the fewest failures."
    )


def _comparison(name: str, tables: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    titles = (
        ("steps", f"{name}: at {results['agent_steps']:,.0f} agent-steps"),
        ("seconds", f"{name}: at {results['seconds']:.0f} s of training"),
        ("all", f"{name}: with all that each rule was given"),
        ("others", f"{name}: one option after another, one seed"),
    )
    parts = [baseline_table(tables[key], TITLES, OURS, title) for key, title in titles]
    parts.insert(3, difference_table(tables["all"], TITLES))
    least = [
        [TITLES[rule], f"{of['value']:.2f} m", f"{of['low']:.2f} to {of['high']:.2f} m"]
        for rule, of in tables["least_ade"].items()
    ]
    parts.insert(4, f"<h2>{escape(name)}: minADE of six samples</h2>" + plain_table(("Rule", "minADE", "95 %"), least))
    return "".join(parts)


def _learning(curves: Mapping[str, Mapping[str, Sequence[float | int]]]) -> str:
    rules = [rule for rule in RULES if rule in curves]
    if not rules:
        return ""
    charts = []
    for figure, title in (("val_failure_rate", "Failure rate"), ("val_ade", "ADE, m")):
        for across, label in (("steps", "agent-steps"), ("seconds", "seconds of training")):
            begun = 1 if figure == "val_ade" else 0  # an untrained policy's distance would flatten all others
            series = [
                Series(TITLES[rule], curves[rule][across][begun:], curves[rule][figure][begun:]) for rule in rules
            ]
            charts.append(card(Chart(f"{title} on validation", series, label, percent=figure != "val_ade")))
    detached = [rule for rule in ("apg", "apg_one", "apg_whole", "apg_sighted") if rule in curves]
    resets = [rule for rule in ("apg", "apg_recorded", "apg_growing", "apg_free", "apg_half") if rule in curves]
    for title, group in (("How far back gradients go", detached), ("Resets to the log, and length", resets)):
        series = [Series(TITLES[rule], curves[rule]["steps"][1:], curves[rule]["val_ade"][1:]) for rule in group]
        charts.append(card(Chart(f"{title}: ADE on validation, m", series, "agent-steps")))
    return f"<h2>How they learnt</h2><p>Means over seeds.</p><div class='charts'>{''.join(charts)}</div>"


def _overfit(curves: Mapping[str, Mapping[str, Sequence[float | int]]]) -> str:
    if not curves:
        return ""
    charts = []
    for title, begun in (("ADE of a greedy drive, m", 0.0), ("The same, second half", 0.5)):
        series = []
        for rule, curve in curves.items():
            first = int(begun * len(curve["steps"]))
            series.append(Series(TITLES[rule], curve["steps"][first:], curve["ade"][first:]))
        charts.append(card(Chart(title, series, "agent-steps", levels=[Level("goal, m", 0.1, len(series))])))
    ends = [[TITLES[rule], f"{min(curve['ade']):.3f} m", f"{curve['ade'][-1]:.3f} m"] for rule, curve in curves.items()]
    table = plain_table(("Rule", "Least", "Last"), ends)
    return f"<h2>One trajectory by heart</h2><div class='charts'>{''.join(charts)}</div>{table}"


def _gradients(norms: Mapping[str, Mapping[str, Sequence[float | int]]]) -> str:
    if not norms:
        return ""
    charts = []
    for policy, row in norms.items():
        series = [Series("sight is data", row["steps"], row["detached"])]
        series.append(Series("sight included", row["steps"], row["sighted"]))
        charts.append(card(Chart(f"Norm of APG's gradient, policy {policy}", series, "steps that it goes back")))
    rows = [
        [policy, str(steps), f"{detached:.3g}", f"{sighted:.3g}"]
        for policy, row in norms.items()
        for steps, detached, sighted in zip(row["steps"], row["detached"], row["sighted"], strict=True)
    ]
    table = plain_table(("Policy", "Steps back", "Sight is data", "Sight included"), rows)
    return f"<h2>Gradients over the horizon</h2><div class='charts'>{''.join(charts)}</div>{table}"


def _noise(name: str, noise: Mapping[str, Any]) -> str:
    charts = []
    for kind, label in (("actuation", "noise on every action, spans"), ("start", "noise on the first place, m")):
        for figure, title in (("failure_rate", "Failure rate"), ("ade", "ADE, m")):
            series = [
                Series(TITLES[rule], [row["size"] for row in rows[kind]], [row[figure] for row in rows[kind]])
                for rule, rows in noise.items()
            ]
            charts.append(card(Chart(title, series, label, percent=figure == "failure_rate")))
    return f"<h2>{escape(name)}: noise at test time</h2><div class='charts'>{''.join(charts)}</div>"


def _agents(agents: Mapping[str, Sequence[Mapping[str, float | int]]]) -> str:
    rows = [
        [TITLES[rule], f"{row['agents']:.0f}", f"{row['egos']:.0f}", f"{row['ade']:.2f} m"]
        + [f"{100 * row[name]:.1f} %" for name in ("failure", "collision")]
        for rule, each in agents.items()
        for row in each
    ]
    if not rows:
        return ""
    head = ("Trained as", "Driven at once", "Egos", "ADE", "Failure", "Collision")
    note = "Egos that share four seconds at least are driven by the policy together; others are replayed."
    return f"<h2>Many agents at once</h2><p>{note}</p>" + plain_table(head, rows)


def _crowds(figures: Mapping[str, Sequence[float | int]]) -> str:
    if not figures:
        return ""
    columns = zip(figures["agents"], figures["ade"], figures["off_road"], strict=True)
    rows = [[f"{agents:.0f}", f"{ade:.2f} m", f"{100 * off_road:.1f} %"] for agents, ade, off_road in columns]
    note = "Drawn scenes of cars at constant speed, all driven by one policy that learnt with the fewest of them."
    return f"<p>{note}</p>" + plain_table(("Driven at once", "ADE", "Off road"), rows)


def _memory(memory: Mapping[str, Mapping[str, float | int]]) -> str:
    rows = [
        [name, f"{row['parameters']:,.0f}", f"{row['held'] / 1e6:.2f} MB", f"{row['activations'] / 1e6:.0f} MB"]
        for name, row in memory.items()
    ]
    if not rows:
        return ""
    head = ("Rule", "Parameters", "Policy, gradient, optimiser", "Temporaries of an update")
    return "<h2>Memory</h2>" + plain_table(head, rows)


def _spent(spent: Mapping[str, Mapping[str, float | int]]) -> str:
    rows = []
    for rule, row in spent.items():
        rate = row["steps"] / max(row["seconds"], 1e-9)
        rows.append([TITLES[rule], f"{row['steps']:,.0f}", f"{row['seconds']:.0f} s", f"{rate:,.0f}"])
    return "<h2>What each cost</h2>" + plain_table(("Rule", "Agent-steps", "Training", "Agent-steps/s"), rows)
