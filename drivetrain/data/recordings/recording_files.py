"""One recording in a file of its own: the neutral form on disk, whatever made it.

An xz archive of safetensors bytes: named arrays, and one metadata entry `recording` with the rest as JSON. Lengths are
stored in millimetres, angles in 1e-5 rad, as integers; tracks as differences from step to step, polylines as
differences from point to point, one behind the other, with the number of points of each. The same recording gives the
same bytes.
"""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Float, Int

from drivetrain.atomic import write_atomically
from drivetrain.data.recordings.file_heights import HEIGHTS, elevations, height_arrays, marked
from drivetrain.data.recordings.json_fields import MAX_EXTENT, MAX_ID, Fields, refuse
from drivetrain.data.recordings.recording import SPLITS, ControlLine, Feature, Lane, Light, Recording, Tracks
from drivetrain.data.recordings.unpacking import read_xz
from drivetrain.types import AgentKind, ControlKind, ElementKind, LightState

FORMAT = "drivetrain recording"
VERSION = 1
MILLIMETRE = 1e-3
ANGLE = 1e-5  # rad
ARRAYS = {
    "id": "int64",
    "kind": "uint8",
    "size": "int32",
    "position": "int32",
    "heading": "int32",
    "velocity": "int32",
    "valid": "uint8",
    "points": "int32",
    "counts": "int32",
    "states": "uint8",
}


def write_recording(path: str | Path, recording: Recording) -> None:
    """Write a recording; the file appears whole or not at all.

    Raises:
        InputError: a coordinate is further than 100 km from the recording's origin.
    """
    path = Path(path)
    polylines = [border for lane in recording.lanes for border in (lane.left, lane.right)]
    polylines += [feature.points for feature in recording.features]
    tracks = recording.tracks
    points = np.concatenate([np.zeros((0, 2)), *polylines])
    for name, values in (("position", tracks.position), ("points", points)):
        if values.size and not np.abs(values).max() <= MAX_EXTENT:
            refuse(f"{path}: {name}", f"further than {MAX_EXTENT:g} m from the origin", "set Recording.origin")
    states = [light.states for light in recording.lights]
    arrays = {
        "id": tracks.id.astype(np.int64),
        "kind": tracks.kind.astype(np.uint8),
        "size": _whole(np.stack([tracks.length, tracks.width], axis=1), MILLIMETRE),
        "position": _steps(_whole(tracks.position, MILLIMETRE)),
        "heading": _steps(_whole(tracks.heading, ANGLE)),
        "velocity": _steps(_whole(tracks.velocity, MILLIMETRE)),
        "valid": np.packbits(tracks.valid, axis=1),
        "points": np.concatenate([np.zeros((0, 2), np.int32), *(_line(line) for line in polylines)]),
        "counts": np.array([len(line) for line in polylines], np.int32),
        "states": np.array(states, np.uint8).reshape(len(states), tracks.valid.shape[1]),
    }
    arrays |= height_arrays(str(path), recording)
    text = json.dumps(_described(recording), sort_keys=True, separators=(",", ":"), allow_nan=False)
    data = safetensors.numpy.save(arrays, {"recording": text})
    packed = lzma.compress(data, check=lzma.CHECK_SHA256, preset=6 | lzma.PRESET_EXTREME)
    write_atomically(path, packed)


