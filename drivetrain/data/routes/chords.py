"""How far beyond a route's border lie the straight lines between two of its places close to each other.

Who turns drives straighter than the map draws it, and who turns into the outer of two lanes is on his way to it before
it begins. What lies between the border and its chords is where such drives are; how far, `corridors` decides.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.roads.lanes import Lanes
from drivetrain.data.routes.routing import Path
from drivetrain.types import RouteFlag

REACH = 5
"""A chord ends at most so many stations before and after the place from which one looks: 20 m in all."""
_OPEN = (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_RIGHT)


def chord_depths(
    lanes: Lanes, outward: tuple[Float[np.ndarray, "Q 2"], ...], paths: Iterable[Path], most: float
) -> Float[np.ndarray, "Q 2"]:
    """How far beyond the left and right border of each station the farthest chord of some route's outer border lies.

    At most `most`, m; 0 where no chord lies beyond it, and where it is open on no route. `outward` are the unit vectors
    along which one looks from the left, and from the right border. No farther than where the lines of sight of
    neighbouring stations meet: borders moved so far do not cross.
    """
    depth = np.zeros((len(lanes.left), 2))
    for path in paths:
        for side, border in enumerate((lanes.left, lanes.right)):
            row, station, outer = _outermost(lanes, path, side)
            beyond = _beyond(border[station], outward[side][station], border[outer], row)
            np.maximum.at(depth[:, side], station, np.minimum(beyond, most))
    for side, border in enumerate((lanes.left, lanes.right)):
        depth[:, side] = np.minimum(depth[:, side], _meeting(lanes, border, outward[side]))
    return depth


def _outermost(
    lanes: Lanes, path: Path, side: int
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], Int[np.ndarray, "r"]]:
    """Of the rows of a route that have a lane: which of them, and the stations from which one looks; all the outermost.

    One looks from the outermost stations on a side whose border is open, and from those next to them along their lane:
    where another lane begins outside of it, or ends.
    """
    linked = (path.flags & int(RouteFlag.LINKED)) != 0
    linked[1:] |= linked[:-1]
    linked &= path.stations >= 0
    kept = np.flatnonzero(linked.any(axis=1))
    stations, linked = path.stations[kept], linked[kept]
    on = stations[np.arange(len(kept)), path.reference[kept]]
    normal = np.stack([-lanes.tangent[on, 1], lanes.tangent[on, 0]], axis=1) * (1.0 if side == 0 else -1.0)
    border = (lanes.left if side == 0 else lanes.right)[stations]
    away = np.where(linked, np.einsum("pld,pd->pl", border - lanes.centre[on][:, None], normal), -np.inf)
    opened = (path.flags & int(_OPEN[side])) != 0
    opened[1:] |= opened[:-1]  # as of the piece before or after it
    outer = np.arange(stations.shape[1]) == away.argmax(axis=1)[:, None]
    near = outer.copy()  # in this row, the one before or the one after
    near[1:] |= outer[:-1]
    near[:-1] |= outer[1:]
    row, slot = np.nonzero(linked & opened[kept] & near)
    return row, stations[row, slot], stations[outer]


def _beyond(
    border: Float[np.ndarray, "n 2"],
    outward: Float[np.ndarray, "n 2"],
    outer: Float[np.ndarray, "r 2"],
    row: Int[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """How far from each place in a row of a route, along its outward vector, the farthest chord is; 0: none is met.

    Chords are those of the outermost border by row, from a row at most `REACH` before to one as far after.
    """
    before, after = (each.ravel() for each in np.mgrid[: REACH + 1, : REACH + 1])
    start = outer[np.maximum(row[:, None] - before, 0)]
    end = outer[np.minimum(row[:, None] + after, len(outer) - 1)]
    chord, to_start, ahead = end - start, start - border[:, None], outward[:, None]
    across = _cross(ahead, chord)
    safe = np.where(np.abs(across) > 1e-9, across, 1.0)
    share = _cross(to_start, ahead) / safe
    met = (np.abs(across) > 1e-9) & (share >= -1e-9) & (share <= 1.0 + 1e-9)
    return np.where(met, _cross(to_start, chord) / safe, 0.0).max(axis=1, initial=0.0)


def _cross(a: Float[np.ndarray, "n #k 2"], b: Float[np.ndarray, "n #k 2"]) -> Float[np.ndarray, "n _"]:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _meeting(
    lanes: Lanes, border: Float[np.ndarray, "Q 2"], outward: Float[np.ndarray, "Q 2"]
) -> Float[np.ndarray, "Q"]:
    """How far one may go from each station until its line of sight meets that of the one before or after, about."""
    far = np.full(len(border), np.inf)
    here = np.flatnonzero(lanes.lane[:-1] == lanes.lane[1:])
    along, turned = border[here + 1] - border[here], outward[here + 1] - outward[here]
    closing = -(along * turned).sum(axis=1)  # of the two ends, as one goes outward
    meets = closing > 1e-9
    at = (along[meets] ** 2).sum(axis=1) / closing[meets]
    for rows in (here[meets], here[meets] + 1):
        np.minimum.at(far, rows, at)
    return far
