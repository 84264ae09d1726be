"""The page of a detector: scores with intervals, curves, and pictures with what is there and what was found.

The worst pictures come first. They stand in the page as small JPEGs, and what is drawn on them as SVG: it stays sharp,
and is read aloud.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from drivetrain.camera.sets import pillow
from drivetrain.evaluate.curves import is_number
from drivetrain.evaluate.tables import facts_list, interval_text, percent, plain_table
from drivetrain.perception.found import Found
from drivetrain.perception.labelled import Labelled
from drivetrain.perception.matching import Judging, match_lines, match_things
from drivetrain.perception.pixels import data_address, read_pixels
from drivetrain.perception.scores import OVERLAPS, Figure, LineScores, Scores, ThingScores
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Series, card

WIDE = 720
"""Pixels of an embedded picture's longer side at most."""
QUALITY = 80
NOT_FIGURES = ("step", "seconds", "time", "epoch", "seed")
"""Of a journal's row."""
THINGS = ("Things", "Labelled", "Found", "Precision", "Recall", "Average precision", "Distance, median error", "Mean")
LINES = ("Lines", "Labelled", "F1", "Precision", "Recall", "Median offset")
KEY = (
    ("truth", "labelled"),
    ("missed", "labelled, not found"),
    ("found", "found, with its score and distance"),
    ("wrong", "found, not there"),
    ("spare", "ignored, or found where it counts neither way"),
)


@dataclass(frozen=True)
class Judged:
    """A set of pictures, what is labelled and found in them, in one order, and its scores."""

    name: str
    labels: Sequence[Labelled]
    found: Sequence[Found]
    scores: Scores


def perception_page(
    title: str,
    lead: str,
    sets: Sequence[Judged],
    journal: Sequence[Mapping[str, Any]] = (),
    facts: Sequence[tuple[str, object]] = (),
    most: int = 12,
) -> str:
    """The page of a run: `journal` are the rows of its training, `facts` names and values, `most` pictures a set."""
    parts = [f"<h1>{escape(title)}</h1><p class='lead'>{escape(lead)}</p>", *(_tiles(one) for one in sets[:1])]
    parts += [_tables(one) for one in sets]
    parts.append(_charts("Precision over recall", "Things, at an overlap of 0.5.", [_precision(sets)]))
    parts.append(_charts("How it learnt", "", training_charts(journal)))
    parts += [_pictures(one, most) for one in sets]
    if facts:
        parts.append("<h2>What was trained on what</h2>" + facts_list(facts))
    return build_page(title, None, "".join(parts), "report")


# -------------------------------------------------------------------------------------------------------------- figures


def _tiles(one: Judged) -> str:
    things, lines = one.scores.things.get(f"{OVERLAPS[0]:g}", {}).get("all"), one.scores.lines
    shown: list[tuple[str, Figure]] = []
    if things is not None:
        shown += [("Average precision", things.average_precision), ("Recall", things.recall)]
        shown += [("Distance, median error", things.depth_median)]
    for unit in lines:
        ego = lines[unit]["ego"]
        shown.append((f"F1 of the own lane, {_limit(unit, one.scores.judging)}", ego.f1))
    tiles = [
        f"<div class='tile'><div class='k'>{escape(name)}</div><div class='v'>{percent(figure.value)}</div>"
        f"<div class='s'>{escape(_interval(figure))}</div></div>"
        for name, figure in shown
        if figure.value is not None
    ]
    return f"<div class='tiles'>{''.join(tiles)}</div>" if tiles else ""


def _interval(figure: Figure) -> str:
    return interval_text({"low": figure.low, "high": figure.high})


def _limit(unit: str, judging: Judging) -> str:
    return f"{judging.metres:g} m" if unit == "metres" else f"{judging.pixels:g} px"


