"""The road of a scene in the Nocturne/GPUDrive layout, as `waymo.road` takes it.

A stop sign stands on no lane in this layout, and lanes have neither limits nor links: `waymo.road` derives them.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.readers.centre_lines.lane_borders import Paint
from drivetrain.data.readers.centre_lines.lane_sampling import CentreLine
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.local_frame import MAX_EXTENT
from drivetrain.data.readers.waymo.controls import SeenLight, StopSign
from drivetrain.data.readers.waymo.road import (
    BICYCLE_LANE,
    MARKS,
    MAX_POINTS,
    STATES,
    Drawing,
    Roads,
    build,
    distinct,
)
from drivetrain.data.recordings.recording import Feature
from drivetrain.types import ElementKind, LightState

AREAS = {
    "crosswalk": ElementKind.CROSSWALK,
    "speed_bump": ElementKind.SPEED_BUMP,
    "driveway": ElementKind.DRIVEWAY,
}
_NAMES = ["unknown", "arrow_stop", "arrow_caution", "arrow_go", "stop", "caution", "go"]
_NAMES += ["flashing_stop", "flashing_caution"]
WORDS: dict[str, LightState] = dict(zip(_NAMES, STATES, strict=True))
"""Light states by word; files that number them number them as the dataset does."""
UNREADABLE = "map_features_unreadable"
NO_LANE = -(2**62)  # of a light whose key is no lane's id


def points(where: str, value: Any) -> Float[np.ndarray, "n 2"]:
    """A list of {"x", "y"} objects (or one of them) as an array."""
    items = value if isinstance(value, list) else [value]
    try:
        pairs = np.array([(item["x"], item["y"]) for item in items], np.float64)
        if pairs.size and pairs.shape != (len(items), 2):  # as lists under x and y
            raise ValueError
        return pairs.reshape(-1, 2)
    except (TypeError, KeyError, ValueError, OverflowError):
        refuse(where, "not a list of points with x and y", "give one object a point, with a number under x and under y")


def read_roads(file: str, scene: dict[str, Any], origin: Float[np.ndarray, "2"], steps: int) -> Roads:
    """Read `roads` and `tl_states` of a parsed scene. Raises `InputError` on what is not of the layout."""
    centres, paint, areas, signs = [], [], [], []
    notes: dict[str, int] = {}
    entries = readable(
        enumerate(scene["roads"]), lambda item: _entry(f"{file}: roads[{item[0]}]", *item, origin), notes, UNREADABLE
    )
    if sum(len(line) for *_, line in entries) > MAX_POINTS:
        refuse(f"{file}: roads", f"more than {MAX_POINTS} points", "split the scene")
    for kind, id, mark, line in entries:
        if kind == "lane":
            centres.append(CentreLine(id, line[:, :2], mark == BICYCLE_LANE, line[:, 2]))
        elif kind in ("road_line", "road_edge"):  # a line whose mark is not given counts as solid
            what = ElementKind.ROAD_EDGE if kind == "road_edge" else MARKS.get(mark, ElementKind.LINE_SOLID)
            paint.append(Paint(line[:, :2], what, height=line[:, 2]))
        elif kind in AREAS and len(line) >= 2:  # outlines, closed here
            ring = np.concatenate([line, line[:1]])
            areas.append(Feature(AREAS[kind], ring[:, :2], ring[:, 2]))
        elif kind == "stop_sign" and len(line):
            signs.append(StopSign(line[0, :2]))
    _check_unique(file, [centre.id for centre in centres])
    lights = _lights(file, scene.get("tl_states"), origin, steps, notes)
    roads = build(file, Drawing(tuple(centres), tuple(paint), tuple(areas), tuple(signs), lights))
    return dataclasses.replace(roads, notes=roads.notes | notes)


def _entry(
    where: str, row: int, entry: Any, origin: Float[np.ndarray, "2"]
) -> tuple[str, int, int, Float[np.ndarray, "n 3"]]:
    """The kind, id, mark and points of one entry of `roads`."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        refuse(where, "not an object with a type", "restore the file")
    line = _line(where, entry, origin)
    id, mark = entry.get("id", row), entry.get("map_element_id", 0)
    if type(id) is not int or type(mark) is not int:
        refuse(f"{where}: id", "id or map_element_id is not an integer", "restore the file")
    return entry["type"], id, mark, line


