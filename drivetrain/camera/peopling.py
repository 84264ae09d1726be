"""Maps without traffic, peopled for a picture: vehicles on lanes, one of them with the camera, and lights. NumPy."""

import numpy as np
from numpy.typing import DTypeLike

from drivetrain.camera.things import Moment
from drivetrain.types import AgentKind, Agents, Bodies, Cross, InputError, LightState, Map

SIZES = {
    AgentKind.CAR: (4.6, 1.85),
    AgentKind.TRUCK: (9.0, 2.5),
    AgentKind.BUS: (12.0, 2.55),
    AgentKind.MOTORCYCLE: (2.2, 0.8),
    AgentKind.BICYCLE: (1.8, 0.6),
    AgentKind.PEDESTRIAN: (0.5, 0.6),
}
"""Length and width, m; they differ by a tenth."""
OFTEN = (0.68, 0.1, 0.04, 0.06, 0.05, 0.07)
"""How often each is drawn."""
AROUND = 90.0
"""The others are within this distance of the first, m."""
GAP = 3.0
"""Least distance between circles around two of them, m."""


def people(map_: Map, random: np.random.Generator, count: int) -> Moment:
    """So many road users or fewer, the first a car in the middle of a lane, with the camera; the others around it.

    Raises `InputError` for a map without lanes.
    """
    lane, rows = np.asarray(map_.station_lane), np.asarray(map_.stations, np.float64)
    rows = rows[lane >= 0]
    if not len(rows):
        raise InputError("map: lanes: none to put vehicles on (render another)")
    first = rows[random.integers(len(rows))]
    centre = rows[:, [Cross.CENTRE_X, Cross.CENTRE_Y]]
    near = np.flatnonzero(np.linalg.norm(centre - first[[Cross.CENTRE_X, Cross.CENTRE_Y]], axis=1) < AROUND)
    kinds, position, heading, size = [AgentKind.CAR], [first[[Cross.CENTRE_X, Cross.CENTRE_Y]]], [], []
    heading.append(first[[Cross.COS, Cross.SIN]])
    size.append(np.array(SIZES[AgentKind.CAR]))
    for row in random.choice(near, min(3 * count, len(near)), replace=False):
        if len(kinds) == count:
            break
        kind = list(SIZES)[int(random.choice(len(SIZES), p=OFTEN))]
        ahead = rows[row, [Cross.COS, Cross.SIN]]
        aside = random.normal(0.0, 0.3)
        if kind in (AgentKind.BICYCLE, AgentKind.PEDESTRIAN):  # on the right, or beside the road
            aside = -0.5 * np.linalg.norm(rows[row, :2] - rows[row, 2:4]) - random.uniform(-0.8, 2.5)
        turn = random.normal(0.0, 0.03) if kind != AgentKind.PEDESTRIAN else random.uniform(-np.pi, np.pi)
        place = centre[row] + aside * np.array([-ahead[1], ahead[0]])
        box = np.array(SIZES[kind]) * random.uniform(0.9, 1.1, 2)
        radius = [0.5 * np.linalg.norm(each) for each in (*size, box)]
        if any(
            np.linalg.norm(place - other) < own + radius[-1] + GAP for other, own in zip(position, radius, strict=False)
        ):
            continue
        kinds.append(kind)
        position.append(place)
        cos, sin = np.cos(turn), np.sin(turn)
        heading.append(np.array([ahead[0] * cos - ahead[1] * sin, ahead[0] * sin + ahead[1] * cos]))
        size.append(box)
    return _moment(map_, random, count, kinds, np.array(position), np.array(heading), np.array(size))


def _moment(
    map_: Map, random: np.random.Generator, count: int, kinds: list, position: np.ndarray, heading: np.ndarray, size
) -> Moment:
    """Padded to so many road users."""

    def padded(rows: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        return np.pad(rows, [(0, count - len(rows))] + [(0, 0)] * (rows.ndim - 1)).astype(dtype)

    there = np.arange(count) < len(kinds)
    lights = random.choice([LightState.GREEN, LightState.YELLOW, LightState.RED], len(np.asarray(map_.line_kind)))
    return Moment(
        agents=Agents(padded(position), padded(heading), np.zeros((count, 2), np.float32), there),
        bodies=Bodies(padded(size[:, 0]), padded(size[:, 1]), padded(np.array(kinds), np.int32)),
        lights=lights.astype(np.int32),
    )
