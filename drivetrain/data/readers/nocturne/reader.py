"""Waymo Open Motion scenes in the JSON layout of Nocturne and GPUDrive (`.json`, `.json.xz`, `.json.gz`).

The layout: `objects` (tracks: position, velocity and heading by step, −10000 where invalid), `roads` (lane centres,
road lines and edges, crosswalks, speed bumps, driveways; stop signs as points), `tl_states` (light states by lane)
and `metadata.sdc_track_index` (the marked ego). Steps are 0.1 s apart. There is no lane graph: see
`data/readers/centre_lines/lane_recovery.py`. A vehicle is read as a car: the layout says no more.
"""

import json
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Bool, Float

from drivetrain.data.readers.body_sizes import MAX_SIZE, SIZES
from drivetrain.data.readers.ground_heights import ground_heights
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.local_frame import centred
from drivetrain.data.readers.nocturne.roads import points, read_roads
from drivetrain.data.readers.source_files import stem
from drivetrain.data.readers.waymo.tracks import LICENCE, SOURCE
from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.data.recordings.unpacking import read_bytes
from drivetrain.types import AgentKind

DT = 0.1  # s; the layout does not say, and every scene of the dataset is recorded at 10 Hz
SUFFIXES = (".json", ".json.xz", ".json.gz")
UNREADABLE = "objects_unreadable"
MAX_OBJECTS = 4096
MAX_STEPS = 2048
INVALID = -10_000.0  # m, both coordinates: the layout's mark of a step without a measurement
KINDS = {"vehicle": AgentKind.CAR, "pedestrian": AgentKind.PEDESTRIAN, "cyclist": AgentKind.BICYCLE}


def find(source: str) -> list[str]:
    """The scene files below a path (or the file itself), sorted."""
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "name a scene or a folder of scenes")
    return sorted(str(path) for path in Path(source).rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())


def read(file: str) -> Recording:
    """Read one scene. Raises `InputError` (one line) on anything that is not a scene of this layout."""
    scene = _parse(file)
    notes: dict[str, int] = {}
    tracks = _tracks(file, scene, notes)
    tracks, origin = centred(f"{file}: objects", tracks)
    roads = read_roads(file, scene, origin, tracks.valid.shape[1])
    scenario = scene.get("scenario_id")
    return Recording(
        name=stem(file, SUFFIXES),
        file=file,
        dt=DT,
        tracks=tracks,
        lanes=roads.lanes,
        control_lines=roads.control_lines,
        lights=roads.lights,
        features=roads.features,
        group=scenario if isinstance(scenario, str) and scenario.isprintable() and len(scenario) < 100 else "",
        source=SOURCE,
        licence=LICENCE,
        marked=_marked(scene, tracks, notes),
        origin=(float(origin[0]), float(origin[1])),
        notes=notes | roads.notes,
    )


