"""The road by cells: what anyone inside a cell can need of the road, as one contiguous block. NumPy, once, at load.

Kinds that are not observed are in no block.
"""

import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from drivetrain.types import OBSERVED, Array, Map, component, record, replace

CHUNK = 512
"""Elements whose cells are found at once: the pairs of more would not stay in the cache."""


LANES = 16
"""float32 numbers in the widest vector registers."""


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


def index_road(map_: Map, indexing: Indexing, cells: int = 0, width: int = 0) -> RoadIndex:
    """Lay out one map's elements by cells. The grid covers them and `radius` around; beyond it nothing is near.

    The arrays have room for `cells` cells and blocks of `width` at least: zeros that nobody wrote cost no time.
    """
    kind = np.asarray(map_.element_kind)
    kept = np.isin(kind, OBSERVED)
    elements = np.asarray(map_.elements, np.float32)[kept]
    square = np.sum((elements[:, 2:] - elements[:, :2]) ** 2, axis=1)
    inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
    columns = [elements, kind[kept].astype(np.float32)[:, None], inverse[:, None]]
    if map_.element_height is not None:
        columns.append(np.asarray(map_.element_height, np.float32)[kept][:, None])
    table = np.concatenate(columns, 1)
    ends = elements.reshape(-1, 2) if len(elements) else np.zeros((1, 2), np.float32)
    origin = np.floor(ends.min(0) - indexing.radius).astype(np.float32)
    size = np.maximum(np.ceil((ends.max(0) + indexing.radius - origin) / indexing.cell), 1).astype(np.int32)

    cell, element, distance = _pairs(elements, origin, size, indexing)
    order = _nearest_first(cell, element, distance)
    cell, element, distance = cell[order], element[order], distance[order]
    count = np.bincount(cell, minlength=int(size[0]) * int(size[1]))
    rank = np.arange(len(cell)) - (np.cumsum(count) - count)[cell]
    reach = np.zeros(max(len(count), cells), np.float32)
    reach[: len(count)] = indexing.radius
    first_out = rank == indexing.width
    reach[cell[first_out]] = distance[first_out]
    kept = rank < indexing.width
    cell, element, rank = cell[kept], element[kept], rank[kept]
    width = max(_rounded(max(int(count.max()), 1), indexing), width)
    block = np.zeros((len(reach), table.shape[1], width), np.float32)
    at = cell * (table.shape[1] * width) + rank
    for row, values in enumerate(np.ascontiguousarray(table.T)):
        block.reshape(-1)[at + row * width] = values[element]
    return RoadIndex(origin=origin, size=size, block=block, reach=reach)


def _nearest_first(
    cell: Int[np.ndarray, "m"], element: Int[np.ndarray, "m"], distance: Float[np.ndarray, "m"]
) -> Int[np.ndarray, "m"]:
    """The order by cell, then distance, then element. Bits of a float that is not negative are in its own order."""
    bits = int(element.max(initial=0)).bit_length()
    if int(cell.max(initial=0)).bit_length() + 31 + bits > 63:
        return np.lexsort((element, distance, cell))
    key = (cell << (31 + bits)) | (np.abs(distance).view(np.int32).astype(np.int64) << bits) | element
    return np.argsort(key)


