"""What is drawn on the road, as short directed segments: edges, borders of lanes, stop lines, crosswalks, bumps.

Edges are the outline of all drivable lanes, drivable side on the left, unless the recording draws its own. Lanes that
continue the map beyond its edge count as drivable, and the outline stays open at their far ends: the road does not stop
where the recording does. Borders are drawn on recorded lanes alone. Where there are levels, points have a third column,
their height, and what lies above neither joins nor hides what lies below.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.recordings.recording import LEVELS_APART, Recording
from drivetrain.data.recordings.telling import Told, silent
from drivetrain.data.roads.broken_edges import marks, opened
from drivetrain.data.roads.lanes import SEAM, Lanes
from drivetrain.data.roads.levels import above, line_heights, nearest, raised
from drivetrain.data.roads.map_extension import polygons
from drivetrain.types import ElementKind

LONGEST = 10.0
"""Longest segment, m."""
SIMPLIFIED = 0.1
"""Simplified polylines stay this near, m, to what was drawn (Douglas and Peucker)."""
TOLD_EVERY = 100
"""Lanes, where they are outlined one by one."""
SAME = 0.2
"""Lines this near to each other, m, are drawn once."""
Points = Float[np.ndarray, "_ _"]
Drawn = list[tuple[ElementKind, Points]]
_STRENGTH = (ElementKind.LINE_VIRTUAL, ElementKind.LINE_DASHED, ElementKind.LINE_SOLID)


@dataclass(frozen=True)
class Elements:
    """Segments x0, y0, x1, y1 of at most 10 m and what each is a piece of."""

    segments: Float[np.ndarray, "R 4"]
    kind: Int[np.ndarray, "R"]
    height: Float[np.ndarray, "R"] | None = None  # m; None: all on one level
    opened: int = 0  # places where a given edge led across a lane


def elements_of(recording: Recording, lanes: Lanes, told: Told = silent) -> Elements:
    """All road elements of a recording whose lanes were compiled: edges first, then borders, then the rest."""
    drawn = [(ElementKind(f.kind), raised(lanes, f.points, f.height)) for f in recording.features]
    own = [points for kind, points in drawn if kind == ElementKind.ROAD_EDGE]
    own, gates = opened(own, lanes)
    edges, caps = (own, None) if own else (_edges(lanes, told), _caps(lanes))
    told("borders")
    pieces, kinds, heights = [np.zeros((0, 4))], [np.zeros(0, int)], [np.zeros(0)]
    borders = _borders(recording, lanes, edges)
    others = [(kind, points) for kind, points in drawn if kind != ElementKind.ROAD_EDGE]
    at = line_heights(recording, lanes)
    lines = [
        (ElementKind.STOP_LINE, raised(lanes, line.ends, None if at is None else np.repeat(at[row], 2)))
        for row, line in enumerate(recording.control_lines)
    ]
    for kind, points in [*((ElementKind.ROAD_EDGE, edge) for edge in edges), *borders, *_once(lines), *others]:
        segments, height = _cut(points)
        if kind == ElementKind.ROAD_EDGE and caps is not None:
            shut = ~shapely.covers(caps, shapely.linestrings(segments.reshape(-1, 2, 2)))
            segments, height = segments[shut], height[shut]
        pieces.append(segments)
        heights.append(height)
        kinds.append(np.full(len(segments), kind))
    is_edge = np.concatenate(kinds) == ElementKind.ROAD_EDGE
    edges_drawn, their_heights = (np.concatenate(part)[is_edge] for part in (pieces, heights))
    segments, height = marks(edges_drawn, their_heights, lanes, given=caps is None)
    pieces.append(segments)
    heights.append(height)
    kinds.append(np.full(len(segments), ElementKind.NO_EDGE))
    height = None if lanes.height is None else np.concatenate(heights)
    return Elements(np.concatenate(pieces), np.concatenate(kinds).astype(int), height, gates)


def _edges(lanes: Lanes, told: Told) -> list[Points]:
    """The outline of all lanes; where there are levels, each lane's part of that of what is not above or below."""
    if not len(lanes.count):
        return []
    told(f"the outline of {len(lanes.count)} lanes")
    shapes = polygons(lanes)
    if lanes.height is None:
        return _outline(shapes)
    tree, edges = shapely.STRtree(shapes), []
    apart = above(lanes, shapes, tree)
    for lane in range(len(shapes)):
        if lane % TOLD_EVERY == 0:
            told(f"the outline of lane {lane}/{len(shapes)}")
        near = np.sort(tree.query(shapes[lane], predicate="dwithin", distance=SEAM))
        own, stations = shapely.buffer(shapes[lane], SEAM / 10), lanes.stations(lane)
        for ring in _outline(shapes[[other for other in near.tolist() if other not in apart[lane]]]):
            part = shapely.line_merge(shapely.intersection(shapely.LineString(ring), own), directed=True)
            for line in shapely.get_parts(part):
                if isinstance(line, shapely.LineString) and line.length > SEAM / 2:
                    points = shapely.get_coordinates(line)
                    height = lanes.height[stations][nearest(lanes.centre[stations], points)]
                    edges.append(np.column_stack([points, height]))
    return edges


