"""Curves as inline SVG: axes, ticks, a key, and markers that carry their own tooltip text (`charts.js` shows it)."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 42


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


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    percent: bool = False,
    levels: Sequence[Level] = (),
    least: float | int | None = 0.0,
) -> str:
    """A card with a chart in it. `least`: the value that the y axis reaches down to at least; None: the curves' own."""
    curves = [Series(s.name, *_finite(s)) for s in series]
    curves = [s for s in curves if len(s.x)]
    levels = [level for level in levels if math.isfinite(level.y)]
    ys = [y for s in curves for y in s.y] + [level.y for level in levels]
    xs = [x for s in curves for x in s.x]
    if not xs:
        return ""
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys if least is None else [*ys, least]), max(ys))
    low_x, high_x = min(xs), max(max(xs), min(xs) + 1e-9)
    low_y, high_y = y_ticks[0], max(y_ticks[-1], y_ticks[0] + 1e-9)

    def place(x: float | int, y: float | int) -> tuple[float, float]:
        across = (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
        up = (y - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across, 2), round(HEIGHT - BOTTOM - up, 2)

    parts = [_grid(place, x_ticks, y_ticks, (low_x, high_x), percent)]
    for level in levels:
        _, y = place(low_x, level.y)
        parts.append(f'<line class="level c{level.colour}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    for index, curve in enumerate(curves):
        parts.append(_curve(place, curve, index, x_label, percent))
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(x_label)}</text>'
    svg = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
    svg += "".join(parts) + label + "</svg>"
    return f'<div class="card"><h3>{html.escape(title)}</h3>{svg}{_key(curves, levels, percent)}</div>'


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


def _curve(place, curve: Series, index: int, x_label: str, percent: bool) -> str:
    points = [place(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
    line = " ".join(f"{x},{y}" for x, y in points)
    parts = [f'<polyline class="series c{index}" style="fill:none" points="{line}"/>']
    alone = " single" if len(points) == 1 else ""
    for (px, py), x, y in zip(points, curve.x, curve.y, strict=True):
        tip = html.escape(f"{curve.name}: {_shown(y, percent)}\n{short(x)} {x_label}", quote=True)
        parts.append(f'<circle class="c{index}{alone}" cx="{px}" cy="{py}" r="3.5" data-tip="{tip}"/>')
    return "".join(parts)


def _key(curves: Sequence[Series], levels: Sequence[Level], percent: bool) -> str:
    if len(curves) == 1 and not levels:
        return ""
    line = '<svg viewBox="0 0 20 8"><line class="{}" x1="0" x2="20" y1="4" y2="4" stroke-width="2" {}/></svg>'
    items = [f"<li>{line.format(f'c{i}', '')}{html.escape(curve.name)}</li>" for i, curve in enumerate(curves)]
    dashes = 'stroke-dasharray="4 3"'
    for level in levels:
        text = html.escape(f"{level.name} {_shown(level.y, percent)}")
        items.append(f"<li>{line.format(f'c{level.colour}', dashes)}{text}</li>")
    return f'<ul class="key">{"".join(items)}</ul>'
