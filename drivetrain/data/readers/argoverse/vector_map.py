"""Argoverse 2 vector maps (`log_map_archive_*.json`), of the motion forecasting and the sensor data sets.

Format: B. Wilson et al.: Argoverse 2: Next generation datasets for self-driving perception and forecasting, NeurIPS
2021, and the map section of its user guide. Lanes come with borders, links, neighbours and markings. Neighbours may
run either way: one counts where it runs in the same direction. The outline of the drivable areas is the road's edge;
where the map ends on a lane, the outline is opened. Stop lines, lights and speed limits are not in the format.
"""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import shapely
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.readers.local_frame import MAX_EXTENT
from drivetrain.data.recordings.recording import Feature, Lane
from drivetrain.data.recordings.unpacking import read_bytes
from drivetrain.types import ElementKind

MAX_LANES = 20_000
MAX_POINTS = 1_000_000
SHORTEST = 0.1  # m; a border or lane shorter than this is none
GATE = (1.0, 12.0)  # m before and behind the end of a lane at the map's rim: there the outline is open
GATE_SIDE = 1.0  # m beyond each border
CLOSED = 0.05  # m; drivable areas that far apart touch
LANE_TYPES = {"VEHICLE": True, "BUS": True, "BIKE": False}
"""Lane types, and whether vehicles drive there."""
MARKS = {
    "SOLID": ElementKind.LINE_SOLID,
    "DOUBLE_SOLID": ElementKind.LINE_SOLID,
    "SOLID_DASH": ElementKind.LINE_SOLID,
    "DASH_SOLID": ElementKind.LINE_SOLID,
    "DASHED": ElementKind.LINE_DASHED,
    "DOUBLE_DASH": ElementKind.LINE_DASHED,
    "NONE": ElementKind.LINE_VIRTUAL,
    "UNKNOWN": ElementKind.LINE_VIRTUAL,
}
"""Lane marks, less their colour."""
Links = tuple[dict[int, list[int]], dict[int, list[int]]]
"""Successors and predecessors by lane."""
UNREADABLE = "map_features_unreadable"
"""The note that counts lanes, crossings and areas that are left out."""
COLOURS = ("_YELLOW", "_WHITE", "_BLUE")


@dataclass(frozen=True)
class VectorMap:
    """What a map says, in the recording's frame."""

    lanes: tuple[Lane, ...]
    features: tuple[Feature, ...]


def read_map(file: str, origin: Float[np.ndarray, "2"], notes: Counter[str]) -> VectorMap:
    """Lanes, road edges and crosswalks, less `origin`. Raises `InputError` on what is not of the format."""
    document = _parse(file)
    segments = _items(file, document, "lane_segments")
    budget = Counter({"points": MAX_POINTS})
    read = readable(
        segments.items(),
        lambda item: _lane(f"{file}: lane_segments: {quote(item[0])}", item[1], origin, budget),
        notes,
        UNREADABLE,
    )
    ids = [lane.id for lane in read]
    if len(set(ids)) != len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        refuse(f"{file}: lane_segments", f"two lanes with id {twice}", "make the ids unique")
    lanes = {lane.id: lane for lane in read if _is_lane(lane)}
    notes["lanes_degenerate"] += len(read) - len(lanes)
    links = _links(lanes, notes)
    lanes = {id: _placed(lane, lanes, links, notes) for id, lane in lanes.items()}
    notes["bicycle_lanes"] += sum(not lane.drivable for lane in lanes.values())
    crossings = _items(file, document, "pedestrian_crossings")
    walks = readable(
        crossings.items(),
        lambda item: _crossing(f"{file}: pedestrian_crossings: {quote(item[0])}", item[1], origin, budget),
        notes,
        UNREADABLE,
    )
    areas = readable(
        _items(file, document, "drivable_areas").items(),
        lambda item: _area(f"{file}: drivable_areas: {quote(item[0])}", item[1], origin, budget),
        notes,
        UNREADABLE,
    )
    if budget["points"] < 0:
        refuse(file, f"more than {MAX_POINTS} points in the map", "cut the map")
    edges = _edges(areas, lanes, notes)
    features = [Feature(ElementKind.ROAD_EDGE, edge) for edge in edges]
    features += [Feature(ElementKind.CROSSWALK, walk[:, :2], walk[:, 2]) for walk in walks if len(walk) > 3]
    return VectorMap(tuple(lanes.values()), tuple(features))


