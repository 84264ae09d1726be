"""The road around a place of a SUMO network: lanes with borders, stop lines, links of lights, edges and crosswalks.

SUMO gives centre lines and widths; borders are their offsets. A lane inside a junction is a lane, so that the
lane graph holds together. Lanes that reach out of the circle are cut where their edge leaves it.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import shapely
import shapely.ops
from jaxtyping import Float

from drivetrain.data.generating.sumo.network import BICYCLES, CARS, MOTOR, Connection, NetLane, Network
from drivetrain.data.recordings.polylines import arc_length, arc_lengths
from drivetrain.data.recordings.recording import ControlLine, Feature, Lane, Light
from drivetrain.types import ControlKind, ElementKind, LightState

SPARE = 10.0
"""The map reaches this much further, m, than the traffic is recorded."""
SHORTEST = 1.0
"""A piece of lane shorter than this, m, is left out."""
MITRE = 2.0
"""At a corner of a centre line a border is at most so many half-widths away."""
STATES = {
    "G": LightState.GREEN,
    "g": LightState.GREEN,
    "y": LightState.YELLOW,
    "Y": LightState.YELLOW,
    "r": LightState.RED,
    "R": LightState.RED,
    "u": LightState.RED_YELLOW,
    "o": LightState.OFF,
    "O": LightState.OFF,
}
"""Letters of a signal's state; 's' (stop, then go) and others are unknown."""
RIGHT_OF_WAY = {"s": ControlKind.STOP_SIGN, "w": ControlKind.STOP_SIGN, "m": ControlKind.LINE}
"""What stands at the end of a lane without a light, by the connection's state: minor roads have a line to yield at."""

Shape = Float[np.ndarray, "_ 2"]


@dataclass(frozen=True)
class Signal:
    """One link of a signal, as a light of the recording."""

    light: int
    signal: str
    link: int
    position: Float[np.ndarray, "2"]

    def states(self, letters: list[str]) -> Light:
        """The light, from the letter of its link at every step. The simulation is the truth: recorded."""
        shown = np.array([STATES.get(letter, LightState.UNKNOWN) for letter in letters], np.int64)
        return Light(self.light, shown, recorded=True, position=self.position)


@dataclass(frozen=True)
class Road:
    """What a recording says of the road, in metres from `origin`."""

    origin: tuple[float, float]
    lanes: tuple[Lane, ...]
    control_lines: tuple[ControlLine, ...]
    signals: tuple[Signal, ...]
    features: tuple[Feature, ...]
    notes: dict[str, int]


def road_around(network: Network, centre: Float[np.ndarray, "2"], radius: float) -> Road:
    """The road within `radius` + 10 m of a place."""
    origin = np.round(centre)
    circle = shapely.Polygon(
        shapely.get_coordinates(shapely.buffer(shapely.Point(*centre), radius + SPARE, quad_segs=32))
    )
    notes: Counter[str] = Counter()
    pieces = _pieces(network, circle, notes)
    number = {name: index for index, name in enumerate(network.lanes)}
    lanes = {name: _lane(network.lanes[name], shape - origin, number[name]) for name, shape in pieces.items()}
    lanes = {name: _raised(lane, network.lanes[name], origin) for name, lane in lanes.items()}
    links = [c for c in network.connections if not c.turn_back]
    lanes = _connected(lanes, links, pieces, network, number)
    lanes = _beside(lanes, network, number)
    lines, signals = _control_lines(links, lanes, network)
    notes["lanes_without_length"] = sum(circle.contains(shapely.Point(*place)) for place in network.without_length)
    notes.update({"lane_borders_by_given_width": 2 * len(lanes), "stop_lines_derived": len(lines)})
    features = [Feature(ElementKind.ROAD_EDGE, line - origin) for line in _edges(network, circle)]
    for outline in network.crossings:
        if circle.intersects(shapely.LineString(outline)):
            features.append(Feature(ElementKind.CROSSWALK, outline - origin))
    return Road(
        origin=(float(origin[0]), float(origin[1])),
        lanes=tuple(lanes.values()),
        control_lines=tuple(lines),
        signals=tuple(signals),
        features=tuple(features),
        notes={name: count for name, count in sorted(notes.items()) if count},
    )