def _outline(shapes: np.ndarray) -> list[Points]:
    """Rings around the union of lanes, drivable side on the left; gaps narrower than a seam are closed."""
    union = shapely.union_all(shapes)
    union = union.buffer(SEAM / 2, join_style="mitre").buffer(-SEAM / 2, join_style="mitre")
    rings = []
    for part in shapely.get_parts(union):
        if isinstance(part, shapely.Polygon) and part.area > 0:
            part = shapely.orient_polygons(part, exterior_cw=False)
            rings += [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
    return rings


def _caps(lanes: Lanes) -> shapely.Geometry:
    """Around the far ends of lanes beyond the map's edge, where the outline stays open."""
    caps = []
    for lane in np.flatnonzero(lanes.added):
        stations = lanes.stations(int(lane))
        for end, links in ((stations.start, lanes.predecessors), (stations.stop - 1, lanes.successors)):
            if not links[int(lane)]:
                caps.append(shapely.LineString([lanes.left[end], lanes.right[end]]))
    around = shapely.buffer(shapely.union_all(np.array(caps, object)), SAME)
    shapely.prepare(around)
    return around


def _borders(recording: Recording, lanes: Lanes, edges: list[Points]) -> Drawn:
    """The borders of recorded lanes, one that two lanes share once, as the stronger of its two markings.

    A border that is not painted is left out where it is the edge of the road. An edge itself is never drawn as a
    border: it stands once, on the side that its source gives, and not where its source interrupts it.
    """
    by_id = {lane.id: lane for lane in recording.lanes}
    wanted: Drawn = []
    for index in np.flatnonzero(~lanes.added):
        lane, stations = by_id[int(lanes.id[index])], lanes.stations(int(index))
        beside = int(lanes.neighbours[index, 0])
        kinds = [lane.left_border, *([by_id[int(lanes.id[beside])].right_border] if beside >= 0 else [])]
        height = None if lanes.height is None else lanes.height[stations]
        wanted.append((max(kinds, key=_strength), raised(lanes, lanes.left[stations], height)))
        if lanes.neighbours[index, 1] < 0:
            wanted.append((lane.right_border, raised(lanes, lanes.right[stations], height)))
    for lane in recording.lanes:
        if not lane.drivable:
            wanted.append((ElementKind.BIKE_BORDER, raised(lanes, lane.left, lane.height)))
            wanted.append((ElementKind.BIKE_BORDER, raised(lanes, lane.right, None)))
    wanted = [(ElementKind.LINE_VIRTUAL if kind == ElementKind.ROAD_EDGE else kind, points) for kind, points in wanted]
    wanted.sort(key=lambda item: -_strength(item[0]))
    painted = [item for item in wanted if item[0] != ElementKind.LINE_VIRTUAL]
    virtual = [item for item in wanted if item[0] == ElementKind.LINE_VIRTUAL]
    rim = [(ElementKind.ROAD_EDGE, edge) for edge in edges]
    return _once(painted) + _once(virtual, rim)


def _strength(kind: ElementKind) -> int:
    return _STRENGTH.index(kind) if kind in _STRENGTH else len(_STRENGTH)


def _once(lines: Drawn, before: Drawn | None = None) -> Drawn:
    """Lines without those that lie on an earlier one, or on those drawn before."""
    before = before or []
    shapes = np.array([shapely.LineString(points) for _, points in [*before, *lines]], object)
    if not len(shapes):
        return []
    level = np.array([points[:, 2:].mean() if points.shape[1] > 2 else 0.0 for _, points in [*before, *lines]])
    near = shapely.buffer(shapes, SAME, cap_style="flat")
    near = np.where(shapely.is_empty(near), shapely.buffer(shapes, SAME), near)
    inner, outer = shapely.STRtree(near).query(shapes, predicate="covered_by")
    kept = np.ones(len(shapes), bool)
    for one, other in sorted(zip(inner.tolist(), outer.tolist(), strict=True)):
        if other < one and kept[other] and abs(level[one] - level[other]) <= LEVELS_APART:
            kept[one] = False
    return [line for line, keep in zip(lines, kept[len(before) :], strict=True) if keep]


def _cut(points: Points) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, "n"]]:
    """A polyline simplified and cut into segments of at most 10 m, and their heights."""
    line = shapely.LineString(points)
    if line.length < 1e-6:  # a border that a taper has drawn to a point
        return np.zeros((0, 4)), np.zeros(0)
    simple = line.simplify(SIMPLIFIED, preserve_topology=True)
    corners = shapely.get_coordinates(shapely.segmentize(simple, LONGEST), include_z=points.shape[1] > 2)
    segments = np.concatenate([corners[:-1, :2], corners[1:, :2]], axis=1)
    height = (corners[:-1, 2:].sum(axis=1) + corners[1:, 2:].sum(axis=1)) / 2
    kept = np.linalg.norm(segments[:, :2] - segments[:, 2:], axis=1) > 1e-6
    return segments[kept], height[kept]
