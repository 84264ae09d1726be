"""The road by cells: what anyone inside a cell can need of the road, as one contiguous block. NumPy, once, at load.

Kinds that are neither seen nor judged by are in no block.
"""

import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import DTypeLike

from drivetrain.types import LAID_OUT, Array, InputError, Map, component, record, replace

PAIRS = 1 << 14
"""Cells and elements whose distances are taken at once: more would not stay in the cache."""


LANES = 16
"""float32 numbers in the widest vector registers."""


ALIGNED = 64
"""Bytes: arrays that begin at a multiple are not copied to a CPU's device."""


ROWS = 6
"""Rows of a block: x0, y0, x1, y1, ElementKind, 1 / length². A seventh, the height, only where there are levels."""


@component
class Indexing:
    """How the road is laid out by cells."""

    cell: float = 20.0  # side of a cell, m
    radius: float = 50.0  # a block holds what lies within this distance of its cell, m
    width: int = 384  # at most this many elements, the nearest


@record
class RoadIndex:
    """A grid of square cells over a map; each with the elements near it, nearest first (G cells, B elements)."""

    origin: Float[Array, "2"]  # lower corner of the grid, m
    size: Int[Array, "2"]  # cells along x and y; a cell's row is x + y * size[0]
    block: Float[Array, "G k B"]  # x0, y0, x1, y1, ElementKind, 1 / length² (0 without), height; zeros are padding
    reach: Float[Array, "G"]  # everything within this distance of the cell is in its block, m


def empty_blocks(count: int, cells: int, map_: Map, indexing: Indexing) -> Float[np.ndarray, "M G k B"]:
    """Room for the blocks of `count` roads like that of `map_`, as wide as blocks may be: see `index_road`."""
    return aligned_zeros((count, cells, ROWS if map_.element_height is None else ROWS + 1, indexing.width), np.float32)


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Zeros that a CPU's device takes as they lie instead of copying them. Those that nobody writes cost no time."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + ALIGNED, np.uint8)
    start = -room.ctypes.data % ALIGNED
    return room[start : start + size].view(dtype).reshape(shape)


def index_road(map_: Map, indexing: Indexing, room: Float[np.ndarray, "G k B"] | None = None) -> RoadIndex:
    """Lay out one map's elements by cells. The grid covers them and `radius` around; beyond it nothing is near.

    The blocks are written into `room`, zeros for as many cells or more of full width, or else are no larger than need
    be. Raises `InputError` where there are more cells than room.
    """
    kind = np.asarray(map_.element_kind)
    there = np.flatnonzero(np.isin(kind, LAID_OUT))
    elements = np.asarray(map_.elements, np.float32)[there]
    square = np.sum((elements[:, 2:] - elements[:, :2]) ** 2, axis=1)
    inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
    rows = [*elements.T, kind[there].astype(np.float32), inverse]
    if map_.element_height is not None:
        rows.append(np.asarray(map_.element_height, np.float32)[there])
    return by_cell(elements, rows, indexing, room)


def by_cell(
    segments: Float[np.ndarray, "n 4"],
    rows: Sequence[Float[np.ndarray, "n"]],
    indexing: Indexing,
    room: Float[np.ndarray, "G k B"] | None = None,
) -> RoadIndex:
    """Lay out rows of numbers by the cells near which their segments lie. See `index_road`."""
    ends = segments.reshape(-1, 2) if len(segments) else np.zeros((1, 2), np.float32)
    origin = np.floor(ends.min(0) - indexing.radius).astype(np.float32)
    size = np.maximum(np.ceil((ends.max(0) + indexing.radius - origin) / indexing.cell), 1).astype(np.int32)
    cells = int(size[0]) * int(size[1])
    if room is not None and cells > len(room):
        raise InputError(f"bank: cells: {cells} in slots of {len(room)} (give slots more cells)")

    cell, element, distance = _nearest_first(*_pairs(segments, origin, size, indexing))
    count = np.bincount(cell, minlength=cells)
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    if room is None:
        room = np.zeros((cells, len(rows), _rounded(max(int(count.max()), 1), indexing)), np.float32)
    reach = np.zeros(len(room), np.float32)
    reach[:cells] = indexing.radius
    if count.max() > indexing.width:
        first_out = rank == indexing.width
        reach[cell[first_out]] = distance[first_out]
        kept = rank < indexing.width
        cell, element, rank = cell[kept], element[kept], rank[kept]
    flat, at = room.reshape(-1), cell * (room.shape[1] * room.shape[2]) + rank
    for values in rows:
        flat[at] = values[element]
        at += room.shape[2]
    return RoadIndex(origin=origin, size=size, block=room, reach=reach)


