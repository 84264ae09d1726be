"""Routes unrolled: the lanes of each controlled agent's route as rows of numbers. NumPy, once, at load.

A stretch of a route is asked for several times a step. Through indices into the map it would be hundreds of scattered
reads; unrolled it is one block copied. That costs 40 bytes a station and lane for each episode, far less than the map.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float

from drivetrain.types import Array, Route, record

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


MARKS = len(Cross)
"""Columns of a ribbon after those of `Cross`: the `RouteFlag` bits; whether there is a lane; whether it was driven."""
ARC = len(Cross)
"""Row of a path after those of `Cross`: m along the route."""


@record
class Ribbon:
    """One route: P stations, L lanes, with `BEFORE` and `AFTER` stations of zeros around them."""

    lanes: Float[Array, "*E 12 cells"]  # columns of `Cross`, `RouteFlag` bits, exists, recorded; L cells a station
    path: Float[Array, "*E 11 rows"]  # of the recorded lane: columns of `Cross`, arc, exists


def ribbon(route: Route, arc: Float[np.ndarray, "P"], stations: Float[np.ndarray, "Q 9"]) -> Ribbon:
    """Unroll one route over its map's stations."""
    index = np.asarray(route.stations)
    count, lanes = index.shape
    exists = (index >= 0) & (np.arange(count)[:, None] < int(route.length))
    slot = np.asarray(route.reference)[:, None]
    marks = np.stack([np.asarray(route.flags), exists, slot == np.arange(lanes)], axis=-1)
    cells = np.concatenate([np.asarray(stations)[np.maximum(index, 0)], marks], axis=-1)
    cells = np.where(exists[..., None], cells, 0.0)
    own = np.take_along_axis(cells, slot[..., None], axis=1)[:, 0]
    path = np.concatenate([own[:, :MARKS], np.asarray(arc)[:, None], own[:, MARKS + 1 : MARKS + 2]], axis=1)
    around = (BEFORE, AFTER)
    return Ribbon(
        lanes=np.pad(cells, (around, (0, 0), (0, 0))).transpose(2, 0, 1).reshape(MARKS + 3, -1).astype(np.float32),
        path=np.pad(path, (around, (0, 0))).T.astype(np.float32),
    )
