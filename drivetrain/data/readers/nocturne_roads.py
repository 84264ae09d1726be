"""The road of a scene in the Nocturne/GPUDrive layout: lanes from centre lines, edges directed, signs and lights.

Road edges are turned so that the nearest lane lies on their left. A stop sign stands on no lane in this layout: it
governs the nearest lane that has the sign on its right within 10 m (else the nearest lane), and any drawn over that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.lane_recovery import Paint, Piece, recover
from drivetrain.data.lane_sampling import CentreLine
from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.recording import ControlLine, Feature, Lane, Light, Polyline
from drivetrain.types import ControlKind, ElementKind, LightState

Line = Float[np.ndarray, "_ 2"]  # one of several, each of its own length

MAX_POINTS = 2_000_000
MAX_EXTENT = 50_000.0  # m from the scene's middle
SIGN_REACH = 10.0  # m from a stop sign to the centre line of its lane
LIGHT_REACH = 10.0  # m from a light's stop point to the centre line of its lane
OVERLAID = 1.0  # m; lanes closer than this in one direction are drawn over each other

BICYCLE_LANE = 3
MARKS = {  # `map_element_id` of a road line
    6: ElementKind.LINE_DASHED,  # broken, single, white
    7: ElementKind.LINE_SOLID,  # solid, single, white
    8: ElementKind.LINE_SOLID,  # solid, double, white
    9: ElementKind.LINE_DASHED,  # broken, single, yellow
    10: ElementKind.LINE_DASHED,  # broken, double, yellow
    11: ElementKind.LINE_SOLID,  # solid, single, yellow
    12: ElementKind.LINE_SOLID,  # solid, double, yellow
    13: ElementKind.LINE_DASHED,  # passing, double, yellow
}
AREAS = {"crosswalk": ElementKind.CROSSWALK, "speed_bump": ElementKind.SPEED_BUMP}
STATES = {
    "unknown": LightState.UNKNOWN,
    "arrow_stop": LightState.RED,
    "arrow_caution": LightState.YELLOW,
    "arrow_go": LightState.GREEN,
    "stop": LightState.RED,
    "caution": LightState.YELLOW,
    "go": LightState.GREEN,
    "flashing_stop": LightState.OFF,  # a flashing light asks for judgement, it does not forbid
    "flashing_caution": LightState.OFF,
}
"""Light states by word; files that number them number them in this order."""


@dataclass(frozen=True)
class Roads:
    """What a scene says of the road, in the recording's frame."""

    lanes: tuple[Lane, ...]
    control_lines: tuple[ControlLine, ...]
    lights: tuple[Light, ...]
    features: tuple[Feature, ...]
    notes: dict[str, int]
    sources: tuple[int, ...] = ()  # id of the entry that each lane was cut from


@dataclass(frozen=True)
class Item:
    """One entry of `roads`."""

    id: int
    type: str
    mark: int  # the source's own number of the kind of line or lane; 0 where it has none
    points: Polyline


@dataclass(frozen=True)
class Place:
    """A point on a recovered lane: between two of its cross-sections."""

    row: int  # of the piece
    section: int
    share: float
    off: float  # m from the point asked for; positive where that point lies on the lane's left


def points(where: str, value: Any) -> Float[np.ndarray, "n 2"]:
    """A list of {"x", "y"} objects (or one of them) as an array."""
    items = value if isinstance(value, list) else [value]
    try:
        return np.array([(item["x"], item["y"]) for item in items], np.float64).reshape(-1, 2)
    except (TypeError, KeyError, ValueError, OverflowError):
        refuse(where, "not a list of points with x and y", "restore the file")


def read_roads(file: str, scene: dict[str, Any], origin: Float[np.ndarray, "2"], steps: int) -> Roads:
    """Read `roads` and `tl_states` of a parsed scene. Raises `InputError` on what is not of the layout."""
    items = _items(file, scene["roads"], origin)
    lines = [item for item in items if item.type in ("lane", "road_line", "road_edge")]
    usable = [item for item in lines if len(item.points) >= 2 and _length(item.points) > 0.5]
    centres = [CentreLine(item.id, item.points, item.mark == BICYCLE_LANE) for item in usable if item.type == "lane"]
    kinds = {id(item): _kind(item) for item in usable}
    paint = [Paint(item.points, kinds[id(item)]) for item in usable if item.type != "lane"]
    pieces, notes = recover(centres, paint)
    edges, turned = _directed([item.points for item in usable if item.type == "road_edge"], pieces)
    features = [Feature(ElementKind.ROAD_EDGE, edge) for edge in edges]
    features += [Feature(kinds[id(item)], item.points) for item in usable if item.type == "road_line"]
    for item in items:
        if item.type in AREAS and len(item.points) >= 2:  # outlines, closed here
            features.append(Feature(AREAS[item.type], np.concatenate([item.points, item.points[:1]])))
    signs = [item.points[0] for item in items if item.type == "stop_sign" and len(item.points)]
    stops = _stop_lines(pieces, signs)
    lights, light_lines, lost = _lights(file, scene.get("tl_states"), pieces, origin, steps)
    notes |= {
        "road_lines_too_short": len(lines) - len(usable),
        "road_edges_turned": turned,
        "stop_signs_without_a_lane": sum(not lines for lines in stops),
        "lights_without_a_lane": lost,
        "driveways_left_out": sum(item.type == "driveway" for item in items),
    }
    control = tuple(line for lines in stops for line in lines) + light_lines
    sources = tuple(piece.source for piece in pieces)
    return Roads(tuple(piece.lane for piece in pieces), control, lights, tuple(features), notes, sources)


