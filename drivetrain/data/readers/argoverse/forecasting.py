"""Argoverse 2 motion forecasting: `scenario_*.parquet` with `log_map_archive_*.json` beside it.

Format: B. Wilson et al.: Argoverse 2: Next generation datasets for self-driving perception and forecasting, NeurIPS
2021. A row is one object at one of up to 110 steps of 0.1 s: the centre of its box, heading and velocity in the city's
frame. There are no sizes: `body_sizes` says what is usual for a kind (counted), and the recording vehicle's own is
known. The recording vehicle is marked. `background` objects are left out: no road users.
"""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.argoverse.vector_map import read_map
from drivetrain.data.readers.arrow_tables import read_table
from drivetrain.data.readers.body_sizes import SIZES
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import left_out, repeated
from drivetrain.data.readers.local_frame import centred
from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.types import AgentKind

SCENARIO = re.compile(r"scenario_(.+)\.parquet")
MAX_STEPS = 2048
MAX_TRACKS = 4096
AV = "AV"  # the recording vehicle's track id
AV_SIZE = (4.869, 2.0)  # m, of the Ford Fusion that recorded the data, without its mirrors
KINDS = {
    "vehicle": AgentKind.CAR,
    "bus": AgentKind.BUS,
    "motorcyclist": AgentKind.MOTORCYCLE,
    "cyclist": AgentKind.BICYCLE,
    "riderless_bicycle": AgentKind.BICYCLE,
    "pedestrian": AgentKind.PEDESTRIAN,
    "static": AgentKind.OTHER,
    "construction": AgentKind.OTHER,
    "unknown": AgentKind.OTHER,
}
LEFT_OUT = "background"
COLUMNS = {
    "track_id": "text",
    "object_type": "text",
    "timestep": "integer",
    "position_x": "measure",
    "position_y": "measure",
    "heading": "measure",
    "velocity_x": "measure",
    "velocity_y": "measure",
}
OF_THE_SCENE = {
    "scenario_id": "text",
    "slice_id": "text",
    "start_timestamp": "number",
    "end_timestamp": "number",
    "num_timestamps": "integer",
}
"""Columns with one value a file."""


def find(source: str) -> list[str]:
    """The scenario files below a path (or the file itself), sorted."""
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "name a scenario or a folder of scenarios")
    return sorted(str(path) for path in Path(source).rglob("scenario_*.parquet") if path.is_file())


def read(file: str) -> Recording:
    """Read one scenario and the map beside it. Its origin is the middle of the tracks.

    Raises:
        InputError: one line, on anything that is not of the format or cannot be trusted, and where pyarrow is missing.
    """
    named = SCENARIO.fullmatch(Path(file).name)
    if named is None:
        refuse(file, "a name other than scenario_….parquet", "keep the data set's own names: they name the map")
    table = read_table(file, COLUMNS, OF_THE_SCENE)
    if not len(table["track_id"]):
        refuse(file, "no rows", "leave the file out")
    notes: Counter[str] = Counter()
    tracks, ids = _tracks(file, table, notes)
    tracks, origin = centred(f"{file}: position_x", tracks)
    road = read_map(os.path.join(os.path.dirname(file), f"log_map_archive_{named[1]}.json"), origin, notes)
    return Recording(
        name=f"scenario_{named[1]}",
        file=file,
        dt=_dt(file, table),
        tracks=tracks,
        lanes=road.lanes,
        features=road.features,
        group=_first(table, "slice_id") or _first(table, "scenario_id"),
        source="Argoverse 2 motion forecasting",
        licence="CC BY-NC-SA 4.0",
        marked=(ids[AV],) if AV in ids else (),
        origin=(float(origin[0]), float(origin[1])),
        notes={name: count for name, count in sorted(notes.items()) if count},
    )


def _first(table: dict[str, np.ndarray], name: str) -> str:
    """A scene's own word; empty where it is missing, long, or not printable."""
    word = str(table[name][0]) if name in table else ""
    return word if word.isprintable() and len(word) < 100 else ""


def _dt(file: str, table: dict[str, np.ndarray]) -> float:
    """The step, s: from the first and last time stamp (ns) where they are given, else 0.1."""
    if not {"start_timestamp", "end_timestamp", "num_timestamps"} <= table.keys():
        return 0.1
    steps = int(table["num_timestamps"][0])
    span = float(table["end_timestamp"][0] - table["start_timestamp"][0]) * 1e-9
    dt = round(span / (steps - 1), 3) if steps > 1 else 0.0
    if not 0.01 <= dt <= 1.0:
        refuse(f"{file}: end_timestamp", f"{steps} steps over {span:g} s", "give steps of 0.01 to 1 s, in ns")
    return dt