def _parse(file: str) -> dict[str, Any]:
    try:
        document = json.loads(read_bytes(file), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        refuse(file, f"not JSON: {quote(str(error))}", "restore the file")
    if not isinstance(document, dict):
        refuse(file, f"a JSON {type(document).__name__}, not an object", "name a map of Argoverse 2")
    return document


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number of JSON")


def _items(file: str, document: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """A map's entries of one kind by their key; older maps have no crossings."""
    items = document.get(key, {} if key == "pedestrian_crossings" else None)
    if not isinstance(items, dict) or not all(isinstance(item, dict) for item in items.values()):
        refuse(f"{file}: {key}", "missing, or no object of objects", "name a map of Argoverse 2")
    if len(items) > MAX_LANES:
        refuse(f"{file}: {key}", f"{len(items)} of them", f"give at most {MAX_LANES}")
    return items


def _points(where: str, value: Any, origin: Float[np.ndarray, "2"], budget: Counter[str]) -> Float[np.ndarray, "_ 3"]:
    """A list of {"x", "y", "z"} objects, less `origin`, without points that repeat the one before; z may be missing."""
    if not isinstance(value, list):
        refuse(where, "not a list of points with x and y", "restore the file")
    budget["points"] -= len(value)
    if budget["points"] < 0:
        refuse(where, f"more than {MAX_POINTS} points in the map", "cut the map")
    try:
        coordinates = np.array([(item["x"], item["y"], item.get("z", 0.0)) for item in value], np.float64).reshape(
            -1, 3
        )
        coordinates -= (*origin, 0.0)
    except (AttributeError, TypeError, KeyError, ValueError, OverflowError):
        refuse(where, "not a list of points with x and y", "restore the file")
    if not (np.abs(coordinates) < MAX_EXTENT).all():
        refuse(where, f"a point more than {MAX_EXTENT:g} m from the tracks, or not finite", "drop the point")
    fresh = np.linalg.norm(np.diff(coordinates[:, :2], axis=0), axis=1) > 1e-3
    return coordinates[np.concatenate([np.ones(min(len(coordinates), 1), bool), fresh])]


# -------------------------------------------------------------------------------------------------------------- lanes


def _lane(where: str, item: dict[str, Any], origin: Float[np.ndarray, "2"], budget: Counter[str]) -> Lane:
    """One lane segment as it stands: its links may lead out of the map."""
    kind = item.get("lane_type")
    if not isinstance(kind, str) or kind not in LANE_TYPES:
        refuse(f"{where}: lane_type", quote(str(kind)), f"known types: {', '.join(LANE_TYPES)}")
    left, right = (_id(f"{where}: {side}_neighbor_id", item.get(f"{side}_neighbor_id")) for side in ("left", "right"))
    id = _id(f"{where}: id", item.get("id"))
    if id is None:
        refuse(f"{where}: id", "missing", "give an integer")
    borders = [
        _points(f"{where}: {side}_lane_boundary", item.get(f"{side}_lane_boundary"), origin, budget)
        for side in ("left", "right")
    ]
    return Lane(
        id=id,
        left=borders[0][:, :2],
        right=borders[1][:, :2],
        successors=_ids(f"{where}: successors", item.get("successors", [])),
        predecessors=_ids(f"{where}: predecessors", item.get("predecessors", [])),
        left_neighbour=left,
        right_neighbour=right,
        left_border=_mark(f"{where}: left_lane_mark_type", item.get("left_lane_mark_type", "UNKNOWN")),
        right_border=_mark(f"{where}: right_lane_mark_type", item.get("right_lane_mark_type", "UNKNOWN")),
        drivable=LANE_TYPES[kind],
        height=borders[0][:, 2],
    )


def _id(where: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value < 2**63):
        refuse(where, quote(str(value)), "give an integer from 0")
    return value


def _ids(where: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item < 2**63 for item in value):
        refuse(where, "no list of integers", "restore the file")
    return tuple(dict.fromkeys(value))


def _mark(where: str, value: Any) -> ElementKind:
    word = str(value)
    for colour in COLOURS:
        word = word.removesuffix(colour)
    if word not in MARKS:
        refuse(where, quote(str(value)), "give a mark type of the format")
    return MARKS[word]


def _is_lane(lane: Lane) -> bool:
    """Whether a lane has some length, and its left border on its left."""
    if min(len(lane.left), len(lane.right)) < 2 or np.linalg.norm(_chord(lane)) < SHORTEST:
        return False
    ring = np.concatenate([lane.left, lane.right[::-1]])
    ring = ring - ring.mean(axis=0)
    ahead = np.roll(ring, -1, axis=0)
    area = float(np.sum(ring[:, 0] * ahead[:, 1] - ring[:, 1] * ahead[:, 0]))
    return area < 0.0  # left forward, then right backward, runs clockwise


def _chord(lane: Lane) -> Float[np.ndarray, "2"]:
    """From the start of a lane to its end; of a lane that returns to its start, its first piece."""
    chord = lane.left[-1] + lane.right[-1] - lane.left[0] - lane.right[0]
    return chord / 2 if np.linalg.norm(chord) > 2 * SHORTEST else lane.left[1] - lane.left[0]


def _links(lanes: dict[int, Lane], notes: Counter[str]) -> Links:
    """Successors and predecessors inside the map: either end of a link is enough, for some maps tell one end alone."""
    links = {(id, other) for id, lane in lanes.items() for other in lane.successors}
    back = {(other, id) for id, lane in lanes.items() for other in lane.predecessors}
    inside = sorted(link for link in links | back if set(link) <= lanes.keys() and link[0] != link[1])
    notes["links_out_of_the_map"] += len(links | back) - len(inside)
    notes["one_sided_links_mended"] += sum((link in links) != (link in back) for link in inside)
    ahead: dict[int, list[int]] = {id: [] for id in lanes}
    behind: dict[int, list[int]] = {id: [] for id in lanes}
    for one, other in inside:
        ahead[one].append(other)
        behind[other].append(one)
    return ahead, behind


def _placed(lane: Lane, lanes: dict[int, Lane], links: Links, notes: Counter[str]) -> Lane:
    """The lane with its links, and with neighbours that are in the map and run in its own direction."""
    beside: list[int | None] = []
    for id in (lane.left_neighbour, lane.right_neighbour):
        other = lanes.get(id) if id is not None and id != lane.id else None
        if other is not None and _chord(other) @ _chord(lane) <= 0.0:
            notes["neighbours_of_opposite_direction"] += 1
            other = None
        beside.append(None if other is None else other.id)
    ahead, behind = (tuple(ends[lane.id]) for ends in links)
    return dataclasses.replace(
        lane, successors=ahead, predecessors=behind, left_neighbour=beside[0], right_neighbour=beside[1]
    )


# ------------------------------------------------------------------------------------------------------------ outlines


def _area(
    where: str, item: dict[str, Any], origin: Float[np.ndarray, "2"], budget: Counter[str]
) -> Float[np.ndarray, "_ 2"]:
    """The outline of a drivable area."""
    return _points(f"{where}: area_boundary", item.get("area_boundary"), origin, budget)[:, :2]


def _crossing(
    where: str, item: dict[str, Any], origin: Float[np.ndarray, "2"], budget: Counter[str]
) -> Float[np.ndarray, "_ 3"]:
    """The outline of a crosswalk between its two edges, whichever way they run, closed."""
    one, two = (_points(f"{where}: {key}", item.get(key), origin, budget) for key in ("edge1", "edge2"))
    if not len(one) or not len(two):
        return np.zeros((0, 3))
    alike = (one[-1] - one[0])[:2] @ (two[-1] - two[0])[:2] > 0
    return np.concatenate([one, two[::-1] if alike else two, one[:1]])


def _edges(
    areas: list[Float[np.ndarray, "_ 2"]], lanes: dict[int, Lane], notes: Counter[str]
) -> list[Float[np.ndarray, "_ 2"]]:
    """The outline of the drivable areas, drivable side on the left, open where lanes leave the map."""
    shapes = [shapely.make_valid(shapely.Polygon(area)) for area in areas if len(area) > 2]
    union = shapely.union_all(np.array(shapes, object)) if shapes else shapely.Polygon()
    union = union.buffer(CLOSED, join_style="mitre").buffer(-CLOSED, join_style="mitre")
    gates = [gate for lane in lanes.values() if lane.drivable for gate in _gates(lane)]
    opening = shapely.union_all(np.array(gates, object)) if gates else shapely.Polygon()
    edges = []
    for part in shapely.get_parts(union):
        if not isinstance(part, shapely.Polygon) or part.area <= 0:
            continue
        part = shapely.orient_polygons(part, exterior_cw=False)
        for ring in (part.exterior, *part.interiors):
            open = shapely.line_merge(shapely.difference(shapely.LineString(ring), opening), directed=True)
            lines = [line for line in shapely.get_parts(open) if isinstance(line, shapely.LineString)]
            edges += [shapely.get_coordinates(line) for line in lines if line.length > SHORTEST]
    notes["map_rim_gates"] += len(gates)
    notes["road_edges_from_drivable_areas"] += len(edges)
    return edges


def _gates(lane: Lane) -> list[shapely.Polygon]:
    """The places where a lane leaves the map: at its end without a successor, at its start without a predecessor."""
    gates = []
    for at, links in ((0, lane.predecessors), (-1, lane.successors)):
        across = lane.right[at] - lane.left[at]
        width = float(np.linalg.norm(across))
        if links or width < SHORTEST:
            continue
        across = across / width
        out = np.array([-across[1], across[0]]) * (1.0 if at == -1 else -1.0)  # the left of rightwards is ahead
        corners = [lane.left[at] - GATE_SIDE * across, lane.right[at] + GATE_SIDE * across]
        near, far = ([corner + reach * out for corner in corners] for reach in (-GATE[0], GATE[1]))
        gates.append(shapely.Polygon([*near, *far[::-1]]))
    return gates
