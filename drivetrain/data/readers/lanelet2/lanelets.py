"""The lanelets of a Lanelet2 map: borders, neighbours, successors, kinds.

Format: Lanelet2 (F. Poggenhans et al., Lanelet2: A high-definition map framework for the future of automated driving,
ITSC 2018), as OSM XML: nodes, ways and relations. Neighbours share a way, successors share the end nodes of both
borders. Borders may be drawn either way round: a lanelet runs so that its left border is on its left.

Shapes: n points of a border.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import integer, number, refuse
from drivetrain.data.readers.lanelet2.projection import to_utm, zone_of
from drivetrain.data.recordings.json_fields import MAX_EXTENT
from drivetrain.types import ElementKind

SOLID = {"curbstone", "road_border", "guard_rail", "wall", "fence", "rail"}
PLAIN = {"virtual", "pedestrian_marking", "zebra_marking", "zig-zag", "stop_line", "keepout"}
LINES = {"line_thin", "line_thick", "bike_marking"}
FOOT, BICYCLE, VEHICLE = "pedestrian", "bicycle", "vehicle"
USERS = {  # who may use a lanelet of a subtype that does not say
    "road": {VEHICLE, BICYCLE},
    "highway": {VEHICLE},
    "play_street": {VEHICLE, BICYCLE, FOOT},
    "bus_lane": {"vehicle:bus"},
    "emergency_lane": {"vehicle:emergency"},
    "exit": {VEHICLE, BICYCLE, FOOT},
    "bicycle_lane": {BICYCLE},
    "walkway": {FOOT},
    "shared_walkway": {FOOT, BICYCLE},
    "crosswalk": {FOOT},
    "stairs": {FOOT},
}
BOTH_WAYS = {"walkway", "shared_walkway", "crosswalk", "stairs"}  # unless they say one_way

Tags = dict[str, str]


class Way(NamedTuple):
    """A line: its nodes and where they lie."""

    nodes: tuple[int, ...]
    points: Float[np.ndarray, "n 2"]
    tags: Tags
    height: Float[np.ndarray, "n"] | None = None  # m; None: some node has none


@dataclass(frozen=True)
class Border:
    """One side of a lanelet, in its direction: a way, perhaps turned round."""

    way: int
    turned: bool
    nodes: tuple[int, ...]
    points: Float[np.ndarray, "n 2"]
    kind: ElementKind
    height: Float[np.ndarray, "n"] | None = None  # m

    def reversed(self) -> "Border":
        """The same line the other way round."""
        height = None if self.height is None else self.height[::-1]
        return Border(self.way, not self.turned, self.nodes[::-1], self.points[::-1], self.kind, height)


@dataclass(frozen=True)
class Lanelet:
    """A lanelet in one direction."""

    id: int
    left: Border
    right: Border
    subtype: str
    drivable: bool
    tags: Tags
    rules: tuple[int, ...]  # regulatory elements that it refers to


class Osm(NamedTuple):
    """A parsed document, in metres."""

    ways: dict[int, Way]
    relations: dict[int, Element]


def id_of(where: str, text: str | None) -> int:
    """An id: 64 bits with a sign; editors number new objects below 0."""
    return integer(where, text, -(2**63), 2**63 - 1)


def tags_of(element: Element) -> Tags:
    """The tags of a node, way or relation."""
    return {tag.get("k", ""): tag.get("v", "").strip() for tag in element.findall("tag")}


def read_osm(file: str, root: Element, placed: bool, notes: Counter[str]) -> Osm:
    """Ways and relations by id.

    Nodes lie at their tags `local_x` and `local_y` where every node has them; else by UTM: in the zone of their mean
    longitude, or, where tracks are `placed` on the map, as INTERACTION does: in the zone of 0° N 0° E, less that point.
    """
    nodes = {}
    for node in root.findall("node"):
        id = id_of(f"{file}: node: id", node.get("id"))
        if id in nodes:
            refuse(f"{file}: node {id}", "two nodes with this id", "make the ids unique")
        nodes[id] = node
    if not nodes:
        refuse(f"{file}: node", "none", "give a Lanelet2 map")
    where = dict(zip(nodes, _positions(file, nodes, placed), strict=True))
    height = {id: _height(node) for id, node in nodes.items()}
    ways: dict[int, Way] = {}
    for way in root.findall("way"):
        id = id_of(f"{file}: way: id", way.get("id"))
        if id in ways:
            refuse(f"{file}: way {id}", "two ways with this id", "make the ids unique")
        refs = [id_of(f"{file}: way {id}: nd", nd.get("ref")) for nd in way.findall("nd")]
        kept = [ref for index, ref in enumerate(refs) if ref in where and (index == 0 or refs[index - 1] != ref)]
        notes["dangling_references"] += sum(ref not in where for ref in refs)
        points = np.array([where[ref] for ref in kept]).reshape(-1, 2)
        heights = np.array([height[ref] for ref in kept], np.float64)
        known = bool(len(kept)) and bool(np.isfinite(heights).all())
        ways[id] = Way(tuple(kept), points, tags_of(way), heights if known else None)
    relations: dict[int, Element] = {}
    for relation in root.findall("relation"):
        id = id_of(f"{file}: relation: id", relation.get("id"))
        if id in relations:
            refuse(f"{file}: relation {id}", "two relations with this id", "make the ids unique")
        relations[id] = relation
    return Osm(ways, relations)


def _height(node: Element) -> float:
    """A node's height, m: its tag `ele`, or NaN where it has none."""
    try:
        height = float(tags_of(node).get("ele", "nan"))
    except ValueError:
        return float("nan")
    return height if abs(height) < MAX_EXTENT else float("nan")


