"""Curves as SVG: axes, ticks, a key. On a page each is a card, whose markers carry their own tooltip text (`charts.js`
shows it); apart from one, all of them are one picture that needs nothing else.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivetrain.view.style import chart_style, palette

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 42
TITLE, KEY, GAP = 26, 34, 24
"""Of a chart in a picture: height of its title and of its key, and what is between charts."""
LETTER = 7.0
"""Mean width of a letter of a key."""


@dataclass(frozen=True)
class Series:
    """One curve: points in order of x. Points that are not finite are left out."""

    name: str
    x: Sequence[float | int]
    y: Sequence[float | int]


@dataclass(frozen=True)
class Level:
    """A dashed horizontal line, for what does not change along x."""

    name: str
    y: float | int
    colour: int  # index among the palette's, as a series' place


@dataclass(frozen=True)
class Chart:
    """Curves over one axis. `least`: the value that the y axis reaches down to at least; None: the curves' own."""

    title: str
    series: Sequence[Series]
    x_label: str
    percent: bool = False
    levels: Sequence[Level] = ()
    least: float | int | None = 0.0

    def finite(self) -> "Chart":
        """Without what cannot be drawn."""
        curves = [Series(each.name, *_finite(each)) for each in self.series]
        levels = [level for level in self.levels if math.isfinite(level.y)]
        return replace(self, series=[curve for curve in curves if len(curve.x)], levels=levels)


def card(chart: Chart) -> str:
    """A chart on a page; empty where it has no curve."""
    chart = chart.finite()
    if not chart.series:
        return ""
    title = html.escape(chart.title)
    svg = (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{_drawn(chart, True)}</svg>'
    )
    return f'<div class="card"><h3>{title}</h3>{svg}{_key(chart)}</div>'


