"""The road by cells: what anyone inside a cell can need of the road, as one contiguous block. NumPy, once, at load."""

import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from drivetrain.types import Array, ElementKind, Map, component, record, replace


@component
class Indexing:
    """How the road is laid out by cells."""

    cell: float = 20.0  # side of a cell, m
    radius: float = 50.0  # a block holds what lies within this distance of its cell, m
    width: int = 256  # at most this many elements, the nearest


@record
class RoadIndex:
    """A grid of square cells over a map; each with the elements near it, nearest first (G cells, B elements)."""

    origin: Float[Array, "2"]  # lower corner of the grid, m
    size: Int[Array, "2"]  # cells along x and y; a cell's row is x + y * size[0]
    block: Float[Array, "G 5 B"]  # x0, y0, x1, y1, ElementKind; zeros are padding
    reach: Float[Array, "G"]  # everything within this distance of the cell is in its block, m


def index_road(map_: Map, indexing: Indexing) -> RoadIndex:
    """Lay out one map's elements by cells. The grid covers them and `radius` around; beyond it nothing is near."""
    kind = np.asarray(map_.element_kind)
    elements = np.asarray(map_.elements, np.float32)[kind != ElementKind.NONE]
    kind = kind[kind != ElementKind.NONE].astype(np.float32)
    ends = elements.reshape(-1, 2) if len(elements) else np.zeros((1, 2), np.float32)
    origin = np.floor(ends.min(0) - indexing.radius).astype(np.float32)
    size = np.maximum(np.ceil((ends.max(0) + indexing.radius - origin) / indexing.cell), 1).astype(np.int32)

    cells, width = int(size[0]) * int(size[1]), indexing.width
    block = np.zeros((cells, 5, width), np.float32)
    reach = np.full(cells, indexing.radius, np.float32)
    element, cell = _pairs(elements - np.tile(origin, 2), size, indexing)
    lower = origin + indexing.cell * np.stack([cell % size[0], cell // size[0]], 1).astype(np.float32)
    distance = box_distance(elements[element], lower, indexing.cell)
    near = distance <= indexing.radius
    element, cell, distance = element[near], cell[near], distance[near]
    order = np.lexsort((element, distance, cell))
    element, cell, distance = element[order], cell[order], distance[order]
    place = np.arange(len(cell)) - np.searchsorted(cell, cell)  # within its cell, the nearest first
    kept, next_ = place < width, place == width
    table = np.concatenate([elements, kind[:, None]], 1)
    for column, values in enumerate(table[element[kept]].T):
        block[cell[kept], column, place[kept]] = values
    reach[cell[next_]] = distance[next_]
    return RoadIndex(origin=origin, size=size, block=block, reach=reach)


def _pairs(
    elements: Float[np.ndarray, "n 4"], size: Int[np.ndarray, "2"], indexing: Indexing
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Every element with every cell that may be within `radius` of it, by their boxes; `elements` from the origin."""
    ends = elements.reshape(-1, 2, 2).astype(np.float64)
    margin = indexing.radius + 0.01
    low = np.floor((ends.min(1) - margin) / indexing.cell).astype(int).clip(0, size - 1)
    high = np.floor((ends.max(1) + margin) / indexing.cell).astype(int).clip(0, size - 1)
    spans = high - low + 1
    count = spans.prod(1)
    element = np.repeat(np.arange(len(elements)), count)
    rank = np.arange(len(element)) - np.repeat(np.cumsum(count) - count, count)
    x, y = low[element, 0] + rank % spans[element, 0], low[element, 1] + rank // spans[element, 0]
    return element, x + y * size[0]


def most_cells(area: Sequence[float], indexing: Indexing) -> int:
    """Cells that the index of a road needs at most whose elements span `area` (along x and y, m)."""
    across = [math.ceil((side + 2.0 * indexing.radius + 1.0) / indexing.cell) for side in area or (0.0, 0.0)]
    return math.prod(across)


def box_distance(
    segments: Float[np.ndarray, "n 4"], lower: Float[np.ndarray, "... 2"], side: float
) -> Float[np.ndarray, "n"]:
    """Distance of segments to squares, each to its own or all to one, by their lower corners, m; 0 where they meet."""
    a, b = (segments[:, :2] - lower).T, (segments[:, 2:] - lower).T  # rows x and y: NumPy reduces those fast
    edge = b - a
    # The part of the segment inside the square (Liang and Barsky 1984): it meets the square where that is not empty.
    safe = np.where(edge == 0.0, 1.0, edge)
    enter, leave = -a / safe, (side - a) / safe
    first, last = np.minimum(enter, leave), np.maximum(enter, leave)
    beside = (edge == 0.0) & ((a < 0.0) | (a > side))
    first = np.where(edge == 0.0, 0.0, first).max(0).clip(0.0)
    last = np.where(edge == 0.0, 1.0, last).min(0).clip(None, 1.0)
    meets = (first <= last) & ~beside.any(0)
    # Apart, the nearest points include an end of the segment or a corner of the square.
    ends = [np.hypot(*np.maximum(np.maximum(-end, end - side), 0.0)) for end in (a, b)]
    corners = side * np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    square = np.maximum((edge**2).sum(0), 1e-12)
    offset = corners[:, :, None] - a
    share = np.clip((offset * edge).sum(1) / square, 0.0, 1.0)
    sides = np.sqrt(((offset - share[:, None] * edge) ** 2).sum(1)).min(0)
    return np.where(meets, 0.0, np.minimum(np.minimum(*ends), sides))


def stack_roads(roads: list[RoadIndex], cells: int = 0) -> RoadIndex:
    """Stack indices [M], padded to the most cells, or to `cells`."""
    cells = max([cells, *(len(road.reach) for road in roads)])

    def pad(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, np.zeros((cells - len(rows), *rows.shape[1:]), rows.dtype)])

    padded = [replace(road, block=pad(np.asarray(road.block)), reach=pad(np.asarray(road.reach))) for road in roads]
    return jax.tree.map(lambda *rows: np.stack(rows), *padded)
