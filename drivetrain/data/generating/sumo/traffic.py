"""Traffic as SUMO moves it, step by step: every road user near a place, and the letters of every signal.

SUMO gives the middle of a vehicle's front bumper and a compass angle (degrees, clockwise from north); recordings hold
the centre of the box and radians, counter-clockwise from east.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.recording import Tracks
from drivetrain.data.recordings.series import wrapped
from drivetrain.types import AgentKind

KINDS = {
    "passenger": AgentKind.CAR,
    "private": AgentKind.CAR,
    "taxi": AgentKind.CAR,
    "evehicle": AgentKind.CAR,
    "emergency": AgentKind.CAR,
    "authority": AgentKind.CAR,
    "army": AgentKind.CAR,
    "vip": AgentKind.CAR,
    "hov": AgentKind.CAR,
    "custom1": AgentKind.CAR,
    "custom2": AgentKind.CAR,
    "ignoring": AgentKind.CAR,
    "delivery": AgentKind.TRUCK,
    "truck": AgentKind.TRUCK,
    "trailer": AgentKind.TRUCK,
    "bus": AgentKind.BUS,
    "coach": AgentKind.BUS,
    "motorcycle": AgentKind.MOTORCYCLE,
    "moped": AgentKind.MOTORCYCLE,
    "bicycle": AgentKind.BICYCLE,
    "pedestrian": AgentKind.PEDESTRIAN,
}
"""Vehicle classes of SUMO; any other is OTHER."""
JUMP = 1.0
"""A step of more than this, m, beyond what the speed explains is a teleport: another track begins."""


@dataclass(frozen=True)
class Sight:
    """One road user at one step."""

    id: str
    x: float  # front bumper, m
    y: float
    angle: float  # degrees, clockwise from north
    speed: float  # m/s


@dataclass(frozen=True)
class Body:
    """What does not change."""

    kind: AgentKind
    length: float  # m
    width: float  # m


@dataclass
class Clip:
    """What happened around one place, in the making."""

    centre: Float[np.ndarray, "2"]
    radius: float
    seen: list[list[Sight]] = field(default_factory=list)
    letters: list[dict[str, str]] = field(default_factory=list)  # by signal

    def add(self, sights: Sequence[Sight], letters: dict[str, str]) -> None:
        """One more step."""
        x, y, reach = *self.centre.tolist(), self.radius**2
        self.seen.append([s for s in sights if (s.x - x) ** 2 + (s.y - y) ** 2 <= reach])
        self.letters.append(letters)


def look(simulation: Any, bodies: dict[str, Body]) -> list[Sight]:
    """Every vehicle and everyone on foot, in the order of their ids; `bodies` learns who is new."""
    sights = []
    for id in sorted(simulation.vehicle.getIDList()):
        x, y = simulation.vehicle.getPosition(id)
        if not np.isfinite(x + y) or abs(x) > 1e8:
            continue  # being teleported
        angle, speed = simulation.vehicle.getAngle(id), simulation.vehicle.getSpeed(id)
        if id not in bodies:
            kind = KINDS.get(simulation.vehicle.getVehicleClass(id), AgentKind.OTHER)
            bodies[id] = Body(kind, simulation.vehicle.getLength(id), simulation.vehicle.getWidth(id))
        sights.append(Sight(id, x, y, angle, speed))
    for id in sorted(simulation.person.getIDList()):
        if simulation.person.getVehicle(id):
            continue
        x, y = simulation.person.getPosition(id)
        name = f"person {id}"
        if name not in bodies:
            size = simulation.person.getLength(id), simulation.person.getWidth(id)
            bodies[name] = Body(AgentKind.PEDESTRIAN, *size)
        sights.append(Sight(name, x, y, simulation.person.getAngle(id), simulation.person.getSpeed(id)))
    return sights


def tracks_of(clip: Clip, bodies: dict[str, Body], origin: tuple[float, float], dt: float) -> tuple[Tracks, int]:
    """The tracks of a clip, in metres from `origin`, and how many teleports cut one in two.

    Velocities are differences of positions: sideways motion counts, which SUMO's speed leaves out.
    """
    steps = len(clip.seen)
    rows: dict[str, list[int]] = {}
    owner: list[str] = []
    states: list[dict[int, Sight]] = []
    for step, sights in enumerate(clip.seen):
        for sight in sights:
            mine = rows.setdefault(sight.id, [])
            last = states[mine[-1]].get(step - 1) if mine else None
            far = last and np.hypot(sight.x - last.x, sight.y - last.y) > max(sight.speed, last.speed) * dt + JUMP
            if not mine or far:
                mine.append(len(owner))
                owner.append(sight.id)
                states.append({})
            states[mine[-1]][step] = sight
    size = len(owner)
    front, angle = np.zeros((size, steps, 2)), np.zeros((size, steps))
    valid = np.zeros((size, steps), bool)
    for row, sights in enumerate(states):
        for step, sight in sights.items():
            front[row, step], angle[row, step], valid[row, step] = (sight.x, sight.y), sight.angle, True
    heading = np.where(valid, wrapped(np.pi / 2 - np.deg2rad(angle)), 0.0)
    length = np.array([bodies[id].length for id in owner])
    direction = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    on_foot = np.array([bodies[id].kind == AgentKind.PEDESTRIAN for id in owner], bool)
    back = np.where(on_foot, 0.0, 0.5 * length)  # a person's place is the middle of the body
    position = np.where(valid[..., None], front - back[:, None, None] * direction - np.array(origin), 0.0)
    tracks = Tracks(
        id=np.arange(size, dtype=np.int64),
        kind=np.array([int(bodies[id].kind) for id in owner], np.int64),
        length=length,
        width=np.array([bodies[id].width for id in owner]),
        position=position,
        heading=heading,
        velocity=velocities(position, valid, dt),
        valid=valid,
    )
    return tracks, size - len(rows)


def velocities(position: Float[np.ndarray, "I T 2"], valid: np.ndarray, dt: float) -> Float[np.ndarray, "I T 2"]:
    """Central differences of positions within every run of valid steps, one-sided at its ends; zero where alone."""
    ahead = np.concatenate([valid[:, 1:] & valid[:, :-1], np.zeros((len(valid), 1), bool)], axis=1)
    behind = np.concatenate([np.zeros((len(valid), 1), bool), ahead[:, :-1]], axis=1)
    step = np.zeros_like(position)
    step[:, :-1] = np.diff(position, axis=1)
    forth = np.where(ahead[..., None], step, 0.0)
    back = np.where(behind[..., None], np.roll(step, 1, axis=1), 0.0)
    number = ahead.astype(int) + behind
    return (forth + back) / np.maximum(number, 1)[..., None] / dt