def _items(file: str, roads: list[Any], origin: Float[np.ndarray, "2"]) -> list[Item]:
    items = []
    total = 0
    for row, entry in enumerate(roads):
        where = f"{file}: roads[{row}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            refuse(where, "not an object with a type", "restore the file")
        found = points(f"{where}: geometry", entry.get("geometry")) - origin
        if not (np.abs(found) < MAX_EXTENT).all():
            refuse(f"{where}: geometry", f"a point more than {MAX_EXTENT:g} m away, or not finite", "drop the point")
        total += len(found)
        if total > MAX_POINTS:
            refuse(f"{file}: roads", f"more than {MAX_POINTS} points", "split the scene")
        number, mark = entry.get("id", row), entry.get("map_element_id", 0)
        if type(number) is not int or type(mark) is not int:
            refuse(f"{where}: id", "id or map_element_id is not an integer", "restore the file")
        items.append(Item(number, entry["type"], mark, _distinct(found)))
    lanes = [item.id for item in items if item.type == "lane"]
    if len(set(lanes)) != len(lanes):
        twice = next(number for number in lanes if lanes.count(number) > 1)
        refuse(f"{file}: roads", f"two lanes with id {quote(str(twice))}", "make the ids unique")
    return items


def _distinct(line: Line) -> Line:
    """The line without points that repeat the one before."""
    kept = np.concatenate([np.ones(min(len(line), 1), bool), np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-3])
    return line[kept]


def _length(line: Polyline) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _kind(item: Item) -> ElementKind:
    """What a line is; a line whose mark is not given counts as solid."""
    return ElementKind.ROAD_EDGE if item.type == "road_edge" else MARKS.get(item.mark, ElementKind.LINE_SOLID)


def _directed(edges: list[Line], pieces: tuple[Piece, ...]) -> tuple[list[Line], int]:
    """Road edges with the drivable side on their left, each turned as most of its length asks; how many were turned."""
    if not edges or not pieces:
        return edges, 0
    centre = np.concatenate([piece.centre for piece in pieces])
    tree = shapely.STRtree(np.asarray(shapely.points(centre)))
    result, turned = [], 0
    for edge in edges:
        along = np.diff(edge, axis=0)
        middle = edge[:-1] + along / 2
        to_lane = centre[tree.nearest(shapely.points(middle))] - middle
        near = np.linalg.norm(to_lane, axis=1) < 15.0
        side = np.sign(along[:, 0] * to_lane[:, 1] - along[:, 1] * to_lane[:, 0])
        wrong = float((side * near * np.linalg.norm(along, axis=1)).sum()) < 0
        result.append(edge[::-1] if wrong else edge)
        turned += int(wrong)
    return result, turned


