"""The roads of an OpenDRIVE document as strips: one lane of one lane section, between its two borders.

A lane runs along s right of the reference line and against it on the left, and the other way round where the road's
rule is LHT, or where the lane's `direction` says so. Stations stand at most a metre apart.

Shapes: n stations of a lane section.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import integer, number, quote, refuse
from drivetrain.data.readers.opendrive.geometry import (
    MAX_PARTS,
    MAX_ROAD,
    Cubics,
    Piece,
    cubics,
    gaps,
    places,
    read_pieces,
)
from drivetrain.types import ElementKind, InputError

STEP = 1.0  # m, between stations
NEAREST = 0.01  # m, between stations
SHORTEST = 0.15  # m; shorter lanes have no direction: what they lead from leads to what they lead to
LEAST_WIDTH = 0.05  # m; a lane that is nowhere wider is not there
MAX_WIDTH = 100.0  # m
MAX_TOTAL = 2_000_000.0  # m of lanes
MAX_SPEED_LIMIT = 100.0  # m/s

DRIVING = {"driving", "entry", "exit", "onRamp", "offRamp", "connectingRamp", "slipLane", "bidirectional"}
DRIVING |= {"bus", "taxi", "HOV", "mwyEntry", "mwyExit"}
WALKING = {"biking", "sidewalk", "walking"}
UNITS = {"m/s": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704}
MARKS = {
    "none": ElementKind.LINE_VIRTUAL,
    "solid": ElementKind.LINE_SOLID,
    "solid solid": ElementKind.LINE_SOLID,
    "solid broken": ElementKind.LINE_SOLID,
    "broken solid": ElementKind.LINE_SOLID,
    "curb": ElementKind.LINE_SOLID,
    "edge": ElementKind.LINE_SOLID,
    "broken": ElementKind.LINE_DASHED,
    "broken broken": ElementKind.LINE_DASHED,
    "botts dots": ElementKind.LINE_DASHED,
}

Value = TypeVar("Value")
Key = tuple[str, int, int]
"""A lane: its road, the row of its lane section, its number."""


@dataclass(frozen=True)
class Strip:
    """One lane of one lane section, in the direction of s; `low` and `high` are its borders by t."""

    key: Key
    drivable: bool
    forward: tuple[bool, ...]  # directions of travel: True along s; two for a lane used both ways
    s: Float[np.ndarray, "n"]
    low: Float[np.ndarray, "n 2"]
    high: Float[np.ndarray, "n 2"]
    height: Float[np.ndarray, "n"]  # m, of the road
    low_mark: ElementKind
    high_mark: ElementKind
    speed_limit: float
    usable: bool  # False: too short or too narrow to be a lane; it only passes links on
    beside: tuple[int | None, int | None]  # numbers of the lanes at its low and its high border


class Section(NamedTuple):
    """One lane section: where it lies along the road, and its lanes by number (0 is the centre)."""

    start: float
    end: float
    base: float  # from where its records count
    limit: float  # where the next section's own records begin: `end`, or before
    lanes: dict[int, Element]


class Road(NamedTuple):
    """One road: its element, its reference line, and its lane sections by s."""

    id: str
    element: Element
    pieces: tuple[Piece, ...]
    length: float
    sections: tuple[Section, ...]
    left_hand: bool
    junction: str | None

    def place(self, s: float, t: float) -> tuple[Float[np.ndarray, "2"], float]:
        """The point at s and t, and the reference line's heading there."""
        position, heading = places(self.pieces, np.array([s]))
        angle = float(heading[0])
        return position[0] + t * np.array([-np.sin(angle), np.cos(angle)]), angle


def read_roads(file: str, root: Element, notes: Counter[str]) -> tuple[dict[str, Road], dict[Key, Strip]]:
    """All roads by id, and their lanes. A road that cannot be trusted is left out and counted.

    Raises `InputError` where no road is left, two have one id, or there is too much of them, before anything large is
    made.
    """
    roads: dict[str, Road] = {}
    strips: dict[Key, Strip] = {}
    total, reason = 0.0, None
    for element in root.findall("road"):
        id = element.get("id", "")
        where = f"{file}: road {quote(id)}"
        if id in roads:
            refuse(where, "two roads with this id", "make the ids unique")
        try:
            road = _road(where, id, element, notes)
            total += sum((section.end - section.start) * len(section.lanes) for section in road.sections)
            if total <= MAX_TOTAL:
                strips |= {strip.key: strip for strip in _strips_of(where, road, notes)}
        except InputError as error:
            notes["roads_unreadable"] += 1
            reason = reason or error
            continue
        if total > MAX_TOTAL:
            refuse(f"{file}: road", f"more than {MAX_TOTAL:g} m of lanes", "split the map")
        roads[id] = road
    if reason is not None and not roads:
        raise reason
    if not roads:
        refuse(f"{file}: road", "none", "a map needs at least one road")
    return roads, strips


