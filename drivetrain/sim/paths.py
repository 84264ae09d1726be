"""The paths that recorded vehicles drove, for traffic that follows them at its own speed. NumPy, once, at load.

A path is the agent's recorded positions, thinned and resampled evenly: where a distance along it lies is a division,
not a search. It is known besides how fast the record was there, and which red lights stand on it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.types import VEHICLES, Array, ControlKind, Log, Map, Scenario, record

LINES = 4
"""Lights on one path, at most; the first ones count."""

THIN = 0.5
"""Positions nearer than this, m, to the last kept one are left out: a standing vehicle's record trembles."""

PARKED = 2.0
"""Whose path is shorter, m, is parked."""

AROUND = 5.0
"""The pace at a place is the record's highest speed within so many metres of path: a stop there is not its pace."""

LEAST_PACE = 1.0
"""m/s, so that nobody stays for good where the record only crept."""


@record
class Paths:
    """Of every agent of a log (or of N logs): K points of its path. K is 0 where none were laid."""

    points: Float[Array, "*logs A K 5"]  # x, y · cos, sin of the recorded heading · pace, m/s
    spacing: Float[Array, "*logs A"]  # m from one point to the next
    travelled: Float[Array, "*logs A T"]  # m along the path at each step; −1 before the record, beyond the end after it
    follows: Bool[Array, "*logs A"]  # a vehicle that moves forward; others have no path here
    stays: Bool[Array, "*logs A"]  # recorded to the end of the recording
    line: Int[Array, "*logs A l"]  # lights crossed, in order: rows of the map's lines; -1 is padding
    line_arc: Float[Array, "*logs A l"]  # m along the path
    height: Float[Array, "*logs A K"] | None = None  # m, of the points; None: all on one level


class _Path(NamedTuple):
    points: Float[np.ndarray, "K 5"]
    spacing: float
    travelled: Float[np.ndarray, "T"]
    line: Int[np.ndarray, "l"]
    line_arc: Float[np.ndarray, "l"]
    height: Float[np.ndarray, "K"]


def lay_paths(scenario: Scenario, laid: bool = True) -> Paths:
    """The paths of one recording; arrays without a point where they are not to be laid."""
    log = scenario.log
    steps, agents = np.asarray(log.agents.valid).shape
    points = steps if laid else 0
    laid_paths = [_path(scenario.map, log, agent) if laid else None for agent in range(agents)]
    nowhere = _Path(
        np.zeros((points, 5), np.float32),
        1.0,
        np.full(points, -1.0, np.float32),
        np.full(LINES, -1, np.int32),
        np.zeros(LINES, np.float32),
        np.zeros(points, np.float32),
    )
    if laid:
        columns = [
            np.stack([np.asarray(row) for row in rows])
            for rows in zip(*(path or nowhere for path in laid_paths), strict=True)
        ]
    else:
        columns = [np.repeat(np.asarray(row)[None], agents, axis=0) for row in nowhere]
    laid_out = dict(zip(_Path._fields, columns, strict=True))
    last = max(int(log.steps) - 1, 0)
    return Paths(
        points=laid_out["points"].astype(np.float32),
        spacing=laid_out["spacing"].astype(np.float32),
        travelled=laid_out["travelled"].astype(np.float32),
        follows=np.array([path is not None for path in laid_paths], bool),
        stays=np.asarray(log.agents.valid)[last].copy(),
        line=laid_out["line"].astype(np.int32),
        line_arc=laid_out["line_arc"].astype(np.float32),
        height=None if log.agents.height is None else laid_out["height"].astype(np.float32),
    )


def _path(map: Map, log: Log, agent: int) -> _Path | None:
    """One agent's path; none for who is no vehicle, is parked, or is driven backwards."""
    valid = np.asarray(log.agents.valid)[:, agent]
    steps = np.flatnonzero(valid)
    if int(np.asarray(log.bodies.kind)[agent]) not in VEHICLES or len(steps) < 2:
        return None
    position = np.asarray(log.agents.position)[steps, agent].astype(float)
    heading = np.asarray(log.agents.heading)[steps, agent].astype(float)
    speed = np.hypot(*np.asarray(log.agents.velocity)[steps, agent].astype(float).T)
    kept = _thinned(position)
    pieces = np.diff(position[kept], axis=0)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*pieces.T))])
    if arc[-1] < PARKED or np.sum(pieces * heading[kept][:-1]) < 0.0:
        return None
    # Between two kept positions an agent is as far as it is from the first of them.
    before = np.searchsorted(kept, np.arange(len(steps)), side="right") - 1
    beyond = np.hypot(*(position - position[kept][before]).T)
    along = np.minimum(arc[before] + beyond, arc[np.minimum(before + 1, len(arc) - 1)])
    travelled = np.full(len(valid), -1.0)
    travelled[steps[0] :] = np.interp(np.arange(steps[0], len(valid)), steps, along)
    travelled[steps[-1] + 1 :] = arc[-1] + 1.0

    even = np.linspace(0.0, arc[-1], len(valid))
    points = np.stack([np.interp(even, arc, column) for column in np.hstack([position, heading])[kept].T], -1)
    points[:, 2:] /= np.maximum(np.hypot(points[:, 2], points[:, 3]), 1e-6)[:, None]
    near = np.abs(even[:, None] - along) <= max(AROUND, even[1])
    pace = np.maximum(np.max(np.where(near, speed, 0.0), axis=1), LEAST_PACE)
    heights = np.zeros(len(valid)) if log.agents.height is None else np.asarray(log.agents.height)[:, agent]
    height = np.interp(even, arc, heights[steps][kept])
    lights = _lights(map, points[:, :2], even[1], height)
    return _Path(np.column_stack([points, pace]), even[1], travelled, *lights, height)


def _thinned(position: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "k"]:
    """Rows to keep: the first, and each that is `THIN` from the last kept."""
    kept, (x, y) = [0], position[0].tolist()
    for row, (next_x, next_y) in enumerate(position.tolist()):
        if (next_x - x) ** 2 + (next_y - y) ** 2 >= THIN**2:
            kept.append(row)
            x, y = next_x, next_y
    return np.array(kept)


def _lights(
    map: Map, points: Float[np.ndarray, "K 2"], spacing: float, height: Float[np.ndarray, "K"]
) -> tuple[Int[np.ndarray, "l"], Float[np.ndarray, "l"]]:
    """The judged lights whose lines a path crosses in the direction that they are for, and where."""
    lines = np.asarray(map.lines, float)
    counts = np.flatnonzero((np.asarray(map.line_kind) == ControlKind.LIGHT) & np.asarray(map.line_judged))
    a, edge = points[:-1, None], np.diff(points, axis=0)[:, None]
    left, across = lines[None, counts, :2], lines[None, counts, 2:] - lines[None, counts, :2]
    scale = _cross(edge, across)
    safe = np.where(scale == 0.0, 1.0, scale)
    share, place = _cross(left - a, across) / safe, _cross(left - a, edge) / safe
    hit = (scale < 0.0) & (share >= 0.0) & (share < 1.0) & (place >= 0.0) & (place <= 1.0)
    if map.line_height is not None:
        hit &= np.abs(height[:-1, None] - np.asarray(map.line_height)[counts]) <= LEVELS_APART
    piece, row = np.nonzero(hit)
    line, along = np.full(LINES, -1, np.int32), np.zeros(LINES, np.float32)
    order = np.argsort(piece + share[piece, row])[:LINES]
    line[: len(order)] = counts[row[order]]
    along[: len(order)] = (piece + share[piece, row])[order] * spacing
    return line, along


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
