"""The page of the study of things of any class."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from drivetrain.evaluate.tables import plain_table
from drivetrain.perception.generic import TOLD
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Series, card

FINDERS = {
    "recognised": "recognition, then boxes",
    "scratch": "boxes from scratch",
    "all boxes": "recognition, then boxes of every kind",
    "blind": "without looking",
}
TELLERS = {"alone": "recognition alone", "twice as long": "twice as long", "after boxes": "after boxes"}


def things_page(results: Mapping[str, Any]) -> str:
    """The page of `results.json`."""
    together, seeds = results["together"], results["seeds"]
    parts = [
        "<h1>Things of any class</h1>",
        f"<p class='lead'>{escape(_lead(results))}</p>",
        "<h2>Recall at an overlap of one half</h2>",
        _recalls(together["recall"], results["counts"]),
        f"<h2>Kinds without boxes, recall of {results['counts'][1]} proposals</h2>",
        "<p>Each under the seed for which it had none. Intervals resample test pictures.</p>",
        _kinds(seeds, str(results["counts"][1])),
        "<h2>Do boxes help to tell kinds apart?</h2>",
        _telling(together),
        _curves(seeds[0]["curves"]),
    ]
    return build_page("Things of any class", None, "".join(parts), "report")


def _lead(results: Mapping[str, Any]) -> str:
    learnt, tested = results["cuts"]
    return (
        f"{len(results['kinds'])} kinds, {learnt:,} cuts to learn from, {tested:,} of other pictures to test on; "
        f"{len(results['seeds'])} seeds, under each of which a share of the kinds has no boxes. Intervals of means "
        "over seeds are Student's."
    )


def _share(figure: Mapping[str, Any], points: bool = False) -> str:
    if figure["value"] is None:
        return "–"
    shown = f"{100 * figure['value']:+.1f}" if points else f"{100 * figure['value']:.1f}"
    unit = "points" if points else "%"
    if figure["low"] is None:
        return f"{shown} {unit}"
    return f"{shown} {unit} ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


def _recalls(recall: Mapping[str, Any], counts: Sequence[int]) -> str:
    head = ("Taught", "Proposals", "Kinds without boxes", "Kinds with boxes")
    rows = [
        [words, str(count), *(_share(recall[name][str(count)][group]) for group in ("unboxed", "boxed"))]
        for name, words in FINDERS.items()
        for count in counts
    ]
    return plain_table(head, rows)


def _kinds(seeds: Sequence[Mapping[str, Any]], count: str) -> str:
    rows = []
    for one in seeds:
        for kind in one["unboxed"]:
            figures = [one["recall"][name][count][kind] for name in FINDERS]
            rows.append([kind, str(figures[0]["n"]), *(_share(figure) for figure in figures)])
    return plain_table(("Kind", "Things", *FINDERS.values()), sorted(rows))


def _telling(together: Mapping[str, Any]) -> str:
    rows = [[words, _share(together["recognition"][name])] for name, words in TELLERS.items()]
    gains = [[f"after boxes − {TELLERS[name]}", _share(of, points=True)] for name, of in together["helped"].items()]
    return plain_table(("Taught", "Kinds told rightly"), rows) + plain_table(("Difference", "Same seeds"), gains)


def _curves(curves: Mapping[str, Sequence[float]]) -> str:
    series = [Series(name, range(1, len(losses) + 1), losses) for name, losses in curves.items()]
    recognised = [one for one in series if one.name in ("recognition", "twice as long", "after boxes")]
    found = [one for one in series if one not in recognised]
    charts = [
        card(Chart(title, those, f"times {TOLD} steps"))
        for title, those in (("Loss of recognition", recognised), ("Loss of boxes", found))
    ]
    return f"<h2>How they learnt, first seed</h2><div class='charts'>{''.join(charts)}</div>"
