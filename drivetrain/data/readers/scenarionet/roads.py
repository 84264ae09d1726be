"""The road of a ScenarioNet scene: its features told in the layout of `nocturne.roads`, and what that layout lacks.

Lanes come as centre lines; borders, neighbours and links are recovered from them (see `lane_recovery`). Then, in this
order: links and neighbours that the scene gives replace and veto those recovered; a border on a side without a
neighbour moves to the lane's own outline, where one is given. Lights without a stop point, and those of nuPlan, stand
at the start of their lane. What lies further than 200 m from every track is left out.
"""

import dataclasses
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.nocturne.roads import WORDS, read_roads
from drivetrain.data.readers.scenarionet.lanes import limited, linked, outlined, points_of, text_of
from drivetrain.data.readers.waymo.road import BICYCLE_LANE, MAX_POINTS, Roads
from drivetrain.data.recordings.recording import Tracks
from drivetrain.data.recordings.series import runs
from drivetrain.types import LightState

MAX_FEATURES = 50_000
REACH = 200.0  # m from the tracks
MARKS = {
    "ROAD_LINE_BROKEN_SINGLE_WHITE": 6,
    "ROAD_LINE_SOLID_SINGLE_WHITE": 7,
    "ROAD_LINE_SOLID_DOUBLE_WHITE": 8,
    "ROAD_LINE_BROKEN_SINGLE_YELLOW": 9,
    "ROAD_LINE_BROKEN_DOUBLE_YELLOW": 10,
    "ROAD_LINE_SOLID_SINGLE_YELLOW": 11,
    "ROAD_LINE_SOLID_DOUBLE_YELLOW": 12,
    "ROAD_LINE_PASSING_DOUBLE_YELLOW": 13,
    "UNKNOWN_LINE": 0,
    "UNKNOWN": 0,
}
"""Road lines as `nocturne.roads` numbers them."""
EDGES = {"ROAD_EDGE_BOUNDARY", "ROAD_EDGE_MEDIAN", "GUARDRAIL"}
AREAS = {"CROSSWALK": "crosswalk", "SPEED_BUMP": "speed_bump", "DRIVEWAY": "driveway"}
OUTLINED = {"nuscenes", "nuplan"}
"""Data sets whose features `boundary_…`, written as solid lines, are the outline of the drivable surface."""
UNLIMITED = {"nuscenes", "av2"}
"""Data sets whose speed limits are the writer's constant."""
AT_LANE_START = {"nuplan"}
"""Data sets whose light positions are for the eye."""
WITH_HEIGHTS = {"waymo", "av2"}
"""Data sets whose third coordinate is a height: nuScenes' is the lane's heading."""
LIGHTS_LEFT_OUT = "lights_unreadable"
LIGHTS = {"red": "stop", "yellow": "caution", "green": "go", "unknown": "unknown"}


def read_scene_roads(
    file: str, scene: dict[str, Any], dataset: str, origin: Float[np.ndarray, "2"], tracks: Tracks
) -> Roads:
    """Lanes, lines, lights and features, in the recording's frame. Raises `InputError` on what is not of the format."""
    notes = {"map_features_far_away": 0, "map_features_of_other_types": 0}
    features = _features(file, scene["map_features"], notes)
    if dataset not in WITH_HEIGHTS:
        features = {name: (item, points * (1.0, 1.0, 0.0)) for name, (item, points) in features.items()}
    area = _area(tracks, origin)
    entries: list[dict[str, Any]] = []
    lanes: dict[str, int] = {}
    for name, (feature, points) in features.items():
        kept = _parts(area, points, whole=_is_area(feature) or _is_lane(feature))
        notes["map_features_far_away"] += not kept
        for part in kept:
            entry = _entry(name, feature, dataset, part)
            if entry is None:
                notes["map_features_of_other_types"] += 1
                continue
            if entry["type"] == "lane":
                lanes[name] = len(lanes)
            entry["id"] = lanes.get(name, 0)
            entries.append(entry)
    lights = _lights(file, scene["dynamic_map_states"], features, dataset, lanes, notes)
    roads = read_roads(file, {"roads": entries, "tl_states": lights}, origin, tracks.valid.shape[1])
    given = {number: features[name] for name, number in lanes.items()}
    roads = outlined(linked(roads, given, lanes, notes), given, origin, notes)
    if dataset not in UNLIMITED:
        roads = limited(roads, given)
    unread = roads.notes.get(LIGHTS_LEFT_OUT, 0) + notes[LIGHTS_LEFT_OUT]
    return dataclasses.replace(roads, notes=roads.notes | notes | {LIGHTS_LEFT_OUT: unread})


# ---------------------------------------------------------------------------------------------------------- features


def _is_lane(feature: dict[str, Any]) -> bool:
    return text_of(feature.get("type")).startswith("LANE_")


def _is_area(feature: dict[str, Any]) -> bool:
    return text_of(feature.get("type")) in AREAS