def _tables(one: Judged) -> str:
    judging, scores = one.scores.judging, one.scores
    kinds = "things of any kind" if judging.kinds is None else ", ".join(judging.kinds)
    note = (
        f"{scores.pictures} pictures. Counted: {kinds}, at least {judging.least_height:g} px high in a picture 1280 "
        f"wide, of which {100 * judging.least_visible:g} % is seen. Precision, recall and distances from a score of "
        f"{judging.score:g} on. In brackets: 95 %, pictures resampled."
    )
    parts = [f"<h2>{escape(one.name)}</h2><p>{escape(note)}</p>"]
    if scores.things:
        every = [(least, band, of) for least, bands in scores.things.items() for band, of in bands.items()]
        parts.append(plain_table(THINGS, [_thing_row(*row) for row in every if row[-1].things]))
    if len(scores.kinds) > 1:
        rows = [[kind, f"{of.things:,}", _shown(of.recall)] for kind, of in scores.kinds.items()]
        parts.append(plain_table(("Kinds, overlap 0.5", "Labelled", "Recall"), rows))
    if scores.lines:
        every = [(unit, which, of) for unit, names in scores.lines.items() for which, of in names.items()]
        parts.append(plain_table(LINES, [_line_row(*row, judging) for row in every]))
    return "".join(parts)


def _thing_row(least: str, band: str, of: ThingScores) -> list[str]:
    where = "all" if band == "all" else f"{band.replace('-', '–')} m"
    figures = (of.precision, of.recall, of.average_precision, of.depth_median, of.depth_mean)
    return [f"overlap {least}, {where}", f"{of.things:,}", f"{of.detections:,}", *map(_shown, figures)]


def _line_row(unit: str, which: str, of: LineScores, judging: Judging) -> list[str]:
    what = "all lines" if which == "all" else "own lane"
    scale, name = (100.0, "cm") if unit == "metres" else (1.0, "px")
    offset = "–" if of.offset.value is None else f"{scale * of.offset.value:.1f} {name}"
    name = f"{what}, within {_limit(unit, judging)}"
    return [name, f"{of.lines:,}", *map(_shown, (of.f1, of.precision, of.recall)), offset]


def _shown(figure: Figure) -> str:
    inner = _interval(figure)
    return percent(figure.value) + (f" ({inner})" if inner else "")


# --------------------------------------------------------------------------------------------------------------- curves


def _precision(sets: Sequence[Judged]) -> Chart:
    curves = [
        Series(one.name, [x for x, _, _ in one.scores.curve], [y for _, y, _ in one.scores.curve])
        for one in sets
        if one.scores.curve
    ]
    return Chart("Precision over recall", curves, "recall", percent=True)


def training_charts(journal: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """A chart for the losses, and one for each other figure that a journal's rows tell over their `step`."""
    rows = [row for row in journal if is_number(row.get("step"))]
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in NOT_FIGURES]
    curves = []
    for name in names:
        points = [(row["step"], row[name]) for row in rows if is_number(row.get(name))]
        if points:
            curves.append(Series(name.replace("_", " "), *map(list, zip(*points, strict=True))))
    losses = [curve for curve in curves if "loss" in curve.name]
    others = [Chart(curve.name, [curve], "steps", least=None) for curve in curves if curve not in losses]
    return [Chart("losses", losses[:8], "steps"), *others]


def _charts(title: str, note: str, charts: Sequence[Chart]) -> str:
    shown = "".join(map(card, charts))
    return f"<h2>{title}</h2><p>{note}</p><div class='charts'>{shown}</div>" if shown else ""


# ------------------------------------------------------------------------------------------------------------- pictures


def _pictures(one: Judged, most: int) -> str:
    order = sorted(range(len(one.labels)), key=lambda n: (-one.scores.mistakes[n], n))[:most]
    if not order:
        return ""
    figures = "".join(figure(one.labels[n], one.found[n], one.scores.judging) for n in order)
    key = "".join(
        f"<li><svg viewBox='0 0 20 8'><path class='{name}' d='M1 4h18'/></svg>{escape(text)}</li>" for name, text in KEY
    )
    note = f"The worst {len(order)} of {len(one.labels)} first: most things and lines missed or wrong."
    head = f"<h2>{escape(one.name)}: pictures</h2><p>{escape(note)}</p>"
    return f"{head}<ul class='key shots-key'>{key}</ul><div class='shots'>{figures}</div>"


