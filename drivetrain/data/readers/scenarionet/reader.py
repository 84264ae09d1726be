"""ScenarioNet scenes: the pickles in which nuPlan, nuScenes, Waymo, Lyft and Argoverse scenes are exchanged.

Format: the scenario description of MetaDrive (Q. Li et al.: ScenarioNet: Open-source platform for large-scale traffic
scenario simulation and modeling, NeurIPS 2023): `tracks`, `map_features`, `dynamic_map_states`, `metadata`. Files are
`sd_*.pkl` (also packed with xz or gzip); they are read by `restricted_pickle`, which runs nothing.

What its writers leave to be known, by data set: nuScenes gives the ego at its rear axle, and its limits of 100 km/h are
no limits; nuPlan's lights hang 8 m into the junction. Vehicles wider than long have their sizes turned.
"""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from drivetrain.data.readers.body_sizes import MAX_SIZE, SIZES
from drivetrain.data.readers.ground_heights import ground_heights
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.local_frame import centred
from drivetrain.data.readers.restricted_pickle import load
from drivetrain.data.readers.scenarionet.lanes import text_of
from drivetrain.data.readers.scenarionet.roads import WITH_HEIGHTS, read_scene_roads
from drivetrain.data.readers.waymo import tracks as waymo_tracks
from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.types import VEHICLES, AgentKind

SCENE = re.compile(r"(sd_.*|[0-9]+)\.pkl(\.xz|\.gz)?")
MAX_TRACKS = 4096
MAX_STEPS = 36_000  # an hour at 10 Hz
MAX_STATES = 4_000_000  # tracks x steps: memory
JITTER = 0.5  # of a step: how far a time stamp may be off
SCALES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}  # by the step: 0.01 to 1 s in each, which tells them apart
KINDS = {
    "VEHICLE": AgentKind.CAR,
    "PEDESTRIAN": AgentKind.PEDESTRIAN,
    "CYCLIST": AgentKind.BICYCLE,
}
SUBTYPES = (  # words of a data set's own type, the first that is found
    ("trailer", AgentKind.OTHER),
    ("bus", AgentKind.BUS),
    ("truck", AgentKind.TRUCK),
    ("construction_worker", AgentKind.PEDESTRIAN),
    ("construction", AgentKind.TRUCK),
    ("motorcycle", AgentKind.MOTORCYCLE),
)
AXLE_TO_CENTRE = {"nuscenes": 1.385}
"""Where a data set gives the ego at its rear axle, m to the box's centre: a Renault Zoe, 4.084 m long, 0.657 m of it
behind the axle."""
SOURCES = {
    "waymo": (waymo_tracks.SOURCE, waymo_tracks.LICENCE),
    "nuscenes": ("nuScenes", "CC BY-NC-SA 4.0"),
    "nuplan": ("nuPlan", "CC BY-NC-SA 4.0"),
    "lyft": ("Lyft Level 5", "CC BY-NC-SA 4.0"),
    "av2": ("Argoverse 2", "CC BY-NC-SA 4.0"),
}


class Object(NamedTuple):
    """One road user, by step, in the source's frame."""

    kind: AgentKind
    length: float
    width: float
    sized: bool
    position: Float[np.ndarray, "T 2"]
    heading: Float[np.ndarray, "T"]
    velocity: Float[np.ndarray, "T 2"]
    valid: Bool[np.ndarray, "T"]
    z: Float[np.ndarray, "T"] | None  # of the box's middle
    tall: float


def find(source: str) -> list[str]:
    """The scene files below a path (or the file itself), sorted; summaries and mappings are no scenes."""
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "name a scene or a folder of scenes")
    return sorted(str(path) for path in Path(source).rglob("*") if SCENE.fullmatch(path.name) and path.is_file())


