"""The tf.Examples of Waymo Open Motion: 128 objects, points of the road, and light states in columns.

The layout samples the road at points about 0.5 m apart and keeps no lane graph: links come from geometry, and
from the ego's paths where the record has them (`waymo.paths`). What the layout cut off leaves gaps in
lines; they are drawn as several.

Format: https://waymo.com/open/data/motion/tfexample.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.centre_lines.lane_borders import Paint
from drivetrain.data.readers.centre_lines.lane_sampling import CentreLine
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.local_frame import MAX_EXTENT
from drivetrain.data.readers.waymo.controls import StopSign
from drivetrain.data.readers.waymo.lights import Seen, lights_of
from drivetrain.data.readers.waymo.messages import parse
from drivetrain.data.readers.waymo.paths import Paths, with_paths
from drivetrain.data.readers.waymo.road import BICYCLE_LANE, MARKS, MAX_POINTS, Drawing, distinct
from drivetrain.data.readers.waymo.tracks import MAX_OBJECTS, MAX_STEPS, States
from drivetrain.data.recordings.recording import Feature
from drivetrain.types import ElementKind

Columns = dict[str, Any]  # by name: an array of floats or integers, or a list of bytes
Numbers = Float[np.ndarray, "_"] | Int[np.ndarray, "_"]

PARTS = ("past", "current", "future")
LANES = (1, 2, 3)  # freeway, surface street, bicycle lane
EDGES = (15, 16)  # boundary, median
SIGN = 17
AREAS = {18: ElementKind.CROSSWALK, 19: ElementKind.SPEED_BUMP, 20: ElementKind.DRIVEWAY}
GAP = 3.0  # m; samples of one line further apart belong to two pieces of it


def read_columns(where: str, data: bytes) -> Columns | None:
    """The columns of a tf.Example by name; nothing where a record is none."""
    if data[:1] != b"\x0a":  # a tf.Example is one field, number 1, of bytes
        return None
    columns: Columns = {}
    for entry in parse(where, "Example", data).columns.entries:
        key = entry.key.decode("ascii", "replace")
        if key in columns:
            refuse(f"{where}: {quote(key)}", "twice in one record", "restore the record")
        kinds = (("floats", np.float64), ("integers", np.int64))
        with np.errstate(invalid="ignore"):  # of signalling NaNs; a NaN is refused where it counts
            given = [(getattr(entry.value, name).value, kind) for name, kind in kinds if entry.value.HasField(name)]
            lists = [np.array(values, kind) for values, kind in given]
        columns[key] = lists[0] if lists else list(entry.value.bytes.value)
    return columns if "state/id" in columns else None


def read_id(where: str, columns: Columns) -> bytes:
    """The scenario's id; empty where the record has none."""
    column = columns.get("scenario/id")
    if column is not None and not (isinstance(column, list) and len(column) == 1):
        refuse(f"{where}: scenario/id", "not one word", "restore the record")
    return column[0] if column else b""


def read_times(where: str, columns: Columns) -> Float[np.ndarray, "T"]:
    """The seconds of every step: of the objects, which agree where they are valid; steps of nobody are filled in."""
    micros, valid = _by_step(where, columns, "timestamp_micros"), _by_step(where, columns, "valid") > 0
    seen = np.where(valid, micros, -np.inf).max(axis=0)
    timed = np.flatnonzero(np.isfinite(seen))
    if len(timed) < 2:
        refuse(f"{where}: state", "objects valid at fewer than two steps", "leave the record out")
    times = np.interp(np.arange(len(seen)), timed, seen[timed])
    step = (seen[timed[-1]] - seen[timed[0]]) / (timed[-1] - timed[0])
    before, after = np.arange(timed[0]) - timed[0], np.arange(len(seen) - timed[-1] - 1) + 1
    times[: timed[0]] += before * step
    times[timed[-1] + 1 :] += after * step
    return times / 1e6


