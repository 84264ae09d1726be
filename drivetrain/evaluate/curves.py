"""How a run learnt, from the lines of its journal: the charts of its stages."""

from collections.abc import Mapping, Sequence

from drivetrain.view.plotting import Chart, Level, Series

STEPS = "agent steps"
SHARES = {"failure_rate": "failure rate", "progress_ratio": "progress ratio", "goals_reached": "goals reached"}
JUDGED = SHARES | {
    "collision_per_km": "collisions per km",
    "off_road_per_km": "off the road, per km",
    "off_route_per_km": "off route, per km",
}
"""Figures that a stage is followed by, by the ends of their names."""


def charts(metrics: Sequence[Mapping], stages: Mapping[str, str]) -> list[Chart]:
    """Each stage's validation, then each one's loss and return. A level says at what the stage before left it."""
    judged, learnt, before = [], [], ""
    for name, title in stages.items():
        rows = [row for row in metrics if row.get("stage") == name]
        for suffix, what in JUDGED.items():
            series = [Series(title, each.x, each.y) for each in _series(rows, suffix)[:1]]
            start = [Level(before, each.y[0], 1) for each in series if before and each.x[0] == 0]
            least, share = None if suffix == "progress_ratio" else 0.0, suffix in SHARES
            judged.append(
                Chart(f"{title}: {what} on validation", series, STEPS, percent=share, levels=start, least=least)
            )
        learnt.append(Chart(f"{title}: loss", _series(rows, "loss")[:5], STEPS, least=None))
        returns = _series(rows, "returns")[:1]
        learnt.append(Chart(f"{title}: return of training episodes", returns, STEPS, least=None))
        before = title
    return judged + learnt


def _series(rows: Sequence[Mapping], suffix: str) -> list[Series]:
    """One curve for each figure whose name ends so, over the steps at which it was measured."""
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name.endswith(suffix)]
    curves = []
    for name in names:
        points = [(row["step"], row[name]) for row in rows if is_number(row.get("step")) and is_number(row.get(name))]
        if points:
            curves.append(Series(name.replace("_", " "), [x for x, _ in points], [y for _, y in points]))
    return curves


def is_number(value: object) -> bool:
    """Whether a value of a line can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool)