def _nearest_first(
    cell: Int[np.ndarray, "m"], element: Int[np.ndarray, "m"], distance: Float[np.ndarray, "m"]
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """The same by cell, then distance, then element. Bits of a float that is not negative are in its own order."""
    bits = int(element.max(initial=0)).bit_length()
    if int(cell.max(initial=0)).bit_length() + 31 + bits > 63:
        order = np.lexsort((element, distance, cell))
        return cell[order], element[order], distance[order]
    key = (cell << (31 + bits)) | (np.abs(distance).view(np.int32).astype(np.int64) << bits) | element
    key.sort()
    near = ((key >> bits) & 0x7FFFFFFF).astype(np.int32).view(np.float32)
    return key >> (31 + bits), key & ((1 << bits) - 1), near


def _pairs(
    elements: Float[np.ndarray, "n 4"], origin: Float[np.ndarray, "2"], size: Int[np.ndarray, "2"], indexing: Indexing
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Cells and elements within the radius of each other, and how far apart.

    Distances are taken only to the cells around an element's bounding box, grown by the radius: as many for every
    element as the widest one needs, rows × columns × elements, the elements side by side in memory.
    """
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    side, grown = np.float32(indexing.cell), np.float32(indexing.radius * 1.001 + 0.01)
    ends = elements.reshape(-1, 2, 2)
    low = np.clip(np.floor((ends.min(1) - grown - origin) / side).astype(np.int64), 0, size - 1)
    high = np.clip(np.floor((ends.max(1) + grown - origin) / side).astype(np.int64), 0, size - 1)
    across, up = (high - low).max(0, initial=0) + 1
    at_once = max(PAIRS // int(across * up), 1)
    for start in range(0, len(elements), at_once):
        part = slice(start, start + at_once)
        column, row = low[part, 0] + np.arange(across)[:, None], low[part, 1] + np.arange(up)[:, None, None]
        lower = origin[0] + side * column.astype(np.float32), origin[1] + side * row.astype(np.float32)
        distance = box_distance(np.ascontiguousarray(elements[part].T), lower, indexing.cell)
        near = distance <= indexing.radius
        near &= (column <= high[part, 0]) & (row <= high[part, 1])
        at = np.flatnonzero(near)
        place = at // near.shape[2]
        element = start + at - place * near.shape[2]
        beyond = np.arange(across) + np.arange(up)[:, None] * size[0]  # the lowest cell of an element
        cell = (low[:, 0] + low[:, 1] * size[0])[element] + beyond.reshape(-1)[place]
        parts.append((cell, element, distance.reshape(-1)[at]))
    cell, element, distance = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return cell, element, distance


def _rounded(widest: int, indexing: Indexing) -> int:
    """Columns of a block: no more than a map needs, in whole vectors of `LANES` numbers where there is room."""
    return min(-(-widest // LANES) * LANES, indexing.width)


def box_distance(segments: Float[np.ndarray, "4 n"], lower: tuple[np.ndarray, np.ndarray], side: float) -> np.ndarray:
    """Distance of segments to axis-aligned squares, m; 0 where they meet.

    The lower corners' x and y are broadcast against the segments and against each other.
    What is as large as the result is written into four arrays, again and again: fresh memory costs more than the sums.
    """
    ax, bx = segments[0] - lower[0], segments[2] - lower[0]
    ay, by = segments[1] - lower[1], segments[3] - lower[1]
    along, up = segments[2] - segments[0], segments[3] - segments[1]
    shape = np.broadcast_shapes(ax.shape, ay.shape)
    square, share, beside, ahead = (np.empty(shape, ax.dtype) for _ in range(4))
    (first_x, last_x), (first_y, last_y) = _within(ax, along, side), _within(ay, up, side)
    np.maximum(np.maximum(first_x, first_y, out=share), 0.0, out=share)
    np.minimum(np.minimum(last_x, last_y, out=beside), 1.0, out=beside)
    meets = share <= beside

    # Apart, the nearest points include an end of the segment or a corner of the square.
    np.add(_beyond(ax, side), _beyond(ay, side), out=square)
    np.minimum(square, np.add(_beyond(bx, side), _beyond(by, side), out=share), out=square)
    inverse = 1.0 / np.maximum(along**2 + up**2, 1e-12)
    corners_x, corners_y = (
        [(corner, corner * step) for corner in (0.0 - start, side - start)] for start, step in ((ax, along), (ay, up))
    )
    for x, x_along in corners_x:
        for y, y_up in corners_y:
            np.multiply(np.add(x_along, y_up, out=share), inverse, out=share)
            np.clip(share, 0.0, 1.0, out=share)
            np.square(np.subtract(x, np.multiply(share, along, out=beside), out=beside), out=beside)
            np.square(np.subtract(y, np.multiply(share, up, out=ahead), out=ahead), out=ahead)
            np.minimum(square, np.add(beside, ahead, out=beside), out=square)
    np.sqrt(square, out=square)
    square[meets] = 0.0
    return square


def _within(start: np.ndarray, extent: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """From where to where along segments one coordinate is within 0 .. side (Liang and Barsky 1984)."""
    flat = extent == 0.0
    safe = np.where(flat, 1.0, extent)
    enter, leave = -start / safe, (side - start) / safe
    outside = np.where((start < 0.0) | (start > side), start.dtype.type(np.inf), start.dtype.type(0.0))
    return np.where(flat, outside, np.minimum(enter, leave)), np.where(flat, 1.0, np.maximum(enter, leave))


def _beyond(coordinate: np.ndarray, side: float) -> np.ndarray:
    """Squared distance of a coordinate from 0 .. side."""
    return np.maximum(np.maximum(-coordinate, coordinate - side), 0.0) ** 2


def most_cells(area: Sequence[float], indexing: Indexing) -> int:
    """Cells that the index of a road needs at most whose elements span `area` (along x and y, m)."""
    across = [math.ceil((side + 2.0 * indexing.radius + 1.0) / indexing.cell) for side in area or (0.0, 0.0)]
    return math.prod(across)


def stack_roads(roads: list[RoadIndex]) -> RoadIndex:
    """Stack indices [M], padded to the most cells and the widest block."""
    cells = max(road.block.shape[0] for road in roads)
    width = max(road.block.shape[2] for road in roads)

    def pad(road: RoadIndex) -> RoadIndex:
        more = cells - road.block.shape[0]
        block = np.pad(road.block, ((0, more), (0, 0), (0, width - road.block.shape[2])))
        return replace(road, block=block, reach=np.pad(road.reach, (0, more)))

    return jax.tree.map(lambda *rows: np.stack(rows), *map(pad, roads))