def _road(where: str, id: str, element: Element, notes: Counter[str]) -> Road:
    length = number(f"{where}: length", element.get("length"))
    if not 0.0 <= length <= MAX_ROAD:
        refuse(f"{where}: length", f"{length:g} m", f"give a length from 0 to {MAX_ROAD:g} m")
    pieces = read_pieces(where, element)
    notes["reference_line_gaps"] += gaps(pieces)
    drawn = max(piece.s + piece.length for piece in pieces)
    notes["roads_of_another_length"] += abs(drawn - length) > 0.1
    length = min(length, drawn)
    rule = element.get("rule", "RHT")
    if rule not in ("RHT", "LHT"):
        refuse(f"{where}: rule", quote(rule), "RHT or LHT")
    junction = element.get("junction", "-1")
    sections = _sections(where, element, length)
    notes["lane_sections_of_a_single_side"] += len(element.findall("lanes/laneSection[@singleSide='true']"))
    return Road(id, element, pieces, length, sections, rule == "LHT", None if junction in ("-1", "") else junction)


def _sections(where: str, road: Element, length: float) -> tuple[Section, ...]:
    """The lane sections of a road, by s."""
    parts = []
    for tag in ("lanes/laneSection", "type"):
        if len(road.findall(tag)) > MAX_PARTS:
            refuse(f"{where}: {tag}", f"more than {MAX_PARTS}", "split the road")
    for element in road.findall("lanes/laneSection"):
        start = number(f"{where}: laneSection: s", element.get("s"))
        lanes: dict[int, Element] = {}
        for side in ("left", "center", "right"):
            for lane in element.findall(f"{side}/lane"):
                id = integer(f"{where}: lane: id", lane.get("id"), -1000, 1000)
                if id in lanes:
                    refuse(
                        f"{where}: laneSection {start:g}: lane {id}", "two lanes with this id", "make the ids unique"
                    )
                lanes[id] = lane
        parts.append((min(max(start, 0.0), length), lanes))
    parts.sort(key=lambda item: item[0])
    ends = [start for start, _ in parts[1:]] + [length]
    sections = [Section(start, end, start, end, lanes) for (start, lanes), end in zip(parts, ends, strict=True)]
    return tuple(_absorbed(sections))


def _absorbed(sections: list[Section]) -> list[Section]:
    """Sections too short to be lanes left without length: the one before them, or after, runs on to cover them."""
    result: list[Section] = []
    last: int | None = None  # the row of the last section that is long enough
    for row, section in enumerate(sections):
        if section.end - section.start >= SHORTEST:
            start = sections[0].start if last is None else section.start
            result.append(section._replace(start=start))
            last = row
        else:
            result.append(section._replace(start=section.end))
            if last is not None:
                result[last] = result[last]._replace(end=section.end)
    return result


def _strips_of(where: str, road: Road, notes: Counter[str]) -> list[Strip]:
    """The lanes of a road that are driven, cycled or walked on; others are counted."""
    offset = cubics(f"{where}: laneOffset", road.element.findall("lanes/laneOffset"))
    height = cubics(f"{where}: elevation", road.element.findall("elevationProfile/elevation"))
    limits = _limits(f"{where}: type", road, notes)
    strips = []
    for row, section in enumerate(road.sections):
        strips += _strips_of_section(where, road, row, section, (offset, height), limits, notes)
    return strips


def _limits(where: str, road: Road, notes: Counter[str]) -> list[tuple[float, float]]:
    """The road's speed limit from each s on."""
    limits = []
    for element in road.element.findall("type"):
        limit = element.find("speed")
        start = number(f"{where}: s", element.get("s"))
        limits.append((start, 0.0 if limit is None else _limit(limit, notes)))
    return sorted(limits)


def _limit(element: Element, notes: Counter[str]) -> float:
    """A speed limit in m/s; 0 where there is none, or none that makes sense."""
    text = element.get("max", "")
    if text in ("no limit", "undefined", ""):
        return 0.0
    try:
        limit = float(text) * UNITS[element.get("unit", "m/s")]
    except (ValueError, KeyError):
        limit = -1.0
    readable = 0.0 <= limit <= MAX_SPEED_LIMIT
    notes["speed_limits_unreadable"] += not readable
    return limit if readable else 0.0


