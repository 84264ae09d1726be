"""Signals of an OpenDRIVE document: lights, stop signs and stop lines, and the lanes that they govern.

The rules, in order:
  1. A dynamic signal is a light, unless its type is one for pedestrians, bicycles or trams. A signal of type 206 or
     R1-1, or whose name holds the word "stop", is a stop sign; so is that word painted on a lane (an object so named).
  2. A signal, or a reference to it, governs the lanes of its `validity`; without one, those that run the way of its
     `orientation`. In a junction it governs a lane from its start on, elsewhere at its s; a painted word, at its end.
  3. A stop line is an object so named, or a signal of type 294. It lies on the lanes whose centre it crosses.
  4. A light or stop sign takes the painted line on its lane, or on one before it, nearest to its place within 15 m;
     else its line is the lane's cross-section at its place. Painted lines that nobody takes stand as lines.
"""

import re
from collections import Counter
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import integer, number, quote, refuse
from drivetrain.data.readers.opendrive.objects import Net, read_objects, words
from drivetrain.data.readers.opendrive.roads import Road
from drivetrain.data.readers.stop_lines import Place, Segment, centre, crossed
from drivetrain.data.recordings.polylines import arc_length, arc_lengths
from drivetrain.data.recordings.recording import ControlLine, Feature, Lane, Light
from drivetrain.types import ControlKind, InputError, LightState

REACH = 15.0  # m, from a signal's place to the painted line that it takes
OTHER_LIGHTS = {"1000002", "1000007", "1000013", "1000014", "1000015"}  # for pedestrians, bicycles, trams
STOP_SIGNS = {"206", "R1-1"}
STOP_LINE = "294"
MAX_GOVERNED = 1_000_000


class Signals(NamedTuple):
    """What governs the lanes, and what else is drawn."""

    control_lines: tuple[ControlLine, ...]
    lights: tuple[Light, ...]
    features: tuple[Feature, ...]


class Demand(NamedTuple):
    """What a lane is asked for at a place: by a light, or by a stop sign (no light)."""

    place: Place
    light: int | None


def read_signals(file: str, net: Net, notes: Counter[str]) -> Signals:
    """All control lines, lights and crosswalks, less the origin. What is left out or derived is counted."""
    objects = read_objects(file, net, notes)
    lights, demands, lines = _signals(file, net, notes)
    notes["stop_signs_by_a_painted_word"] += len(objects.stop_words)
    demands += [Demand(place, None) for place in objects.stop_words]
    lines = objects.stop_lines + lines
    painted = crossed(net.lanes, lines)
    notes["stop_lines_without_a_lane"] += len(lines) - len({line for line, _, _ in painted})
    on_lane: dict[int, list[tuple[Place, Segment]]] = {}
    for _, place, ends in painted:
        on_lane.setdefault(place.lane, []).append((place, ends))
    return Signals(tuple(_control_lines(net.lanes, demands, on_lane, notes)), lights, objects.crosswalks)


def _signals(file: str, net: Net, notes: Counter[str]) -> tuple[tuple[Light, ...], list[Demand], list[Segment]]:
    """All lights, what signals and references to them ask of which lanes, and stop lines given as signals."""
    kinds: dict[str, ControlKind] = {}
    lights: dict[str, Light] = {}
    lines: list[Segment] = []
    holders = []
    for road in net.roads.values():
        for element in road.element.findall("signals/signal"):
            id = element.get("id", "")
            where = f"{file}: road {quote(road.id)}: signal {quote(id)}"
            if id in kinds:  # told apart by their places; references mean the first
                notes["signals_with_another_ones_id"] += 1
                id = f"{id} {len(kinds)}"
                element.set("id", id)
            kinds[id] = _kind(element)
            try:
                place, across = _stand(where, road, element)
            except InputError:
                notes["signals_unreadable"] += 1
                del kinds[id]
                continue
            if kinds[id] == ControlKind.LIGHT:
                unknown = np.full(1, LightState.UNKNOWN, np.int32)
                lights[id] = Light(len(lights), unknown, recorded=False, position=place - net.origin)
            elif kinds[id] == ControlKind.LINE:
                lines.append(np.stack([place + across, place - across]) - net.origin)
            holders.append((road, element))
        holders += [(road, element) for element in road.element.findall("signals/signalReference")]
    notes["signals_left_out"] += sum(kind == ControlKind.NONE for kind in kinds.values())
    demands: dict[Demand, None] = {}
    for road, element in holders:
        id = element.get("id", "")
        notes["dangling_references"] += id not in kinds
        if kinds.get(id) in (ControlKind.LIGHT, ControlKind.STOP_SIGN):
            where = f"{file}: road {quote(road.id)}: signal {quote(id)}"
            light = lights[id].id if id in lights else None
            try:
                demands |= {Demand(place, light): None for place in _governed(where, net, road, element)}
            except InputError:
                notes["signals_unreadable"] += 1
            if len(demands) > MAX_GOVERNED:
                refuse(f"{file}: signal", f"more than {MAX_GOVERNED} governed lanes", "split the map")
    hung = {demand.light for demand in demands}
    notes["lights_without_a_lane"] += sum(light.id not in hung for light in lights.values())
    return tuple(lights.values()), list(demands), lines


