"""The road of a Waymo scene, whichever layout tells it: lanes from centre lines, edges directed, signs and lights.

Road edges are turned so that the nearest lane lies on their left. A stop sign governs the lanes that the layout gives
it; where it gives none, the nearest lane that has the sign on its right within 10 m (else the nearest lane), and any
drawn over that. Its line lies across the lane where the sign is level with it, or at the end of the lanes before, where
that is the lane's very start: before a junction rather than in it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.lane_borders import Paint
from drivetrain.data.lane_recovery import Piece, recover
from drivetrain.data.lane_sampling import LEVELS_APART, CentreLine
from drivetrain.data.recording import ControlLine, Feature, Lane, Light
from drivetrain.types import ControlKind, ElementKind, LightState

Line = Float[np.ndarray, "_ 2"]  # one of several, each of its own length

MAX_POINTS = 2_000_000
MAX_EXTENT = 50_000.0  # m from the scene's middle
SHORTEST = 0.5  # m; shorter lines are left out
SIGN_REACH = 10.0  # m from a stop sign to the centre line of its lane
GIVEN_SIGN_REACH = 30.0  # m, to a lane that the layout gives the sign
LIGHT_REACH = 10.0  # m from a light's stop point to the centre line of its lane
OVERLAID = 1.0  # m; lanes closer than this in one direction are drawn over each other
EDGE_REACH = 15.0  # m; a lane further away than this says nothing of an edge's direction

BICYCLE_LANE = 3
MARKS = {  # the dataset's number of a kind of road line
    6: ElementKind.LINE_DASHED,  # broken, single, white
    7: ElementKind.LINE_SOLID,  # solid, single, white
    8: ElementKind.LINE_SOLID,  # solid, double, white
    9: ElementKind.LINE_DASHED,  # broken, single, yellow
    10: ElementKind.LINE_DASHED,  # broken, double, yellow
    11: ElementKind.LINE_SOLID,  # solid, single, yellow
    12: ElementKind.LINE_SOLID,  # solid, double, yellow
    13: ElementKind.LINE_DASHED,  # passing, double, yellow
}
STATES = (
    LightState.UNKNOWN,
    LightState.RED,  # arrow, stop
    LightState.YELLOW,  # arrow, caution
    LightState.GREEN,  # arrow, go
    LightState.RED,
    LightState.YELLOW,
    LightState.GREEN,
    LightState.OFF,  # flashing, stop: a flashing light asks for judgement, it does not forbid
    LightState.OFF,  # flashing, caution
)
"""Light states by the dataset's number."""


@dataclass(frozen=True)
class StopSign:
    """Where a stop sign stands, and the lanes it governs where the layout says so."""

    position: Float[np.ndarray, "2"]
    lanes: tuple[int, ...] | None = None  # ids of centre lines; None: the layout does not say


@dataclass(frozen=True)
class SeenLight:
    """The light of one lane: where one stops for it, and its state at every step."""

    lane: int  # id of the centre line
    stop: Float[np.ndarray, "2"]
    states: Int[np.ndarray, "T"]  # LightState


@dataclass(frozen=True)
class Drawing:
    """What a layout tells of the road, in the recording's frame."""

    centres: tuple[CentreLine, ...] = ()
    paint: tuple[Paint, ...] = ()  # road lines and edges
    areas: tuple[Feature, ...] = ()  # closed outlines
    signs: tuple[StopSign, ...] = ()
    lights: tuple[SeenLight, ...] = ()


@dataclass(frozen=True)
class Roads:
    """What a scene says of the road, in the recording's frame."""

    lanes: tuple[Lane, ...]
    control_lines: tuple[ControlLine, ...]
    lights: tuple[Light, ...]
    features: tuple[Feature, ...]
    notes: dict[str, int]


@dataclass(frozen=True)
class Place:
    """A point on a recovered lane: between two of its cross-sections."""

    row: int  # of the piece
    section: int
    share: float
    off: float  # m from the point asked for; positive where that point lies on the lane's left


def distinct(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "m d"]:
    """A line's points without those that repeat the one before."""
    step = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    return points[np.concatenate([np.ones(min(len(points), 1), bool), step > 1e-3])]