def read_states(where: str, columns: Columns) -> States:
    """The objects of the record; rows of padding (no id) are left out."""
    names = ("x", "y", "length", "width", "bbox_yaw", "velocity_x", "velocity_y", "valid")
    values = np.stack([_by_step(where, columns, name) for name in names], axis=-1)
    ids, types = (_numbers(where, columns, f"state/{name}") for name in ("id", "type"))
    if not len(ids) == len(types) == len(values):
        refuse(f"{where}: state", "columns that differ in length", "restore the record")
    if not (np.abs(np.concatenate([ids, types])) < 2**31).all():
        refuse(f"{where}: state/id", "ids or types that are not finite", "restore the record")
    kept = (ids >= 0) | (values[..., 7] > 0).any(axis=1)
    values = values[kept]
    return States(
        id=ids[kept].astype(np.int64),
        type=types[kept].astype(np.int64),
        position=values[..., 0:2],
        size=values[..., 2:4],
        heading=values[..., 4],
        velocity=values[..., 5:7],
        valid=values[..., 7] > 0,
        z=_optional(where, columns, "z", kept),
        tall=_optional(where, columns, "height", kept),
    )


def _optional(where: str, columns: Columns, name: str, kept: Bool[np.ndarray, "_"]) -> Float[np.ndarray, "I T"] | None:
    """A column that need not be there."""
    if any(_steps(where, columns, part) and f"state/{part}/{name}" not in columns for part in PARTS):
        return None
    return _by_step(where, columns, name)[kept]


def read_ego(where: str, columns: Columns) -> tuple[int, ...]:
    """The ids of the objects that the record marks as its own car: one, or none."""
    if "state/is_sdc" not in columns:
        return ()
    ids, own = _numbers(where, columns, "state/id"), _numbers(where, columns, "state/is_sdc")
    if len(own) != len(ids):
        refuse(f"{where}: state/is_sdc", "not as long as state/id", "restore the record")
    return tuple(int(id) for id in ids[own == 1])


def read_drawing(
    where: str, columns: Columns, origin: Float[np.ndarray, "2"], steps: int, notes: dict[str, int]
) -> Drawing:
    """The road's lines, joined from their samples, and the lights, in the recording's frame."""
    centres, paint, areas, signs = [], [], [], []
    pieces = 0
    for id, type, points in readable(
        _lines(where, columns, origin), lambda line: _checked(where, *line), notes, "map_features_unreadable"
    ):
        parts = _parts(points) if type in LANES or type in EDGES or type in MARKS else [points]
        pieces += len(parts) - 1
        for number, part in enumerate(distinct(part) for part in parts):
            if type in LANES:  # the first part keeps the id; ids of the others are of no source
                own = id if number == 0 else -(1 + len(centres))
                centres.append(CentreLine(own, part[:, :2], type == BICYCLE_LANE, part[:, 2]))
            elif type in EDGES or type in MARKS:
                kind = ElementKind.ROAD_EDGE if type in EDGES else MARKS[type]
                paint.append(Paint(part[:, :2], kind, height=part[:, 2]))
            elif type in AREAS and len(part) >= 2:
                ring = np.concatenate([part, part[:1]])
                areas.append(Feature(AREAS[type], ring[:, :2], ring[:, 2]))
            elif type == SIGN:
                signs.append(StopSign(part[0, :2]))
    notes["road_lines_with_gaps"] = pieces
    lights = lights_of(where, _lights(where, columns, origin, steps), steps, notes)
    if "path_samples/xyz" in columns:
        centres = with_paths(centres, _paths(where, columns, origin), notes)
    return Drawing(tuple(centres), tuple(paint), tuple(areas), tuple(signs), lights)


def _lines(
    where: str, columns: Columns, origin: Float[np.ndarray, "2"]
) -> list[tuple[int, int, Float[np.ndarray, "n 3"]]]:
    """Id, type and points of every feature, from the valid samples."""
    names = ("id", "type", "valid")
    ids, types, valid = (_numbers(where, columns, f"roadgraph_samples/{name}") for name in names)
    flat = _numbers(where, columns, "roadgraph_samples/xyz")
    if not len(ids) == len(types) == len(valid) == len(flat) / 3 <= MAX_POINTS:
        refuse(f"{where}: roadgraph_samples", "columns that differ in length, or too long", "restore the record")
    kept = np.flatnonzero(valid > 0)
    points = flat.reshape(-1, 3)[kept] - (*origin, 0.0)
    if not (np.abs(np.concatenate([ids[kept], types[kept]])) < 2**62).all():
        refuse(f"{where}: roadgraph_samples/id", "absurd ids or types", "restore the record")
    keys = np.stack([ids[kept], types[kept]], axis=1).astype(np.int64)
    unique, owner = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    parts = np.split(points[order], np.cumsum(np.bincount(owner))[:-1]) if len(kept) else []
    lines = [(int(id), int(type), part) for (id, type), part in zip(unique.tolist(), parts, strict=True)]
    lanes = [id for id, type, _ in lines if type in LANES]
    if len(set(lanes)) != len(lanes) or any(id < 0 for id in lanes):
        refuse(f"{where}: roadgraph_samples/id", "one id of two lanes, or none", "restore the record")
    return lines