def _kind(element: Element) -> ControlKind:
    kind, name = element.get("type", "").replace(".", "").strip(), words(element.get("name", ""))
    if kind == STOP_LINE or "stopline" in name:
        return ControlKind.LINE
    if kind in STOP_SIGNS or re.search(r"\bstop\b", name):
        return ControlKind.STOP_SIGN
    if element.get("dynamic") == "yes" and kind not in OTHER_LIGHTS:
        return ControlKind.LIGHT
    return ControlKind.NONE


def _stand(where: str, road: Road, element: Element) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Where a signal stands, and from its middle to its left end (half of its width, or of a lane's)."""
    s, t = (number(f"{where}: {key}", element.get(key)) for key in ("s", "t"))
    if abs(t) > 500.0:
        refuse(f"{where}: t", f"{t:g} m beside its road", "mend the value")
    place, angle = road.place(s, t)
    half = 0.5 * abs(number(f"{where}: width", element.get("width", "3.5")))
    return place, min(half, 50.0) * np.array([-np.sin(angle), np.cos(angle)])


def _governed(where: str, net: Net, road: Road, element: Element) -> list[Place]:
    """The lanes that a signal, or a reference to one, governs, and where."""
    s = number(f"{where}: s", element.get("s"))
    spans = []
    for validity in element.findall("validity"):
        ends = [integer(f"{where}: validity", validity.get(key), -1000, 1000) for key in ("fromLane", "toLane")]
        spans.append((min(ends), max(ends)))
    places = []
    for (key, forward), row in net.at(road, s):
        if spans:
            meant = any(low <= key[2] <= high for low, high in spans)
        else:
            meant = element.get("orientation", "none") in ("none", "+" if forward else "-")
        if meant and net.lanes[row].drivable:
            section = road.sections[key[1]]
            share = (s - section.start) / max(section.end - section.start, 1e-9)
            share = 0.0 if road.junction is not None else float(np.clip(share if forward else 1.0 - share, 0.0, 1.0))
            places.append(Place(row, share * arc_length(centre(net.lanes[row]))))
    return places


def _control_lines(
    lanes: tuple[Lane, ...],
    demands: list[Demand],
    painted: dict[int, list[tuple[Place, Segment]]],
    notes: Counter[str],
) -> list[ControlLine]:
    """A line for each demand, and the painted lines that none of them took."""
    lines = []
    taken: set[Place] = set()
    for place, light in demands:
        lane = lanes[place.lane]
        near = [(abs(at.arc - place.arc), at, ends) for at, ends in painted.get(lane.id, [])]
        for before in lane.predecessors:
            rest = place.arc + arc_length(centre(lanes[before]))
            near += [(abs(rest - at.arc), at, ends) for at, ends in painted.get(before, [])]
        near = sorted((item for item in near if item[0] <= REACH), key=lambda item: item[0])
        if near:
            taken.add(near[0][1])
        notes["stop_lines_derived" if not near else "stop_lines_as_painted"] += 1
        ends = near[0][2] if near else _section_at(lane, place.arc)
        kind = ControlKind.STOP_SIGN if light is None else ControlKind.LIGHT
        lines.append(ControlLine(ends, lane.id, kind, light))
    for lane, marks in painted.items():
        lines += [ControlLine(ends, lane, ControlKind.LINE) for place, ends in marks if place not in taken]
    return lines


def _section_at(lane: Lane, arc: float) -> Segment:
    """A lane's cross-section, `arc` metres along its centre."""
    middle = centre(lane)
    travelled = arc_lengths(middle)
    return np.array(
        [[np.interp(arc, travelled, border[:, axis]) for axis in (0, 1)] for border in (lane.left, lane.right)]
    )
