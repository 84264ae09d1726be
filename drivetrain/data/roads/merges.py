"""Lanes that run beside each other for a stretch without being neighbours: where a ramp merges, and where it leaves.

Formats call lanes neighbours when they share a border over their full length. Just before two lanes become neighbours,
and just after they cease to be, they still share a border, and one may change between them.
"""

import dataclasses

import numpy as np
import shapely
from jaxtyping import Bool, Float

from drivetrain.data.roads.lanes import SEAM, Lanes, Mending, Merge
from drivetrain.data.roads.levels import apart, nearest

ALONG = 0.9
"""Two lanes run the same way where the cosine between them is above this."""
LAP = 0.01
"""Snapped borders lap by this, m: chords of a bend would leave slivers between them."""


def snap_borders(lanes: Lanes, mending: Mending) -> tuple[Lanes, Mending]:
    """The lanes with their merges, gaps narrower than a seam closed between them: the later lane's border moves."""
    left, right = lanes.left.copy(), lanes.right.copy()
    merges, moved, shift = [], 0, 0.0
    ahead = lanes.tangent
    for lane, beside in _touching(lanes):
        for side, (own, other) in enumerate(((left, right), (right, left))):
            stations, border = lanes.stations(lane), shapely.LineString(other[lanes.stations(beside)])
            shapely.prepare(border)
            for first, last in _runs(_near(lanes, ahead, own[stations], border, lane, beside)):
                merges.append(Merge(lane, beside, first, last))
                if lane > beside:
                    at = np.arange(stations.start + first, stations.start + last + 1)
                    target = _onto(border, own[at], ahead[at], side)
                    step = np.linalg.norm(target - own[at], axis=1)
                    moved, shift = moved + int((step > LAP + 1e-3).sum()), max(shift, float(step.max()))
                    own[at] = target
    lanes = dataclasses.replace(lanes, left=left, right=right, merges=tuple(merges))
    return lanes, dataclasses.replace(mending, points=mending.points + moved, shift=max(mending.shift, shift))


def _touching(lanes: Lanes) -> list[tuple[int, int]]:
    """Pairs of lanes, both ways round, of which an end of one lies on the border of the other; the later lane first."""
    number, pairs = len(lanes.count), set()
    if not number:
        return []
    ends = np.stack([lanes.first, lanes.first + lanes.count - 1], axis=1).reshape(-1)
    for own, other in ((lanes.left, lanes.right), (lanes.right, lanes.left)):
        borders = np.array([shapely.LineString(other[lanes.stations(lane)]) for lane in range(number)], object)
        point, border = shapely.STRtree(borders).query(shapely.points(own[ends]), predicate="dwithin", distance=SEAM)
        for lane, beside in zip((point // 2).tolist(), border.tolist(), strict=True):
            linked = (*lanes.successors[lane], *lanes.predecessors[lane], *lanes.neighbours[lane].tolist(), lane)
            if beside not in linked:
                pairs |= {(lane, beside), (beside, lane)}
    return sorted(pairs, key=lambda pair: (-max(pair), -min(pair), -pair[0]))


def _near(
    lanes: Lanes,
    ahead: Float[np.ndarray, "Q 2"],
    own: Float[np.ndarray, "n 2"],
    border: shapely.LineString,
    lane: int,
    beside: int,
) -> Bool[np.ndarray, "n"]:
    """The stations of a lane whose border point lies on the other lane's border, both lanes running the same way."""
    touching = np.asarray(shapely.dwithin(border, shapely.points(own), SEAM))
    near, stations = np.flatnonzero(touching), lanes.stations(beside)
    if len(near):
        here, there = lanes.first[lane] + near, lanes.first[beside] + nearest(lanes.centre[stations], own[near])
        same = (ahead[here] * ahead[there]).sum(axis=1) > ALONG
        if lanes.height is not None:
            same &= ~apart(lanes.height[here], lanes.height[there])
        touching[near] = same
    return touching


def _runs(near: Bool[np.ndarray, "n"]) -> list[tuple[int, int]]:
    """The first and last index of the runs of at least two that start, or end, with the lane itself."""
    apart = np.flatnonzero(~near)
    if not len(apart):
        return [(0, len(near) - 1)]
    runs = [(0, int(apart[0]) - 1), (int(apart[-1]) + 1, len(near) - 1)]
    return [(first, last) for first, last in runs if last > first]


def _onto(
    border: shapely.LineString, points: Float[np.ndarray, "n 2"], ahead: Float[np.ndarray, "n 2"], side: int
) -> Float[np.ndarray, "n 2"]:
    """The points moved onto a border on their left (side 0) or right (1), and over it by the lap."""
    on = shapely.line_interpolate_point(border, shapely.line_locate_point(border, shapely.points(points)))
    outward = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) * (1.0 if side == 0 else -1.0)
    return shapely.get_coordinates(on) + LAP * outward