def read(file: str) -> Recording:
    """Read one scene. Its name is the file's; its origin is the middle of the tracks.

    Raises:
        InputError: one line, on anything that is not of the format or cannot be trusted.
    """
    scene = load(file)
    if not isinstance(scene, dict):
        refuse(file, f"a {type(scene).__name__}, not a scene", "name a scene's file, not a summary")
    for key in ("tracks", "map_features", "dynamic_map_states", "metadata"):
        if not isinstance(scene.get(key), dict):
            refuse(f"{file}: {key}", "missing or no dict", "give a scene of ScenarioNet")
    metadata, notes = scene["metadata"], {}
    steps = _steps(file, scene)
    dt = _dt(file, metadata, steps)
    dataset = _text(metadata, "dataset").lower()
    objects, ids = _objects(file, scene["tracks"], steps, dt, notes)
    marked = _marked(metadata, {name: id for name, id in ids.items() if id in objects}, notes)
    if marked and dataset in AXLE_TO_CENTRE:
        objects[marked[0]] = _centred(objects[marked[0]], AXLE_TO_CENTRE[dataset])
        notes["ego_moved_from_axle_to_centre"] = 1
    tracks, origin = centred(f"{file}: tracks", _tracks(objects))
    if dataset not in WITH_HEIGHTS:
        tracks = dataclasses.replace(tracks, height=None)
    roads = read_scene_roads(file, scene, dataset, origin, tracks)
    source, licence = SOURCES.get(dataset, (_text(metadata, "dataset") or "ScenarioNet", ""))
    return Recording(
        name=re.sub(r"\.pkl(\.xz|\.gz)?$", "", Path(file).name),
        file=file,
        dt=dt,
        tracks=tracks,
        lanes=roads.lanes,
        control_lines=roads.control_lines,
        lights=roads.lights,
        features=roads.features,
        group=" ".join(filter(None, (dataset, _text(metadata, "log_name") or _text(metadata, "scenario_id")))),
        source=source,
        licence=licence,
        marked=tuple(id for id in marked if id in tracks.id),
        origin=(float(origin[0]), float(origin[1])),
        notes={name: count for name, count in (notes | roads.notes).items() if count},
    )


def _text(metadata: dict[str, Any], key: str) -> str:
    """A word of the metadata; empty where it is missing, long, or not printable."""
    value = metadata.get(key)
    return value if isinstance(value, str) and value.isprintable() and len(value) < 100 else ""


def _steps(file: str, scene: dict[str, Any]) -> int:
    steps, tracks = scene.get("length"), len(scene["tracks"])
    if not isinstance(steps, int | np.integer) or not 2 <= steps <= MAX_STEPS:
        refuse(f"{file}: length", quote(text_of(steps)), f"give 2 to {MAX_STEPS} steps")
    if not 0 < tracks <= MAX_TRACKS or tracks * steps > MAX_STATES:
        refuse(f"{file}: tracks", f"{tracks} of them over {steps} steps", f"give 1 to {MAX_TRACKS}, or fewer steps")
    return int(steps)


def _dt(file: str, metadata: dict[str, Any], steps: int) -> float:
    """The step, s, from time stamps in seconds, or in thousandths of them and so on: the unit is the one that fits."""
    times = _column(f"{file}: metadata: ts", metadata.get("ts"), steps)
    gaps = np.diff(times)
    if not np.isfinite(gaps).all() or (gaps <= 0).any():
        refuse(f"{file}: metadata: ts", "time stamps that do not go forward", "sort the steps")
    step = float(gaps.mean())
    for scale in SCALES.values():
        if 0.009 <= step * scale <= 1.001:
            if np.abs(gaps - step).max() > JITTER * step:
                refuse(f"{file}: metadata: ts", "steps that are not evenly spaced", "cut the scene at the gap")
            return round(step * scale, 3)
    refuse(f"{file}: metadata: ts", f"steps of {step:g}", "give 0.01 to 1 s between them, in s or ms")


