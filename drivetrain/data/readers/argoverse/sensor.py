"""Argoverse 2 sensor logs: `annotations.feather`, `city_SE3_egovehicle.feather` and `map/log_map_archive_*.json`.

Format: B. Wilson et al.: Argoverse 2: Next generation datasets for self-driving perception and forecasting, NeurIPS
2021. A row is one object's box at one sweep, in the frame of the recording vehicle, whose origin is its rear axle; its
poses in the city's frame come far more often, and are interpolated (positions by line, rotations by quaternion). The
recording vehicle becomes a track of its own: its poses, moved to the middle of its box. Velocities are derived.
`annotations_with_ego.feather` (scenario mining), where it is there, is read instead.
"""

import dataclasses
import os
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.argoverse.forecasting import AV_SIZE, MAX_STEPS, MAX_TRACKS
from drivetrain.data.readers.argoverse.vector_map import read_map
from drivetrain.data.readers.arrow_tables import read_table
from drivetrain.data.readers.body_sizes import MAX_SIZE
from drivetrain.data.readers.ground_heights import ground_heights
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import left_out, repeated
from drivetrain.data.readers.local_frame import centred
from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.types import AgentKind

NAMES = ("annotations_with_ego.feather", "annotations.feather")
POSES = "city_SE3_egovehicle.feather"
AXLE_TO_CENTRE = 1.339  # m, of the Ford Fusion that recorded the data
EGO = "EGO_VEHICLE"
MAX_GAP = 1.0  # s between poses
JITTER = 0.4  # of a step: how far a sweep may be off
KINDS = {
    **dict.fromkeys((EGO, "REGULAR_VEHICLE"), AgentKind.CAR),
    **dict.fromkeys(("LARGE_VEHICLE", "BOX_TRUCK", "TRUCK", "TRUCK_CAB"), AgentKind.TRUCK),
    **dict.fromkeys(("BUS", "ARTICULATED_BUS", "SCHOOL_BUS"), AgentKind.BUS),
    **dict.fromkeys(("MOTORCYCLE", "MOTORCYCLIST"), AgentKind.MOTORCYCLE),
    **dict.fromkeys(("BICYCLE", "BICYCLIST", "WHEELED_RIDER"), AgentKind.BICYCLE),
    **dict.fromkeys(("PEDESTRIAN", "OFFICIAL_SIGNALER", "STROLLER", "WHEELCHAIR"), AgentKind.PEDESTRIAN),
}
"""Categories; all others (cones, signs, trailers, animals, trams …) are something else in the way."""
QUATERNION = ("qw", "qx", "qy", "qz")
PLACE = ("tx_m", "ty_m", "tz_m")
POSE = {"timestamp_ns": "integer", **dict.fromkeys((*QUATERNION, *PLACE), "number")}
BOXES = dict.fromkeys(POSE, "measure") | {"timestamp_ns": "integer", "track_uuid": "text", "category": "text"}
BOXES |= dict.fromkeys(("length_m", "width_m"), "measure")


def find(source: str) -> list[str]:
    """The annotations of the logs below a path (or the file itself), one a log, sorted."""
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "name a log or a folder of logs")
    logs = {path.parent for name in NAMES for path in Path(source).rglob(name) if path.is_file()}
    return sorted(str(next(log / name for name in NAMES if (log / name).is_file())) for log in logs)


def read(file: str) -> Recording:
    """Read one log, named by its annotations. Its name is the folder's; its origin is the middle of the tracks.

    Raises:
        InputError: one line, on anything that is not of the format or cannot be trusted, and where pyarrow is missing.
    """
    folder = os.path.dirname(os.path.abspath(file))
    boxes = read_table(file, BOXES, {"height_m": "number"})
    boxes.setdefault("height_m", np.zeros(len(boxes["timestamp_ns"])))
    if not len(boxes["timestamp_ns"]):
        refuse(file, "no rows", "leave the file out")
    poses = read_table(os.path.join(os.path.dirname(file), POSES), POSE)
    maps = sorted(Path(folder, "map").glob("log_map_archive_*.json"))
    if len(maps) != 1:
        refuse(os.path.join(folder, "map"), f"{len(maps)} vector maps", "give one log_map_archive_….json")
    notes: Counter[str] = Counter()
    boxes = _with_ego(boxes, notes)
    step, dt = _steps(file, boxes["timestamp_ns"])
    others = boxes["category"] != EGO
    kept = left_out(boxes["track_uuid"], others, _odd_boxes(boxes, step), notes) | ~others
    boxes, step = {name: column[kept] for name, column in boxes.items()}, step[kept]
    tracks, ego = _tracks(file, boxes, step, _in_city(file, boxes, poses), notes)
    tracks, origin = centred(f"{file}: tx_m", tracks)
    road = read_map(str(maps[0]), origin, notes)
    velocity = _velocity(tracks.position, tracks.valid, dt)
    return Recording(
        name=Path(folder).name,
        file=file,
        dt=dt,
        tracks=dataclasses.replace(tracks, velocity=velocity),
        lanes=road.lanes,
        features=road.features,
        group=Path(folder).name,
        source="Argoverse 2 sensor",
        licence="CC BY-NC-SA 4.0",
        marked=(ego,),
        origin=(float(origin[0]), float(origin[1])),
        notes={name: count for name, count in sorted(notes.items()) if count},
    )