def figure(labels: Labelled, found: Found, judging: Judging) -> str:
    """A picture with what is labelled and what is found in it."""
    drawn, words = _things_drawn(labels, found, judging)
    lines, more = _lines_drawn(labels, found, judging)
    ignored = "".join(_box("spare", box) for box in labels.ignored.tolist())
    told = "; ".join(filter(None, (words, more))) or "nothing labelled"
    name = labels.file.name
    return (
        f"<figure class='card shot'><svg viewBox='0 0 {labels.width} {labels.height}' role='img' "
        f"aria-label='{escape(f'{name}: {told}', quote=True)}'>"
        f"<image width='{labels.width}' height='{labels.height}' preserveAspectRatio='none' href='{embedded(labels)}'/>"
        f"<g font-size='{labels.width / 54:.1f}'>{ignored}{lines}{drawn}</g></svg>"
        f"<figcaption><b>{escape(name)}</b> {escape(told)}</figcaption></figure>"
    )


def embedded(labels: Labelled) -> str:
    """A picture's pixels as a small JPEG in a data address."""
    image = pillow()
    small = image.fromarray(read_pixels(labels.file, (labels.width, labels.height)))
    small.thumbnail((WIDE, WIDE))
    return data_address(small, QUALITY)


def _things_drawn(labels: Labelled, found: Found, judging: Judging) -> tuple[str, str]:
    if labels.things is None:
        return "", ""
    match = match_things(labels, found, OVERLAPS[0], judging)
    sure = match.score >= judging.score
    right = {int(n) for n in match.which[match.right & sure]}
    wrong = {int(n) for n in match.which[~match.right & sure]}
    hit = {int(n) for n in match.is_thing[match.right & sure]}
    parts = []
    for row, thing in enumerate(labels.things):
        name = "spare" if not match.counts[row] else "truth" if row in hit else "missed"
        below = _distance(thing.depth) if name != "spare" else ""
        parts.append(_box(name, thing.box, below=below))
    for row, one in enumerate(found.things):
        if one.score >= judging.score:
            name = "found" if row in right else "wrong" if row in wrong else "spare"
            parts.append(_box(name, one.box, above=f"{one.score:.2f} {_distance(one.depth)}".strip()))
    missed = int(match.counts.sum()) - len(hit)
    return "".join(parts), f"things: {len(right)} found, {missed} missed, {len(wrong)} wrong"


def _distance(depth: float) -> str:
    return f"{depth:.0f} m" if math.isfinite(depth) else ""


def _lines_drawn(labels: Labelled, found: Found, judging: Judging) -> tuple[str, str]:
    match = match_lines(labels, found, judging, "pixels", only_ego=False)
    if match is None or labels.lines is None:
        return "", ""
    parts = []
    for row, line in enumerate(labels.lines):
        parts.append(_path("missed" if row in match.missed else "truth", line.points, line.role))
    for row, one in enumerate(found.lines):
        if one.score >= judging.score:
            name = "found" if row in match.right else "wrong" if row in match.wrong else "spare"
            parts.append(_path(name, one.line.points, ""))
    words = f"lines: {len(match.right)} found, {len(match.missed)} missed, {len(match.wrong)} wrong"
    return "".join(parts), words


def _box(name: str, box: Sequence[float], above: str = "", below: str = "") -> str:
    x0, y0, x1, y1 = (value + 0.5 for value in box)
    text = f"<text x='{x0:.1f}' y='{y0:.1f}' dy='-.3em'>{escape(above)}</text>" if above else ""
    text += f"<text x='{x1:.1f}' y='{y1:.1f}' dy='1em' text-anchor='end'>{escape(below)}</text>" if below else ""
    rect = f"x='{x0:.1f}' y='{y0:.1f}' width='{x1 - x0:.1f}' height='{y1 - y0:.1f}'"
    return f"<g class='{name}'><rect class='under' {rect}/><rect {rect}/>{text}</g>"


def _path(name: str, points: Float[np.ndarray, "p 3"], role: str) -> str:
    way = "M" + "L".join(f"{x + 0.5:.1f} {y + 0.5:.1f}" for x, y in points[:, :2].tolist())
    title = f"<title>{escape(role)}</title>" if role else ""
    return f"<g class='{name}'>{title}<path class='under' d='{way}'/><path d='{way}'/></g>"
