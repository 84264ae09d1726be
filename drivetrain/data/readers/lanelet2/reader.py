"""Lanelet2 maps (`.osm`), alone or with tracks in INTERACTION's folder layout.

    maps/SCENE.osm
    recorded_trackfiles/SCENE/vehicle_tracks_000.csv
    recorded_trackfiles/SCENE/pedestrian_tracks_000.csv     where there are any

A table of tracks is cut into clips of 20 s; an item is its path and a clip's number, `path#00003`. All clips of a table
share a group. A map that no table below the same source uses is an item of its own, without traffic.

Layout: W. Zhan et al., INTERACTION Dataset, 2019.
"""

import os
import re
from collections import Counter
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import parse, quote, refuse
from drivetrain.data.readers.lanelet2.lanelets import (
    Lanelet,
    neighbours,
    read_lanelets,
    read_osm,
    successors,
)
from drivetrain.data.readers.lanelet2.rules import control_lines, read_rules, speed_limit
from drivetrain.data.readers.lanelet2.tracks import Table, clip_tracks, read_table
from drivetrain.data.readers.source_files import stem
from drivetrain.data.recordings.json_fields import MAX_EXTENT
from drivetrain.data.recordings.recording import MAP_DT, Feature, Lane, Recording, Tracks, no_tracks
from drivetrain.types import ElementKind, InputError

MAPS = (".osm", ".osm.xz", ".osm.gz")
TABLE = re.compile(r"vehicle_tracks_(\w+)\.csv(?:\.xz|\.gz)?")
NEAR = 2000.0  # m; tracks further than this from the map are in another frame


def find(source: str) -> list[str]:
    """The clips and maps below a path, or of the file itself, sorted."""
    path, mark, _ = source.partition("#")
    if mark and os.path.isfile(path):
        return [source]
    if os.path.isfile(source):
        return _clips(source) if TABLE.fullmatch(os.path.basename(source)) else [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "check the path")
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names)
    tables = [file for file in files if TABLE.fullmatch(os.path.basename(file))]
    used = {os.path.realpath(map) for table in tables if (map := _map_beside(table)) is not None}
    maps = [file for file in files if file.endswith(MAPS) and os.path.realpath(file) not in used]
    return sorted([clip for table in tables for clip in _clips(table)] + maps)


def _clips(table: str) -> list[str]:
    """A table's clips; of one that cannot be read the first, which says why when it is read."""
    try:
        clips = len(read_table(_tables(table)).clips)
    except InputError:
        clips = 1
    return [f"{table}#{clip:05d}" for clip in range(clips)]


def _tables(table: str) -> tuple[str, ...]:
    """The table of vehicles, and that of pedestrians beside it, where there is one."""
    folder, name = os.path.split(table)
    beside = os.path.join(folder, name.replace("vehicle_", "pedestrian_", 1))
    return (table, beside) if os.path.isfile(beside) else (table,)


def map_of(table: str) -> str:
    """The map of a table: `maps/SCENE.osm` beside the folder that holds SCENE's tables. Raises where there is none."""
    beside = _map_beside(table)
    if beside is None:
        scene = os.path.dirname(os.path.abspath(table))
        root = os.path.dirname(os.path.dirname(scene))
        refuse(table, f"no map {quote(os.path.basename(scene) + '.osm')} in {root}/maps", "keep INTERACTION's folders")
    return beside


def _map_beside(table: str) -> str | None:
    scene = os.path.dirname(os.path.abspath(table))
    paths = (os.path.join(os.path.dirname(os.path.dirname(scene)), "maps", os.path.basename(scene) + e) for e in MAPS)
    return next((path for path in paths if os.path.isfile(path)), None)


def read(item: str) -> Recording:
    """One clip, or one map without traffic. Its origin is near the mean point of its lanes.

    Raises:
        InputError: one line, on anything that cannot be trusted. What is merely left out is counted in `notes`.
    """
    path, mark, number = item.partition("#")
    notes: Counter[str] = Counter()
    if not TABLE.fullmatch(os.path.basename(path)):
        return _recording(path, path, stem(path, MAPS), None, 0, notes)
    table = read_table(_tables(path))
    clip = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1
    if not mark or not 0 <= clip < len(table.clips):
        refuse(item, "no such clip", f"name one after the path, #00000 to #{len(table.clips) - 1:05d}")
    scene, match = os.path.basename(os.path.dirname(os.path.abspath(path))), TABLE.fullmatch(os.path.basename(path))
    name = f"{scene}_{match[1] if match else ''}_{clip:05d}"
    return _recording(item, map_of(path), name, table, clip, notes)