def borders(shape: Shape, width: float) -> tuple[Shape, Shape]:
    """The left and right border of a lane: its centre line, offset; no border runs backwards."""
    step = np.diff(shape, axis=0)
    unit = step / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
    before, after = np.concatenate([normal[:1], normal]), np.concatenate([normal, normal[-1:]])
    middle = before + after
    length = np.hypot(*middle.T)
    middle = np.where(length[:, None] > 1e-6, middle / np.maximum(length, 1e-6)[:, None], before)
    stretch = np.minimum(1.0 / np.maximum((middle * before).sum(axis=1), 1e-6), MITRE)
    aside = 0.5 * width * stretch[:, None] * middle
    return _forward(shape + aside, shape), _forward(shape - aside, shape)


def _forward(border: Shape, shape: Shape) -> Shape:
    """A border without the points that lie behind those before them, seen along the centre line; both ends stay."""
    kept = [0]
    for index in range(1, len(border)):
        along = shape[index] - shape[index - 1]
        while len(kept) > 1 and (border[index] - border[kept[-1]]) @ along <= 0.0:
            kept.pop()
        kept.append(index)
    return border[kept]


# ---------------------------------------------------------------------------------------------------------------- lanes


def _pieces(network: Network, circle: shapely.Polygon, notes: Counter[str]) -> dict[str, Shape]:
    """The centre lines within the circle, by lane: all lanes of an edge are cut at the same shares of their length."""
    turning_back = {c.via for c in network.connections if c.turn_back}
    shapes: dict[str, Shape] = {}
    for lanes in network.edges().values():
        used = [lane for lane in lanes if lane.allowed & (MOTOR | BICYCLES) and lane.id not in turning_back]
        near = [lane for lane in lanes if circle.intersects(shapely.LineString(lane.shape))]
        notes["footways_left_out"] += sum(lane.allowed == {"pedestrian"} for lane in near)
        notes["turnarounds_left_out"] += sum(lane.id in turning_back for lane in near)
        if not (used and near):
            continue
        low, high = (0.0, 1.0) if lanes[0].internal else _shares(near, circle)
        for lane in used:
            shape = _between(lane.shape, low, high)
            if arc_length(shape) >= (0.1 if lane.internal else SHORTEST):
                shapes[lane.id] = shape
    return shapes


def _shares(lanes: list[NetLane], circle: shapely.Polygon) -> tuple[float, float]:
    """From where to where, in shares of their length, any of the lanes is within the circle."""
    shares: list[float] = []
    for lane in lanes:
        line = shapely.LineString(lane.shape)
        points = shapely.points(shapely.get_coordinates(line.intersection(circle)))
        shares.extend(np.atleast_1d(shapely.line_locate_point(line, points, normalized=True)).tolist())
    return min(shares), max(shares)


def _between(shape: Shape, low: float, high: float) -> Shape:
    """A part of a polyline, by shares of its length."""
    line = shapely.ops.substring(shapely.LineString(shape), low, high, normalized=True)
    return shapely.get_coordinates(line)


def _lane(lane: NetLane, shape: Shape, number: int) -> Lane:
    left, right = borders(shape, lane.width)
    return Lane(
        id=number,
        left=left,
        right=right,
        left_border=ElementKind.LINE_VIRTUAL if lane.internal else ElementKind.LINE_SOLID,
        speed_limit=lane.speed,
        drivable=bool(lane.allowed & MOTOR),
    )


def _raised(lane: Lane, source: NetLane, origin: Float[np.ndarray, "2"]) -> Lane:
    """The lane with the heights of the nearest places on the network's lane, where that has some."""
    if source.height is None:
        return lane
    arc = arc_lengths(source.shape)
    at = shapely.line_locate_point(shapely.LineString(source.shape), shapely.points(lane.left + origin))
    return replace(lane, height=np.interp(at, arc, source.height))


def _connected(
    lanes: dict[str, Lane], links: list[Connection], pieces: dict[str, Shape], network: Network, number: dict[str, int]
) -> dict[str, Lane]:
    """The lanes with successors and predecessors; a lane inside a junction has the limit of the road that leads in."""
    ahead: dict[str, dict[str, None]] = {name: {} for name in lanes}
    limit: dict[str, float] = {}
    for link in links:
        source, target = link.source, link.via or link.target
        if source in lanes and target in lanes and _touch(pieces[source], pieces[target]):
            ahead[source][target] = None
            if link.via:
                limit[target] = limit.get(source, network.lanes[source].speed)
    behind: dict[str, list[str]] = {name: [] for name in lanes}
    for name, following in ahead.items():
        for other in following:
            behind[other].append(name)
    return {
        name: replace(
            lane,
            successors=tuple(number[other] for other in ahead[name]),
            predecessors=tuple(number[other] for other in behind[name]),
            speed_limit=limit.get(name, lane.speed_limit),
        )
        for name, lane in lanes.items()
    }