def _strips_of_section(
    where: str,
    road: Road,
    row: int,
    section: Section,
    profiles: tuple[Cubics, Cubics],
    limits: list[tuple[float, float]],
    notes: Counter[str],
) -> list[Strip]:
    offset, height = profiles
    limit = _longest(limits, section, 0.0)
    widths = {id: _width(where, id, lane, section.base) for id, lane in section.lanes.items() if id}
    knots = [offset.start, [piece.s for piece in road.pieces], *(width.start for width, _ in widths.values())]
    s = _stations(section.start, section.end, np.concatenate([np.asarray(knot, float) for knot in knots]))
    position, heading = places(road.pieces, s)
    normal = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    own = np.clip(s, section.base, section.limit)  # beyond, borders run on as they are
    centre = offset.at(own, before=section.limit)
    borders, thin = {0: centre}, set()
    for id in sorted(widths, key=abs):
        inner = borders.get(id - np.sign(id), centre)
        sign = float(np.sign(id))
        curve, absolute = widths[id]
        value = curve.at(own)
        wide = sign * (value - inner) if absolute else value
        if not (wide < MAX_WIDTH).all():
            refuse(f"{where}: lane {id}: width", f"more than {MAX_WIDTH:g} m", "mend the value")
        notes["negative_widths"] += bool((wide < -1e-6).any())
        borders[id] = inner + sign * np.maximum(wide, 0.0)
        if wide.max() < LEAST_WIDTH:
            thin.add(id)
    marks = {id: _mark(where, lane, section, notes) for id, lane in section.lanes.items()}
    across = [id for id in sorted(section.lanes) if id and id not in thin]
    strips = []
    for id in sorted(widths):
        kind = section.lanes[id].get("type", "none")
        if kind not in DRIVING | WALKING:
            notes["lanes_of_other_types"] += 1
            continue
        inner = int(id - np.sign(id))
        low, high = (id, inner) if id < 0 else (inner, id)
        usable = id not in thin and section.end - section.start >= SHORTEST
        at = across.index(id) if usable else -1
        strips.append(
            Strip(
                key=(road.id, row, id),
                drivable=kind in DRIVING,
                forward=_directions(where, road, id, section.lanes[id], kind),
                s=s,
                low=position + borders.get(low, centre)[:, None] * normal,
                high=position + borders.get(high, centre)[:, None] * normal,
                height=height.at(s),
                low_mark=marks.get(low, ElementKind.LINE_VIRTUAL),
                high_mark=marks.get(high, ElementKind.LINE_VIRTUAL),
                speed_limit=_limit_of(where, section, id, notes) or limit,
                usable=usable,
                beside=(
                    across[at - 1] if at > 0 else None,
                    across[at + 1] if usable and at + 1 < len(across) else None,
                ),
            )
        )
    return strips


def _stations(start: float, end: float, knots: Float[np.ndarray, "_"]) -> Float[np.ndarray, "n"]:
    """Stations from start to end: at most `STEP` apart, and at every knot."""
    even = np.linspace(start, end, max(int(np.ceil((end - start) / STEP)), 1) + 1)
    stations = np.sort(np.concatenate([even, knots]))
    apart = np.diff(stations, prepend=-np.inf) > NEAREST
    inside = stations[apart & (stations > start + NEAREST) & (stations < end - NEAREST)]
    return np.concatenate([[start], inside, [end]])


def _width(where: str, id: int, lane: Element, start: float) -> tuple[Cubics, bool]:
    """A lane's width over s, or (True) the t of its outer border, where it gives no width."""
    widths = lane.findall("width")
    if widths or not lane.findall("border"):
        return cubics(f"{where}: lane {id}: width", widths, "sOffset", start), False
    return cubics(f"{where}: lane {id}: border", lane.findall("border"), "sOffset", start), True


def _mark(where: str, lane: Element, section: Section, notes: Counter[str]) -> ElementKind:
    """What is painted along most of a lane's outer border."""
    records = []
    for element in lane.findall("roadMark"):
        name = element.get("type", "none")
        notes["other_road_marks"] += name not in MARKS
        start = section.base + number(f"{where}: roadMark: sOffset", element.get("sOffset", "0"))
        records.append((start, MARKS.get(name, ElementKind.LINE_VIRTUAL)))
    notes["borders_of_several_marks"] += len({mark for _, mark in records}) > 1
    return _longest(sorted(records), section, ElementKind.LINE_VIRTUAL)


def _limit_of(where: str, section: Section, id: int, notes: Counter[str]) -> float:
    """A lane's own limit along most of it; 0 where it has none."""
    own = []
    for element in section.lanes[id].findall("speed"):
        start = section.base + number(f"{where}: lane {id}: speed: sOffset", element.get("sOffset", "0"))
        own.append((start, _limit(element, notes)))
    return _longest(sorted(own), section, 0.0)


def _longest(records: Sequence[tuple[float, Value]], section: Section, default: Value) -> Value:
    """Of values in force from their start to the next, the one that covers most of a lane section."""
    covered: dict[Value, float] = {
        default: max(min(records[0][0], section.end) - section.start, 0.0) if records else 0.0
    }
    for index, (start, value) in enumerate(records):
        end = records[index + 1][0] if index + 1 < len(records) else section.end
        length = min(end, section.end) - max(start, section.start)
        covered[value] = covered.get(value, 0.0) + max(length, 0.0)
    return max(covered, key=lambda value: covered[value])


def _directions(where: str, road: Road, id: int, lane: Element, kind: str) -> tuple[bool, ...]:
    forward = (id < 0) != road.left_hand
    direction = lane.get("direction", "standard")
    if direction not in ("standard", "reversed", "both"):
        refuse(f"{where}: lane {id}: direction", quote(direction), "standard, reversed or both")
    if direction == "both" or kind == "bidirectional":
        return (forward, not forward)
    return (forward != (direction == "reversed"),)
