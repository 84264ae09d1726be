"""Where painted lines cross lanes.

Shapes: n stations of a lane, the same on both borders.
"""

from typing import NamedTuple

import numpy as np
import shapely
from jaxtyping import Float

from drivetrain.data.recordings.polylines import arc_length
from drivetrain.data.recordings.recording import Lane

SQUARE = np.cos(np.radians(35.0))  # a stop line this near to square with a lane lies on it

Segment = Float[np.ndarray, "2 2"]


class Place(NamedTuple):
    """A place on a lane: its row, and how far along its centre, m."""

    lane: int
    arc: float


def crossed(lanes: tuple[Lane, ...], lines: list[Segment]) -> list[tuple[int, Place, Segment]]:
    """Which line crosses the centre of which lane about squarely, where, and the lane's cross-section there.

    Ends are left and right in the direction of travel. Of lanes that run opposite ways under one line, those are kept
    that have the line's middle nearest, and those that run with them.
    """
    usable = [row for row, lane in enumerate(lanes) if lane.drivable]
    if not lines or not usable:
        return []
    centres = [centre(lanes[row]) for row in usable]
    tree = shapely.STRtree(np.array([shapely.LineString(points) for points in centres], object))
    crossings = []
    for index, line in enumerate(lines):
        across = (line[1] - line[0]) / max(float(np.linalg.norm(line[1] - line[0])), 1e-9)
        normal = np.array([-across[1], across[0]])
        hits = []
        for at in tree.query(shapely.LineString(line), predicate="intersects").tolist():
            hit = _crossing(lanes[usable[at]], centres[at], line, normal)
            if hit is not None:
                hits.append((usable[at], *hit))
        if hits:
            leading = min(hits, key=lambda hit: float(np.linalg.norm(hit[2].mean(axis=0) - line.mean(axis=0))))[3]
            crossings += [(index, Place(row, arc), ends) for row, arc, ends, way in hits if way == leading]
    return crossings


def _crossing(
    lane: Lane, middle: Float[np.ndarray, "n 2"], line: Segment, normal: Float[np.ndarray, "2"]
) -> tuple[float, Segment, float] | None:
    """Where a line first crosses a lane's centre, the cross-section there, and whether along (1) its normal or not."""
    side = (middle - line[0]) @ normal
    change = np.flatnonzero((side[:-1] <= 0.0) != (side[1:] <= 0.0))
    for row in change.tolist():
        share = side[row] / (side[row] - side[row + 1])
        point = middle[row] + share * (middle[row + 1] - middle[row])
        chord = middle[row + 1] - middle[row]
        square = float(chord @ normal) / max(float(np.linalg.norm(chord)), 1e-9)
        beyond = (point - line[0]) @ (point - line[1]) > 0.0
        if abs(square) > SQUARE and not beyond:
            ends = [border[row] + share * (border[row + 1] - border[row]) for border in (lane.left, lane.right)]
            arc = arc_length(middle[: row + 1]) + share * float(np.linalg.norm(chord))
            return arc, np.stack(ends), float(np.sign(square))
    return None


def centre(lane: Lane) -> Float[np.ndarray, "n 2"]:
    """The middle of a lane whose borders have the same stations."""
    return 0.5 * (lane.left + lane.right)
