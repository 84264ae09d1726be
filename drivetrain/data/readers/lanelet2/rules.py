"""What the regulatory elements of a Lanelet2 map ask for: speed limits, lights, stop signs, stop lines.

The rules, in order:
  1. A lanelet's limit is its tag `speed_limit`, else the lowest of its regulatory elements of that kind: their tag
     `max_speed`, `speed_limit` or `sign_type`, or the subtype of the sign that they refer to (de274-50: 50 km/h;
     de274.1: 30 km/h; us25: 25 mph). A number without a unit is in km/h.
  2. A traffic_light governs the lanelets that refer to it, at its `ref_line`; without one, at their end (derived).
  3. An all_way_stop governs its `yield` lanelets as a stop sign does; so does a right_of_way or a traffic_sign with a
     stop sign (de206, R1-1, stop_sign), for those who yield or refer to it. Of a right_of_way without one, its line is
     a line.
  4. Other ways of type stop_line stand as lines on the lanelets whose centre they cross.
"""

import re
from collections import Counter
from dataclasses import replace
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.lanelet2.lanelets import Lanelet, Osm, Tags, id_of, tags_of
from drivetrain.data.readers.stop_lines import Segment, crossed
from drivetrain.data.recordings.polylines import at_shares
from drivetrain.data.recordings.recording import ControlLine, Lane, Light
from drivetrain.types import ControlKind, LightState

UNITS = {"": 1.0 / 3.6, "km/h": 1.0 / 3.6, "kmh": 1.0 / 3.6, "mph": 0.44704, "m/s": 1.0, "mps": 1.0}
MAX_SPEED_LIMIT = 100.0  # m/s
SIGNS = ((r"de274-(\d+)", 1.0 / 3.6), (r"us(\d+)", 0.44704))
ZONE_SIGN, ZONE_LIMIT = "de274.1", 30.0 / 3.6
STOP_SIGNS = {"de206", "r1-1", "usr1-1", "stop_sign"}
LIMIT_TAGS = ("max_speed", "speed_limit", "sign_type")
FAR = 30.0  # m; a line further than this from a lanelet is another's


class Rule(NamedTuple):
    """A regulatory element: its subtype, and its members by role."""

    subtype: str
    tags: Tags
    ways: dict[str, list[int]]
    lanelets: dict[str, list[int]]


def read_rules(file: str, osm: Osm, notes: Counter[str]) -> dict[int, Rule]:
    """All regulatory elements by id. Members that are not there are counted."""
    rules = {}
    for id, relation in osm.relations.items():
        tags = tags_of(relation)
        if tags.get("type") == "regulatory_element":
            rules[id] = _rule(f"{file}: relation {id}", relation, tags, osm, notes)
    return rules


def _rule(where: str, relation: Element, tags: Tags, osm: Osm, notes: Counter[str]) -> Rule:
    ways: dict[str, list[int]] = {}
    lanelets: dict[str, list[int]] = {}
    for member in relation.findall("member"):
        ref, role = id_of(f"{where}: member", member.get("ref")), member.get("role", "")
        if member.get("type") == "way" and ref in osm.ways:
            ways.setdefault(role, []).append(ref)
        elif member.get("type") == "relation" and ref in osm.relations:
            lanelets.setdefault(role, []).append(ref)
        else:
            notes["dangling_references"] += 1
    return Rule(tags.get("subtype", ""), tags, ways, lanelets)


def speed_limit(lanelet: Lanelet, rules: dict[int, Rule], osm: Osm, notes: Counter[str]) -> float:
    """The limit of a lanelet in m/s; 0 where it is not known."""
    own = lanelet.tags.get("speed_limit") or lanelet.tags.get("speed_limit:vehicle")
    if own:
        return _speed(own, notes) or 0.0
    speeds = []
    for id in lanelet.rules:
        rule = rules.get(id)
        if rule is not None and rule.subtype == "speed_limit":
            said = [rule.tags[key] for key in LIMIT_TAGS if key in rule.tags]
            said += [osm.ways[way].tags.get("subtype", "") for way in rule.ways.get("refers", [])]
            speeds += [speed for text in said if (speed := _speed(text, notes)) is not None]
    return min(speeds, default=0.0)


def _speed(text: str, notes: Counter[str]) -> float | None:
    """A limit in m/s from a number with a unit, or from a sign's name; None where it is neither, or makes no sense."""
    name = text.strip().lower().replace("_", ".")
    if name == ZONE_SIGN:
        return ZONE_LIMIT
    for pattern, unit in SIGNS:
        if sign := re.fullmatch(pattern, name[:40]):
            return _checked(sign[1], unit, notes)
    plain = re.fullmatch(r"(\d[\d.]*)\s*([a-z/]*)", name[:40])
    if plain is None or plain[2] not in UNITS:
        return None
    return _checked(plain[1], UNITS[plain[2]], notes)


def _checked(digits: str, unit: float, notes: Counter[str]) -> float | None:
    """A limit in m/s; None, and counted, where it makes no sense."""
    limit = float(digits) * unit if digits.count(".") < 2 else 0.0
    sensible = 0.0 < limit <= MAX_SPEED_LIMIT
    notes["speed_limits_unreadable"] += not sensible
    return limit if sensible else None


