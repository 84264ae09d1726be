"""The road of a Waymo scene, whichever layout tells it: lanes from centre lines, edges directed, signs and lights.

Road edges are turned so that the nearest lane on their level lies on their left.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float

from drivetrain.data.readers.centre_lines.lane_borders import Paint
from drivetrain.data.readers.centre_lines.lane_recovery import Piece, recover
from drivetrain.data.readers.centre_lines.lane_sampling import SPACING, CentreLine
from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.readers.waymo.controls import SeenLight, StopSign, lights_at, stop_lines_of
from drivetrain.data.recordings.polylines import arc_lengths
from drivetrain.data.recordings.recording import LEVELS_APART, ControlLine, Feature, Lane, Light
from drivetrain.types import ElementKind, LightState

Line = Float[np.ndarray, "_ 2"]  # one of several, each of its own length

MAX_POINTS = 2_000_000
MAX_LENGTH = 500_000.0  # m of lines in a scene
CELL = 10.0  # m; the squares in which crowding is counted
MAX_CROWD = 5e6  # pairs of points, 2 m apart along their lines, in one square
SHORTEST = 0.5  # m; shorter lines are left out
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
    sources: tuple[int, ...] = ()  # id of the centre line that each lane was cut from


def distinct(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "m d"]:
    """A line's points without those that repeat the one before."""
    step = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    return points[np.concatenate([np.ones(min(len(points), 1), bool), step > 1e-3])]


def build(where: str, drawing: Drawing) -> Roads:
    """Lanes, control lines, lights and features of a scene, and counts of what was left out, derived or given.

    Raises `InputError` where lines are so long, or so crowded, that no road looks like it: work grows with both.
    """
    centres = _bridged([line for line in drawing.centres if _usable(line)], drawing.centres)
    paint = [line for line in drawing.paint if _usable(line)]
    _check_crowding(where, [line.points for line in (*centres, *paint)])
    pieces, notes = recover(centres, paint)
    features, turned = _features(paint, pieces, {line.id: line for line in centres})
    by_source: dict[int, list[int]] = defaultdict(list)
    for row, piece in enumerate(pieces):
        by_source[piece.source].append(row)
    stops = stop_lines_of(pieces, by_source, drawing.signs)
    lights, light_lines = lights_at(pieces, by_source, drawing.lights)
    notes |= {
        "road_lines_too_short": len(drawing.centres) + len(drawing.paint) - len(centres) - len(paint),
        "road_edges_turned": turned,
        "stop_lines_at_given_lanes": sum(len(x) for x, s in zip(stops, drawing.signs, strict=True) if s.lanes),
        "stop_lines_at_derived_lanes": sum(len(x) for x, s in zip(stops, drawing.signs, strict=True) if not s.lanes),
        "stop_signs_without_a_lane": sum(not lines for lines in stops),
        "lights_without_a_lane": len(drawing.lights) - len(lights),
        "lanes_above_others": _crossings(centres),
        "driveways_not_observed": sum(area.kind == ElementKind.DRIVEWAY for area in drawing.areas),
    }
    control = tuple(line for lines in stops for line in lines) + light_lines
    notes["stop_lines_derived"] = len(control)  # a sign and a light have a point alone
    lanes, sources = tuple(piece.lane for piece in pieces), tuple(piece.source for piece in pieces)
    return Roads(lanes, control, lights, (*features, *drawing.areas), notes, sources)


def _check_crowding(where: str, lines: Sequence[Line]) -> None:
    """Bound the length of all lines, and how many metres of them lie near each other."""
    total = float(sum(arc_lengths(line)[-1] for line in lines))
    if total > MAX_LENGTH:
        refuse(f"{where}: map", f"{total / 1000:.0f} km of lines", f"give up to {MAX_LENGTH / 1000:g} km")
    metres = [
        shapely.get_coordinates(shapely.segmentize(shapely.LineString(line).simplify(0.1), SPACING)) for line in lines
    ]
    cells = np.floor(np.concatenate([np.zeros((0, 2)), *metres]) / CELL).astype(np.int64)
    count = np.unique(cells, axis=0, return_counts=True)[1]
    if float((count.astype(float) ** 2).sum()) > MAX_CROWD:
        refuse(f"{where}: map", "too many lines drawn over each other", "leave the scene out")


def _usable(line: CentreLine | Paint) -> bool:
    return len(line.points) >= 2 and bool(arc_lengths(line.points)[-1] > SHORTEST)


def _bridged(kept: list[CentreLine], all_lines: Sequence[CentreLine]) -> list[CentreLine]:
    """Lanes whose successors that were left out as too short are replaced by what follows those."""
    left_out = {line.id: line for line in all_lines if line.links and not _usable(line)}
    if not left_out:
        return kept
    result = []
    for line in kept:
        waiting, following, passed = list(line.links.successors) if line.links else [], [], set()
        while waiting:
            id = waiting.pop()
            if (short := left_out.get(id)) is None or short.links is None:
                following.append(id)
            elif id not in passed:
                passed.add(id)
                waiting += short.links.successors
        links = dataclasses.replace(line.links, successors=tuple(sorted(set(following)))) if line.links else None
        result.append(dataclasses.replace(line, links=links))
    return result


def _features(
    paint: Sequence[Paint], pieces: tuple[Piece, ...], centre_of: dict[int, CentreLine]
) -> tuple[list[Feature], int]:
    """Edges first, with the drivable side on their left as most of their length asks, then lines; how many turned."""
    edges = [line for line in paint if line.kind == ElementKind.ROAD_EDGE]
    lines = [Feature(line.kind, line.points, line.height) for line in paint if line.kind != ElementKind.ROAD_EDGE]
    if not pieces:
        return [Feature(edge.kind, edge.points, edge.height) for edge in edges] + lines, 0
    centre = np.concatenate([piece.centre for piece in pieces])
    height = np.concatenate([_height(piece.centre, centre_of[piece.source]) for piece in pieces])
    tree = shapely.STRtree(np.asarray(shapely.points(centre)))
    turned, features = 0, []
    for edge in edges:
        chord = np.diff(edge.points, axis=0)
        middle = edge.points[:-1] + chord / 2
        level = np.zeros(len(middle)) if edge.height is None else (edge.height[:-1] + edge.height[1:]) / 2
        to_lane = _to_nearest(tree, centre, height, middle, level)
        side = np.sign(chord[:, 0] * to_lane[:, 1] - chord[:, 1] * to_lane[:, 0])
        wrong = float((side * np.linalg.norm(chord, axis=1)).sum()) < 0
        own = edge.height[::-1] if wrong and edge.height is not None else edge.height
        features.append(Feature(edge.kind, edge.points[::-1] if wrong else edge.points, own))
        turned += int(wrong)
    return features + lines, turned


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