def read_recording(path: str | Path) -> Recording:
    """Read a recording back, to the millimetre.

    Raises:
        InputError: one line, on anything that `write_recording` would not have written.
    """
    file = str(path)
    data = read_xz(file)
    try:
        arrays = safetensors.numpy.load(data)
        size = int.from_bytes(data[:8], "little")
        text = json.loads(data[8 : 8 + size])["__metadata__"]["recording"]
        given = Fields(file, json.loads(text))
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        refuse(file, "no recording in it", "give a file that write_recording has written")
    if given.text("format") != FORMAT or given.whole("version", 0, 10**6) != VERSION:
        refuse(f"{file}: format", "another format or version", f"give a {FORMAT} of version {VERSION}")
    steps = given.whole("steps", 1, 10**6)
    _check_arrays(file, arrays, steps)
    tracks = _tracks(file, arrays, steps)
    lines = _polylines(file, arrays)
    lanes, lights = given.items("lanes"), given.items("lights")
    features = given.items("features")
    if len(lines) != 2 * len(lanes) + len(features) or len(lights) != len(arrays["states"]):
        refuse(file, "polylines or lights are missing")
    left = lines[: 2 * len(lanes) : 2] + lines[2 * len(lanes) :]
    heights = elevations(file, arrays, [*lanes, *features], [len(line) for line in left])
    return Recording(
        name=given.text("name"),
        file=file,
        dt=given.real("dt", 1e-3, 10.0),
        tracks=tracks,
        lanes=tuple(_lane(lane, lines[2 * i], lines[2 * i + 1], heights[i]) for i, lane in enumerate(lanes)),
        control_lines=tuple(_control_line(line) for line in given.items("control_lines")),
        lights=tuple(_light(light, arrays["states"][i]) for i, light in enumerate(lights)),
        features=tuple(
            Feature(
                ElementKind(f.whole("kind", 0, max(ElementKind))), lines[2 * len(lanes) + i], heights[len(lanes) + i]
            )
            for i, f in enumerate(features)
        ),
        group=given.text("group"),
        split=given.one_of("split", ("", *SPLITS)),
        source=given.text("source"),
        licence=given.text("licence"),
        marked=given.ids("marked"),
        origin=(given.real("x", -1e9, 1e9), given.real("y", -1e9, 1e9)),
        notes=given.counts("notes"),
    )


# -------------------------------------------------------------------------------------------------------------- writing