def picture(charts: Sequence[Chart], columns: int = 2) -> str:
    """All charts that have a curve as one SVG file, in the page's light colours."""
    shown = [chart for chart in map(Chart.finite, charts) if chart.series]
    row = TITLE + HEIGHT + KEY
    columns = min(columns, max(len(shown), 1))
    width, height = columns * (WIDTH + GAP) + GAP, -(-len(shown) // columns) * (row + GAP) + GAP
    parts = [f'<rect width="{width}" height="{height}" fill="{palette()["panel"]}"/>']
    for index, chart in enumerate(shown):
        x, y = GAP + index % columns * (WIDTH + GAP), GAP + index // columns * (row + GAP)
        title = f'<text class="title" x="{LEFT}" y="16">{html.escape(chart.title)}</text>'
        parts.append(
            f'<g transform="translate({x} {y})">{title}<g transform="translate(0 {TITLE})">{_drawn(chart, False)}</g>'
            f'<g transform="translate(0 {TITLE + HEIGHT})">{_key_drawn(chart)}</g></g>'
        )
    style = f"{chart_style()}\ntext.title {{ font-size: 14px; font-weight: 620; fill: {palette()['ink']}; }}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return f"{head}<style>{style}</style>{''.join(parts)}</svg>\n"


def _drawn(chart: Chart, tips: bool) -> str:
    """What stands inside of a chart's frame, WIDTH × HEIGHT; with `tips`, the markers that a page shows on demand."""
    ys = [y for curve in chart.series for y in curve.y] + [level.y for level in chart.levels]
    xs = [x for curve in chart.series for x in curve.x]
    lowest = min(ys if chart.least is None else [*ys, chart.least])
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(lowest, max(ys))
    low_x, high_x = min(xs), max(max(xs), min(xs) + 1e-9)
    low_y, high_y = y_ticks[0], max(y_ticks[-1], y_ticks[0] + 1e-9)

    def place(x: float | int, y: float | int) -> tuple[float, float]:
        across = (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
        up = (y - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across, 2), round(HEIGHT - BOTTOM - up, 2)

    parts = [_grid(place, x_ticks, y_ticks, (low_x, high_x), chart.percent)]
    for level in chart.levels:
        _, y = place(low_x, level.y)
        parts.append(f'<line class="level c{level.colour}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    for index, curve in enumerate(chart.series):
        parts.append(_curve(place, curve, index, chart, tips))
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(chart.x_label)}</text>'
    return "".join(parts) + label


def ticks(low: float | int, high: float | int, wanted: int = 5) -> list[float]:
    """Round values that cover [low, high]: multiples of 1, 2 or 5 times a power of ten, about `wanted` of them."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * step for step in (1, 2, 5, 10) if power * step >= rough * 0.999)
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [round(size * index, 12) for index in range(first, last + 1)]


def short(value: float | int) -> str:
    """A number as an axis shows it: 1.5M, 20k, 0.05."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _finite(series: Series) -> tuple[list[float | int], list[float | int]]:
    kept = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return [x for x, _ in kept], [y for _, y in kept]


def _shown(value: float | int, percent: bool) -> str:
    return f"{100 * value:.4g} %" if percent else short(value)


def _grid(place, x_ticks, y_ticks, span: tuple[float | int, float | int], percent: bool) -> str:
    parts = []
    for value in y_ticks:
        _, y = place(span[0], value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{_shown(value, percent)}</text>')
    for value in x_ticks:
        if span[0] - 1e-9 <= value <= span[1] + 1e-9:
            x, _ = place(value, y_ticks[0])
            parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(value)}</text>')
    return "".join(parts)


def _curve(place, curve: Series, index: int, chart: Chart, tips: bool) -> str:
    points = [place(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
    line = " ".join(f"{x},{y}" for x, y in points)
    parts = [f'<polyline class="series c{index}" style="fill:none" points="{line}"/>']
    alone = " single" if len(points) == 1 else ""
    if not tips and not alone:
        return parts[0]
    for (px, py), x, y in zip(points, curve.x, curve.y, strict=True):
        tip = html.escape(f"{curve.name}: {_shown(y, chart.percent)}\n{short(x)} {chart.x_label}", quote=True)
        parts.append(f'<circle class="c{index}{alone}" cx="{px}" cy="{py}" r="3.5" data-tip="{tip}"/>')
    return "".join(parts)


def _items(chart: Chart) -> list[tuple[str, bool, str]]:
    """What a key names, where there is more than one thing: class, dashed or not, text."""
    if len(chart.series) == 1 and not chart.levels:
        return []
    curves = [(f"c{index}", False, curve.name) for index, curve in enumerate(chart.series)]
    levels = [(f"c{level.colour}", True, f"{level.name} {_shown(level.y, chart.percent)}") for level in chart.levels]
    return curves + levels


def _stroke(colour: str, dashed: bool, across: float = 0.0, down: float = 4.0) -> str:
    dashes = 'stroke-dasharray="4 3"' if dashed else ""
    ends = f'x1="{across:g}" x2="{across + 20:g}" y1="{down:g}" y2="{down:g}"'
    return f'<line class="{colour}" {ends} stroke-width="2" {dashes}/>'


def _key(chart: Chart) -> str:
    items = [
        f'<li><svg viewBox="0 0 20 8">{_stroke(colour, dashed)}</svg>{html.escape(text)}</li>'
        for colour, dashed, text in _items(chart)
    ]
    return f'<ul class="key">{"".join(items)}</ul>' if items else ""


def _key_drawn(chart: Chart) -> str:
    """The key as SVG, in as many rows as it takes."""
    parts, x, y = [], float(LEFT), 10.0
    for colour, dashed, text in _items(chart):
        wide = 26.0 + LETTER * len(text)
        if x > LEFT and x + wide > WIDTH:
            x, y = float(LEFT), y + 16.0
        parts.append(f'{_stroke(colour, dashed, x, y)}<text x="{x + 26:g}" y="{y + 4:g}">{html.escape(text)}</text>')
        x += wide + 14.0
    return "".join(parts)