def _objects(
    file: str, tracks: dict[Any, Any], steps: int, dt: float, notes: dict[str, int]
) -> tuple[dict[int, Object], dict[str, int]]:
    """Every object that is valid at some step, by number, and the numbers of the source's ids."""
    names = [str(key) for key in tracks]
    if len(set(names)) != len(names):
        refuse(f"{file}: tracks", "two tracks with one id", "make the ids unique")
    numbered = all(re.fullmatch(r"0|[1-9][0-9]{0,14}", name) for name in names)
    ids = {name: int(name) if numbered else row for row, name in enumerate(names)}

    def read_one(item: tuple[Any, Any]) -> tuple[int, Object]:
        return ids[str(item[0])], _object(f"{file}: tracks: {quote(str(item[0]))}", item[1], steps, dt)

    read = dict(readable(tracks.items(), read_one, notes, "objects_unreadable"))
    objects = {id: item for id, item in read.items() if item.valid.any()}
    if not objects:
        refuse(f"{file}: tracks", "none is valid at any step", "leave the file out")
    wide = [id for id, item in objects.items() if item.kind in VEHICLES and item.width > item.length]
    for id in wide:
        objects[id] = objects[id]._replace(length=objects[id].width, width=objects[id].length)
    notes["objects_never_valid"] = len(read) - len(objects)
    notes["objects_without_size"] = sum(not item.sized for item in objects.values())
    notes["vehicle_sizes_turned"] = len(wide)
    notes["track_ids_renumbered"] = 0 if numbered else len(objects)
    return objects, ids


def _object(where: str, item: Any, steps: int, dt: float) -> Object:
    if not isinstance(item, dict) or not isinstance(item.get("state"), dict):
        refuse(where, "no dict with a state", "restore the file")
    state: dict[str, Any] = item["state"]
    valid = _column(f"{where}: valid", state["valid"], steps) > 0.5 if "valid" in state else np.ones(steps, bool)
    place = state.get("position")
    position = _column(f"{where}: position", place, steps, width=2)
    heading = _column(f"{where}: heading", state.get("heading"), steps)
    if "velocity" in state:
        velocity = _column(f"{where}: velocity", state["velocity"], steps, width=2)
    else:
        velocity = np.gradient(np.where(valid[:, None], position, np.nan), dt, axis=0)
        velocity = np.where(np.isfinite(velocity), velocity, 0.0)
    columns = np.concatenate([position, velocity, heading[:, None]], axis=1)[valid]
    if not (np.abs(columns) < 1e9).all():
        refuse(where, "a value that is not finite, or absurd, at a valid step", "mark the step invalid")
    kind = _kind(item)
    length, width = (_size(f"{where}: {key}", state.get(key), valid) for key in ("length", "width"))
    return Object(
        kind=kind,
        length=length or SIZES[kind][0],
        width=width or SIZES[kind][1],
        sized=bool(length and width),
        position=np.where(valid[:, None], position, 0.0),
        heading=np.where(valid, heading, 0.0),
        velocity=np.where(valid[:, None], velocity, 0.0),
        valid=valid,
        z=_column(f"{where}: position", place, steps, width=3)[:, 2] if _has_z(place) else None,
        tall=_tall(state.get("height"), valid),
    )


def _has_z(place: Any) -> bool:
    return isinstance(place, np.ndarray) and place.ndim == 2 and place.shape[1] > 2


def _tall(value: Any, valid: Bool[np.ndarray, "T"]) -> float:
    """The median height of a box over valid steps, m; 0 where there is none."""
    if (
        not isinstance(value, np.ndarray)
        or value.dtype.kind not in "iuf"
        or value.size != len(valid)
        or not valid.any()
    ):
        return 0.0
    return float(np.median(value.reshape(-1)[valid].astype(np.float64)))


