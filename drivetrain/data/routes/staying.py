"""Which steps of a recorded drive are on its route, and on any lane; where it comes on to the road and leaves it.

Who pulls out of a driveway or a parking space is on no lane at first, and no corridor of lanes holds that: such a drive
begins where the whole box is on its route, and ends likewise. What happens between is left as it was.
"""

import numpy as np
import shapely
from jaxtyping import Bool, Float

from drivetrain.data.recordings.recording import Tracks
from drivetrain.data.roads.lanes import Lanes
from drivetrain.data.roads.map_extension import polygons
from drivetrain.data.routes.corridors import Corridors
from drivetrain.data.routes.routing import Path
from drivetrain.types import RouteFlag

TOUCHING = 1e-4
"""What is no further from a piece of a route than this, m, is on it: pieces meet in seams."""
Corners = Float[np.ndarray, "t 4 2"]


def corners_of(tracks: Tracks, row: int, steps: slice) -> Corners:
    """The corners of a track's box: front left, front right, rear right, rear left."""
    angle, centre = tracks.heading[row, steps], tracks.position[row, steps]
    ahead = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (0.5 * tracks.length[row])
    left = np.stack([-np.sin(angle), np.cos(angle)], axis=1) * (0.5 * tracks.width[row])
    return np.stack([centre + a * ahead + b * left for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))], axis=1)


def on_route(lanes: Lanes, path: Path, corridors: Corridors | None, corners: Corners) -> Bool[np.ndarray, "t"]:
    """Whether all corners are on pieces of a route: of its corridor, or without one of its lanes alone."""
    flags = path.flags if corridors is not None else path.flags & ~np.uint32(RouteFlag.WIDE_LEFT | RouteFlag.WIDE_RIGHT)
    row, slot = np.nonzero(flags & int(RouteFlag.LINKED))
    if corridors is None:
        left, right = lanes.left[path.stations], lanes.right[path.stations]
    else:
        left, right = corridors.borders(lanes, path.stations, flags)
    quads = np.stack([left[row, slot], left[row + 1, slot], right[row + 1, slot], right[row, slot]], axis=1)
    return _all_on(np.asarray(shapely.make_valid(shapely.polygons(quads))), corners)


def on_lanes(lanes: Lanes, corners: Corners, which: Bool[np.ndarray, "N"] | None = None) -> Bool[np.ndarray, "t"]:
    """Whether all corners are on lanes, of whatever direction; with `which`, on one of these."""
    shapes = polygons(lanes)
    return _all_on(shapes if which is None else shapes[which], corners)


def _all_on(shapes: np.ndarray, corners: Corners) -> Bool[np.ndarray, "t"]:
    points = np.asarray(shapely.points(corners.reshape(-1, 2)))
    point = shapely.STRtree(shapes).query(points, predicate="dwithin", distance=TOUCHING)[0]
    on = np.zeros(len(points), bool)
    on[point] = True
    return np.all(on.reshape(-1, 4), axis=1)


def kept_steps(inside: Bool[np.ndarray, "t"], on_road: Bool[np.ndarray, "t"]) -> slice:
    """The steps of a drive from where it has come on to the road to where it leaves it.

    `inside` says where it is on its route, `on_road` where it is on lanes at all. A drive that begins on lanes begins
    where it did, on its route or not; one that is never on its route is kept whole.
    """
    if not inside.any():
        return slice(0, len(inside))
    first = int(inside.argmax()) if not (inside[0] or on_road[0]) else 0
    last = len(inside) - int(inside[::-1].argmax()) if not (inside[-1] or on_road[-1]) else len(inside)
    return slice(first, last)