def _parse(file: str) -> dict[str, Any]:
    """The scene's top-level object, its keys checked."""
    try:
        scene = json.loads(read_bytes(file), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        refuse(file, f"not JSON: {quote(str(error))}", "restore the file")
    if not isinstance(scene, dict):
        refuse(file, f"a JSON {type(scene).__name__}, not an object", "name a scene of this layout")
    for key in ("objects", "roads"):
        if not isinstance(scene.get(key), list):
            refuse(f"{file}: {key}", "missing or not a list", "name a scene of this layout")
    return scene


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number of JSON")


def _tracks(file: str, scene: dict[str, Any], notes: dict[str, int]) -> Tracks:
    """Every object that is valid at some step, positions still in the source's frame."""
    objects = scene["objects"]
    if not 0 < len(objects) <= MAX_OBJECTS:
        refuse(f"{file}: objects", f"{len(objects)} of them", f"give 1 to {MAX_OBJECTS}")
    read = readable(
        enumerate(objects), lambda item: _object(f"{file}: objects[{item[0]}]", item[1], item[0]), notes, UNREADABLE
    )
    steps = {len(track["valid"]) for track in read}
    if len(steps) != 1 or not 2 <= min(steps) <= MAX_STEPS:
        words = f"{min(steps)} to {max(steps)} steps"
        refuse(f"{file}: objects", words, f"give every object the same number, 2 to {MAX_STEPS}")
    ids = [track["id"] for track in read]
    if len(set(ids)) != len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        refuse(f"{file}: objects", f"two objects with id {twice}", "make the ids unique")
    kept = [track for track in read if track["valid"].any()]
    if not kept:
        refuse(f"{file}: objects", "none is valid at any step", "leave the file out")
    notes["objects_never_valid"] = len(read) - len(kept)
    notes["objects_without_size"] = sum(track["unsized"] for track in kept)
    valid = np.array([track["valid"] for track in kept])
    velocity = np.array([track["velocity"] for track in kept])
    heading = _radians(np.array([track["heading"] for track in kept]), velocity, valid, notes)
    return Tracks(
        id=np.array([track["id"] for track in kept]),
        kind=np.array([int(track["kind"]) for track in kept]),
        length=np.array([track["length"] for track in kept]),
        width=np.array([track["width"] for track in kept]),
        position=np.array([track["position"] for track in kept]),
        heading=np.where(valid, heading, 0.0),
        velocity=np.where(valid[..., None], velocity, 0.0),
        valid=valid,
        height=_ground(scene["objects"], [track["row"] for track in kept], valid),
    )


def _ground(objects: list[Any], rows: list[int], valid: Bool[np.ndarray, "I T"]) -> Float[np.ndarray, "I T"] | None:
    """The ground below the boxes, where every position has a z."""
    if not all(isinstance(place, dict) and "z" in place for row in rows for place in objects[row]["position"]):
        return None
    try:
        middle = np.array([[place["z"] for place in objects[row]["position"]] for row in rows], np.float64)
        tall = np.array([[float(objects[row].get("height", 0.0))] for row in rows], np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return ground_heights(middle, np.broadcast_to(tall, middle.shape), valid)


def _object(where: str, item: Any, row: int) -> dict[str, Any]:
    """One object's fields, as arrays by step."""
    if not isinstance(item, dict):
        refuse(where, "not an object", "restore the file")
    id = item.get("id", row)
    if type(id) is not int or not 0 <= id < 2**53:
        refuse(f"{where}: id", quote(str(id)), "give an integer from 0")
    position = points(f"{where}: position", item.get("position"))
    velocity = points(f"{where}: velocity", item.get("velocity"))
    heading = _numbers(f"{where}: heading", item.get("heading"))
    valid = _numbers(f"{where}: valid", item.get("valid")) != 0
    if not len(position) == len(velocity) == len(heading) == len(valid):
        refuse(where, "position, velocity, heading and valid differ in length", "give one of each a step")
    valid &= (np.abs(position - INVALID) > 1e-3).any(axis=1)
    columns = np.concatenate([position, velocity, heading[:, None]], axis=1)[valid]
    if not (np.abs(columns) < 1e9).all():
        refuse(where, "a value that is not finite, or absurd, at a valid step", "mark the step invalid")
    kind = KINDS.get(str(item.get("type")), AgentKind.OTHER)
    length, width = (_size(f"{where}: {key}", item.get(key), valid) for key in ("length", "width"))
    return {
        "id": id,
        "row": row,
        "kind": kind,
        "length": length or SIZES[kind][0],
        "width": width or SIZES[kind][1],
        "unsized": not (length and width),
        "position": np.where(valid[:, None], position, 0.0),
        "velocity": velocity,
        "heading": heading,
        "valid": valid,
    }


def _size(where: str, value: Any, valid: Bool[np.ndarray, "T"]) -> float:
    """A length or width, m: one number, or one a step (the median counts); 0 where there is none."""
    if isinstance(value, list):
        numbers = _numbers(where, value)
        value = float(np.median(numbers[valid])) if len(numbers) == len(valid) and valid.any() else 0.0
    size = float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 else 0.0
    if not size < MAX_SIZE:
        refuse(where, f"{size:g} m", "give the size of a road user")
    return max(size, 0.0)


def _numbers(where: str, value: Any) -> Float[np.ndarray, "n"]:
    try:
        return np.array(value if isinstance(value, list) else [value], np.float64).reshape(len(value))
    except (TypeError, ValueError, OverflowError):
        refuse(where, "not a list of numbers", "restore the file")


def _radians(
    heading: Float[np.ndarray, "I T"],
    velocity: Float[np.ndarray, "I T 2"],
    valid: Bool[np.ndarray, "I T"],
    notes: dict[str, int],
) -> Float[np.ndarray, "I T"]:
    """Headings in radians. Older files hold degrees: some object then turns out to face further than a full circle.

    Headings in radians may do that too, as the dataset lets them run on: those that follow the courses are right.
    """
    beyond = bool(np.abs(heading[valid]).max() > 2 * np.pi + 1e-3)
    follows = [(velocity[..., 0] * np.cos(h) + velocity[..., 1] * np.sin(h)) for h in (heading, np.radians(heading))]
    degrees = beyond and bool(follows[1][valid].sum() >= follows[0][valid].sum())
    notes["scenes_with_headings_in_degrees"] = int(degrees)
    return np.radians(heading) if degrees else heading


def _marked(scene: dict[str, Any], tracks: Tracks, notes: dict[str, int]) -> tuple[int, ...]:
    """The id of the ego, where the metadata points at an object that was seen; a mark at none is counted."""
    metadata = scene.get("metadata")
    row = metadata.get("sdc_track_index") if isinstance(metadata, dict) else None
    if row is None:
        return ()
    if type(row) is not int or not 0 <= row < len(scene["objects"]):
        notes["marks_at_no_object"] = 1
        return ()
    marked = scene["objects"][row]
    id = marked.get("id", row) if isinstance(marked, dict) else None
    return (id,) if type(id) is int and id in tracks.id else ()
