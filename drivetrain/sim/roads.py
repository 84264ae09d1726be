"""The road by cells: what anyone inside a cell can need of the road, as one contiguous block. NumPy, once, at load."""

import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from drivetrain.types import Array, ElementKind, Map, component, record, replace

CHUNK = 64
"""Cells whose distances are found at once: more would not stay in the cache."""


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


def index_road(map_: Map, indexing: Indexing) -> RoadIndex:
    """Lay out one map's elements by cells. The grid covers them and `radius` around; beyond it nothing is near."""
    kind = np.asarray(map_.element_kind)
    elements = np.asarray(map_.elements, np.float32)[kind != ElementKind.NONE]
    square = np.sum((elements[:, 2:] - elements[:, :2]) ** 2, axis=1)
    inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
    columns = [elements, kind[kind != ElementKind.NONE].astype(np.float32)[:, None], inverse[:, None]]
    if map_.element_height is not None:
        columns.append(np.asarray(map_.element_height, np.float32)[kind != ElementKind.NONE][:, None])
    table = np.concatenate(columns, 1)
    ends = elements.reshape(-1, 2) if len(elements) else np.zeros((1, 2), np.float32)
    origin = np.floor(ends.min(0) - indexing.radius).astype(np.float32)
    size = np.maximum(np.ceil((ends.max(0) + indexing.radius - origin) / indexing.cell), 1).astype(np.int32)

    cells = int(size[0]) * int(size[1])
    block = np.zeros((cells, table.shape[1], indexing.width), np.float32)
    reach = np.full(cells, indexing.radius, np.float32)
    widest = 1
    row = np.arange(cells)
    lower = origin + np.float32(indexing.cell) * np.stack([row % size[0], row // size[0]], 1).astype(np.float32)
    for start in range(0, cells, CHUNK):
        for cell, distance in enumerate(box_distance(elements, lower[start : start + CHUNK], indexing.cell), start):
            near = np.flatnonzero(distance <= indexing.radius)
            near = near[np.argsort(distance[near], kind="stable")]
            if len(near) > indexing.width:
                reach[cell] = distance[near[indexing.width]]
                near = near[: indexing.width]
            block[cell, :, : len(near)] = table[near].T
            widest = max(widest, len(near))
    return RoadIndex(origin=origin, size=size, block=block[:, :, : _rounded(widest, indexing)], reach=reach)


def _rounded(widest: int, indexing: Indexing) -> int:
    """Columns of a block: no more than a map needs, in whole vectors of `LANES` numbers where there is room."""
    return min(-(-widest // LANES) * LANES, indexing.width)


def box_distance(
    segments: Float[np.ndarray, "n 4"], lower: Float[np.ndarray, "m 2"], side: float
) -> Float[np.ndarray, "m n"]:
    """Distance of segments to axis-aligned squares given by their lower corners, m; 0 where they meet."""
    ax, ay = (segments[:, axis] - lower[:, axis, None] for axis in (0, 1))
    bx, by = (segments[:, 2 + axis] - lower[:, axis, None] for axis in (0, 1))
    along, up = segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1]
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

    def pad(road: RoadIndex) -> RoadIndex:
        more = cells - road.block.shape[0]
        block = np.pad(road.block, ((0, more), (0, 0), (0, width - road.block.shape[2])))
        return replace(road, block=block, reach=np.pad(road.reach, (0, more)))

    return jax.tree.map(lambda *rows: np.stack(rows), *map(pad, roads))