def _positions(file: str, nodes: dict[int, Element], placed: bool) -> Float[np.ndarray, "n 2"]:
    local = []
    for id, node in nodes.items():
        tags = tags_of(node)
        if "local_x" not in tags or "local_y" not in tags:
            break
        local.append([number(f"{file}: node {id}: {key}", tags[key]) for key in ("local_x", "local_y")])
    if len(local) == len(nodes):
        return np.array(local)
    angles = np.array(
        [[number(f"{file}: node {id}: {key}", node.get(key)) for key in ("lat", "lon")] for id, node in nodes.items()]
    )
    if np.abs(angles[:, 0]).max() > 84.0 or np.abs(angles[:, 1]).max() > 180.0:
        refuse(f"{file}: node", "a latitude beyond 84° or a longitude beyond 180°", "mend the node")
    if np.ptp(angles, axis=0).max() > 2.0:
        refuse(f"{file}: node", "nodes more than 2° apart", "cut the map or mend the outlier")
    if placed:
        nowhere = to_utm(np.zeros(1), np.zeros(1), zone_of(0.0))
        return to_utm(angles[:, 0], angles[:, 1], zone_of(0.0)) - nowhere
    return to_utm(angles[:, 0], angles[:, 1], zone_of(float(angles[:, 1].mean())))


def read_lanelets(file: str, osm: Osm, notes: Counter[str]) -> list[Lanelet]:
    """Every lanelet, and again in the other direction where vehicles may use it both ways."""
    lanelets: list[Lanelet] = []
    for id, relation in osm.relations.items():
        tags = tags_of(relation)
        if tags.get("type") != "lanelet":
            notes["areas_left_out"] += tags.get("type") == "multipolygon"
            continue
        subtype = tags.get("subtype", "road")
        users = _users(tags, subtype)
        if not users or users <= {"train"}:
            notes["lanelets_of_other_types"] += 1
            continue
        where = f"{file}: relation {id}"
        sides = [_side(where, relation, role, osm, notes) for role in ("left", "right")]
        aligned = _aligned(sides[0], sides[1]) if sides[0] is not None and sides[1] is not None else None
        if aligned is None:
            notes["lanelets_without_borders"] += 1
            continue
        rules = [
            id_of(f"{where}: member", member.get("ref"))
            for member in relation.findall("member")
            if member.get("role") == "regulatory_element"
        ]
        notes["dangling_references"] += sum(rule not in osm.relations for rule in rules)
        kept = tuple(rule for rule in dict.fromkeys(rules) if rule in osm.relations)
        drivable = any(user.split(":")[0] == VEHICLE for user in users)
        lanelets.append(Lanelet(id, *aligned, subtype, drivable, tags, kept))
        if drivable and not _one_way(tags, subtype):
            notes["lanelets_used_both_ways"] += 1
            left, right = aligned[1].reversed(), aligned[0].reversed()
            lanelets.append(Lanelet(id, left, right, subtype, drivable, tags, kept))
    return lanelets