def _described(recording: Recording) -> dict[str, Any]:
    """Everything that is no array."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": recording.name,
        "dt": recording.dt,
        "steps": int(recording.tracks.valid.shape[1]),
        "group": recording.group,
        "split": recording.split,
        "source": recording.source,
        "licence": recording.licence,
        "marked": [int(id) for id in recording.marked],
        "x": float(recording.origin[0]),
        "y": float(recording.origin[1]),
        "notes": {name: int(count) for name, count in recording.notes.items()},
        "lanes": [_described_lane(lane) for lane in recording.lanes],
        "control_lines": [
            {
                "ends": [round(float(value), 3) for value in line.ends.ravel()],
                "lane": line.lane,
                "kind": int(line.kind),
                "light": line.light,
            }
            for line in recording.control_lines
        ],
        "lights": [
            {
                "id": light.id,
                "recorded": light.recorded,
                "position": None if light.position is None else [round(float(value), 3) for value in light.position],
            }
            for light in recording.lights
        ],
        "features": [{"kind": int(feature.kind)} | marked(feature.height) for feature in recording.features],
    }


def _described_lane(lane: Lane) -> dict[str, Any]:
    return {
        "id": lane.id,
        "successors": list(lane.successors),
        "predecessors": list(lane.predecessors),
        "left_neighbour": lane.left_neighbour,
        "right_neighbour": lane.right_neighbour,
        "left_border": int(lane.left_border),
        "right_border": int(lane.right_border),
        "speed_limit": round(float(lane.speed_limit), 3),
        "drivable": lane.drivable,
    } | marked(lane.height)


def _whole(values: np.ndarray, unit: float) -> np.ndarray:
    return np.rint(np.asarray(values, np.float64) / unit).astype(np.int32)


def _steps(values: np.ndarray) -> np.ndarray:
    """Differences along time, the first from zero; modulo 2³², so that nothing overflows."""
    return np.diff(values, axis=1, prepend=np.zeros_like(values[:, :1]))


def _line(points: np.ndarray) -> np.ndarray:
    return np.diff(_whole(points, MILLIMETRE), axis=0, prepend=np.zeros((1, 2), np.int32))


# -------------------------------------------------------------------------------------------------------------- reading


def _check_arrays(file: str, arrays: dict[str, np.ndarray], steps: int) -> None:
    """Names, types and shapes are those of `write_recording`."""
    known = ARRAYS | {name: kind for name, kind in HEIGHTS.items() if name in arrays}
    if arrays.keys() != known.keys():
        refuse(file, f"arrays {', '.join(sorted(arrays.keys() ^ known.keys()))[:80]!a} missing or unknown")
    tracks, lights = len(arrays["id"]), len(arrays["states"])
    shapes = {
        "id": (tracks,),
        "kind": (tracks,),
        "size": (tracks, 2),
        "position": (tracks, steps, 2),
        "heading": (tracks, steps),
        "velocity": (tracks, steps, 2),
        "valid": (tracks, (steps + 7) // 8),
        "points": (len(arrays["points"]), 2),
        "counts": (len(arrays["counts"]),),
        "states": (lights, steps),
        "height": (tracks, steps),
        "elevation": (len(arrays.get("elevation", ())),),
    }
    shapes = {name: shape for name, shape in shapes.items() if name in arrays}
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype != known[name]:
            refuse(f"{file}: {name}", f"{arrays[name].dtype} {arrays[name].shape} instead of {known[name]} {shape}")


def _tracks(file: str, arrays: dict[str, np.ndarray], steps: int) -> Tracks:
    valid = np.unpackbits(arrays["valid"], axis=1, count=steps).astype(bool)
    size = arrays["size"] * MILLIMETRE
    if len(set(arrays["id"].tolist())) != len(valid):
        refuse(f"{file}: id", "two tracks with the same id")
    if not np.isin(arrays["kind"], list(set(AgentKind) - {AgentKind.NONE})).all():
        refuse(f"{file}: kind", "no kind of road user")
    if not ((size > 0.0) & (size < 1000.0)).all():
        refuse(f"{file}: size", "not between 0 and 1000 m")
    if not np.isin(arrays["states"], list(LightState)).all():
        refuse(f"{file}: states", "no state of a light")
    position = _summed(arrays["position"]) * MILLIMETRE * valid[..., None]
    velocity = _summed(arrays["velocity"]) * MILLIMETRE * valid[..., None]
    if position.size and max(np.abs(position).max(), np.abs(velocity).max()) > MAX_EXTENT:
        refuse(f"{file}: position", f"further than {MAX_EXTENT:g} m from the origin")
    return Tracks(
        id=arrays["id"].astype(np.int64),
        kind=arrays["kind"].astype(np.int64),
        length=size[:, 0],
        width=size[:, 1],
        position=position,
        heading=_summed(arrays["heading"]) * ANGLE * valid,
        velocity=velocity,
        valid=valid,
        height=_summed(arrays["height"]) * MILLIMETRE * valid if "height" in arrays else None,
    )


def _summed(steps: np.ndarray) -> np.ndarray:
    return np.cumsum(steps, axis=1, dtype=np.int32)


def _polylines(file: str, arrays: dict[str, np.ndarray]) -> list[Float[np.ndarray, "_ 2"]]:
    counts: Int[np.ndarray, "k"] = arrays["counts"]
    if (counts < 2).any() or int(counts.sum(dtype=np.int64)) != len(arrays["points"]):
        refuse(f"{file}: counts", "not the numbers of points of polylines")
    parts = np.split(arrays["points"], np.cumsum(counts, dtype=np.int64)[:-1]) if len(counts) else []
    lines = [np.cumsum(part, axis=0, dtype=np.int32) * MILLIMETRE for part in parts]
    if any(np.abs(line).max() > MAX_EXTENT for line in lines):
        refuse(f"{file}: points", f"further than {MAX_EXTENT:g} m from the origin")
    return lines


def _lane(
    given: Fields,
    left: Float[np.ndarray, "n 2"],
    right: Float[np.ndarray, "m 2"],
    height: Float[np.ndarray, "n"] | None,
) -> Lane:
    return Lane(
        id=given.whole("id", -MAX_ID, MAX_ID),
        left=left,
        right=right,
        successors=given.ids("successors"),
        predecessors=given.ids("predecessors"),
        left_neighbour=given.id_or_none("left_neighbour"),
        right_neighbour=given.id_or_none("right_neighbour"),
        left_border=ElementKind(given.whole("left_border", 0, max(ElementKind))),
        right_border=ElementKind(given.whole("right_border", 0, max(ElementKind))),
        speed_limit=given.real("speed_limit", 0.0, 1000.0),
        drivable=given.truth("drivable"),
        height=height,
    )


def _control_line(given: Fields) -> ControlLine:
    return ControlLine(
        ends=np.array(given.reals("ends", 4)).reshape(2, 2),
        lane=given.whole("lane", -MAX_ID, MAX_ID),
        kind=ControlKind(given.whole("kind", 0, max(ControlKind))),
        light=given.id_or_none("light"),
    )


def _light(given: Fields, states: np.ndarray) -> Light:
    place = None if given.values.get("position") is None else np.array(given.reals("position", 2))
    return Light(given.whole("id", -MAX_ID, MAX_ID), states.astype(np.int64), given.truth("recorded"), place)
