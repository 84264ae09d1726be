"""Routes unrolled: the lanes of each controlled agent's route as rows of numbers. NumPy, once, at load.

A stretch of a route is asked for several times a step. Through indices into the map it would be hundreds of scattered
reads; unrolled it is one block copied. That costs 56 bytes a station and lane of each route, and 200 a station for
the outline of its lanes, far less than the map.
"""

from collections.abc import Sequence
from enum import IntEnum

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.data.routes.corridors import moved_borders
from drivetrain.types import Array, Cross, Route, RouteFlag, record, replace

BEFORE, AFTER = 16, 96
"""Rows of zeros before and after a route, so that a stretch may begin before it and end beyond it."""
VECTOR = 16
"""float32 numbers in the widest vector registers: blocks of sides are whole vectors."""


class Row(IntEnum):
    """Rows of `RouteTable.lanes`, in an order in which everyone reads a stretch of them."""

    FLAGS = 0  # RouteFlag bits of the piece to the next station
    LEFT_X = 1
    LEFT_Y = 2
    RIGHT_X = 3
    RIGHT_Y = 4
    COS = 5
    SIN = 6
    LIMIT = 7
    RECORDED = 8  # whether this is the lane that was driven
    OPEN_LEFT = 9  # 0 or 1, as in FLAGS
    OPEN_RIGHT = 10
    EXISTS = 11
    CENTRE_X = 12
    CENTRE_Y = 13


PIECES = (Row.FLAGS, Row.RIGHT_Y)
"""First and last row of what a route's pieces are made of."""
SEEN = (Row.LEFT_X, Row.EXISTS)
"""First and last row of what is seen of a route."""


class PathRow(IntEnum):
    """Rows of `RouteTable.path`."""

    CENTRE_X = 0
    CENTRE_Y = 1
    COS = 2
    SIN = 3
    LIMIT = 4
    ARC = 5  # m along the route
    EXISTS = 6


REACH = 12
"""Stations before and after an agent's own whose lanes it may be on: 24 m each way."""
SPAN = 8
"""Stations that share a block of the outline: a power of 2."""
SIDES = 128
"""Room for so many sides in a block where banks of unlike routes must have one shape."""
NOWHERE = 1e6
"""Where sides are that do not exist, m: farther than anything."""


@record
class RouteTable:
    """One route: P stations, L lanes, with `BEFORE` and `AFTER` stations of zeros around them."""

    lanes: Float[Array, "*E 14 cells"]  # rows by `Row`; L cells a station
    path: Float[Array, "*E 7 rows"]  # of the recorded lane, rows by `PathRow`
    outline: Float[Array, "*E blocks 5 sides"]  # near each `SPAN` stations, rows of a `geometry.Line`


def unroll(route: Route, arc: Float[np.ndarray, "P"], stations: Float[np.ndarray, "Q 11"]) -> RouteTable:
    """Unroll one route over its map's stations."""
    count, lanes = np.asarray(route.stations).shape
    length = int(route.length)
    kept = min(length + 1, count)  # the zeros beyond the end are what the last station's borders lead to
    index = np.asarray(route.stations)[:kept]
    exists = (index >= 0) & (np.arange(kept)[:, None] < length)
    slot = np.asarray(route.reference)[:kept]
    cells = np.where(exists, np.take(np.asarray(stations), np.maximum(index, 0), axis=0).transpose(2, 0, 1), 0.0)
    flags = np.where(exists, np.asarray(route.flags)[:kept], 0)

    unrolled = np.zeros((len(Row), BEFORE + count + AFTER, lanes), np.float32)
    rows = unrolled[:, BEFORE : BEFORE + kept]
    rows[Row.FLAGS] = flags
    left, right, width = (np.moveaxis(cells[x : x + 2], 0, -1) for x in (Cross.LEFT_X, Cross.RIGHT_X, Cross.WIDE_LEFT))
    left, right = moved_borders(left, right, width, flags)
    cells[: Cross.CENTRE_X] = np.moveaxis(np.concatenate([left, right], axis=-1), -1, 0)
    rows[Row.LEFT_X : Row.RIGHT_Y + 1] = cells[: Cross.CENTRE_X]
    rows[Row.COS : Row.LIMIT + 1] = cells[Cross.COS : Cross.WIDE_LEFT]
    rows[Row.RECORDED] = exists & (slot[:, None] == np.arange(lanes))
    rows[Row.OPEN_LEFT] = (flags & int(RouteFlag.OPEN_LEFT)) != 0
    rows[Row.OPEN_RIGHT] = (flags & int(RouteFlag.OPEN_RIGHT)) != 0
    rows[Row.EXISTS] = exists
    rows[Row.CENTRE_X : Row.CENTRE_Y + 1] = cells[Cross.CENTRE_X : Cross.COS]

    path = np.zeros((len(PathRow), BEFORE + count + AFTER), np.float32)
    path[: PathRow.ARC, BEFORE : BEFORE + kept] = cells[Cross.CENTRE_X : Cross.WIDE_LEFT, np.arange(kept), slot]
    path[PathRow.ARC, BEFORE : BEFORE + count] = arc
    path[PathRow.EXISTS, BEFORE : BEFORE + kept] = exists[np.arange(kept), slot]
    sides = _open_sides(cells.astype(np.float32), flags)
    return RouteTable(lanes=unrolled.reshape(len(Row), -1), path=path, outline=_by_block(*sides, count))


