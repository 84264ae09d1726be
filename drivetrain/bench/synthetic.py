"""Scenes of stated size for benchmarks: a grid of roads, lights at every other crossing, cars at constant speed.

Their size is what they are for: nobody gives way, so nothing is to be learnt from them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.compile.compiling import compile_recording, measure
from drivetrain.data.recordings.recording import ControlLine, Lane, Light, Recording, Tracks
from drivetrain.types import AgentKind, ControlKind, ElementKind, LightState, Scenario, component

WIDTH = 3.5
"""Of a lane, m."""


@component
class Grid:
    """A grid of `roads` × `roads` two-way roads and the traffic on it."""

    agents: int = 128
    steps: int = 151
    roads: int = 4  # in each direction
    lanes: int = 3  # of each direction of a road
    spacing: float = 200.0  # of parallel roads, m
    dt: float = 0.2  # s
    signals: int = 64  # control lines with a light, at most
    seed: int = 0


def grid_scenario(grid: Grid) -> Scenario:
    """The scene, compiled as a recording is: every car can be controlled."""
    return compile_recording(grid_recording(grid))[0]


def grid_scenarios(grids: Sequence[Grid]) -> list[Scenario]:
    """Several scenes of one shape: each with room for the largest."""
    recordings = [grid_recording(grid) for grid in grids]
    capacity = measure(recordings)
    return [compile_recording(recording, capacity)[0] for recording in recordings]


def grid_recording(grid: Grid) -> Recording:
    """The scene as a recording. Roads run along x and along y and cross without turning lanes."""
    places = grid.spacing * (np.arange(grid.roads) - 0.5 * (grid.roads - 1))
    reach = 0.5 * grid.spacing * grid.roads
    lanes = [lane for axis in (0, 1) for place in places for lane in _road(grid, axis, place, reach)]
    lanes = [_numbered(lane, number, grid) for number, lane in enumerate(lanes)]
    lines, lights = _signals(grid, lanes, places)
    return Recording(
        name=f"grid-{grid.roads}x{grid.roads}-{grid.agents}",
        file="synthetic",
        dt=grid.dt,
        tracks=_traffic(grid, lanes, reach),
        lanes=tuple(lanes),
        control_lines=tuple(lines),
        lights=tuple(lights),
        source="synthetic",
    )


def _road(grid: Grid, axis: int, place: float, reach: float) -> list[Lane]:
    """Lanes of one road, those of its first direction first, each from the inside out."""
    along = np.arange(-reach, reach + 0.5, 1.0)
    lanes = []
    for sign in (1.0, -1.0):
        heading = np.array([sign, 0.0]) if axis == 0 else np.array([0.0, sign])
        left = np.array([-heading[1], heading[0]])
        middle = np.array([0.0, place]) if axis == 0 else np.array([place, 0.0])
        run = along[:, None] * heading + middle
        for lane in range(grid.lanes):
            outermost = lane == grid.lanes - 1
            lanes.append(
                Lane(
                    id=0,
                    left=run - lane * WIDTH * left,
                    right=run - (lane + 1) * WIDTH * left,
                    left_neighbour=-1 if lane else None,
                    right_neighbour=None if outermost else 1,
                    left_border=ElementKind.LINE_DASHED if lane else ElementKind.LINE_SOLID,
                    right_border=ElementKind.LINE_SOLID if outermost else ElementKind.LINE_DASHED,
                    speed_limit=15.0,
                )
            )
    return lanes


def _numbered(lane: Lane, number: int, grid: Grid) -> Lane:
    """The lane with its own id, and with its neighbours' instead of which way they lie."""
    beside = [None if way is None else number + way for way in (lane.left_neighbour, lane.right_neighbour)]
    return Lane(
        **{**vars(lane), "id": number, "left_neighbour": beside[0], "right_neighbour": beside[1]},
    )


def _signals(grid: Grid, lanes: list[Lane], places: Float[np.ndarray, "n"]) -> tuple[list[ControlLine], list[Light]]:
    """Stop lines with a light where a lane comes to every other crossing, until there are `signals`."""
    half = grid.lanes * WIDTH
    lines, lights = [], []
    for row, crossing in enumerate((x, y) for i, x in enumerate(places) for j, y in enumerate(places) if (i + j) % 2):
        for lane in lanes:
            middle = 0.5 * (lane.left + lane.right)
            heading = (middle[-1] - middle[0]) / np.linalg.norm(middle[-1] - middle[0])
            ahead = (np.array(crossing) - middle) @ heading
            aside = abs(heading[0] * (crossing[1] - middle[0, 1]) - heading[1] * (crossing[0] - middle[0, 0]))
            if aside > half or len(lines) == grid.signals:
                continue
            station = int(np.argmin(np.abs(ahead - half - 2.0)))
            ends = np.stack([lane.left[station], lane.right[station]])
            phase = (np.arange(grid.steps) * grid.dt + 10.0 * row + 15.0 * (abs(heading[0]) > 0.5)) % 30.0
            states = np.where(phase < 12.0, LightState.GREEN, np.where(phase < 15.0, LightState.YELLOW, LightState.RED))
            number = len(lights)
            lights.append(Light(id=number, states=states.astype(np.int64), recorded=True, position=ends.mean(0)))
            lines.append(ControlLine(ends=ends, lane=lane.id, kind=ControlKind.LIGHT, light=number))
    return lines, lights


def _traffic(grid: Grid, lanes: list[Lane], reach: float) -> Tracks:
    """Cars spread over the lanes, each at its own speed, none of which reaches the end of its lane."""
    random = np.random.default_rng(grid.seed)
    duration = grid.steps * grid.dt
    speed = random.uniform(6.0, 14.0, grid.agents)
    lane: Int[np.ndarray, "I"] = random.integers(len(lanes), size=grid.agents)
    first = random.uniform(10.0, np.maximum(2.0 * reach - 20.0 - speed * duration, 11.0))
    runs = [(0.5 * (lanes[i].left[0] + lanes[i].right[0]), lanes[i].left[-1] - lanes[i].left[0]) for i in lane]
    start = np.array([run[0] for run in runs])
    heading = np.array([run[1] / np.linalg.norm(run[1]) for run in runs])
    along = first[:, None] + speed[:, None] * grid.dt * np.arange(grid.steps)
    shape = (grid.agents, grid.steps)
    return Tracks(
        id=np.arange(grid.agents),
        kind=np.full(grid.agents, AgentKind.CAR, np.int64),
        length=random.uniform(4.2, 5.2, grid.agents),
        width=random.uniform(1.8, 2.0, grid.agents),
        position=start[:, None] + along[..., None] * heading[:, None],
        heading=np.broadcast_to(np.arctan2(heading[:, 1], heading[:, 0])[:, None], shape).copy(),
        velocity=np.broadcast_to((speed[:, None] * heading)[:, None], (*shape, 2)).copy(),
        valid=np.ones(shape, bool),
    )