def control_lines(
    file: str,
    lanelets: list[Lanelet],
    lanes: tuple[Lane, ...],
    rules: dict[int, Rule],
    osm: Osm,
    origin: Float[np.ndarray, "2"],
    steps: int,
    notes: Counter[str],
) -> tuple[tuple[ControlLine, ...], tuple[Light, ...]]:
    """What stops one on which lane, and the lights; their states are unknown."""
    rows: dict[int, list[int]] = {}
    for row, lanelet in enumerate(lanelets):
        if lanelet.drivable:
            rows.setdefault(lanelet.id, []).append(row)
    referring: dict[int, list[int]] = {}
    for row, lanelet in enumerate(lanelets):
        for id in lanelet.rules if lanelet.drivable else ():
            referring.setdefault(id, []).append(row)
    lines: list[ControlLine] = []
    lights: list[Light] = []
    used: set[int] = set()
    for id, rule in rules.items():
        kind, light = _asks(rule, osm), None
        if kind is None:
            notes["rules_left_out"] += rule.subtype != "speed_limit"
            continue
        if kind == ControlKind.LIGHT:
            light = len(lights)
            lights.append(_light(light, rule, osm, origin, steps))
            governed = referring.get(id, [])
        else:
            yielding = [row for lanelet in rule.lanelets.get("yield", []) for row in rows.get(lanelet, [])]
            governed = yielding or (referring.get(id, []) if rule.subtype != "right_of_way" else [])
        drawn = [way for way in rule.ways.get("ref_line", []) if len(osm.ways[way].nodes) > 1]
        used.update(drawn)
        places = [osm.ways[way].points[[0, -1]] - origin for way in drawn]
        for row in governed:
            ends = _line(lanes[row], places)
            if ends is None and kind == ControlKind.LINE:
                continue
            notes["stop_lines_derived" if ends is None else "stop_lines_as_painted"] += 1
            ends = np.stack([lanes[row].left[-1], lanes[row].right[-1]]) if ends is None else ends
            lines.append(ControlLine(ends, lanes[row].id, kind, light))
    notes["lights_without_a_lane"] += len(lights) - len({line.light for line in lines} - {None})
    lines += _bare_lines(lanes, osm, used, origin, notes)
    return tuple(_once(lines)), tuple(lights)


def _once(lines: list[ControlLine]) -> list[ControlLine]:
    """Without lines that ask for nothing where another of their lane lies within a metre."""
    kept: dict[int, list[ControlLine]] = {}
    for line in sorted(lines, key=lambda line: line.kind == ControlKind.LINE):
        others = kept.setdefault(line.lane, [])
        near = any(np.linalg.norm(line.ends.mean(axis=0) - other.ends.mean(axis=0)) < 1.0 for other in others)
        if line.kind != ControlKind.LINE or not near:
            others.append(line)
    return [line for others in kept.values() for line in others]


def _asks(rule: Rule, osm: Osm) -> ControlKind | None:
    """What a regulatory element asks of those whom it governs; None: nothing of a line."""
    signs = {osm.ways[way].tags.get("subtype", "").lower() for way in rule.ways.get("refers", [])}
    if rule.subtype == "traffic_light":
        return ControlKind.LIGHT
    if rule.subtype == "all_way_stop" or (rule.subtype in ("right_of_way", "traffic_sign") and signs & STOP_SIGNS):
        return ControlKind.STOP_SIGN
    return ControlKind.LINE if rule.subtype == "right_of_way" else None


def _light(id: int, rule: Rule, osm: Osm, origin: Float[np.ndarray, "2"], steps: int) -> Light:
    """A light at the mean of the lines that it is drawn as."""
    hung = [osm.ways[way].points for way in rule.ways.get("refers", []) if len(osm.ways[way].nodes)]
    place = np.concatenate(hung).mean(axis=0) - origin if hung else None
    return Light(id, np.full(steps, LightState.UNKNOWN, np.int32), recorded=False, position=place)


def _line(lane: Lane, places: list[Segment]) -> Segment | None:
    """Of a rule's lines the one nearest to the lane's end, left end first."""
    end = 0.5 * (lane.left[-1] + lane.right[-1])
    off = [float(np.linalg.norm(place.mean(axis=0) - end)) for place in places]
    if not off or min(off) > FAR:
        return None
    ends = places[int(np.argmin(off))]
    across = lane.left[-1] - lane.right[-1]
    return ends if float((ends[0] - ends[1]) @ across) >= 0.0 else ends[::-1].copy()


def _bare_lines(
    lanes: tuple[Lane, ...], osm: Osm, used: set[int], origin: Float[np.ndarray, "2"], notes: Counter[str]
) -> list[ControlLine]:
    """Stop lines that no rule takes, on the lanes that they cross."""
    drawn = [
        way.points[[0, -1]] - origin
        for id, way in osm.ways.items()
        if way.tags.get("type") == "stop_line" and id not in used and len(way.nodes) > 1
    ]
    level = []
    for lane in lanes:
        shares = np.linspace(0.0, 1.0, max(len(lane.left), len(lane.right)))
        borders = {"left": at_shares(lane.left, shares), "right": at_shares(lane.right, shares)}
        level.append(replace(lane, height=None, **borders))
    crossings = crossed(tuple(level), drawn)
    notes["stop_lines_without_a_lane"] += len(drawn) - len({line for line, _, _ in crossings})
    return [ControlLine(ends, lanes[place.lane].id, ControlKind.LINE) for _, place, ends in crossings]
