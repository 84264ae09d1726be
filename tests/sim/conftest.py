"""Three parallel straight (or bent) lanes, 3.5 m wide, 200 m long; four cars and a padded column."""

import jax
import numpy as np
import pytest

from drivetrain.sim.building import make_bank
from drivetrain.sim.roads import Indexing
from drivetrain.types import (
    AgentKind,
    Agents,
    Bodies,
    ControlKind,
    Cross,
    Egos,
    ElementKind,
    LightState,
    Log,
    Map,
    Route,
    RouteFlag,
    Scenario,
)

STATIONS, LANES, STEPS, DT, WIDTH = 101, 3, 40, 0.2, 3.5


def cross_sections(bend: float) -> np.ndarray:
    """[N, P, 11]: lane n is centred on y = 3.5 n; `bend` is the curvature of the middle lane."""
    rows = np.zeros((LANES, STATIONS, len(Cross)), np.float32)
    x = 2.0 * np.arange(STATIONS)
    angle = bend * x
    centre = np.stack([np.sin(angle) / bend, (1 - np.cos(angle)) / bend], -1) if bend else np.stack([x, 0 * x], -1)
    left = np.stack([-np.sin(angle), np.cos(angle)], -1)
    for lane in range(LANES):
        offset = WIDTH * lane
        rows[lane, :, 0:2] = centre + left * (offset + 0.5 * WIDTH)
        rows[lane, :, 2:4] = centre + left * (offset - 0.5 * WIDTH)
        rows[lane, :, 4:6] = centre + left * offset
        rows[lane, :, 6:8] = np.stack([np.cos(angle), np.sin(angle)], -1)
        rows[lane, :, 8] = 15.0
    return rows


def build_map(bend: float) -> Map:
    rows = cross_sections(bend)
    right, left = rows[0, ::4, 2:4], rows[-1, ::4, 0:2]
    elements = np.concatenate([np.hstack([right[:-1], right[1:]]), np.hstack([left[1:], left[:-1]])])
    padded = np.zeros((60, 4), np.float32)
    padded[: len(elements)] = elements
    kind = np.zeros(60, np.int32)
    kind[: len(elements)] = ElementKind.ROAD_EDGE
    lines = np.zeros((4, 4), np.float32)
    lines[0] = np.concatenate([rows[1, 60, 0:2], rows[1, 60, 2:4]])
    return Map(
        elements=padded,
        element_kind=kind,
        stations=rows.reshape(-1, len(Cross)),
        station_lane=np.repeat(np.arange(LANES), STATIONS).astype(np.int32),
        lane_first=(np.arange(LANES) * STATIONS).astype(np.int32),
        lane_count=np.full(LANES, STATIONS, np.int32),
        lane_successors=np.full((LANES, 4), -1, np.int32),
        lane_neighbours=np.array([[1, -1], [2, 0], [-1, 1]], np.int32),
        lines=lines,
        line_kind=np.array([ControlKind.LIGHT, 0, 0, 0], np.int32),
        line_judged=np.array([True, False, False, False]),
        light_position=np.zeros((4, 2), np.float32),
    )


def build_route(slots: int = 4, padding: int = 9) -> Route:
    """Slots 0, 1, 2 are the lanes; the reference is lane 1, and from station 50 on lane 2."""
    stations = np.full((STATIONS + padding, slots), -1, np.int32)
    stations[:STATIONS, :LANES] = np.arange(STATIONS)[:, None] + STATIONS * np.arange(LANES)
    flags = np.zeros((STATIONS + padding, slots), np.uint8)
    flags[: STATIONS - 1, :LANES] = RouteFlag.LINKED
    flags[: STATIONS - 1, 0] |= np.uint8(RouteFlag.OPEN_RIGHT)
    flags[: STATIONS - 1, 2] |= np.uint8(RouteFlag.OPEN_LEFT)
    reference = np.zeros(STATIONS + padding, np.int32)
    reference[:STATIONS] = np.where(np.arange(STATIONS) < 50, 1, 2)
    return Route(
        stations=stations,
        flags=flags,
        reference=reference,
        length=np.asarray(STATIONS, np.int32),
        lines=np.array([0, -1], np.int32),
        line_station=np.array([60.0, 0.0], np.float32),
    )


def build_log(map_: Map, speeds: tuple[float, ...]) -> Log:
    """Car i drives lane i % 3 from station 10 + 10 (i // 3) at its own constant speed; the last column is padding."""
    cars = len(speeds)
    rows = map_.stations.reshape(LANES, STATIONS, len(Cross))
    position, heading = np.zeros((STEPS, cars + 1, 2), np.float32), np.zeros((STEPS, cars + 1, 2), np.float32)
    velocity, valid = np.zeros((STEPS, cars + 1, 2), np.float32), np.zeros((STEPS, cars + 1), bool)
    for car, speed in enumerate(speeds):
        lane = rows[car % LANES]
        arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(lane[:, 4:6], axis=0).T))])
        at = arc[10 + 10 * (car // LANES)] + speed * DT * np.arange(STEPS)
        angle = np.interp(at, arc, np.unwrap(np.arctan2(lane[:, 7], lane[:, 6])))
        position[:, car] = np.stack([np.interp(at, arc, lane[:, 4 + axis]) for axis in (0, 1)], -1)
        heading[:, car] = np.stack([np.cos(angle), np.sin(angle)], -1)
        velocity[:, car] = speed * heading[:, car]
        valid[:, car] = True
    length = np.array([4.5] * cars + [0.0], np.float32)
    return Log(
        agents=Agents(position=position, heading=heading, velocity=velocity, valid=valid),
        bodies=Bodies(
            length=length,
            width=np.array([1.8] * cars + [0.0], np.float32),
            kind=np.array([AgentKind.CAR] * cars + [0], np.int32),
        ),
        lights=np.full((STEPS, 4), LightState.RED, np.int32),
        steps=np.asarray(STEPS, np.int32),
    )


def build_scenario(bend: float = 0.0, speeds: tuple[float, ...] = (8.0, 10.0, 12.0, 9.0)) -> Scenario:
    map_ = build_map(bend)
    route = build_route()
    egos = [(1, 0, STEPS - 1), (0, 5, STEPS - 1), (3, 0, 10), (-1, 0, 0)]
    return Scenario(
        map=map_,
        log=build_log(map_, speeds),
        egos=Egos(
            track=np.array([track for track, _, _ in egos], np.int32),
            first=np.array([first for _, first, _ in egos], np.int32),
            last=np.array([last for _, _, last in egos], np.int32),
            route=jax.tree.map(lambda leaf: np.stack([leaf] * len(egos)), route),
            cursor=np.array([10, 14, 20, 0], np.int32),
            log_distance=np.array([78.0, 54.4, 18.0, 0.0], np.float32),
        ),
    )


@pytest.fixture(scope="session")
def scenario():
    """`scenario(bend, speeds)`: one recording."""
    return build_scenario


@pytest.fixture(scope="session")
def straight():
    """A bank of one straight recording: three episodes of one agent."""
    return make_bank([build_scenario()], DT, indexing=Indexing(width=32))