def _places(pieces: tuple[Piece, ...], point: Float[np.ndarray, "2"], rows: Int[np.ndarray, "_"]) -> list[Place]:
    """The nearest place of each of some pieces to a point, nearest first."""
    found = []
    for row in rows:
        centre = pieces[row].centre
        along = np.diff(centre, axis=0)
        gap = point - centre[:-1]
        share = np.clip((gap * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0.0, 1.0)
        distance = np.linalg.norm(gap - share[:, None] * along, axis=1)
        section = int(np.argmin(distance))
        side = along[section, 0] * gap[section, 1] - along[section, 1] * gap[section, 0]
        found.append(Place(int(row), section, float(share[section]), float(np.copysign(distance[section], side))))
    return sorted(found, key=lambda place: abs(place.off))


def _ends(piece: Piece, place: Place) -> Float[np.ndarray, "2 2"]:
    """The cross-section at a place: left end, right end."""
    rows = slice(place.section, place.section + 2)
    weights = np.array([1.0 - place.share, place.share])
    return np.stack([weights @ piece.lane.left[rows], weights @ piece.lane.right[rows]])


def _stop_lines(pieces: tuple[Piece, ...], signs: list[Float[np.ndarray, "2"]]) -> list[list[ControlLine]]:
    """The lines of each stop sign: none where no lane is near."""
    if not pieces or not signs:
        return [[] for _ in signs]
    lines = shapely.linestrings(np.concatenate([piece.centre for piece in pieces]), indices=_rows(pieces))
    tree = shapely.STRtree(np.asarray(lines))
    result = []
    for sign in signs:
        near = tree.query(shapely.points(sign), predicate="dwithin", distance=SIGN_REACH)
        places = [place for place in _places(pieces, sign, near) if pieces[place.row].lane.drivable]
        places = [place for place in places if place.off < 0] or places
        result.append(_lines_at(pieces, places))
    return result


def _rows(pieces: tuple[Piece, ...]) -> Int[np.ndarray, "_"]:
    return np.repeat(np.arange(len(pieces)), [len(piece.centre) for piece in pieces])


def _lines_at(pieces: tuple[Piece, ...], places: list[Place]) -> list[ControlLine]:
    """A stop line on the first place's lane, before the junction rather than in it, and on lanes drawn over it."""
    if not places:
        return []
    first = places[0]
    chosen = [place for place in places if _overlaid(pieces, first, place)]
    lines: dict[int, ControlLine] = {}
    for place in chosen:
        piece = pieces[place.row]
        behind = piece.lane.predecessors if place.section == 0 and place.share < 0.5 else ()
        for row in behind or (place.row,):
            where = Place(row, len(pieces[row].centre) - 2, 1.0, 0.0) if behind else place
            lines[row] = ControlLine(_ends(pieces[row], where), row, ControlKind.STOP_SIGN)
    return list(lines.values())


def _overlaid(pieces: tuple[Piece, ...], first: Place, other: Place) -> bool:
    a, b = (_ends(pieces[place.row], place) for place in (first, other))
    across = (a[1] - a[0]) @ (b[1] - b[0]) / max(float(np.linalg.norm(a[1] - a[0]) * np.linalg.norm(b[1] - b[0])), 1e-9)
    return bool(np.linalg.norm((a - b).mean(axis=0)) < OVERLAID and across > 0.9)


def _lights(
    file: str, states: Any, pieces: tuple[Piece, ...], origin: Float[np.ndarray, "2"], steps: int
) -> tuple[tuple[Light, ...], tuple[ControlLine, ...], int]:
    """Lights with their stop lines, and how many name no lane of the scene."""
    if states is None:
        return (), (), 0
    if not isinstance(states, dict):
        refuse(f"{file}: tl_states", "not an object", "restore the file")
    by_source: dict[int, list[int]] = {}
    for row, piece in enumerate(pieces):
        by_source.setdefault(piece.source, []).append(row)
    lights, lines, lost = [], [], 0
    for key, entry in states.items():
        where = f"{file}: tl_states: {quote(key)}"
        source = int(key) if key.lstrip("-").isascii() and key.lstrip("-").isdigit() and len(key) < 16 else None
        rows = by_source.get(source, []) if source is not None else []
        if not isinstance(entry, dict):
            refuse(where, "not an object", "restore the file")
        stop = _stop_point(where, entry)
        places = _places(pieces, stop - origin, np.array(rows, int)) if rows else []
        if not places or abs(places[0].off) > LIGHT_REACH:
            lost += 1
            continue
        number = len(lights)
        lights.append(Light(number, _states(where, entry, steps), recorded=True, position=stop - origin))
        row = places[0].row
        lines.append(ControlLine(_ends(pieces[row], places[0]), row, ControlKind.LIGHT, light=number))
    return tuple(lights), tuple(lines), lost


def _stop_point(where: str, entry: dict[str, Any]) -> Float[np.ndarray, "2"]:
    """A light's stop point: the median of those given, which do not move."""
    try:
        found = np.array([np.atleast_1d(np.array(entry[key], np.float64)) for key in ("x", "y")])
    except (KeyError, TypeError, ValueError, OverflowError):
        refuse(where, "no stop point x, y", "restore the file")
    if not found.size or found.ndim != 2 or not (np.abs(found) < 1e9).all():
        refuse(where, "stop points that are not finite numbers", "restore the file")
    return np.median(found, axis=1)


def _states(where: str, entry: dict[str, Any], steps: int) -> Int[np.ndarray, "T"]:
    """The light's state at every step; steps without a measurement are unknown."""
    words, times = entry.get("state"), entry.get("time_index")
    if times is None and isinstance(words, list):
        times = list(range(len(words)))
    if not isinstance(words, list) or not isinstance(times, list) or len(words) != len(times):
        refuse(where, "state and time_index are not lists of one length", "restore the file")
    result = np.full(steps, int(LightState.UNKNOWN))
    numbered = list(STATES.values())
    for word, time in zip(words, times, strict=True):
        if type(time) is not int or not 0 <= time < steps:
            refuse(f"{where}: time_index", quote(str(time)), f"give a step from 0 to {steps - 1}")
        if type(word) is int and 0 <= word < len(numbered):
            result[time] = int(numbered[word])
        elif isinstance(word, str):
            result[time] = int(STATES.get(word.lower().removeprefix("lane_state_"), LightState.UNKNOWN))
        else:
            refuse(f"{where}: state", quote(str(word)), "give a word or number of the layout")
    return result
