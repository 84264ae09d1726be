"""Figures of self-play on a page: the tiles above, and what happened on each town."""

from collections.abc import Mapping
from html import escape
from typing import Any

from drivetrain.evaluate.tables import interval_text, percent, plain_table

COLUMNS = {
    "goals_reached": "Goals reached",
    "collision_per_km": "Collisions per km",
    "off_road_per_km": "Off the road per km",
    "off_route_per_km": "Off route per km",
    "red_light_per_km": "Red lights per km",
    "late_per_km": "Late per km",
    "km_between_incidents": "km between incidents",
    "speed": "Speed, m/s",
}
NOTE = (
    "In worlds of other seeds than those learnt in, each agent by its likeliest action. A goal is missed by who ends "
    "before it; incidents are collisions and leaving the road. In brackets: 95 %, worlds resampled."
)
TILES = ("goals_reached", "collision_per_km", "off_road_per_km", "km_between_incidents")


def of_worlds(evaluation: Mapping[str, Any]) -> bool:
    """Whether figures are those of worlds, and not of recordings."""
    return any("goals_reached" in entry for entry in evaluation.values())


def world_tiles(evaluation: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Title, value, interval and tone of the first place's figures."""
    figures, tiles = next(iter(evaluation.values())), []
    for name in TILES:
        value, interval = _text(name, figures.get(name) or {})
        tiles.append((COLUMNS[name], value, interval, ""))
    return tiles


def world_rows(evaluation: Mapping[str, Any], titles: Mapping[str, str]) -> list[tuple[str, ...]]:
    """A row a figure, a column a place, the first row names them."""
    columns = [
        [_town(name, figures, titles), *(" ".join(_text(key, figures.get(key) or {})) for key in COLUMNS)]
        for name, figures in evaluation.items()
    ]
    return list(zip(["Figure", *COLUMNS.values()], *columns, strict=True))


def world_ends(evaluation: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """What was driven at each place, and how lives ended there."""
    ends = []
    for name, figures in evaluation.items():
        lives = ", ".join(f"{count} {cause.replace('_', ' ')}" for cause, count in figures["lives"].items() if count)
        where = f"{figures['worlds']} worlds of {figures['agents']} agents, {figures['seconds']:.0f} s each"
        driven = f"{figures['agent_km']:,.1f} km driven, {figures['goals']:,} goals"
        ends.append(f"{_town(name, figures, titles)}: {where}, {driven}; lives ended: {lives}")
    return ends


def world_table(evaluation: Mapping[str, Any], titles: Mapping[str, str], title: str = "In worlds of its own") -> str:
    """Both on a page."""
    head, *rows = world_rows(evaluation, titles)
    ends = "".join(f"<li>{escape(line)}</li>" for line in world_ends(evaluation, titles))
    return f"<h2>{escape(title)}</h2><p>{NOTE}</p>{plain_table(head, rows)}<ul>{ends}</ul>"


def _town(name: str, figures: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    return f"{', '.join(figures['maps'])}, {'learnt on' if name in titles else 'never seen'}"


def _text(name: str, figure: Mapping[str, Any]) -> tuple[str, str]:
    """A figure and its interval."""
    if figure.get("value") is None:
        return "–", ""
    if name == "goals_reached":
        return percent(figure["value"]), f"({interval_text(figure)})"
    low, high = (f"{figure[end]:.3g}" for end in ("low", "high"))
    return f"{figure['value']:.3g}", f"({low} to {high})"