def _with_ego(boxes: dict[str, np.ndarray], notes: Counter[str]) -> dict[str, np.ndarray]:
    """The boxes with the recording vehicle's own at every sweep, around the middle of the vehicle."""
    boxes = dict(boxes)
    own = boxes["category"] == EGO
    if own.any():
        on_axle = own & (np.abs(boxes["tx_m"]) < AXLE_TO_CENTRE / 2)
        boxes["tx_m"] = np.where(on_axle, boxes["tx_m"] + AXLE_TO_CENTRE, boxes["tx_m"])
        notes["ego_moved_from_axle_to_centre"] = int(on_axle.any())
        return boxes
    sweeps = np.unique(boxes["timestamp_ns"])
    row = dict.fromkeys(BOXES, 0.0) | {"qw": 1.0, "tx_m": AXLE_TO_CENTRE}
    row |= {"length_m": AV_SIZE[0], "width_m": AV_SIZE[1], "height_m": 0.0}  # poses lie near the ground
    added = {name: np.full(len(sweeps), value) for name, value in row.items()}
    added |= {"timestamp_ns": sweeps, "category": np.full(len(sweeps), EGO, object)}
    added["track_uuid"] = np.full(len(sweeps), EGO, object)
    notes["ego_from_poses"] = 1
    return {name: np.concatenate([boxes[name], added[name]]) for name in boxes}


def _steps(file: str, times: Int[np.ndarray, "n"]) -> tuple[Int[np.ndarray, "n"], float]:
    """The step of each row, and the step, s. Sweeps that are missing leave a gap."""
    sweeps = np.unique(times)
    where = f"{file}: timestamp_ns"
    if len(sweeps) < 2:
        refuse(where, "a single sweep", "leave the file out")
    elapsed = (sweeps - sweeps[0]).astype(np.float64) * 1e-9
    usual = float(np.median(np.diff(elapsed)))
    if not 0.01 <= usual <= 1.0 or elapsed[-1] / usual > MAX_STEPS:
        refuse(
            where, f"sweeps every {usual:g} s over {elapsed[-1]:g} s", f"give 0.01 to 1 s, {MAX_STEPS} sweeps at most"
        )
    dt = elapsed[-1] / round(elapsed[-1] / usual)
    off = np.abs(elapsed / dt - np.round(elapsed / dt)).max()
    if off > JITTER:
        refuse(where, "sweeps that are not evenly spaced", "cut the log at the gap")
    return np.round((times - sweeps[0]) * 1e-9 / dt).astype(np.int64), round(dt, 3)