def length(points: Float[np.ndarray, "n 2"]) -> float:
    """The length of a line, m."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def build(drawing: Drawing) -> Roads:
    """Lanes, control lines, lights and features of a scene, and counts of what was left out, derived or given."""
    centres = [line for line in drawing.centres if len(line.points) >= 2 and length(line.points) > SHORTEST]
    paint = [line for line in drawing.paint if len(line.points) >= 2 and length(line.points) > SHORTEST]
    pieces, notes = recover(centres, paint)
    features, turned = _features(paint, pieces, {line.id: line for line in centres})
    by_source: dict[int, list[int]] = defaultdict(list)
    for row, piece in enumerate(pieces):
        by_source[piece.source].append(row)
    stops = _stop_lines(pieces, by_source, drawing.signs)
    lights, light_lines = _lights(pieces, by_source, drawing.lights)
    notes |= {
        "road_lines_too_short": len(drawing.centres) + len(drawing.paint) - len(centres) - len(paint),
        "road_edges_turned": turned,
        "stop_lines_at_given_lanes": sum(len(x) for x, s in zip(stops, drawing.signs, strict=True) if s.lanes),
        "stop_lines_at_derived_lanes": sum(len(x) for x, s in zip(stops, drawing.signs, strict=True) if not s.lanes),
        "stop_signs_without_a_lane": sum(not lines for lines in stops),
        "lights_without_a_lane": len(drawing.lights) - len(lights),
        "lanes_above_others": _crossings(centres),
    }
    control = tuple(line for lines in stops for line in lines) + light_lines
    return Roads(tuple(piece.lane for piece in pieces), control, lights, (*features, *drawing.areas), notes)


def _features(
    paint: Sequence[Paint], pieces: tuple[Piece, ...], centre_of: dict[int, CentreLine]
) -> tuple[list[Feature], int]:
    """Edges first, with the drivable side on their left as most of their length asks, then lines; how many turned."""
    edges = [line for line in paint if line.kind == ElementKind.ROAD_EDGE]
    lines = [Feature(line.kind, line.points) for line in paint if line.kind != ElementKind.ROAD_EDGE]
    if not pieces:
        return [Feature(edge.kind, edge.points) for edge in edges] + lines, 0
    centre = np.concatenate([piece.centre for piece in pieces])
    height = np.concatenate([_height(piece.centre, centre_of[piece.source]) for piece in pieces])
    tree = shapely.STRtree(np.asarray(shapely.points(centre)))
    turned, found = 0, []
    for edge in edges:
        along = np.diff(edge.points, axis=0)
        middle = edge.points[:-1] + along / 2
        level = np.zeros(len(middle)) if edge.height is None else (edge.height[:-1] + edge.height[1:]) / 2
        to_lane = _to_nearest(tree, centre, height, middle, level)
        side = np.sign(along[:, 0] * to_lane[:, 1] - along[:, 1] * to_lane[:, 0])
        wrong = float((side * np.linalg.norm(along, axis=1)).sum()) < 0
        found.append(Feature(edge.kind, edge.points[::-1] if wrong else edge.points))
        turned += int(wrong)
    return found + lines, turned


def _height(points: Float[np.ndarray, "n 2"], line: CentreLine) -> Float[np.ndarray, "n"]:
    """The heights of points on a centre line: those of its nearest points."""
    if line.height is None:
        return np.zeros(len(points))
    return line.height[shapely.STRtree(np.asarray(shapely.points(line.points))).nearest(shapely.points(points))]


def _to_nearest(
    tree: shapely.STRtree,
    centre: Float[np.ndarray, "m 2"],
    height: Float[np.ndarray, "m"],
    points: Float[np.ndarray, "n 2"],
    level: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n 2"]:
    """From each point to the nearest centre on its level within reach; zeros where there is none."""
    row, near = tree.query(shapely.points(points), predicate="dwithin", distance=EDGE_REACH)
    kept = np.abs(height[near] - level[row]) < LEVELS_APART
    row, near = row[kept], near[kept]
    gap = centre[near] - points[row]
    order = np.lexsort((np.linalg.norm(gap, axis=1), row))
    first = order[np.unique(row[order], return_index=True)[1]]
    result = np.zeros(points.shape)
    result[row[first]] = gap[first]
    return result


def _crossings(centres: Sequence[CentreLine]) -> int:
    """How many pairs of lanes cross on different levels."""
    lines = np.array([shapely.LineString(line.points) for line in centres], object)
    if not len(lines) or all(line.height is None for line in centres):
        return 0
    tree, count = shapely.STRtree(lines), 0
    for a, b in tree.query(lines, predicate="crosses").T.tolist():
        if a < b:
            at = shapely.get_coordinates(shapely.intersection(lines[a], lines[b]))[:1]
            count += abs(_height(at, centres[a])[0] - _height(at, centres[b])[0]) >= LEVELS_APART
    return int(count)


# ------------------------------------------------------------------------------------------------------ signs and lights


def _places(
    pieces: tuple[Piece, ...], point: Float[np.ndarray, "2"], rows: Sequence[int] | Int[np.ndarray, "_"]
) -> list[Place]:
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


def _stop_lines(
    pieces: tuple[Piece, ...], by_source: dict[int, list[int]], signs: Sequence[StopSign]
) -> list[list[ControlLine]]:
    """The lines of each stop sign: none where no lane is near."""
    if not pieces or not signs:
        return [[] for _ in signs]
    rows = np.repeat(np.arange(len(pieces)), [len(piece.centre) for piece in pieces])
    lines = shapely.linestrings(np.concatenate([piece.centre for piece in pieces]), indices=rows)
    tree = shapely.STRtree(np.asarray(lines))
    result = []
    for sign in signs:
        if sign.lanes:
            nearest = [_places(pieces, sign.position, by_source.get(lane, ()))[:1] for lane in sign.lanes]
            chosen = [place for places in nearest for place in places if abs(place.off) < GIVEN_SIGN_REACH]
        else:
            near = tree.query(shapely.points(sign.position), predicate="dwithin", distance=SIGN_REACH)
            places = [place for place in _places(pieces, sign.position, near) if pieces[place.row].lane.drivable]
            places = [place for place in places if place.off < 0] or places
            chosen = [place for place in places if _overlaid(pieces, places[0], place)]
        result.append(_lines_at(pieces, chosen))
    return result


def _lines_at(pieces: tuple[Piece, ...], places: Sequence[Place]) -> list[ControlLine]:
    """Stop lines at some places, before the junction rather than in it."""
    lines: dict[int, ControlLine] = {}
    for place in places:
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
    pieces: tuple[Piece, ...], by_source: dict[int, list[int]], seen: Sequence[SeenLight]
) -> tuple[tuple[Light, ...], tuple[ControlLine, ...]]:
    """Lights with their stop lines, of those whose lane is in the scene."""
    lights, lines = [], []
    for light in seen:
        places = _places(pieces, light.stop, by_source.get(light.lane, ()))
        if places and abs(places[0].off) <= LIGHT_REACH:
            row, number = places[0].row, len(lights)
            lights.append(Light(number, light.states, recorded=True, position=light.stop))
            lines.append(ControlLine(_ends(pieces[row], places[0]), row, ControlKind.LIGHT, light=number))
    return tuple(lights), tuple(lines)