def _column(where: str, value: Any, steps: int, width: int = 0) -> Float[np.ndarray, "..."]:
    """A state by step, as float64: T numbers, or the first `width` of T rows; measured before it is copied."""
    if isinstance(value, list | tuple):
        flat = len(value) == steps and all(isinstance(item, int | float | np.number) for item in value)
        value = np.array(value, np.float64) if flat and not width else None
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or len(value.shape) not in (1, 2):
        refuse(where, "missing, or no array of numbers", "give one row a step")
    if value.shape[0] != steps or (value.ndim == 2 and value.shape[1] > 4):
        refuse(where, f"shape {value.shape}", f"give {steps} rows")
    if not width:
        if value.ndim == 2 and value.shape[1] != 1:
            refuse(where, f"shape {value.shape}", f"give {steps} numbers")
        return value.reshape(steps).astype(np.float64)
    if value.ndim != 2 or value.shape[1] < width:
        refuse(where, f"shape {value.shape}", f"give rows of {width} or 3")
    return value[:, :width].astype(np.float64)


def _kind(item: dict[str, Any]) -> AgentKind:
    """What a track is, by the data set's own type where that says more than a vehicle or a cyclist."""
    metadata = item.get("metadata")
    word = text_of(metadata.get("type")).lower() if isinstance(metadata, dict) else ""
    kind = KINDS.get(text_of(item.get("type")), AgentKind.OTHER)
    if kind in (AgentKind.CAR, AgentKind.BICYCLE):
        return next((subtype for part, subtype in SUBTYPES if part in word), kind)
    return kind


def _size(where: str, value: Any, valid: Bool[np.ndarray, "T"]) -> float:
    """The median over valid steps, m; 0 where there is none."""
    if value is None or not valid.any():
        return 0.0
    if isinstance(value, int | float | np.number):
        size = float(value)
    else:
        numbers = _column(where, value, len(valid))[valid]
        size = float(np.median(numbers[numbers > 0])) if (numbers > 0).any() else 0.0
    if not 0.0 <= size < MAX_SIZE:
        refuse(where, f"{size:g} m", "give the size of a road user")
    return size


def _centred(ego: Object, ahead: float) -> Object:
    """The ego by its box's centre, some metres ahead of where it was measured."""
    heading = np.stack([np.cos(ego.heading), np.sin(ego.heading)], axis=1)
    return ego._replace(position=np.where(ego.valid[:, None], ego.position + ahead * heading, 0.0))


def _tracks(objects: dict[int, Object]) -> Tracks:
    """The objects, still in the source's frame."""
    heading = np.array([item.heading for item in objects.values()])
    valid = np.array([item.valid for item in objects.values()])
    return Tracks(
        id=np.array(list(objects), np.int64),
        kind=np.array([int(item.kind) for item in objects.values()]),
        length=np.array([item.length for item in objects.values()]),
        width=np.array([item.width for item in objects.values()]),
        position=np.array([item.position for item in objects.values()]),
        heading=np.arctan2(np.sin(heading), np.cos(heading)),
        velocity=np.array([item.velocity for item in objects.values()]),
        valid=valid,
        height=_ground(list(objects.values()), valid),
    )


def _ground(objects: list[Object], valid: Bool[np.ndarray, "I T"]) -> Float[np.ndarray, "I T"] | None:
    """The ground below the boxes, where every position has a z."""
    middle = [item.z for item in objects if item.z is not None]
    if len(middle) < len(objects):
        return None
    tall = np.array([[item.tall] for item in objects])
    return ground_heights(np.array(middle), np.broadcast_to(tall, valid.shape), valid)


def _marked(metadata: dict[str, Any], ids: dict[str, int], notes: dict[str, int]) -> tuple[int, ...]:
    """The number of the ego, where the metadata names a track that was seen; a name of none is counted."""
    if metadata.get("sdc_id") is None:
        return ()
    name = text_of(metadata["sdc_id"])
    notes["marks_at_no_object"] = int(name not in ids)
    return (ids[name],) if name in ids else ()
