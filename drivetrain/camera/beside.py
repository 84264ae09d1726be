"""What stands beside a road: buildings and trees where there is room, drawn from a seed. NumPy, once a map."""

import enum
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from drivetrain.camera.grid import Grid
from drivetrain.types import ControlKind, Map, component


class Beside(enum.IntEnum):
    """Columns of `Ground.beside`."""

    X = 0  # m
    Y = 1
    COS = 2  # of its heading
    SIN = 3
    LENGTH = 4  # m; 0 is padding
    WIDTH = 5
    HEIGHT = 6
    TREE = 7  # 1: a tree, 0: a building


@component
class Laying:
    """How the ground of a map is laid out, and what stands beside its road."""

    buildings: float = 0.6  # share of the places beside the road where there is room for one
    trees: float = 0.5
    nearest: float = 7.0  # m, from the road to a building
    seed: int = 0


class Post(enum.IntEnum):
    """Columns of `Ground.posts`, a row for each control line of the map."""

    X = 0  # m
    Y = 1
    COS = 2  # of where it faces
    SIN = 3
    HUNG = 4  # 1: it hangs above the road
    KIND = 5  # ControlKind of a light or a sign; 0: nothing stands here


EVERY = 9.0
"""Metres along an edge from one place to the next."""


def place_beside(
    grid: Grid, rim: Float[np.ndarray, "n 4"], road: Bool[np.ndarray, "h w"], laying: Laying
) -> Float[np.ndarray, "B 8"]:
    """Things on the right of the road's edges, none of them on road or on one another."""
    random = np.random.default_rng(laying.seed + 1)
    taken = road.reshape(-1).copy()
    chord = rim[:, 2:] - rim[:, :2]
    length = np.maximum(np.linalg.norm(chord, axis=1), 1e-9)
    reached = np.cumsum(length)
    places = np.arange(0.5 * EVERY, reached[-1], EVERY) if len(rim) else np.zeros(0)
    row = np.searchsorted(reached, places)
    rows: list[np.ndarray] = []
    for at, place in zip(row.tolist(), places.tolist(), strict=True):
        unit = chord[at] / length[at]
        outwards = np.array([unit[1], -unit[0]])
        foot = rim[at, :2] + (place - reached[at] + length[at]) * unit
        tree = random.uniform() < 0.5
        if random.uniform() > (laying.trees if tree else laying.buildings):
            continue
        if tree:
            size = np.array([random.uniform(2.5, 5.0)] * 2)
            gap, height = random.uniform(1.0, 6.0), random.uniform(4.0, 9.0)
        else:
            size = random.uniform((10.0, 8.0), (28.0, 16.0))
            gap, height = laying.nearest + random.exponential(5.0), random.choice([1, 2, 2, 3, 3, 4, 6]) * 3.2 + 1.0
        centre = foot + outwards * (gap + 0.5 * size[1])
        texels = _covered(grid, centre, unit, size + (0.5 if tree else 4.0))
        if taken[texels].any():
            continue
        taken[_covered(grid, centre, unit, size)] = True
        rows.append(np.array([*centre, *unit, *size, height, float(tree)]))
    return np.array(rows, np.float32).reshape(-1, len(Beside))


def _covered(grid: Grid, centre: np.ndarray, unit: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Texels under a rectangle, sampled densely enough to miss none."""
    along = np.arange(-0.5 * size[0], 0.5 * size[0] + 0.4, 0.4)
    across = np.arange(-0.5 * size[1], 0.5 * size[1] + 0.4, 0.4)
    points = centre + along[:, None, None] * unit + across[None, :, None] * np.array([-unit[1], unit[0]])
    return np.unique(grid.texel(points.reshape(-1, 2)))


def place_posts(map_: Map, on_road: Callable[[np.ndarray], bool]) -> Float[np.ndarray, "S 6"]:
    """Where the light or the sign of each control line is; one of several in one place stands for all.

    A light is where the map says that it hangs, else beside the right end of its line, where a sign is too. What would
    stand on the road hangs above it.
    """
    ends, kind = np.asarray(map_.lines, np.float64), np.asarray(map_.line_kind)
    given = np.asarray(map_.light_position, np.float64)
    rows = np.zeros((len(ends), len(Post)), np.float32)
    seen: list[np.ndarray] = []
    for line in np.flatnonzero(np.isin(kind, (ControlKind.LIGHT, ControlKind.STOP_SIGN))):
        across = ends[line, 2:] - ends[line, :2]
        across = across / max(float(np.linalg.norm(across)), 1e-6)
        back = np.array([across[1], -across[0]])  # against the traffic that the line is for
        at = given[line] if kind[line] == ControlKind.LIGHT and np.any(given[line]) else ends[line, 2:] + 1.2 * across
        hung = on_road(at)
        if hung and kind[line] == ControlKind.STOP_SIGN:
            continue
        place = np.concatenate([at, 2.0 * back])
        if any(np.linalg.norm(place - other) < 1.0 for other in seen):
            continue
        seen.append(place)
        rows[line] = (*at, *back, hung, kind[line])
    return rows
