"""Which borders of a route's pieces lie on the outline of the union of its permissible lanes?

A piece is the quadrilateral from a station of a slot to the next. Its borders between permissible lanes, and within
overlapping lanes of a junction, are no outline; a border counts as open when more than 1 cm of it is.
"""

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.types import RouteFlag

REACH = 12
"""Pieces further apart than this, in stations, do not cover each other's borders: a route may cross itself."""
LEAST = 0.01
"""Length, m, from which on a part of a border on the outline makes it open."""
TOUCHING = 1e-3
"""Distance, m, within which a border lies on the outline."""

Corners = Float[np.ndarray, "m 4 2"]


def route_flags(
    linked: Bool[np.ndarray, "P L"], left: Float[np.ndarray, "P L 2"], right: Float[np.ndarray, "P L 2"]
) -> UInt[np.ndarray, "P L"]:
    """The `RouteFlag` bits of every station of a route whose borders these are: which pieces exist, which are open."""
    flags = np.where(linked, int(RouteFlag.LINKED), 0).astype(np.uint32)
    row, slot = np.nonzero(linked)
    if not len(row):
        return flags
    here, there = (row, slot), (row + 1, slot)
    corners = np.stack([left[here], left[there], right[there], right[here]], axis=1)
    quads = np.asarray(shapely.make_valid(shapely.polygons(corners)))
    far = _crossings(quads, row)
    if len(far):
        opened = np.zeros((len(row), 4), bool)
        for first, last in _uncrossed(far, 0, int(row.max())):
            near, own = (row >= first - REACH) & (row <= last + REACH), (row >= first) & (row <= last)
            if own.any():
                opened[own] = _opened(quads[near], corners[own])
    else:
        opened = _opened(_runs(row, slot, quads, corners), corners)
    bits = (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_END, RouteFlag.OPEN_RIGHT, RouteFlag.OPEN_START)
    flags[row, slot] |= (opened * np.array([int(bit) for bit in bits])).sum(axis=1).astype(np.uint32)
    return flags


def _crossings(quads: np.ndarray, row: Int[np.ndarray, "m"]) -> Int[np.ndarray, "n 2"]:
    """The rows of pieces that meet, and are further apart than `REACH`."""
    one, other = shapely.STRtree(quads).query(quads, predicate="intersects")
    far = np.abs(row[one] - row[other]) > REACH
    return np.stack([row[one][far], row[other][far]], axis=1)


def _uncrossed(far: Int[np.ndarray, "n 2"], first: int, last: int) -> list[tuple[int, int]]:
    """Rows `first` … `last` in stretches that meet nothing far along the route within `REACH` of themselves.

    A single row always is one: it does not see further than that.
    """
    within = ((far >= first - REACH) & (far <= last + REACH)).all(axis=1)
    if first == last or not within.any():
        return [(first, last)]
    middle = (first + last) // 2
    return _uncrossed(far[within], first, middle) + _uncrossed(far[within], middle + 1, last)


def _runs(row: Int[np.ndarray, "m"], slot: Int[np.ndarray, "m"], quads: np.ndarray, corners: Corners) -> np.ndarray:
    """The pieces joined, slot by slot, to fewer and longer polygons of the same union: uniting those is quicker."""
    order = np.lexsort((row, slot))
    breaks = np.flatnonzero((np.diff(slot[order]) != 0) | (np.diff(row[order]) != 1)) + 1
    shapes = []
    for run in np.split(order, breaks):
        left = np.concatenate([corners[run, 0], corners[run[-1:], 1]])
        right = np.concatenate([corners[run, 3], corners[run[-1:], 2]])
        shape = shapely.Polygon(np.concatenate([left, right[::-1]]))
        shapes += [shape] if shape.is_valid else quads[run].tolist()  # borders that cross: piece by piece
    return np.array(shapes, object)


def _opened(quads: np.ndarray, corners: Corners) -> Bool[np.ndarray, "m 4"]:
    """Which sides (left, end, right, start) of some pieces lie on the outline of the union of all."""
    outline = shapely.boundary(shapely.union_all(quads))
    lines = shapely.get_parts(shapely.line_merge(outline))
    ends = [shapely.get_coordinates(line) for line in lines]
    rim = np.concatenate([np.stack([points[:-1], points[1:]], axis=1) for points in ends])
    sides = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2, 2)
    one, other = shapely.STRtree(np.asarray(shapely.linestrings(rim))).query(
        shapely.linestrings(sides), predicate="dwithin", distance=TOUCHING
    )
    shared = _shared(sides[one], rim[other])
    return (np.bincount(one, weights=shared, minlength=len(sides)) > LEAST).reshape(-1, 4)


def _shared(side: Float[np.ndarray, "k 2 2"], rim: Float[np.ndarray, "k 2 2"]) -> Float[np.ndarray, "k"]:
    """Length of each side along which it runs within a millimetre of its rim segment."""
    chord = side[:, 1] - side[:, 0]
    length = np.linalg.norm(chord, axis=1)
    unit = chord / np.maximum(length, 1e-12)[:, None]
    offset = rim - side[:, :1]
    along = (offset * unit[:, None]).sum(axis=-1)
    across = offset[..., 1] * unit[:, None, 0] - offset[..., 0] * unit[:, None, 1]
    run = along[:, 1] - along[:, 0]
    safe = np.where(np.abs(run) > 1e-9, run, 1.0)
    low = np.clip(along.min(axis=1), 0.0, length)
    high = np.clip(along.max(axis=1), 0.0, length)
    slope = (across[:, 1] - across[:, 0]) / safe
    at_low = across[:, 0] + slope * (low - along[:, 0])
    at_high = across[:, 0] + slope * (high - along[:, 0])
    beside = (np.abs(at_low) < TOUCHING) & (np.abs(at_high) < TOUCHING) & (np.abs(run) > 1e-9)
    return np.where(beside, high - low, 0.0)
