"""The Scenario messages of Waymo Open Motion: tracks, the lane graph, and light states by step.

Format: `scenario.proto` and `map.proto` of https://github.com/waymo-research/waymo-open-dataset.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.centre_lines.lane_borders import Paint
from drivetrain.data.readers.centre_lines.lane_sampling import CentreLine, Links, Stretch
from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.local_frame import MAX_EXTENT
from drivetrain.data.readers.waymo.controls import StopSign
from drivetrain.data.readers.waymo.lights import Seen, lights_of
from drivetrain.data.readers.waymo.road import BICYCLE_LANE, MARKS, MAX_POINTS, Drawing, distinct
from drivetrain.data.readers.waymo.tracks import MAX_OBJECTS, MAX_STEPS, States
from drivetrain.data.recordings.polylines import arc_lengths
from drivetrain.data.recordings.recording import Feature
from drivetrain.types import ElementKind

MAX_FEATURES = 100_000
MAX_SPEED_LIMIT = 150.0  # mph
MILES_AN_HOUR = 0.44704  # m/s
LINE_MARK = 5  # from a road line's type to its number in `MARKS`
LINE, EDGE = "line", "edge"
AREAS = {"crosswalk": ElementKind.CROSSWALK, "bump": ElementKind.SPEED_BUMP, "driveway": ElementKind.DRIVEWAY}


def read_states(where: str, scenario: Any) -> States:
    """Every track's states. Raises `InputError` where there are none, too many, or not as many as times."""
    steps = len(scenario.times)
    if not 0 < len(scenario.tracks) <= MAX_OBJECTS or not 2 <= steps <= MAX_STEPS:
        what = f"{len(scenario.tracks)} tracks of {steps} steps"
        refuse(f"{where}: tracks", what, f"give 1 to {MAX_OBJECTS} tracks of 2 to {MAX_STEPS} steps")
    for track in scenario.tracks:
        if len(track.states) != steps:
            what = f"{len(track.states)} states at {steps} timestamps"
            refuse(f"{where}: track {track.id}", what, "give one state a timestamp")
    values = np.array(
        [
            [
                (s.x, s.y, s.length, s.width, s.heading, s.velocity_x, s.velocity_y, s.valid, s.z, s.height)
                for s in track.states
            ]
            for track in scenario.tracks
        ],
        np.float64,
    )
    return States(
        id=np.array([track.id for track in scenario.tracks], np.int64),
        type=np.array([track.type for track in scenario.tracks], np.int64),
        position=values[..., 0:2],
        size=values[..., 2:4],
        heading=values[..., 4],
        velocity=values[..., 5:7],
        valid=values[..., 7] > 0,
        z=values[..., 8],
        tall=values[..., 9],
    )


def read_ego(scenario: Any, notes: dict[str, int]) -> tuple[int, ...]:
    """The id of the track that the record marks as its own car; a mark at none is counted."""
    if not scenario.HasField("ego"):
        return ()
    marked = 0 <= scenario.ego < len(scenario.tracks)
    notes["marks_at_no_object"] = int(not marked)
    return (scenario.tracks[scenario.ego].id,) if marked else ()


def read_drawing(where: str, scenario: Any, origin: Float[np.ndarray, "2"], notes: dict[str, int]) -> Drawing:
    """The map's features and the lights, in the recording's frame."""
    if len(scenario.features) > MAX_FEATURES:
        refuse(f"{where}: map_features", f"{len(scenario.features)} of them", f"give up to {MAX_FEATURES}")
    ids = [feature.id for feature in scenario.features]
    if len(set(ids)) != len(ids):
        unique, times = np.unique(ids, return_counts=True)
        refuse(f"{where}: map_features", f"two with id {unique[times > 1][0]}", "make the ids unique")
    _check_points(where, scenario)
    read = readable(
        scenario.features,
        lambda feature: _elements(f"{where}: map feature {feature.id}", feature, origin, notes),
        notes,
        "map_features_unreadable",
    )
    elements = [element for some in read for element in some]
    seen = [
        Seen(state.lane, step, state.state, (state.stop.x - origin[0], state.stop.y - origin[1]))
        for step, lights in enumerate(scenario.lights)
        for state in lights.lanes
    ]
    lights = lights_of(where, seen, len(scenario.times), notes)
    return Drawing(
        centres=tuple(element for element in elements if isinstance(element, CentreLine)),
        paint=tuple(element for element in elements if isinstance(element, Paint)),
        areas=tuple(element for element in elements if isinstance(element, Feature)),
        signs=tuple(element for element in elements if isinstance(element, StopSign)),
        lights=lights,
    )


