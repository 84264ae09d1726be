"""Hand-drawn recordings: small roads whose every coordinate is known, with agents that move along them.

Each function returns a `Recording`; `scenario` compiles one. Roads run along +x unless said otherwise; agents drive on
centres of lanes at constant speed.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.recordings.recording import ControlLine, Feature, Lane, Light, Recording, Tracks
from drivetrain.types import AgentKind, ControlKind, ElementKind, LightState, Scenario

WIDTH = 3.5


@dataclass(frozen=True)
class Agent:
    """One road user that moves along a path (n points) at constant speed, from `start` metres along it."""

    path: Sequence[tuple[float, float]]
    speed: float = 10.0
    start: float = 0.0
    length: float = 4.5
    width: float = 2.0
    kind: AgentKind = AgentKind.CAR
    first: int = 0
    last: int | None = None


def along_x(y: float, start: float = 0.0, speed: float = 10.0, **changes) -> Agent:
    """A car on a straight line at height y, from x = start."""
    return Agent(((start, y), (start + 1000.0, y)), speed, **changes)


def tracks(agents: Sequence[Agent], steps: int, dt: float) -> Tracks:
    position = np.zeros((len(agents), steps, 2))
    heading = np.zeros((len(agents), steps))
    velocity = np.zeros((len(agents), steps, 2))
    valid = np.zeros((len(agents), steps), bool)
    for row, agent in enumerate(agents):
        path = np.array(agent.path, float)
        chords = np.diff(path, axis=0)
        length = np.linalg.norm(chords, axis=1)
        reached = np.concatenate([[0.0], np.cumsum(length)])
        along = agent.start + agent.speed * dt * np.arange(steps)
        piece = np.clip(np.searchsorted(reached, along, side="right") - 1, 0, len(chords) - 1)
        direction = chords[piece] / length[piece][:, None]
        valid[row, agent.first : steps if agent.last is None else agent.last + 1] = True
        position[row] = path[piece] + (along - reached[piece])[:, None] * direction
        heading[row] = np.arctan2(direction[:, 1], direction[:, 0])
        velocity[row] = agent.speed * direction
    kept = valid[..., None]
    return Tracks(
        id=np.arange(100, 100 + len(agents)),
        kind=np.array([agent.kind for agent in agents], int),
        length=np.array([agent.length for agent in agents], float),
        width=np.array([agent.width for agent in agents], float),
        position=position * kept,
        heading=heading * valid,
        velocity=velocity * kept,
        valid=valid,
    )


def recording(lanes: Sequence[Lane], agents: Sequence[Agent], steps: int = 50, dt: float = 0.2, **fields) -> Recording:
    drawn = Recording(
        name="scene", file="scene.py", dt=dt, tracks=tracks(agents, steps, dt), lanes=tuple(lanes), source="hand-drawn"
    )
    return dataclasses.replace(drawn, **fields)


def lane_along(number: int, left: np.ndarray, right: np.ndarray, **fields) -> Lane:
    return Lane(id=number, left=np.array(left, float), right=np.array(right, float), speed_limit=15.0, **fields)


def straight_road(lanes: int = 3, length: float = 200.0, agents: Sequence[Agent] | None = None, **changes) -> Recording:
    """Lanes 1, 2, … from the right; lane n lies between y = 3.5 (n − 1) and y = 3.5 n, from x = 0 to `length`.

    By default one car drives in lane 1 from x = 20 at 10 m/s and another 30 m ahead of it.
    """
    if agents is None:
        agents = (along_x(WIDTH / 2, 20.0), along_x(WIDTH / 2, 50.0))
    x = np.array([0.0, length])
    drawn = []
    for number in range(1, lanes + 1):
        y = WIDTH * number
        drawn.append(
            lane_along(
                number,
                np.stack([x, np.full(2, y)], 1),
                np.stack([x, np.full(2, y - WIDTH)], 1),
                left_neighbour=number + 1 if number < lanes else None,
                right_neighbour=number - 1 if number > 1 else None,
                left_border=ElementKind.LINE_DASHED if number < lanes else ElementKind.LINE_SOLID,
                right_border=ElementKind.LINE_DASHED if number > 1 else ElementKind.LINE_SOLID,
            )
        )
    return recording(drawn, agents, **changes)


def arc(centre: tuple[float, float], radius: float, start: float, end: float, points: int = 40) -> np.ndarray:
    angle = np.linspace(start, end, points)
    return np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def curve(radius: float = 40.0, agents: Sequence[Agent] | None = None, **changes) -> Recording:
    """Two lanes that turn left by 90° about (0, radius): lane 2 inside lane 1, with 60 m straight at both ends.

    Lane 1's centre has the radius `radius`. The approach runs along +x to x = 0, the exit along +y.
    """
    middle, drawn = radius, []
    for number, inner in ((1, middle - WIDTH / 2), (2, middle - 1.5 * WIDTH)):
        borders = []
        for r in (inner, inner + WIDTH):
            bend = arc((0.0, radius), r, -np.pi / 2, 0.0)
            borders.append(np.concatenate([[[-60.0, radius - r]], bend, [[r, radius + 60.0]]]))
        drawn.append(
            lane_along(
                number,
                borders[0],
                borders[1],
                left_neighbour=2 if number == 1 else None,
                right_neighbour=1 if number == 2 else None,
                left_border=ElementKind.LINE_DASHED if number == 1 else ElementKind.LINE_SOLID,
                right_border=ElementKind.LINE_SOLID if number == 1 else ElementKind.LINE_DASHED,
            )
        )
    if agents is None:
        bend = arc((0.0, radius), radius, -np.pi / 2, 0.0, 200)
        agents = (Agent([(-60.0, 0.0), *map(tuple, bend), (radius, radius + 100.0)], start=20.0),)
    return recording(drawn, agents, **changes)


APPROACH, STRAIGHT, LEFT, EXIT, EXIT_LEFT, CROSS_IN, CROSS, CROSS_OUT = range(1, 9)


def crossing(
    control: ControlKind | None = ControlKind.LIGHT,
    recorded: bool = True,
    states: Sequence[LightState] | None = None,
    agents: Sequence[Agent] | None = None,
    **changes,
) -> Recording:
    """A lane along +x (|y| < 1.75) that crosses one along +y (8.25 < x < 11.75) between x = 0 and x = 20.

    The approach ends at x = 0 with a stop line; the exit starts at x = 20; one may also turn left into the other road.
    The light (id 7, at (20, 3)) is red throughout unless `states` says otherwise. `control` is the kind of the line at
    x = 0; None: there is no line.
    By default one car approaches from x = −60 at 10 m/s and drives straight on.
    """

    def along(first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
        half = WIDTH / 2
        return np.array([[first, half], [last, half]]), np.array([[first, -half], [last, -half]])

    def up(first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
        half = WIDTH / 2
        return np.array([[10 - half, first], [10 - half, last]]), np.array([[10 + half, first], [10 + half, last]])

    turn = tuple(arc((0.0, 10.0), r, -np.pi / 2, 0.0) for r in (10.0 - WIDTH / 2, 10.0 + WIDTH / 2))
    drawn = [
        lane_along(APPROACH, *along(-100.0, 0.0), successors=(STRAIGHT, LEFT)),
        lane_along(STRAIGHT, *along(0.0, 20.0), successors=(EXIT,), predecessors=(APPROACH,)),
        lane_along(LEFT, *turn, successors=(CROSS_OUT,), predecessors=(APPROACH,)),
        lane_along(EXIT, *along(20.0, 120.0), predecessors=(STRAIGHT,)),
        lane_along(CROSS_IN, *up(-110.0, -10.0), successors=(CROSS,)),
        lane_along(CROSS, *up(-10.0, 10.0), successors=(CROSS_OUT,), predecessors=(CROSS_IN,)),
        lane_along(CROSS_OUT, *up(10.0, 110.0), predecessors=(CROSS, LEFT)),
    ]
    if agents is None:
        agents = (along_x(0.0, -60.0),)
    steps = int(changes.get("steps", 50))
    lit = control == ControlKind.LIGHT
    line = ControlLine(np.array([[0.0, 1.75], [0.0, -1.75]]), APPROACH, control or ControlKind.LINE, 7 if lit else None)
    shown = np.array([LightState.RED] * steps if states is None else states, int)
    fields = {
        "control_lines": () if control is None else (line,),
        "lights": (Light(7, shown, recorded, np.array([20.0, 3.0])),) if lit else (),
    }
    return recording(drawn, agents, **(fields | changes))


def ring(radius: float = 40.0, agents: Sequence[Agent] = (), **changes) -> Recording:
    """One lane about the origin, anticlockwise, in two halves that lead into each other; no edge anywhere."""
    halves = []
    for number, start in ((1, 0.0), (2, np.pi)):
        left, right = (arc((0.0, 0.0), r, start, start + np.pi, 90) for r in (radius - WIDTH / 2, radius + WIDTH / 2))
        halves.append(lane_along(number, left, right, successors=(3 - number,), predecessors=(3 - number,)))
    return recording(halves, agents, **changes)


LOW, HIGH = 1, 2


def sloped_lane(number, start, end, z=(0.0, 0.0), **fields):
    """A straight lane, 3.5 m wide, as high as `z` at its ends."""
    start, end = np.array(start, float), np.array(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    aside = 1.75 * np.array([-along[1], along[0]])
    shares = np.linspace(0.0, 1.0, 11)
    centre = start + shares[:, None] * (end - start)
    height = None if z is None else np.interp(shares, [0.0, 1.0], z)
    return dataclasses.replace(lane_along(number, centre + aside, centre - aside, **fields), height=height)


def parapets(z):
    """The parapets of the bridge, drivable side on the left, across the road below."""
    y, x = np.linspace(-100.0, 100.0, 21), np.full(21, 1.75)
    left, right = np.stack([-x, y[::-1]], 1), np.stack([x, y], 1)
    height = None if z is None else np.full(21, float(z))
    return tuple(Feature(ElementKind.ROAD_EDGE, line, height) for line in (left, right))


def kerbs(z):
    """The edges of the road below, across the bridge."""
    x, y = np.linspace(-100.0, 100.0, 21), np.full(21, 1.75)
    height = None if z is None else np.full(21, float(z))
    left, right = np.stack([x[::-1], y], 1), np.stack([x, -y], 1)
    return tuple(Feature(ElementKind.ROAD_EDGE, line, height) for line in (left, right))


UNDER = Agent(((-60.0, 0.0), (60.0, 0.0)), 10.0)
OVER = Agent(((0.0, -60.0), (0.0, 60.0)), 10.0)  # both are at (0, 0) at step 30


def bridge(heights=True, measured=True, drawn=True, **changes):
    """`heights`: whether anything is known of them; `measured`: whether tracks have their own; `drawn`: edges."""
    z = (0.0, 6.0) if heights else (None, None)
    lanes = [
        sloped_lane(LOW, (-100, 0), (100, 0), heights and (0.0, 0.0) or None),
        sloped_lane(HIGH, (0, -100), (0, 100), heights and (6.0, 6.0) or None),
    ]
    made = recording(lanes, (UNDER, OVER), features=(*kerbs(z[0]), *parapets(z[1])) if drawn else (), **changes)
    if not (heights and measured):
        return made
    level = np.array([[0.0], [6.0]]) * made.tracks.valid
    return dataclasses.replace(made, tracks=dataclasses.replace(made.tracks, height=level))


def scenario(drawn: Recording) -> Scenario:
    """The recording compiled, at the capacity that just holds it."""
    return compile_recording(drawn)[0]
