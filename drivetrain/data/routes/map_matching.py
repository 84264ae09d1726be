"""Which lanes did an agent drive on? A path matched to the lane graph by dynamic programming.

A hidden Markov model in the manner of P. Newson and J. Krumm, Hidden Markov map matching through noise and sparseness,
2009: the cost of being on a lane is the squared distance to its centre and the disagreement of headings; one may stay,
follow a successor, or change to a neighbour, and nothing else.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.data.roads.lanes import Lanes

THINNED = 1.0
"""Points of a path are at least this far apart, m."""
REACH = 3.0
"""A point belongs to no lane whose surface is further away than this, m."""
TURNED = 0.5
"""A path runs along a lane where the cosine of the angle between them is above this."""
CHANGE = 4.0
"""Cost of a lane change; a lane change is believed when it saves about two lane half-widths, squared."""
FORK = 0.05
"""Cost of following a successor: keeps the sequence short where lanes overlap."""
HOPS = 4
"""So many short lanes may be passed between two points of a path."""


@dataclass(frozen=True)
class Match:
    """The lanes of a path in order, and where the path first and last is."""

    lanes: tuple[int, ...]  # each one follows, or is beside, the one before
    entered: tuple[int, ...]  # station (within the lane) at which each is first driven on


def thin(position: Float[np.ndarray, "t 2"]) -> Int[np.ndarray, "n"]:
    """Indices of the path's points that are at least a metre further on than the last one kept."""
    kept = [0]
    for index in range(1, len(position)):
        if np.hypot(*(position[index] - position[kept[-1]])) >= THINNED:
            kept.append(index)
    return np.array(kept, int)


def match(
    lanes: Lanes,
    position: Float[np.ndarray, "t 2"],
    heading: Float[np.ndarray, "t 2"],
    height: Float[np.ndarray, "t"] | None = None,
) -> Match | str:
    """The lanes along which a path most likely runs, or the cause why there are none: no_lane, no_route.

    Where the path's height is known, no lane of another level is among them.
    """
    kept = thin(position)
    cost, station = _costs(lanes, position[kept], heading[kept])
    if height is not None and lanes.height is not None:
        on = lanes.height[lanes.first + station]
        cost = np.where(np.abs(on - height[kept, None]) > LEVELS_APART, np.inf, cost)
    near = np.flatnonzero(np.isfinite(cost).any(axis=0))
    if not np.isfinite(cost).any(axis=1).all():
        return "no_lane"
    hops, towards = _hops(lanes, near)
    best, came = cost[0, near], []
    for row in cost[1:, near]:
        total = best[:, None] + hops
        came.append(total.argmin(axis=0))
        best = total.min(axis=0) + row
    if not np.isfinite(best).any():
        return "no_route"
    state = [int(best.argmin())]
    for back in reversed(came):
        state.append(int(back[state[-1]]))
    state.reverse()
    sequence, entered = [int(near[state[0]])], [int(station[0, near[state[0]]])]
    for point in range(1, len(state)):
        at = state[point - 1]
        while at != state[point]:
            at = int(towards[at, state[point]])
            lane = int(near[at])
            beside = lane in lanes.neighbours[sequence[-1]]
            sequence.append(lane)
            entered.append(int(station[point, lane]) if at == state[point] or beside else 0)
    return Match(tuple(sequence), tuple(entered))


def _costs(
    lanes: Lanes, position: Float[np.ndarray, "n 2"], heading: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "n N"], Int[np.ndarray, "n N"]]:
    """The cost of each point on each lane (infinite: not on it), and the lane's station nearest to the point."""
    tangent, centre = lanes.tangent, lanes.centre
    half = np.linalg.norm(lanes.left - lanes.right, axis=1) / 2
    cost = np.full((len(position), len(lanes.count)), np.inf)
    station = np.zeros(cost.shape, int)
    for lane in _passed(lanes, position, float(half.max()) + 2.0 * REACH):
        stations = lanes.stations(lane)
        offset = position[:, None] - centre[stations]
        index = (offset[..., 0] ** 2 + offset[..., 1] ** 2).argmin(axis=1)
        offset, direction = offset[np.arange(len(position)), index], tangent[stations][index]
        forward = (offset * direction).sum(axis=1)
        lateral = offset[:, 1] * direction[:, 0] - offset[:, 0] * direction[:, 1]
        agree = (heading * direction).sum(axis=1)
        end = (index == 0) & (forward < 0) | (index == int(lanes.count[lane]) - 1) & (forward > 0)
        beyond = np.where(end, np.abs(forward), 0.0)
        on = (np.abs(lateral) < half[stations][index] + REACH) & (beyond < REACH) & (agree > TURNED)
        here = (lateral**2 + 4.0 * beyond**2) / 4.0 + 8.0 * (1.0 - agree)
        cost[:, lane] = np.where(on, here, np.inf)
        station[:, lane] = index
    return cost, station


def _passed(lanes: Lanes, position: Float[np.ndarray, "n 2"], reach: float) -> list[int]:
    """Lanes whose bounding box, enlarged by `reach`, holds a point: no other can be driven on."""
    lower = np.minimum.reduceat(lanes.centre, lanes.first) - reach
    upper = np.maximum.reduceat(lanes.centre, lanes.first) + reach
    inside = (position[:, None] >= lower) & (position[:, None] <= upper)
    return np.flatnonzero(inside.all(axis=-1).any(axis=0)).tolist()


def _hops(lanes: Lanes, near: Int[np.ndarray, "m"]) -> tuple[Float[np.ndarray, "m m"], Int[np.ndarray, "m m"]]:
    """The cheapest way from each of the given lanes to each other within a few hops: its cost, and its first lane."""
    size, row = len(near), {int(lane): index for index, lane in enumerate(near)}
    step = np.full((size, size), np.inf)
    for lane, index in row.items():
        for other in lanes.successors[lane]:
            if other in row:
                step[index, row[other]] = FORK
        for other in lanes.neighbours[lane]:
            if int(other) in row:
                step[index, row[int(other)]] = CHANGE
    np.fill_diagonal(step, 0.0)
    cost, first = step, np.where(np.isfinite(step), np.arange(size)[None, :], -1)
    for _ in range(HOPS - 1):
        through = step[:, :, None] + cost[None]
        via = through.argmin(axis=1)
        better = through.min(axis=1)
        shorter = better < cost - 1e-9
        cost, first = np.where(shorter, better, cost), np.where(shorter, via, first)
    return cost, first
