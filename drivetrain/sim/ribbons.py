"""Routes unrolled: the lanes of each controlled agent's route as rows of numbers. NumPy, once, at load.

A stretch of a route is asked for several times a step. Through indices into the map it would be hundreds of scattered
reads; unrolled it is one block copied. That costs 68 bytes a station and lane for each episode, far less than the map.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float

from drivetrain.types import Array, Route, RouteFlag, record

BEFORE, AFTER = 16, 96
"""Rows of zeros before and after a route, so that a stretch may begin before it and end beyond it."""


class Cross(IntEnum):
    """Columns of `Map.stations`: one cross-section of a lane."""

    LEFT_X = 0
    LEFT_Y = 1
    RIGHT_X = 2
    RIGHT_Y = 3
    CENTRE_X = 4
    CENTRE_Y = 5
    COS = 6
    SIN = 7
    LIMIT = 8


class Row(IntEnum):
    """Rows of `Ribbon.lanes`, in an order in which everyone reads a stretch of them."""

    FLAGS = 0  # RouteFlag bits of the piece to the next station
    LEFT_INVERSE = 1  # 1 / length² of the left border to the next station, 1/m²; 0 without length
    RIGHT_INVERSE = 2
    ACROSS_INVERSE = 3  # of the cross-section
    LEFT_X = 4
    LEFT_Y = 5
    RIGHT_X = 6
    RIGHT_Y = 7
    COS = 8
    SIN = 9
    LIMIT = 10
    RECORDED = 11  # whether this is the lane that was driven
    OPEN_LEFT = 12  # 0 or 1, as in FLAGS
    OPEN_RIGHT = 13
    EXISTS = 14
    CENTRE_X = 15
    CENTRE_Y = 16


PIECES = (Row.FLAGS, Row.RIGHT_Y)
"""First and last row of what the outline of a route's pieces needs."""
SEEN = (Row.LEFT_X, Row.EXISTS)
"""First and last row of what is seen of a route."""


BORDERS = [Cross.LEFT_X, Cross.LEFT_Y, Cross.RIGHT_X, Cross.RIGHT_Y]
ARC = len(Cross)
"""Row of a path after those of `Cross`: m along the route."""


@record
class Ribbon:
    """One route: P stations, L lanes, with `BEFORE` and `AFTER` stations of zeros around them."""

    lanes: Float[Array, "*E 17 cells"]  # rows by `Row`; L cells a station
    path: Float[Array, "*E 11 rows"]  # of the recorded lane: columns of `Cross`, arc, exists


def ribbon(route: Route, arc: Float[np.ndarray, "P"], stations: Float[np.ndarray, "Q 9"]) -> Ribbon:
    """Unroll one route over its map's stations."""
    count, lanes = np.asarray(route.stations).shape
    length = int(route.length)
    kept = min(length + 1, count)  # the zeros beyond the end are what the last station's borders lead to
    index = np.asarray(route.stations)[:kept]
    exists = (index >= 0) & (np.arange(kept)[:, None] < length)
    slot = np.asarray(route.reference)[:kept]
    cells = np.where(exists, np.take(np.asarray(stations), np.maximum(index, 0), axis=0).transpose(2, 0, 1), 0.0)
    flags = np.where(exists, np.asarray(route.flags)[:kept], 0)

    left, right = cells[BORDERS[:2]], cells[BORDERS[2:]]
    unrolled = np.zeros((len(Row), BEFORE + count + AFTER, lanes), np.float32)
    rows = unrolled[:, BEFORE : BEFORE + kept]
    rows[Row.FLAGS] = flags
    rows[Row.LEFT_INVERSE] = _inverse_square(np.diff(left, axis=1, append=left[:, -1:]))
    rows[Row.RIGHT_INVERSE] = _inverse_square(np.diff(right, axis=1, append=right[:, -1:]))
    rows[Row.ACROSS_INVERSE] = _inverse_square(left - right)
    rows[Row.LEFT_X : Row.RIGHT_Y + 1] = cells[BORDERS]
    rows[Row.COS : Row.LIMIT + 1] = cells[[Cross.COS, Cross.SIN, Cross.LIMIT]]
    rows[Row.RECORDED] = exists & (slot[:, None] == np.arange(lanes))
    rows[Row.OPEN_LEFT] = (flags & int(RouteFlag.OPEN_LEFT)) != 0
    rows[Row.OPEN_RIGHT] = (flags & int(RouteFlag.OPEN_RIGHT)) != 0
    rows[Row.EXISTS] = exists
    rows[Row.CENTRE_X : Row.CENTRE_Y + 1] = cells[[Cross.CENTRE_X, Cross.CENTRE_Y]]

    path = np.zeros((ARC + 2, BEFORE + count + AFTER), np.float32)
    path[:ARC, BEFORE : BEFORE + kept] = cells[:, np.arange(kept), slot]
    path[ARC, BEFORE : BEFORE + count] = arc
    path[ARC + 1, BEFORE : BEFORE + kept] = exists[np.arange(kept), slot]
    return Ribbon(lanes=unrolled.reshape(len(Row), -1), path=path)


def _inverse_square(vectors: Float[np.ndarray, "2 P L"]) -> Float[np.ndarray, "P L"]:
    """1 / length², 1/m²; 0 without length."""
    x, y = vectors.astype(np.float32)
    square = x**2 + y**2
    return np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