def _touch(one: Shape, other: Shape) -> bool:
    """Whether one piece of lane ends where the other begins: neither was cut there."""
    return bool(np.hypot(*(one[-1] - other[0])) < 3.0)


def _beside(lanes: dict[str, Lane], network: Network, number: dict[str, int]) -> dict[str, Lane]:
    """The lanes with their neighbours: next to each other on one edge, and both open to cars, or both not."""
    result = dict(lanes)
    for edge in network.edges().values():
        for right, left in zip(edge, edge[1:], strict=False):
            if right.id not in lanes or left.id not in lanes or left.index != right.index + 1:
                continue
            alike = bool(left.allowed & CARS) == bool(right.allowed & CARS)
            free = alike and right.may_change_left and left.may_change_right
            kind = ElementKind.LINE_DASHED if free else ElementKind.LINE_SOLID
            kind = ElementKind.LINE_VIRTUAL if left.internal else kind
            result[right.id] = replace(
                result[right.id], left_border=kind, left_neighbour=number[left.id] if alike else None
            )
            result[left.id] = replace(
                result[left.id], right_border=kind, right_neighbour=number[right.id] if alike else None
            )
    return result


# ------------------------------------------------------------------------------------------------ stop lines and lights


def _control_lines(
    links: list[Connection], lanes: dict[str, Lane], network: Network
) -> tuple[list[ControlLine], list[Signal]]:
    """A line where each controlled connection enters its junction, with the light of its own link.

    It belongs to the lane inside the junction: what turns left and what goes straight on may have different lights.
    """
    lines: list[ControlLine] = []
    lights: dict[tuple[str, int], Signal] = {}
    for link in links:
        name = link.via or link.source
        if name not in lanes or link.source not in lanes or network.lanes[link.source].internal:
            continue
        lane, at = lanes[name], 0 if link.via else -1
        ends = np.stack([lane.left[at], lane.right[at]])
        if not lane.drivable:
            continue
        if link.signal:
            key = (link.signal, link.link)
            if key not in lights:
                lights[key] = Signal(len(lights), *key, position=ends.mean(axis=0))
            lines.append(ControlLine(ends, lane.id, ControlKind.LIGHT, lights[key].light))
        elif link.state in RIGHT_OF_WAY:
            lines.append(ControlLine(ends, lane.id, RIGHT_OF_WAY[link.state]))
    return lines, list(lights.values())


# ---------------------------------------------------------------------------------------------------------------- edges


def _edges(network: Network, circle: shapely.Polygon) -> list[Shape]:
    """The outline of roads and junctions without what is for walking, drivable side on the left, cut by the circle."""
    reach = circle.buffer(50.0)
    roads, walks = [], []
    for lane in network.lanes.values():
        line = shapely.LineString(lane.shape)
        if not reach.intersects(line) or lane.internal and not lane.allowed & MOTOR:
            continue
        left, right = borders(lane.shape, lane.width)
        surface = shapely.make_valid(shapely.Polygon(np.concatenate([left, right[::-1]])))
        (roads if lane.allowed & MOTOR else walks).append(surface)
    for area in network.walking_areas:
        if len(area) >= 3 and reach.intersects(polygon := shapely.make_valid(shapely.Polygon(area))):
            walks.append(polygon)
    surfaces = [
        shapely.make_valid(shapely.Polygon(junction.shape))
        for junction in network.junctions.values()
        if len(junction.shape) >= 3 and reach.intersects(shapely.Polygon(junction.shape).envelope)
    ]
    open_ground = shapely.difference(shapely.union_all(surfaces), shapely.union_all(walks))
    union = shapely.union_all([*roads, open_ground])
    union = union.buffer(0.25, join_style="mitre").buffer(-0.25, join_style="mitre")
    edges = []
    for part in shapely.get_parts(union):
        if not isinstance(part, shapely.Polygon) or part.area < 1.0:
            continue
        part = shapely.orient_polygons(part, exterior_cw=False)
        for ring in (part.exterior, *part.interiors):
            cut = shapely.line_merge(shapely.LineString(ring).intersection(circle), directed=True)
            edges += [shapely.get_coordinates(line) for line in shapely.get_parts(cut) if line.length > 0.5]
    return edges