def _odd_boxes(boxes: dict[str, np.ndarray], step: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Boxes of objects, not of the recording vehicle, with a place, rotation or size beyond sense, or given again."""
    place, turn, size = (
        np.stack([boxes[name] for name in names], axis=1) for names in (PLACE, QUATERNION, ("length_m", "width_m"))
    )
    norm = np.linalg.norm(np.clip(turn, -2.0, 2.0), axis=1)
    odd = ~(np.abs(place) < 1e6).all(axis=1) | ~((norm > 0.5) & (norm < 2.0))
    odd |= ~((size > 0) & (size < MAX_SIZE)).all(axis=1) | repeated(boxes["track_uuid"].astype(str), step)
    return odd & (boxes["category"] != EGO)


def _in_city(
    file: str, boxes: dict[str, np.ndarray], poses: dict[str, np.ndarray]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Positions and headings of the boxes in the city's frame."""
    where = f"{os.path.join(os.path.dirname(file), POSES)}: timestamp_ns"
    at, known = boxes["timestamp_ns"], poses["timestamp_ns"]
    if len(known) < 2 or (np.diff(known) < 0).any():
        refuse(where, "poses that do not go forward", "sort the rows")
    after = np.clip(np.searchsorted(known, at), 1, len(known) - 1)
    gap = (known[after] - known[after - 1]).astype(np.float64)
    if at.min() < known[0] - 1e9 * MAX_GAP or at.max() > known[-1] + 1e9 * MAX_GAP or gap.max() > 1e9 * MAX_GAP:
        refuse(where, f"no pose within {MAX_GAP:g} s of a sweep", "cut the log")
    share = np.clip((at - known[after - 1]) / np.maximum(gap, 1.0), 0.0, 1.0)[:, None]
    place = np.stack([poses[name] for name in PLACE], axis=1)
    place = (1 - share) * place[after - 1] + share * place[after]
    turn = _unit(where, np.stack([poses[name] for name in QUATERNION], axis=1))
    before, behind = turn[after - 1], turn[after]
    behind = np.where((before * behind).sum(axis=1, keepdims=True) < 0, -behind, behind)  # the short way round
    turn = _unit(where, (1 - share) * before + share * behind)
    own = _unit(f"{file}: qw", np.stack([boxes[name] for name in QUATERNION], axis=1))
    offset = np.stack([boxes[name] for name in PLACE], axis=1)
    if not (np.abs(offset) < 1e6).all() or not (np.abs(place) < 1e9).all():
        refuse(f"{file}: tx_m", "an absurd position", "drop the row")
    forward = np.broadcast_to(np.array([1.0, 0.0, 0.0]), offset.shape)
    ahead = _rotated(turn, _rotated(own, forward))
    return place + _rotated(turn, offset), np.arctan2(ahead[:, 1], ahead[:, 0])


def _unit(where: str, quaternion: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    norm = np.linalg.norm(np.clip(quaternion, -2.0, 2.0), axis=1, keepdims=True)
    if not ((norm > 0.5) & (norm < 2.0)).all():
        refuse(where, "a rotation that is no unit quaternion", "mend the row")
    return quaternion / norm


def _rotated(turn: Float[np.ndarray, "n 4"], vector: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Vectors turned by unit quaternions (w, x, y, z)."""
    twice = 2.0 * np.cross(turn[:, 1:], vector)
    return vector + turn[:, :1] * twice + np.cross(turn[:, 1:], twice)


def _tracks(
    file: str,
    boxes: dict[str, np.ndarray],
    step: Int[np.ndarray, "n"],
    in_city: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]],
    notes: Counter[str],
) -> tuple[Tracks, int]:
    """The boxes as tracks, still in the city's frame and without velocities; and the recording vehicle's number."""
    names, first, track = np.unique(boxes["track_uuid"].astype(str), return_index=True, return_inverse=True)
    steps = int(step.max()) + 1
    if len(names) > MAX_TRACKS:
        refuse(f"{file}: track_uuid", f"{len(names)} tracks", f"give at most {MAX_TRACKS}")
    cells, counts = np.unique(track * steps + step, return_counts=True)
    if (counts > 1).any():
        twice = int(cells[counts > 1][0])
        refuse(f"{file}: track {quote(str(names[twice // steps]))}", f"two boxes at step {twice % steps}", "keep one")
    category = boxes["category"][first]
    egos = np.flatnonzero(category == EGO)
    if len(egos) != 1:
        refuse(f"{file}: category", f"{len(egos)} tracks are {EGO}", "keep one")
    size = np.array(
        [[np.median(boxes[name][track == row]) for name in ("length_m", "width_m")] for row in range(len(names))]
    )
    if not ((size > 0) & (size < MAX_SIZE)).all():
        refuse(f"{file}: length_m", f"a size that is not within 0 to {MAX_SIZE:g} m", "mend the row")
    position, heading = np.zeros((len(names), steps, 2)), np.zeros((len(names), steps))
    valid = np.zeros((len(names), steps), bool)
    middle, tall = np.zeros((2, len(names), steps))
    position[track, step], heading[track, step] = in_city[0][:, :2], in_city[1]
    middle[track, step], tall[track, step] = in_city[0][:, 2], boxes["height_m"]
    valid[track, step] = True
    notes["track_ids_renumbered"] = len(names)
    notes["velocities_derived"] = len(names)
    tracks = Tracks(
        id=np.arange(len(names)),
        kind=np.array([int(KINDS.get(str(word), AgentKind.OTHER)) for word in category]),
        length=size[:, 0],
        width=size[:, 1],
        position=position,
        heading=heading,
        velocity=np.zeros_like(position),
        valid=valid,
        height=ground_heights(middle, tall, valid),
    )
    return tracks, int(egos[0])


def _velocity(
    position: Float[np.ndarray, "I T 2"], valid: Bool[np.ndarray, "I T"], dt: float
) -> Float[np.ndarray, "I T 2"]:
    """Central differences of the positions, one-sided where a track begins or ends; 0 where it is seen once."""
    step = np.where((valid[:, 1:] & valid[:, :-1])[..., None], np.diff(position, axis=1) / dt, np.nan)
    gap = np.full((len(position), 1, 2), np.nan)
    before, after = np.concatenate([gap, step], axis=1), np.concatenate([step, gap], axis=1)
    known = np.isfinite(before).astype(float) + np.isfinite(after)
    return (np.nan_to_num(before) + np.nan_to_num(after)) / np.maximum(known, 1.0)