def _open_sides(
    cells: Float[np.ndarray, "11 P L"], flags: UInt[np.ndarray, "P L"]
) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "5 n"]]:
    """The open borders of a route's pieces, by the station where their piece begins: that station, and their lines."""
    linked = (flags[:-1] & int(RouteFlag.LINKED)) != 0
    left, right = (np.moveaxis(cells[x : x + 2], 0, -1) for x in (Cross.LEFT_X, Cross.RIGHT_X))
    borders = (  # anticlockwise around a piece
        (RouteFlag.OPEN_LEFT, left[1:], left[:-1]),
        (RouteFlag.OPEN_RIGHT, right[:-1], right[1:]),
        (RouteFlag.OPEN_START, left[:-1], right[:-1]),
        (RouteFlag.OPEN_END, right[1:], left[1:]),
    )
    station, ends = [], []
    for flag, start, end in borders:
        chosen: Bool[np.ndarray, "p L"] = linked & ((flags[:-1] & int(flag)) != 0)
        station.append(np.nonzero(chosen)[0])
        ends.append(np.concatenate([start[chosen], end[chosen] - start[chosen]], axis=1))
    order = np.argsort(np.concatenate(station), kind="stable")
    lines = np.concatenate(ends)[order].T
    return np.concatenate(station)[order], np.concatenate([lines, _inverse_square(lines[2:])[None]])


def _by_block(
    station: Int[np.ndarray, "n"], lines: Float[np.ndarray, "5 n"], count: int
) -> Float[np.ndarray, "blocks 5 sides"]:
    """The sides within `REACH` of any of the stations of each block; no more than `SIDES`, the middle ones."""
    begin = SPAN * np.arange(-(-count // SPAN))
    first = np.searchsorted(station, begin - REACH)
    number = np.searchsorted(station, begin + SPAN - 1 + REACH) - first
    first += np.maximum(number - SIDES, 0) // 2
    number = np.minimum(number, SIDES)
    place = np.arange(-(-int(number.max(initial=1)) // VECTOR) * VECTOR)
    nothing = np.array([[NOWHERE], [NOWHERE], [0.0], [0.0], [0.0]], np.float32)
    index = np.where(place < number[:, None], first[:, None] + place, len(station))
    return np.concatenate([lines, nothing], axis=1)[:, index].transpose(1, 0, 2)


def stack_tables(tables: Sequence[RouteTable], sides: int = 0) -> RouteTable:
    """Several routes of as many stations [E], with room for `sides` in a block at least."""
    sides = max(sides, *(each.outline.shape[-1] for each in tables))

    def widened(each: RouteTable) -> RouteTable:
        more = sides - each.outline.shape[-1]
        outline = np.pad(each.outline, ((0, 0), (0, 0), (0, more)))
        if more:
            outline[:, :2, -more:] = NOWHERE
        return replace(each, outline=outline)

    return jax.tree.map(lambda *rows: np.stack(rows), *map(widened, tables))


def _inverse_square(vectors: Float[np.ndarray, "2 n"]) -> Float[np.ndarray, "n"]:
    """1 / length², 1/m²; 0 without length."""
    square = np.sum(vectors**2, axis=0)
    return np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
