"""OpenDRIVE maps (`.xodr`, formats 1.1 to 1.8): plain, or packed with xz or gzip.

Format: ASAM OpenDRIVE, https://www.asam.net/standards/detail/opendrive. A map has no traffic: its recording is of one
step and no tracks. Heights are those of the roads' elevation profiles.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import shapely
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import parse, quote, refuse
from drivetrain.data.readers.opendrive.links import Node, meetings, successors_of
from drivetrain.data.readers.opendrive.objects import Net
from drivetrain.data.readers.opendrive.roads import Key, Strip, read_roads
from drivetrain.data.readers.opendrive.signals import read_signals
from drivetrain.data.readers.source_files import files_below, stem
from drivetrain.data.recordings.json_fields import MAX_EXTENT
from drivetrain.data.recordings.recording import LEVELS_APART, MAP_DT, Lane, Recording, no_tracks

SUFFIXES = (".xodr", ".xodr.xz", ".xodr.gz")
WORDS = {"name", "vendor", "date", "text", "type", "subtype", "country", "countryRevision", "unit", "program"}
"""Attributes that are often empty, and that nothing depends on then."""


def find(source: str) -> list[str]:
    """The OpenDRIVE files below a path, or the file itself, sorted; told by their endings."""
    return files_below(source, SUFFIXES)


def read(file: str) -> Recording:
    """One map, without traffic. Its name is the file's; its origin is near the mean point of its lanes.

    Raises:
        InputError: one line, on anything that cannot be trusted. What is merely left out is counted in `notes`.
    """
    root = parse(file)
    notes: Counter[str] = Counter()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # newer files name a schema
        for key in [key for key, value in element.attrib.items() if not value.strip()]:
            del element.attrib[key]  # as if it were not given
            notes["empty_attributes"] += key not in WORDS
    if root.tag != "OpenDRIVE":
        refuse(file, f"root element {quote(root.tag)}", "give an OpenDRIVE document")
    roads, strips = read_roads(file, root, notes)
    if not any(strip.usable and strip.drivable for strip in strips.values()):
        refuse(f"{file}: lane", "none for motor vehicles", "a map needs at least one drivable lane")
    origin = _origin(file, strips)
    ahead = successors_of(strips, meetings(file, root, roads, notes), notes)
    lanes, number = lanes_of(strips, ahead, origin)
    notes["lanes_too_short_or_narrow"] += sum(not strip.usable for strip in strips.values())
    notes["lanes_used_both_ways"] += sum(strip.usable and len(strip.forward) > 1 for strip in strips.values())
    notes["lanes_crossing_above_others"] += _crossings(strips)
    of_section: dict[tuple[str, int], list[tuple[Node, int]]] = {}
    for node, row in number.items():
        of_section.setdefault(node[0][:2], []).append((node, row))
    signals = read_signals(file, Net(roads, lanes, of_section, origin), notes)
    header = root.find("header")
    named = [] if header is None else [header.get(key, "").strip() for key in ("name", "vendor")]
    return Recording(
        name=stem(file, SUFFIXES),
        file=file,
        dt=MAP_DT,
        tracks=no_tracks(),
        lanes=lanes,
        control_lines=signals.control_lines,
        lights=signals.lights,
        features=signals.features,
        source=", ".join(word for word in ("OpenDRIVE", *named) if word)[:200],
        origin=(float(origin[0]), float(origin[1])),
        notes={name: int(count) for name, count in notes.items() if count},
    )


def lanes_of(
    strips: dict[Key, Strip], ahead: dict[Node, tuple[Node, ...]], origin: Float[np.ndarray, "2"]
) -> tuple[tuple[Lane, ...], dict[Node, int]]:
    """The lanes in their direction of travel, and the id of each."""
    number = {node: index for index, node in enumerate(ahead)}
    behind: dict[Node, list[int]] = {node: [] for node in ahead}
    for node, targets in ahead.items():
        for target in targets:
            behind[target].append(number[node])
    lanes = []
    for node, targets in ahead.items():
        key, forward = node
        strip = strips[key]
        sides = [_beside(strips, key, forward, other) for other in strip.beside]
        lane = Lane(
            id=number[node],
            left=strip.high - origin,
            right=strip.low - origin,
            successors=tuple(number[target] for target in targets),
            predecessors=tuple(sorted(behind[node])),
            left_neighbour=number.get(sides[1]) if sides[1] is not None else None,
            right_neighbour=number.get(sides[0]) if sides[0] is not None else None,
            left_border=strip.high_mark,
            right_border=strip.low_mark,
            speed_limit=strip.speed_limit,
            drivable=strip.drivable,
            height=strip.height,
        )
        lanes.append(lane if forward else _turned(lane))
    return tuple(lanes), number


def _beside(strips: dict[Key, Strip], key: Key, forward: bool, other: int | None) -> Node | None:
    """The lane at one border, where it is of the same use and runs the same way."""
    if other is None:
        return None
    beside = strips.get((key[0], key[1], other))
    if beside is None or forward not in beside.forward or beside.drivable != strips[key].drivable:
        return None
    return beside.key, forward


def _turned(lane: Lane) -> Lane:
    """The lane travelled the other way: left is right."""
    return replace(
        lane,
        left=lane.right[::-1],
        right=lane.left[::-1],
        left_neighbour=lane.right_neighbour,
        right_neighbour=lane.left_neighbour,
        left_border=lane.right_border,
        right_border=lane.left_border,
        height=None if lane.height is None else lane.height[::-1],
    )


def _origin(file: str, strips: dict[Key, Strip]) -> Float[np.ndarray, "2"]:
    points = np.concatenate([border for strip in strips.values() if strip.usable for border in (strip.low, strip.high)])
    if not np.isfinite(points).all() or np.ptp(points, axis=0).max() > MAX_EXTENT:
        refuse(f"{file}: road", f"points further than {MAX_EXTENT:g} m apart", "cut the map or mend the outlier")
    return np.round(points.mean(axis=0))


def _crossings(strips: dict[Key, Strip]) -> int:
    """Lanes that lie above another, by the heights of their roads."""
    usable = [strip for strip in strips.values() if strip.usable]
    heights = np.concatenate([strip.height for strip in usable])
    if np.ptp(heights) < LEVELS_APART:
        return 0
    centre = np.concatenate([0.5 * (strip.low + strip.high) for strip in usable])
    owner = np.repeat(np.arange(len(usable)), [len(strip.s) for strip in usable])
    upper = np.flatnonzero(heights > heights.min() + LEVELS_APART)
    tree = shapely.STRtree(np.asarray(shapely.points(centre)))
    one, other = tree.query(shapely.points(centre[upper]), predicate="dwithin", distance=1.0)
    return len(np.unique(owner[upper[one[heights[upper[one]] - heights[other] > LEVELS_APART]]]))