def _line(where: str, entry: dict[str, Any], origin: Float[np.ndarray, "2"]) -> Float[np.ndarray, "n 3"]:
    """The distinct points of an entry, with their heights (0 where the file gives none)."""
    geometry: Any = entry.get("geometry")
    flat = points(f"{where}: geometry", geometry) - origin
    heights = [item.get("z", 0.0) for item in (geometry if isinstance(geometry, list) else [geometry])]
    if not all(isinstance(z, int | float) and abs(z) < 1e9 for z in heights):
        refuse(f"{where}: geometry", "a height that is no finite number", "drop the point")
    if not (np.abs(flat) < MAX_EXTENT).all():
        refuse(f"{where}: geometry", f"a point more than {MAX_EXTENT:g} m away, or not finite", "drop the point")
    return distinct(np.column_stack([flat, np.array(heights, np.float64)]))


def _check_unique(file: str, lanes: list[int]) -> None:
    if len(set(lanes)) != len(lanes):
        twice = next(number for number in lanes if lanes.count(number) > 1)
        refuse(f"{file}: roads", f"two lanes with id {quote(str(twice))}", "make the ids unique")


def _lights(
    file: str, states: Any, origin: Float[np.ndarray, "2"], steps: int, notes: dict[str, int]
) -> tuple[SeenLight, ...]:
    if states is None:
        return ()
    if not isinstance(states, dict):
        refuse(f"{file}: tl_states", "not an object", "restore the file")

    def light(item: tuple[str, Any]) -> SeenLight:
        key, entry = item
        where = f"{file}: tl_states: {quote(key)}"
        if not isinstance(entry, dict):
            refuse(where, "not an object", "restore the file")
        digits = key.lstrip("-")
        lane = int(key) if digits.isascii() and digits.isdigit() and len(key) < 16 else NO_LANE
        return SeenLight(lane, _stop_point(where, entry) - origin, _states(where, entry, steps))

    return tuple(readable(states.items(), light, notes, "lights_unreadable"))


def _stop_point(where: str, entry: dict[str, Any]) -> Float[np.ndarray, "2"]:
    """A light's stop point: the median of those given, which do not move."""
    try:
        places = np.array([np.atleast_1d(np.array(entry[key], np.float64)) for key in ("x", "y")])
    except (KeyError, TypeError, ValueError, OverflowError):
        refuse(where, "no stop point x, y", "restore the file")
    if not places.size or places.ndim != 2 or not (np.abs(places) < 1e9).all():
        refuse(where, "stop points that are not finite numbers", "restore the file")
    return np.median(places, axis=1)


def _states(where: str, entry: dict[str, Any], steps: int) -> Int[np.ndarray, "T"]:
    """The light's state at every step; steps without a measurement are unknown."""
    words, times = entry.get("state"), entry.get("time_index")
    if times is None and isinstance(words, list):
        times = list(range(len(words)))
    if not isinstance(words, list) or not isinstance(times, list) or len(words) != len(times):
        refuse(where, "state and time_index are not lists of one length", "restore the file")
    result = np.full(steps, int(LightState.UNKNOWN))
    for word, time in zip(words, times, strict=True):
        if type(time) is not int or not 0 <= time < steps:
            refuse(f"{where}: time_index", quote(str(time)), f"give a step from 0 to {steps - 1}")
        if type(word) is int and 0 <= word < len(STATES):
            result[time] = int(STATES[word])
        elif isinstance(word, str):
            result[time] = int(WORDS.get(word.lower().removeprefix("lane_state_"), LightState.UNKNOWN))
        else:
            refuse(f"{where}: state", quote(str(word)), "give a word or number of the layout")
    return result