def _recording(item: str, map: str, name: str, table: Table | None, clip: int, notes: Counter[str]) -> Recording:
    root = parse(map)
    if root.tag != "osm":
        refuse(map, f"root element {quote(root.tag)}", "give a Lanelet2 map")
    osm = read_osm(map, root, table is not None, notes)
    lanelets = read_lanelets(map, osm, notes)
    walked = [lanelet for lanelet in lanelets if lanelet.subtype == "crosswalk" and not lanelet.drivable]
    lanelets = [lanelet for lanelet in lanelets if lanelet.subtype != "crosswalk" or lanelet.drivable]
    notes["crosswalks"] += len(walked)
    if not any(lanelet.drivable for lanelet in lanelets):
        refuse(f"{map}: relation", "no lanelet for motor vehicles", "a map needs at least one drivable lanelet")
    origin = _origin(map, lanelets)
    rules = read_rules(map, osm, notes)
    limits = [speed_limit(lanelet, rules, osm, notes) for lanelet in lanelets]
    lanes = lanes_of(lanelets, limits, origin)
    tracks = no_tracks() if table is None else clip_tracks(item, table, clip, origin, notes)
    _check_near(item, tracks, lanes)
    lines, lights = control_lines(map, lanelets, lanes, rules, osm, origin, tracks.valid.shape[1], notes)
    outlines = [np.concatenate([w.left.points, w.right.points[::-1], w.left.points[:1]]) - origin for w in walked]
    return Recording(
        name=name,
        file=item,
        dt=MAP_DT if table is None else table.dt,
        tracks=tracks,
        lanes=lanes,
        control_lines=lines,
        lights=lights,
        features=tuple(Feature(ElementKind.CROSSWALK, outline) for outline in outlines),
        group="" if table is None else name.rpartition("_")[0],
        source=_source(root, table is not None),
        origin=(float(origin[0]), float(origin[1])),
        notes={note: int(count) for note, count in notes.items() if count},
    )


def lanes_of(lanelets: list[Lanelet], limits: list[float], origin: Float[np.ndarray, "2"]) -> tuple[Lane, ...]:
    """The lanes of lanelets; a lane's id is its row, since a lanelet for both ways is two lanes."""
    beside, ahead = neighbours(lanelets), successors(lanelets)
    behind: list[list[int]] = [[] for _ in lanelets]
    for row, following in enumerate(ahead):
        for other in following:
            behind[other].append(row)
    return tuple(
        Lane(
            id=row,
            left=lanelet.left.points - origin,
            right=lanelet.right.points - origin,
            successors=ahead[row],
            predecessors=tuple(behind[row]),
            left_neighbour=beside[row][0],
            right_neighbour=beside[row][1],
            left_border=lanelet.left.kind,
            right_border=lanelet.right.kind,
            speed_limit=limits[row],
            drivable=lanelet.drivable,
            height=lanelet.left.height,
        )
        for row, lanelet in enumerate(lanelets)
    )


def _origin(map: str, lanelets: list[Lanelet]) -> Float[np.ndarray, "2"]:
    points = np.concatenate([border.points for lanelet in lanelets for border in (lanelet.left, lanelet.right)])
    if np.ptp(points, axis=0).max() > MAX_EXTENT:
        refuse(f"{map}: relation", f"lanelets further than {MAX_EXTENT:g} m apart", "cut the map or mend the outlier")
    return np.round(points.mean(axis=0))


def _check_near(item: str, tracks: Tracks, lanes: tuple[Lane, ...]) -> None:
    """Refuse tracks that lie off the map: they are in another frame."""
    if not len(tracks.id):
        return
    points = np.concatenate([border for lane in lanes for border in (lane.left, lane.right)])
    low, high = points.min(axis=0) - NEAR, points.max(axis=0) + NEAR
    place = tracks.position[tracks.valid]
    if not ((place > low) & (place < high)).all():
        refuse(f"{item}: x, y", f"a position more than {NEAR:g} m off the map", "use the map's frame, or mend the row")


def _source(root: Element, recorded: bool) -> str:
    made = root.get("generator", "").strip()[:100]
    return ", ".join(word for word in ("Lanelet2", "INTERACTION layout" if recorded else "", made) if word)