def _users(tags: Tags, subtype: str) -> set[str]:
    """Who may use a lanelet: those named, else those of its subtype."""
    named = {key.removeprefix("participant:"): value for key, value in tags.items() if key.startswith("participant:")}
    if named:
        return {user for user, value in named.items() if value in ("yes", "true", "1")}
    return USERS.get(subtype, set())


def _one_way(tags: Tags, subtype: str) -> bool:
    said = tags.get("one_way")
    return subtype not in BOTH_WAYS if said is None else said in ("yes", "true", "1")


def _side(where: str, relation: Element, role: str, osm: Osm, notes: Counter[str]) -> Border | None:
    """One border as drawn; None where it is not one line of some length."""
    members = [member for member in relation.findall("member") if member.get("role") == role]
    if len(members) != 1:
        return None
    ref = id_of(f"{where}: {role}", members[0].get("ref"))
    way = osm.ways.get(ref)
    if way is None or len(way.nodes) < 2 or not np.ptp(way.points, axis=0).any():
        notes["dangling_references"] += way is None
        return None
    return Border(ref, False, way.nodes, way.points, _kind(way.tags, notes), way.height)


def _kind(tags: Tags, notes: Counter[str]) -> ElementKind:
    kind, subtype = tags.get("type", "virtual"), tags.get("subtype", "")
    if kind in SOLID or (kind in LINES and subtype != "dashed"):
        return ElementKind.LINE_SOLID
    if kind in LINES:
        return ElementKind.LINE_DASHED
    notes["other_line_types"] += kind not in PLAIN
    return ElementKind.LINE_VIRTUAL


def _aligned(left: Border, right: Border) -> tuple[Border, Border] | None:
    """Both borders turned to run the same way, the left one on the left; None where they enclose nothing."""
    ends, others = left.points[[0, -1]], right.points[[0, -1]]
    level = np.linalg.norm(ends - others, axis=1).sum()
    if np.linalg.norm(ends - others[::-1], axis=1).sum() < level:
        right = right.reversed()
    ring = np.concatenate([left.points, right.points[::-1]])
    ring = ring - ring.mean(axis=0)
    ahead = np.roll(ring, -1, axis=0)
    area = float(np.sum(ring[:, 0] * ahead[:, 1] - ring[:, 1] * ahead[:, 0]))
    if area == 0.0:
        return None
    return (left, right) if area < 0.0 else (left.reversed(), right.reversed())


def neighbours(lanelets: list[Lanelet]) -> list[tuple[int | None, int | None]]:
    """Rows of the lanelets left and right of each, in the same direction and for the same users."""
    by_right = {(one.right.way, one.right.turned, one.drivable): row for row, one in enumerate(lanelets)}
    by_left = {(one.left.way, one.left.turned, one.drivable): row for row, one in enumerate(lanelets)}
    beside = []
    for row, one in enumerate(lanelets):
        left = by_right.get((one.left.way, one.left.turned, one.drivable))
        right = by_left.get((one.right.way, one.right.turned, one.drivable))
        beside.append((None if left == row else left, None if right == row else right))
    return beside


def successors(lanelets: list[Lanelet]) -> list[tuple[int, ...]]:
    """Rows of the lanelets that start at the two nodes at which each ends."""
    starts: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(lanelets):
        starts.setdefault((one.left.nodes[0], one.right.nodes[0]), []).append(row)
    following = []
    for row, one in enumerate(lanelets):
        ahead = starts.get((one.left.nodes[-1], one.right.nodes[-1]), [])
        following.append(tuple(other for other in ahead if lanelets[other].id != one.id and other != row))
    return following
