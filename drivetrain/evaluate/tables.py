"""Tables of a report: every driver against the others, paired differences, and plain facts."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

BASELINES = {"log": "Log", "constant": "Constant velocity", "idm": "IDM"}
"""Titles of the drivers that every run is compared with."""

COLUMNS = (
    ("failure_rate", "Failure"),
    ("collision_rate", "Collision"),
    ("off_route_rate", "Off route"),
    ("off_road_rate", "Off road"),
    ("off_road_unknown_rate", "Surface unknown"),
    ("stop_line_rate", "Stop line"),
    ("red_light_rate", "Red light"),
    ("progress_ratio", "Progress"),
    ("ade", "ADE"),
    ("comfort", "Comfort"),
)


def percent(value: float | int | None, signed: bool = False) -> str:
    """A share in per cent; a difference of shares in percentage points, signed."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f} pp".replace("-", "−") if signed else f"{100 * value:.1f} %"


def interval_text(figure: Mapping[str, Any], signed: bool = False) -> str:
    """The interval in per cent, as "2.0 to 5.1"; empty where there is none."""
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return ""
    form = "{:+.1f} to {:+.1f}" if signed else "{:.1f} to {:.1f}"
    return form.format(100 * low, 100 * high).replace("-", "−")


def baseline_table(
    evaluation: Mapping[str, Any], titles: Mapping[str, str], ours: str, title: str = "Against the baselines"
) -> str:
    """One row a driver, one column a figure, each with its interval; the row of the driver `ours` stands out."""
    if not evaluation:
        return ""
    head = "".join(f"<th scope='col'>{escape(title)}</th>" for _, title in COLUMNS)
    rows = []
    for name, entry in evaluation.items():
        cells = "".join(f"<td>{_cell(key, entry.get(key))}</td>" for key, _ in COLUMNS)
        mark = " class='ours'" if name == ours else ""
        rows.append(f"<tr{mark}><th scope='row'>{escape(titles.get(name, name))}</th>{cells}</tr>")
    entry = next(iter(evaluation.values()))
    count, groups, method = entry.get("scenarios"), entry.get("groups"), entry.get("interval", "")
    note = f"The same {count} episodes, from {groups} groups of recordings, for every driver. Small figures: {method}."
    note += " Failure: a collision or a corner off the permissible lanes, at any step. ADE: mean distance to the log."
    note += " Surface unknown: at some step, and never seen off the road; where it is unknown, off road is not judged."
    return f"<h2>{escape(title)}</h2><p>{escape(note)}</p>" + _table("Driver", head, rows)


def difference_table(evaluation: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Paired differences of one driver against others, where an entry has them."""
    rows = []
    for name, entry in evaluation.items():
        for other, figures in (entry.get("against") or {}).items():
            title = f"{titles.get(name, name)} less {titles.get(other, other)}"
            keys = ("failure_rate", "collision_rate", "off_route_rate", "progress_ratio")
            cells = "".join(f"<td>{_difference(figures.get(key))}</td>" for key in keys)
            rows.append(f"<tr><th scope='row'>{escape(title)}</th>{cells}</tr>")
    if not rows:
        return ""
    head = "".join(f"<th scope='col'>{title}</th>" for title in ("Failure", "Collision", "Off route", "Progress"))
    note = "On the same egos, in percentage points; groups of recordings resampled. Below zero: fails less."
    return f"<h2>Paired differences</h2><p>{note}</p>" + _table("Drivers", head, rows)


def facts_list(pairs: Sequence[tuple[str, object]]) -> str:
    """Names and values; empty values are left out."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in pairs
        if value is not None and value != ""
    )
    return f"<div class='card'><dl class='facts'>{rows}</dl></div>" if rows else ""


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of words: the first of each row names it."""
    titles = "".join(f"<th scope='col'>{escape(title)}</th>" for title in head[1:])
    cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) for row in rows]
    named = [f"<tr><th scope='row'>{escape(row[0])}</th>{rest}</tr>" for row, rest in zip(rows, cells, strict=True)]
    return _table(escape(head[0]), titles, named)


def _table(corner: str, head: str, rows: Sequence[str]) -> str:
    top = f"<thead><tr><th scope='col'>{corner}</th>{head}</tr></thead>"
    return f"<div class='card table'><table>{top}<tbody>{''.join(rows)}</tbody></table></div>"


def _cell(key: str, figure: Mapping[str, Any] | None) -> str:
    if not figure or figure.get("value") is None:
        return "–"
    if key == "ade":
        return f"{figure['value']:.2f} m<small>{figure['low']:.2f} to {figure['high']:.2f}</small>"
    return f"{percent(figure['value'])}<small>{escape(interval_text(figure))}</small>"


def _difference(figure: Mapping[str, Any] | None) -> str:
    if not figure or figure.get("value") is None:
        return "–"
    return f"{percent(figure['value'], True)}<small>{escape(interval_text(figure, True))}</small>"