def _elements(
    where: str, feature: Any, origin: Float[np.ndarray, "2"], notes: dict[str, int]
) -> list[CentreLine | Paint | StopSign | Feature]:
    """What one feature of the map draws."""
    elements: list[CentreLine | Paint | StopSign | Feature] = []
    if feature.HasField("lane"):
        elements.append(_lane(where, feature, origin, notes))
    elif feature.HasField(LINE) or feature.HasField(EDGE):
        elements.append(_paint(where, feature, origin))
    elif feature.HasField("sign"):
        position = _points(where, [feature.sign.position], origin)[0, :2]
        elements.append(StopSign(position, tuple(feature.sign.lanes) or None))
    for name, kind in AREAS.items():
        if feature.HasField(name) and len(outline := _points(where, getattr(feature, name).points, origin)) >= 2:
            ring = np.concatenate([outline, outline[:1]])
            elements.append(Feature(kind, ring[:, :2], ring[:, 2]))
    return elements


def _check_points(where: str, scenario: Any) -> None:
    total = 0
    for feature in scenario.features:
        total += len(feature.lane.points) + len(feature.line.points) + len(feature.edge.points)
        total += sum(len(getattr(feature, name).points) for name in AREAS)
    if total > MAX_POINTS:
        refuse(f"{where}: map_features", f"{total} points", f"give up to {MAX_POINTS}")


def _points(where: str, points: Iterable[Any], origin: Float[np.ndarray, "2"]) -> Float[np.ndarray, "n 3"]:
    """Points with their heights, in the recording's frame."""
    coordinates = np.array([(p.x, p.y, p.z) for p in points], np.float64).reshape(-1, 3) - (*origin, 0.0)
    if not (np.abs(coordinates) < MAX_EXTENT).all():
        refuse(where, f"a point more than {MAX_EXTENT:g} m away, or not finite", "drop the point")
    return coordinates


def _lane(where: str, feature: Any, origin: Float[np.ndarray, "2"], notes: dict[str, int]) -> CentreLine:
    lane, limit = feature.lane, feature.lane.speed_limit_mph
    points = _points(where, lane.points, origin)
    if not 0.0 <= limit <= MAX_SPEED_LIMIT:
        notes["speed_limits_unreadable"] = notes.get("speed_limits_unreadable", 0) + 1
        limit = 0.0
    notes["lanes_interpolating"] = notes.get("lanes_interpolating", 0) + lane.interpolating
    notes["lane_speed_limits_given"] = notes.get("lane_speed_limits_given", 0) + (limit > 0)
    arc = arc_lengths(points[:, :2]) if len(points) else np.zeros(1)
    left, right = (_stretches(arc, parts, "lane") for parts in (lane.left, lane.right))
    borders = [_stretches(arc, parts, "feature") for parts in (lane.left_borders, lane.right_borders)]
    line = distinct(points)
    return CentreLine(
        id=feature.id,
        points=line[:, :2],
        bicycle=lane.type == BICYCLE_LANE,
        height=line[:, 2],
        speed_limit=limit * MILES_AN_HOUR,
        links=Links(tuple(lane.exits), left, right, borders[0], borders[1]),
    )


def _stretches(arc: Float[np.ndarray, "n"], parts: Iterable[Any], field: str) -> tuple[Stretch, ...]:
    """Stretches from indices of a lane's points to metres along it."""
    last = len(arc) - 1
    return tuple(
        Stretch(getattr(part, field), *(float(arc[min(max(row, 0), last)]) for row in (part.first, part.last)))
        for part in parts
    )


def _paint(where: str, feature: Any, origin: Float[np.ndarray, "2"]) -> Paint:
    """A road line or edge; a line whose type is not given counts as solid."""
    drawn = feature.edge if feature.HasField(EDGE) else feature.line
    kind = MARKS.get(drawn.type + LINE_MARK, ElementKind.LINE_SOLID)
    line = distinct(_points(where, drawn.points, origin))
    return Paint(line[:, :2], ElementKind.ROAD_EDGE if feature.HasField(EDGE) else kind, feature.id, line[:, 2])
