"""A recording compiled: its road by station and segment, its log, and a route for every agent that could be controlled.

Recording → draft (arrays of their own size) → pack (fixed shapes) → Scenario
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.compile.cropping import agents_kept, crop_egos, crop_lines, elements_kept, lanes_beyond, shorten
from drivetrain.data.compile.drafting import MOVED, SEEN, Candidate, Draft, draft, route_lines
from drivetrain.data.recordings.recording import Recording
from drivetrain.data.recordings.telling import Told, silent
from drivetrain.data.roads.elements import Elements
from drivetrain.data.roads.lanes import Mending
from drivetrain.data.roads.levels import line_heights
from drivetrain.data.routes.routing import Path
from drivetrain.types import (
    Agents,
    Bodies,
    ControlKind,
    Cross,
    Egos,
    InputError,
    LightState,
    Log,
    Map,
    Route,
    Scenario,
)

LINKS = 4
"""Successors that `types.Map` keeps of each lane."""


@dataclass(frozen=True)
class CompileReport:
    """What compiling made, mended and left out of one recording."""

    name: str
    candidates: tuple[Candidate, ...]
    mending: Mending
    cropped: dict[str, int]  # for want of room: steps, egos, agents, elements, lines (see `cropping`)
    lanes_left_out: int  # permissible lanes beyond the slots of their routes, all routes together
    opened: int  # places where a given edge led across a lane
    corridors: dict[str, int]  # borders that routes go beyond, by rule (see `data/routes/corridors.py`)
    lines_left_out: int  # control lines beyond those that a route has room for, all routes together
    drives: int = 0  # that an empty map offers

    def undriven(self) -> str:
        """Why nobody can be driven, in words, with the thresholds."""
        words = {
            "short": f"seen for less than {SEEN:g} s without a gap",
            "parked": f"moving less than {MOVED:g} m",
            "coupled": "towing or towed",
            "no_lane": "on no lane",
            "no_route": "without a route along the lanes",
            "other_kinds": "on lanes for other kinds",
        }
        causes = Counter(words.get(candidate.cause, candidate.cause) for candidate in self.candidates)
        return ", ".join(f"{count} {cause}" for cause, count in causes.items()) or "no vehicles"

    @property
    def notes(self) -> dict[str, int]:
        """Counts by name, of what is not zero."""
        causes = [f"not_driven_{c.cause}" for c in self.candidates if c.cause]
        counts = {cause: causes.count(cause) for cause in sorted(set(causes))} | {
            "border_points_mended": self.mending.points,
            "neighbours_dropped": self.mending.neighbours_dropped,
            "lanes_dropped": self.mending.lanes_dropped,
            "run_outs_added": self.mending.lanes_added_ahead,
            "run_ins_added": self.mending.lanes_added_behind,
            **{f"cropped_{name}": number for name, number in self.cropped.items()},
            "route_lanes_left_out": self.lanes_left_out,
            "route_lines_left_out": self.lines_left_out,
            "drives_offered": self.drives,
            "drives_trimmed_to_the_road": sum(c.trimmed > 0 for c in self.candidates if not c.cause),
            "drives_trimmed_steps": sum(c.trimmed for c in self.candidates if not c.cause),
            "edges_opened_where_lanes_cross": self.opened,
            **{f"corridor_{rule}": borders for rule, borders in self.corridors.items()},
        }
        return {name: count for name, count in counts.items() if count}


def compile_recording(recording: Recording, capacity: Capacity | None = None) -> tuple[Scenario, CompileReport]:
    """A recording as fixed shapes (NumPy arrays), and what was done to it; without a capacity, in shapes that just fit.

    What exceeds the capacity is cropped as `cropping` says, and counted. Raises `InputError` where the stations or the
    lanes of its map, or the stations of a route, do not fit.
    """
    recording, cut = shorten(recording, capacity.steps if capacity else recording.tracks.valid.shape[1])
    drafted = draft(recording)
    scenario, report = pack(drafted, capacity or capacity_of([drafted]))
    return scenario, dataclasses.replace(report, cropped=report.cropped | {"steps": cut})


def compile_within(recording: Recording, most: Capacity, told: Told = silent) -> tuple[Scenario, CompileReport]:
    """As `compile_recording`, in shapes that just fit, but none larger than `most`; an empty map is whole."""
    recording, cut = shorten(recording, most.steps)
    drafted = draft(recording, told)
    needed = capacity_of([drafted])
    if not recording.tracks.valid.any():
        most = dataclasses.replace(most, elements=needed.elements, lines=needed.lines)
    sizes = {name: min(size, getattr(most, name)) for name, size in vars(needed).items()}
    sizes |= {"stations": needed.stations, "lanes": needed.lanes, "route_stations": needed.route_stations}
    check_room(drafted, most)
    scenario, report = pack(drafted, Capacity(**sizes))
    return scenario, dataclasses.replace(report, cropped=report.cropped | {"steps": cut})


def measure(recordings: Iterable[Recording]) -> Capacity:
    """The least capacity that holds these recordings whole."""
    return capacity_of([draft(recording) for recording in recordings])


def capacity_of(drafts: Iterable[Draft]) -> Capacity:
    """The least capacity that holds these drafts whole; at least 1 of everything."""
    drafts = list(drafts)
    sizes = [
        (
            int(d.recording.tracks.valid.any(axis=1).sum()),
            d.recording.tracks.valid.shape[1],
            len(d.elements.kind),
            len(d.lanes.left),
            len(d.lanes.count),
            len(d.recording.control_lines),
            len(d.paths),
            max((len(path.reference) for path in d.paths), default=0),
        )
        for d in drafts
    ]
    levels = any(d.lanes.height is not None for d in drafts)
    return Capacity(*(max(1, *column) for column in zip(*sizes, strict=True)), levels=int(levels))


def pack(drafted: Draft, capacity: Capacity) -> tuple[Scenario, CompileReport]:
    """A draft as fixed shapes. See `compile_recording`; a draft of too many steps raises `InputError`."""
    drafted, egos_cropped = crop_egos(
        drafted, min(capacity.egos, capacity.agents if drafted.candidates else capacity.egos)
    )
    drafted, lines_cropped = crop_lines(drafted, capacity.lines)
    check_room(drafted, capacity)
    egos = [c.track for c in drafted.candidates if not c.cause]
    columns, agents_cropped = agents_kept(drafted.recording.tracks, egos, capacity.agents)
    elements, elements_cropped = elements_kept(drafted, capacity.elements)
    routes = [route_lines(drafted, path) for path in drafted.paths]
    report = CompileReport(
        name=drafted.recording.name,
        candidates=drafted.candidates,
        mending=drafted.mending,
        cropped={
            "steps": 0,
            "egos": egos_cropped,
            "agents": agents_cropped,
            "elements": elements_cropped,
            "lines": lines_cropped,
        },
        lanes_left_out=sum(path.left_out + lanes_beyond(path, capacity.route_lanes) for path in drafted.paths),
        opened=drafted.elements.opened,
        corridors=drafted.corridors.counts(drafted.paths),
        lines_left_out=sum(max(len(lines) - capacity.route_lines, 0) for lines in routes),
        drives=0 if drafted.candidates else len(drafted.paths),
    )
    scenario = Scenario(
        map=_map(drafted, elements, capacity),
        log=_log(drafted.recording, columns, capacity),
        egos=_egos(drafted, columns, routes, capacity),
    )
    return scenario, report


# -------------------------------------------------------------------------------------------------------------- packing


def check_room(drafted: Draft, capacity: Capacity) -> None:
    """What cannot be cropped: a lane is part of a graph, and a route is driven to its end."""
    needed = capacity_of([drafted])
    for name in ("steps", "stations", "lanes", "route_stations", "levels"):
        if getattr(needed, name) > getattr(capacity, name):
            has, room = getattr(needed, name), getattr(capacity, name)
            raise InputError(
                f"{drafted.recording.file}: {name}: {has} in a capacity of {room} (measure the capacity again)"
            )


def _padded(array: np.ndarray, shape: tuple[int, ...], dtype: type, fill: int = 0) -> np.ndarray:
    larger = np.full(shape, fill, dtype)
    larger[tuple(slice(size) for size in array.shape)] = array
    return larger


def _heights(
    height: Float[np.ndarray, "..."] | None, shape: tuple[int, ...], capacity: Capacity
) -> Float[np.ndarray, "..."] | None:
    """Heights padded; zeros where this recording has none, and None where the dataset has no levels."""
    if not capacity.levels:
        return None
    return np.zeros(shape, np.float32) if height is None else _padded(height, shape, np.float32)


def _map(drafted: Draft, elements: Elements, capacity: Capacity) -> Map:
    lanes, recording, c = drafted.lanes, drafted.recording, capacity
    successors = np.full((len(lanes.count), LINKS), -1)
    for lane, following in enumerate(lanes.successors):
        successors[lane, : len(following[:LINKS])] = following[:LINKS]
    lights = {light.id: light for light in recording.lights}
    lines = recording.control_lines
    hanging = [lights.get(line.light) if line.light is not None else None for line in lines]
    judged = [
        line.kind == ControlKind.STOP_SIGN or (line.kind == ControlKind.LIGHT and light is not None and light.recorded)
        for line, light in zip(lines, hanging, strict=True)
    ]
    place = [np.zeros(2) if light is None or light.position is None else light.position for light in hanging]
    return Map(
        elements=_padded(elements.segments, (c.elements, 4), np.float32),
        element_kind=_padded(elements.kind, (c.elements,), np.int32),
        stations=_padded(_cross_sections(drafted), (c.stations, len(Cross)), np.float32),
        station_lane=_padded(lanes.lane, (c.stations,), np.int32, -1),
        lane_first=_padded(lanes.first, (c.lanes,), np.int32),
        lane_count=_padded(lanes.count, (c.lanes,), np.int32),
        lane_successors=_padded(successors, (c.lanes, LINKS), np.int32, -1),
        lane_neighbours=_padded(lanes.neighbours, (c.lanes, 2), np.int32, -1),
        lines=_padded(np.array([line.ends.ravel() for line in lines]).reshape(-1, 4), (c.lines, 4), np.float32),
        line_kind=_padded(np.array([line.kind for line in lines], int), (c.lines,), np.int32),
        line_judged=_padded(np.array(judged, bool), (c.lines,), np.bool_),
        light_position=_padded(np.array(place).reshape(-1, 2), (c.lines, 2), np.float32),
        element_height=_heights(elements.height, (c.elements,), c),
        station_height=_heights(lanes.height, (c.stations,), c),
        line_height=_heights(line_heights(recording, lanes), (c.lines,), c),
    )


def _cross_sections(drafted: Draft) -> Float[np.ndarray, "Q 11"]:
    lanes = drafted.lanes
    sections = np.empty((len(lanes.left), len(Cross)))
    sections[:, Cross.LEFT_X : Cross.RIGHT_X] = lanes.left
    sections[:, Cross.RIGHT_X : Cross.CENTRE_X] = lanes.right
    sections[:, Cross.CENTRE_X : Cross.COS] = lanes.centre
    sections[:, Cross.COS : Cross.LIMIT] = lanes.tangent
    sections[:, Cross.LIMIT] = lanes.limit[lanes.lane]
    sections[:, Cross.WIDE_LEFT :] = drafted.corridors.width
    return sections


def _log(recording: Recording, columns: Int[np.ndarray, "a"], capacity: Capacity) -> Log:
    tracks, steps, agents = recording.tracks, capacity.steps, capacity.agents
    valid = tracks.valid[columns].T
    angle = tracks.heading[columns].T
    heading = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    states = {light.id: light.states for light in recording.lights}
    unknown = np.full(valid.shape[0], int(LightState.UNKNOWN))
    shown = [unknown if line.light is None else states.get(line.light, unknown) for line in recording.control_lines]
    lights = np.array(shown, int).reshape(len(shown), valid.shape[0]).T
    seen = valid[..., None]
    height = None if tracks.height is None else tracks.height[columns].T * valid
    return Log(
        agents=Agents(
            position=_padded(tracks.position[columns].swapaxes(0, 1) * seen, (steps, agents, 2), np.float32),
            heading=_padded(heading * seen, (steps, agents, 2), np.float32),
            velocity=_padded(tracks.velocity[columns].swapaxes(0, 1) * seen, (steps, agents, 2), np.float32),
            valid=_padded(valid, (steps, agents), np.bool_),
            height=_heights(height, (steps, agents), capacity),
        ),
        bodies=Bodies(
            length=_padded(tracks.length[columns], (agents,), np.float32),
            width=_padded(tracks.width[columns], (agents,), np.float32),
            kind=_padded(tracks.kind[columns], (agents,), np.int32),
        ),
        lights=_padded(lights, (steps, capacity.lines), np.int32),
        steps=np.asarray(valid.shape[0], np.int32),
    )


def _egos(
    drafted: Draft, columns: Int[np.ndarray, "a"], lines: list[list[tuple[float, int]]], capacity: Capacity
) -> Egos:
    driven = [c for c in drafted.candidates if not c.cause]
    routes = [_route(path, met, capacity) for path, met in zip(drafted.paths, lines, strict=True)]
    blank = Route(
        stations=np.full((capacity.route_stations, capacity.route_lanes), -1, np.int32),
        flags=np.zeros((capacity.route_stations, capacity.route_lanes), np.uint32),
        reference=np.zeros(capacity.route_stations, np.int32),
        length=np.asarray(0, np.int32),
        lines=np.full(capacity.route_lines, -1, np.int32),
        line_station=np.zeros(capacity.route_lines, np.float32),
    )
    routes += [blank] * (capacity.egos - len(routes))
    room = (capacity.egos,)
    stacked = {name: np.stack([getattr(route, name) for route in routes]) for name in Route.__dataclass_fields__}
    fields = {
        "track": _padded(np.searchsorted(columns, [c.track for c in driven]), room, np.int32, -1),
        "first": _padded(np.array([c.first for c in driven], int), room, np.int32),
        "last": _padded(np.array([c.last for c in driven], int), room, np.int32),
        "route": past_shapes(Route, stacked),
        "cursor": _padded(np.array([path.cursor for path in drafted.paths], int), room, np.int32),
        "log_distance": _padded(np.array([path.distance for path in drafted.paths], float), room, np.float32),
    }
    return past_shapes(Egos, fields)


def _route(path: Path, met: list[tuple[float, int]], capacity: Capacity) -> Route:
    """A route padded; of its control lines those nearest to its start."""
    shape, met = (capacity.route_stations, capacity.route_lanes), met[: capacity.route_lines]
    return Route(
        stations=_padded(path.stations[:, : capacity.route_lanes], shape, np.int32, -1),
        flags=_padded(path.flags[:, : capacity.route_lanes], shape, np.uint32),
        reference=_padded(path.reference, shape[:1], np.int32),
        length=np.asarray(len(path.reference), np.int32),
        lines=_padded(np.array([line for _, line in met], int), (capacity.route_lines,), np.int32, -1),
        line_station=_padded(np.array([at for at, _ in met], float), (capacity.route_lines,), np.float32),
    )


def past_shapes(cls: Any, fields: dict[str, Any]) -> Any:
    """A record of stacked arrays, made past its constructor, which is held to the shapes of a single one."""
    value = object.__new__(cls)
    for name, array in fields.items():
        object.__setattr__(value, name, array)
    return value