def _pairs(
    elements: Float[np.ndarray, "n 4"], origin: Float[np.ndarray, "2"], size: Int[np.ndarray, "2"], indexing: Indexing
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Cells and elements within the radius of each other, and how far apart; elements in their order.

    Distances are taken only to the cells around an element's bounding box, grown by the radius.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    side, grown = np.float32(indexing.cell), np.float32(indexing.radius * 1.001 + 0.01)
    for start in range(0, len(elements), CHUNK):
        part = elements[start : start + CHUNK]
        ends = part.reshape(-1, 2, 2)
        low = np.clip(np.floor((ends.min(1) - grown - origin) / side).astype(np.int64), 0, size - 1)
        high = np.clip(np.floor((ends.max(1) + grown - origin) / side).astype(np.int64), 0, size - 1)
        across = high - low + 1
        each = across[:, 0] * across[:, 1]
        element = np.repeat(np.arange(len(part)), each)
        place = np.arange(len(element)) - np.repeat(np.cumsum(each) - each, each)
        column, row = low[element, 0] + place % across[element, 0], low[element, 1] + place // across[element, 0]
        lower = origin + side * np.stack([column, row], 1).astype(np.float32)
        distance = _apart(part[element], lower, indexing.cell)
        near = distance <= indexing.radius
        found.append(((column + row * size[0])[near], start + element[near], distance[near]))
    cell, element, distance = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return cell, element, distance


def _rounded(widest: int, indexing: Indexing) -> int:
    """Columns of a block: no more than a map needs, in whole vectors of `LANES` numbers where there is room."""
    return min(-(-widest // LANES) * LANES, indexing.width)


def box_distance(
    segments: Float[np.ndarray, "n 4"], lower: Float[np.ndarray, "m 2"], side: float
) -> Float[np.ndarray, "m n"]:
    """Distance of segments to axis-aligned squares given by their lower corners, m; 0 where they meet."""
    return _apart(segments, lower[:, None], side)


def _apart(segments: Float[np.ndarray, "*n 4"], lower: Float[np.ndarray, "*m 2"], side: float) -> np.ndarray:
    """The same of segments and squares that are broadcast against each other."""
    ax, ay = (segments[..., axis] - lower[..., axis] for axis in (0, 1))
    bx, by = (segments[..., 2 + axis] - lower[..., axis] for axis in (0, 1))
    along, up = segments[..., 2] - segments[..., 0], segments[..., 3] - segments[..., 1]
    (first_x, last_x), (first_y, last_y) = _within(ax, along, side), _within(ay, up, side)
    first, last = np.maximum(first_x, first_y), np.minimum(last_x, last_y)
    meets = np.maximum(first, 0.0) <= np.minimum(last, 1.0)

    # Apart, the nearest points include an end of the segment or a corner of the square.
    square = np.minimum(_beyond(ax, side) + _beyond(ay, side), _beyond(bx, side) + _beyond(by, side))
    inverse = 1.0 / np.maximum(along**2 + up**2, 1e-12)
    for x, y in ((0.0, 0.0), (side, 0.0), (side, side), (0.0, side)):
        share = np.clip(((x - ax) * along + (y - ay) * up) * inverse, 0.0, 1.0)
        square = np.minimum(square, (x - ax - share * along) ** 2 + (y - ay - share * up) ** 2)
    return np.where(meets, 0.0, np.sqrt(square))


def _within(start: np.ndarray, extent: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """From where to where along segments one coordinate is within 0 .. side (Liang and Barsky 1984)."""
    flat = extent == 0.0
    safe = np.where(flat, 1.0, extent)
    enter, leave = -start / safe, (side - start) / safe
    outside = np.where((start < 0.0) | (start > side), np.inf, 0.0)
    return np.where(flat, outside, np.minimum(enter, leave)), np.where(flat, 1.0, np.maximum(enter, leave))


def _beyond(coordinate: np.ndarray, side: float) -> np.ndarray:
    """Squared distance of a coordinate from 0 .. side."""
    return np.maximum(np.maximum(-coordinate, coordinate - side), 0.0) ** 2


def most_cells(area: Sequence[float], indexing: Indexing) -> int:
    """Cells that the index of a road needs at most whose elements span `area` (along x and y, m)."""
    across = [math.ceil((side + 2.0 * indexing.radius + 1.0) / indexing.cell) for side in area or (0.0, 0.0)]
    return math.prod(across)


def stack_roads(roads: list[RoadIndex], cells: int = 0, width: int = 0) -> RoadIndex:
    """Stack indices [M], padded to the most cells and the widest block, or to those given."""
    cells = max([cells, *(road.block.shape[0] for road in roads)])
    width = max([width, *(road.block.shape[2] for road in roads)])
    if len(roads) == 1 and roads[0].block.shape == (cells, 6, width):
        return jax.tree.map(lambda leaf: leaf[None], roads[0])

    def pad(road: RoadIndex) -> RoadIndex:
        more = cells - road.block.shape[0]
        block = np.pad(road.block, ((0, more), (0, 0), (0, width - road.block.shape[2])))
        return replace(road, block=block, reach=np.pad(road.reach, (0, more)))

    return jax.tree.map(lambda *rows: np.stack(rows), *map(pad, roads))
