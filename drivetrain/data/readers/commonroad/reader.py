"""CommonRoad XML, formats 2018b and 2020a: plain, or packed with xz or gzip.

Format: https://commonroad.in.tum.de (M. Althoff, M. Koschi, S. Manzinger: CommonRoad: Composable benchmarks for motion
planning on roads, IV 2017). Planning problems are ignored: any road user can be the ego.

An `index.csv` beside the files, or one folder up, with the columns file, group and split (and source, licence) says to
which group, split, source and licence a file belongs; `file` is a name, or a path below the index.
"""

import csv
import io
import os
from collections import Counter
from dataclasses import replace

import numpy as np

from drivetrain.data.readers.commonroad.obstacles import UNREADABLE, read_obstacles, time_span, to_tracks
from drivetrain.data.readers.commonroad.road import read_road
from drivetrain.data.readers.hardened_xml import number, parse, quote, refuse
from drivetrain.data.readers.source_files import files_below, stem
from drivetrain.data.recordings.json_fields import MAX_EXTENT
from drivetrain.data.recordings.recording import MAP_DT, Recording, Tracks, no_tracks
from drivetrain.data.recordings.unpacking import read_bytes

SUFFIXES = (".xml", ".xml.xz", ".xml.gz")
VERSIONS = ("2018b", "2020a")
MAX_DT = 1.0  # s
MIN_DT = 0.001  # s


def find(source: str) -> list[str]:
    """The CommonRoad files below a path, or the file itself, sorted; told by their endings."""
    return files_below(source, SUFFIXES)


def read(file: str) -> Recording:
    """One scene. Its name is the file's; its origin is near the mean point of its lanes.

    Raises:
        InputError: one line, on anything that cannot be trusted. What is merely left out is counted in `notes`.
    """
    root = parse(file)
    if root.tag != "commonRoad":
        refuse(file, f"root element {quote(root.tag)}", "give a CommonRoad document")
    version = root.get("commonRoadVersion")
    if version not in VERSIONS:
        refuse(f"{file}: commonRoadVersion", quote(version), f"known versions: {', '.join(VERSIONS)}")
    dt = number(f"{file}: timeStepSize", root.get("timeStepSize"))
    if not MIN_DT <= dt <= MAX_DT:
        refuse(f"{file}: timeStepSize", f"{dt:g} s", f"give seconds, {MIN_DT:g} to {MAX_DT:g}")
    notes: Counter[str] = Counter()
    obstacles = read_obstacles(file, root, notes)
    first, steps = time_span(file, obstacles)
    road = read_road(file, root, first, steps, notes)
    tracks = to_tracks(obstacles, road.origin, first, steps, dt) if obstacles else no_tracks()
    tracks = _within(file, tracks, notes)
    row = _index_row(file)
    return Recording(
        name=stem(file, SUFFIXES),
        file=file,
        dt=dt if obstacles else MAP_DT,
        tracks=tracks,
        lanes=road.lanes,
        control_lines=road.control_lines,
        lights=road.lights,
        features=road.features,
        group=row.get("group", ""),
        split=row.get("split", ""),
        source=row.get("source") or root.get("source", "").strip(),
        licence=row.get("licence", ""),
        origin=road.origin,
        notes={name: count for name, count in notes.items() if count},
    )


def _within(file: str, tracks: Tracks, notes: Counter[str]) -> Tracks:
    """The tracks without those that lie far off; refused where all do: lanes and tracks are then of two frames."""
    far = np.abs(tracks.position).max(axis=(1, 2), initial=0.0) > MAX_EXTENT
    if not far.any():
        return tracks
    if far.all():
        where = f"{file}: obstacle {tracks.id[far][0]}: position"
        refuse(where, f"further than {MAX_EXTENT:g} m from the lanes", "mend the outlier")
    notes[UNREADABLE] += int(far.sum())
    return replace(tracks, **{name: column[~far] for name, column in vars(tracks).items() if column is not None})


def _index_row(file: str) -> dict[str, str]:
    """The file's row of the index beside it or one folder up; empty where there is none."""
    folder = os.path.dirname(os.path.abspath(file))
    for place in (folder, os.path.dirname(folder)):
        index = os.path.join(place, "index.csv")
        if not os.path.isfile(index):
            continue
        try:
            rows = csv.DictReader(io.StringIO(read_bytes(index).decode("utf-8-sig")), strict=True)
            if not {"file", "group", "split"} <= set(rows.fieldnames or ()):
                continue  # some other index
            names = (os.path.basename(file), os.path.relpath(os.path.abspath(file), place).replace(os.sep, "/"))
            row = next((row for row in rows if row["file"] in names), None)
        except (csv.Error, UnicodeDecodeError):
            refuse(index, "not a readable CSV file", "restore the file")
        if row is not None:
            if row["split"] not in ("", "train", "val", "test"):
                refuse(f"{index}: split", quote(row["split"]), "train, val, test or nothing")
            return {key: (row.get(key) or "").strip() for key in ("group", "split", "source", "licence")}
    return {}