def _checked(
    where: str, id: int, type: int, points: Float[np.ndarray, "n 3"]
) -> tuple[int, int, Float[np.ndarray, "n 3"]]:
    """A feature whose points are all near enough."""
    if not (np.abs(points) < MAX_EXTENT).all():
        what = f"a point more than {MAX_EXTENT:g} m away, or not finite"
        refuse(f"{where}: roadgraph_samples/xyz: feature {id}", what, "mark the sample invalid")
    return id, type, points


def _paths(where: str, columns: Columns, origin: Float[np.ndarray, "2"]) -> Paths:
    """The ego's paths."""
    xyz, lane, valid, on_route = (
        _numbers(where, columns, f"path_samples/{name}") for name in ("xyz", "id", "valid", "on_route")
    )
    count = max(len(on_route), 1)
    if len(lane) % count or not len(lane) == len(valid) == len(xyz) / 3 <= MAX_POINTS:
        refuse(f"{where}: path_samples", "columns that differ in length, or too long", "restore the record")
    seen = (valid > 0).reshape(count, -1)
    points = np.where(seen[..., None], xyz.reshape(*seen.shape, 3) - (*origin, 0.0), 0.0)
    if not (np.abs(points) < MAX_EXTENT).all() or not (np.abs(lane) < 2**62).all():
        what = f"a point more than {MAX_EXTENT:g} m away, or not finite, or an absurd id"
        refuse(f"{where}: path_samples", what, "mark the sample invalid")
    return Paths(points, lane.astype(np.int64).reshape(seen.shape), seen, np.resize(on_route > 0, count))


def _parts(points: Float[np.ndarray, "n 3"]) -> list[Float[np.ndarray, "m 3"]]:
    """A line's pieces between gaps."""
    return np.split(points, np.flatnonzero(np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1) > GAP) + 1)


def _lights(where: str, columns: Columns, origin: Float[np.ndarray, "2"], steps: int) -> list[Seen]:
    """The valid light states; the first step of a part follows the last of the part before."""
    seen: list[Seen] = []
    first = 0
    for part in PARTS:
        last = first + _steps(where, columns, part)
        here = f"traffic_light_state/{part}"
        if f"{here}/state" in columns:
            names = ("id", "state", "valid", "x", "y")
            values = [_numbers(where, columns, f"{here}/{name}") for name in names]
            if len({len(column) for column in values}) != 1 or len(values[0]) % max(last - first, 1) or last > steps:
                refuse(f"{where}: {here}", "columns that do not fit the steps", "restore the record")
            slots = max(len(values[0]) // max(last - first, 1), 1)
            for row in np.flatnonzero(values[2] > 0):
                lane, state, _, x, y = (column[row] for column in values)
                stop = (float(x - origin[0]), float(y - origin[1]))
                seen.append(Seen(int(lane), first + int(row) // slots, int(state), stop))
        first = last
    return seen


def _steps(where: str, columns: Columns, part: str) -> int:
    """How many steps a part of the record has."""
    objects, values = len(columns["state/id"]), len(columns.get(f"state/{part}/x", ()))
    if not 0 < objects <= MAX_OBJECTS or values % objects or values // objects > MAX_STEPS:
        refuse(f"{where}: state/{part}/x", f"{values} values of {objects} objects", "give each object the same steps")
    return values // objects


def _by_step(where: str, columns: Columns, name: str) -> Float[np.ndarray, "I T"]:
    """A column of the objects' states, past, current and future in a row."""
    objects = len(columns["state/id"])
    spans = [np.zeros((objects, 0))]
    for part in PARTS:
        if steps := _steps(where, columns, part):
            values = _numbers(where, columns, f"state/{part}/{name}")
            if len(values) != objects * steps:
                refuse(f"{where}: state/{part}/{name}", "not as long as the other columns", "restore the record")
            spans.append(values.reshape(objects, steps).astype(np.float64))
    return np.concatenate(spans, axis=1)


def _numbers(where: str, columns: Columns, name: str) -> Numbers:
    column = columns.get(name)
    if not isinstance(column, np.ndarray):
        refuse(f"{where}: {name}", "missing, or not numbers", "give records of the Waymo Open Motion Dataset")
    return column