def _features(
    file: str, items: dict[Any, Any], notes: dict[str, int]
) -> dict[str, tuple[dict[str, Any], Float[np.ndarray, "_ 3"]]]:
    """Every feature with its points in space: a polygon's where it is an area, a point where it is a stop sign."""
    if len(items) > MAX_FEATURES:
        refuse(f"{file}: map_features", f"{len(items)} of them", f"give at most {MAX_FEATURES}")
    if len({str(key) for key in items}) != len(items):
        refuse(f"{file}: map_features", "two features with one id", "make the ids unique")

    def read_one(item: tuple[Any, Any]) -> tuple[str, tuple[dict[str, Any], Float[np.ndarray, "_ 3"]]]:
        key, feature = item
        where = f"{file}: map_features: {quote(str(key))}"
        if not isinstance(feature, dict) or not isinstance(feature.get("type"), str):
            refuse(where, "no dict with a type", "restore the file")
        word = "polygon" if _is_area(feature) else "position" if feature["type"] == "STOP_SIGN" else "polyline"
        value = feature.get(word)
        if value is None and word == "polyline" and not _is_lane(feature):
            value = feature.get("polygon", [])
        return str(key), (feature, points_of(f"{where}: {word}", value, columns=3))

    features = readable(items.items(), read_one, notes, "map_features_unreadable")
    if sum(len(line) for _, (_, line) in features) > MAX_POINTS:
        refuse(f"{file}: map_features", f"more than {MAX_POINTS} points", "split the scene")
    return dict(features)


def _entry(name: str, feature: dict[str, Any], dataset: str, points: Float[np.ndarray, "_ 3"]) -> dict[str, Any] | None:
    """The feature as an entry of `roads`; None for what no road is made of."""
    kind = str(feature["type"])
    entry: dict[str, Any] = {"geometry": [{"x": x, "y": y, "z": z} for x, y, z in points.tolist()]}
    if _is_lane(feature):
        return entry | {"type": "lane", "map_element_id": BICYCLE_LANE if kind == "LANE_BIKE_LANE" else 2}
    if kind in EDGES or (dataset in OUTLINED and name.startswith("boundary_") and kind in MARKS):
        return entry | {"type": "road_edge"}
    if kind in MARKS:
        return entry | {"type": "road_line", "map_element_id": MARKS[kind]}
    if kind in AREAS:
        return entry | {"type": AREAS[kind]}
    return entry | {"type": "stop_sign"} if kind == "STOP_SIGN" else None


def _area(tracks: Tracks, origin: Float[np.ndarray, "2"]) -> shapely.Geometry:
    """What lies near a scene's tracks, in the source's frame: squares around the cells of a raster that they touch."""
    cells = np.unique(np.round((tracks.position[tracks.valid] + origin) / REACH), axis=0) * REACH
    half = 1.5 * REACH  # half a cell, and the reach
    area = shapely.union_all(shapely.box(*(cells - half).T, *(cells + half).T))
    shapely.prepare(area)
    return area


def _parts(area: shapely.Geometry, points: Float[np.ndarray, "_ 3"], whole: bool) -> list[Float[np.ndarray, "_ 3"]]:
    """The stretches of a line that have a point in the area, or all of it where some has."""
    inside = shapely.contains_xy(area, points[:, :2])
    if whole or len(points) < 2 or inside.all():
        return [points] if inside.any() else []
    kept = inside.copy()
    kept[1:] |= inside[:-1]
    kept[:-1] |= inside[1:]
    return [points[run] for run in runs(kept) if run.stop - run.start > 1]


# ------------------------------------------------------------------------------------------------------------- lights


def _lights(
    file: str,
    states: dict[Any, Any],
    features: dict[str, Any],
    dataset: str,
    lanes: dict[str, int],
    notes: dict[str, int],
) -> dict[str, dict[str, Any]]:
    """The lights as `nocturne.roads` reads them, by the number of their lane; negative where it is not there."""
    lights: dict[str, dict[str, Any]] = {}

    def read_one(item: tuple[Any, Any]) -> None:
        key, light = item
        where = f"{file}: dynamic_map_states: {quote(str(key))}"
        if not isinstance(light, dict) or not isinstance(light.get("state"), dict):
            refuse(where, "no dict with a state", "restore the file")
        lane = _first(light.get("lane", light["state"].get("lane")))
        lane = text_of(key if lane is None else lane)
        words = light["state"].get("object_state")
        if not isinstance(words, list | tuple | np.ndarray) or not len(words):
            refuse(f"{where}: object_state", "missing", "give one state a step")
        stop = _first(light.get("stop_point", light["state"].get("stop_point")))
        if stop is None or dataset in AT_LANE_START:
            stop = features[lane][1][:1] if lane in lanes else np.zeros((1, 2))
        places = points_of(f"{where}: stop_point", stop)
        if not len(places):
            refuse(f"{where}: stop_point", "no point", "give the place at which one stops")
        x, y = places[0]
        number = lanes.get(lane, -1 - len(lights))
        if str(number) in lights:
            refuse(where, "two lights for one lane", "keep one")
        lights[str(number)] = {"x": [x], "y": [y], "state": [_word(word) for word in words]}

    readable(states.items(), read_one, notes, LIGHTS_LEFT_OUT)
    return lights


def _first(value: Any) -> Any:
    """What a light gives once, or the first of what it gives at every step."""
    if isinstance(value, list | tuple) and value and not isinstance(value[0], int | float | np.number):
        return next((item for item in value if item is not None), None)
    return value[0] if isinstance(value, np.ndarray) and value.ndim == 2 and len(value) else value


def _word(word: Any) -> str:
    """A state in the words of `nocturne.roads`; what is unknown or missing is unknown."""
    text = text_of(word).lower().removeprefix("lane_state_").removeprefix("traffic_light_") if word is not None else ""
    text = LIGHTS.get(text, text)
    return text if text in WORDS else LightState.UNKNOWN.name.lower()