def _tracks(file: str, table: dict[str, np.ndarray], notes: Counter[str]) -> tuple[Tracks, dict[str, int]]:
    """Every object but the background, positions still in the city's frame; and the numbers of the source's ids."""
    kept = table["object_type"] != LEFT_OUT
    kept = left_out(table["track_id"], kept, _odd_rows(table) & kept, notes)
    names, track = np.unique(table["track_id"][kept].astype(str), return_inverse=True)
    notes["background_left_out"] = len(set(table["track_id"][~kept].tolist()))
    step = table["timestep"][kept]
    if not len(names):
        refuse(f"{file}: object_type", "nothing but background", "leave the file out")
    if len(names) > MAX_TRACKS or not (step >= 0).all() or not (step < MAX_STEPS).all():
        refuse(f"{file}: timestep", "more tracks or steps than a scenario has", f"give steps 0 to {MAX_STEPS - 1}")
    steps = int(step.max()) + 1
    _check_once(file, names, track, step, steps)
    known = {str(word): _kind(file, str(word)) for word in set(table["object_type"][kept].tolist())}
    kinds = [known[str(table["object_type"][kept][row])] for row in np.unique(track, return_index=True)[1]]
    columns = {name: table[name][kept] for name in ("position_x", "position_y", "heading", "velocity_x", "velocity_y")}
    for name, column in columns.items():
        if not (np.abs(column) < 1e9).all():
            refuse(f"{file}: {name}", "an absurd value", "drop the row")
    sizes = [AV_SIZE if name == AV else SIZES[kind] for name, kind in zip(names.tolist(), kinds, strict=True)]
    notes["objects_without_size"] = len(names) - int(AV in names)
    ids = _numbers(names.tolist())

    def spread(*words: str) -> Float[np.ndarray, "I T _"]:
        grid = np.zeros((len(names), steps, len(words)))
        grid[track, step] = np.stack([columns[word] for word in words], axis=1)
        return grid

    heading = spread("heading")[..., 0]
    valid = np.zeros((len(names), steps), bool)
    valid[track, step] = True
    tracks = Tracks(
        id=np.array([ids[name] for name in names.tolist()], np.int64),
        kind=np.array([int(kind) for kind in kinds]),
        length=np.array([length for length, _ in sizes]),
        width=np.array([width for _, width in sizes]),
        position=spread("position_x", "position_y"),
        heading=np.arctan2(np.sin(heading), np.cos(heading)),
        velocity=spread("velocity_x", "velocity_y"),
        valid=valid,
    )
    return tracks, ids


def _odd_rows(table: dict[str, np.ndarray]) -> Bool[np.ndarray, "n"]:
    """Rows of no known type or with a value beyond sense, and those that stand for an object and a step again."""
    numbers = np.stack([table[name] for name in ("position_x", "position_y", "heading", "velocity_x", "velocity_y")])
    odd = ~np.isin(table["object_type"].astype(str), [*KINDS, LEFT_OUT]) | ~(np.abs(numbers) < 1e9).all(axis=0)
    return odd | repeated(table["track_id"].astype(str), table["timestep"])


def _check_once(
    file: str, names: np.ndarray, track: Int[np.ndarray, "n"], step: Int[np.ndarray, "n"], steps: int
) -> None:
    cells, counts = np.unique(track * steps + step, return_counts=True)
    if (counts > 1).any():
        twice = int(cells[counts > 1][0])
        where = f"{file}: track {quote(str(names[twice // steps]))}"
        refuse(f"{where}: timestep", f"two rows at step {twice % steps}", "keep one")
    if steps < 2:
        refuse(f"{file}: timestep", "a single step", "leave the file out")


def _kind(file: str, word: str) -> AgentKind:
    if word not in KINDS:
        refuse(f"{file}: object_type", quote(word), f"known types: {', '.join((*KINDS, LEFT_OUT))}")
    return KINDS[word]


def _numbers(names: list[str]) -> dict[str, int]:
    """A number for every track: its own where it is one; the recording vehicle's is the first that is free."""
    own = {name: int(name) for name in names if re.fullmatch(r"0|[1-9][0-9]{0,14}", name)}
    used, free = set(own.values()), 0
    for name in names:
        if name not in own:
            while free in used:
                free += 1
            own[name] = free
            used.add(free)
    return own
