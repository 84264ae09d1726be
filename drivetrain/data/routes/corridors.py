"""How far beyond the borders of its lanes a route's corridor goes: what permissible driving does, rule by rule.

From every cross-section of a lane one looks outward over what lies beside it, in steps of 0.1 m. Each step falls under
one `Rule`, by what is there, and is part of the corridor as long as the distance from the border is at most that
rule's `LIMITS` and the steps before it are part too; the last one in part. The road's given edge ends it whatever the
rule. A border that two permissible lanes share is not moved. Nothing is widened beyond 2 m but where a route turns, or
its lanes begin and end, and there up to the chords of its border (`chords`): a lane's width to the side is outside.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.data.recordings.recording import Recording
from drivetrain.data.roads.elements import Elements
from drivetrain.data.roads.lanes import Lanes
from drivetrain.data.roads.levels import apart
from drivetrain.data.roads.map_extension import polygons
from drivetrain.data.routes.chords import chord_depths
from drivetrain.data.routes.route_outline import route_flags
from drivetrain.data.routes.routing import Path
from drivetrain.types import ElementKind, RouteFlag


class Rule(IntEnum):
    """Why a corridor goes beyond the border of a lane, by what lies there."""

    SAME_WAY = 0  # a lane of the same direction that is not on the route: forks, branches, merges
    JUNCTION = 1  # a lane that crosses or turns: no borders are painted in junctions
    ONCOMING = 2  # a lane of the opposite direction, across a line that is not solid, or none
    SOLID_LINE = 3  # a lane of the opposite direction, across a solid line
    SURFACE = 4  # no lane, on a surface that the map knows: shoulders, bays, parking, the space between lanes
    UNPAINTED = 5  # nothing that the map knows, beyond a border that nobody painted: how wide the lane is, is not given
    PAINTED = 6  # nothing that the map knows, beyond a painted border
    CHORD = 7  # as SAME_WAY, JUNCTION and SURFACE, farther out: up to straight lines between places of the border


LIMITS = {
    Rule.SAME_WAY: 2.0,
    Rule.JUNCTION: 2.0,
    Rule.ONCOMING: 1.5,
    Rule.SOLID_LINE: 1.0,
    Rule.SURFACE: 2.0,
    Rule.UNPAINTED: 0.7,
    Rule.PAINTED: 0.5,
    Rule.CHORD: 3.5,
}
"""From the border, m; chords end sooner where they lie nearer."""
CHORDS_OF = (Rule.SAME_WAY, Rule.JUNCTION, Rule.SURFACE)
"""What a chord may lead across: never lanes of those who come, and nothing that the map does not know."""
AGAINST_US = (Rule.ONCOMING, Rule.SOLID_LINE)
BESIDE = 2.0
"""Another lane follows where it begins so far from the border, m; as far as a chord where there is one."""
PAST_MIDDLE = 0.5
"""Over an oncoming lane a corridor ends so far, m, beyond its middle at the latest: who drives in it is outside."""
STEP = 0.1
"""Between two places that are looked at, m."""
EDGE_KNOWN = 8.0
"""A map knows the surface beside a lane where it gives an edge at most so far, m, beyond its border."""
ALONG, AGAINST = 0.8, -0.8
"""Lanes run the same way, or opposite ways, where the cosine between them is above, or below."""
NONE = -1
_OPEN = (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_RIGHT)
_WIDE = (RouteFlag.WIDE_LEFT, RouteFlag.WIDE_RIGHT)

DELTA: Float[np.ndarray, "K"] = STEP * np.arange(1, 1 + round(max(LIMITS.values()) / STEP))


@dataclass(frozen=True)
class Corridors:
    """How far a corridor goes beyond the left (column 0) and right (1) border at each station of a map's lanes."""

    width: Float[np.ndarray, "Q 2"]  # m
    rule: Int[np.ndarray, "Q 2"]  # Rule of the outermost step; −1: none

    def borders(
        self, lanes: Lanes, stations: Int[np.ndarray, "P L"], flags: UInt[np.ndarray, "P L"]
    ) -> tuple[Float[np.ndarray, "P L 2"], Float[np.ndarray, "P L 2"]]:
        """The left and right borders of a route's stations, moved where its flags say so (zeros where none is)."""
        return moved_borders(lanes.left[stations], lanes.right[stations], self.width[stations], flags)

    def widened(self, lanes: Lanes, path: Path) -> Path:
        """The route with its open borders moved; a station's is open where that of the piece before or after it is."""
        flags, linked = path.flags, (path.flags & int(RouteFlag.LINKED)) != 0
        wide = np.zeros(flags.shape, np.uint32)
        for side, (opened, moved) in enumerate(zip(_OPEN, _WIDE, strict=True)):
            here = (flags & int(opened)) != 0
            here[1:] |= here[:-1]
            here &= (path.stations >= 0) & (self.width[path.stations, side] > 0.0)
            wide[here] |= np.uint32(moved)
        if not wide.any():
            return path
        return dataclasses.replace(path, flags=route_flags(linked, *self.borders(lanes, path.stations, wide)) | wide)

    def counts(self, paths: Iterable[Path]) -> dict[str, int]:
        """Borders (of a station each) that some route moves, by rule; each counts once, however many routes do."""
        wide = np.zeros(self.width.shape, bool)
        for path in paths:
            for side, flag in enumerate(_WIDE):
                wide[path.stations[(path.flags & int(flag)) != 0], side] = True
        rules = Counter(self.rule[wide].tolist())
        return {Rule(rule).name.lower(): count for rule, count in sorted(rules.items())}


def moved_borders(
    left: Float[np.ndarray, "*n 2"],
    right: Float[np.ndarray, "*n 2"],
    width: Float[np.ndarray, "*n 2"],
    flags: UInt[np.ndarray, "*n"],
) -> tuple[Float[np.ndarray, "*n 2"], Float[np.ndarray, "*n 2"]]:
    """Borders moved outward along their cross-sections by the widths, each where its `RouteFlag` bit is set."""
    across = left - right
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    unit = across / np.maximum(length, 1e-6)
    by = [np.where((flags & int(flag)) != 0, width[..., side], 0.0)[..., None] for side, flag in enumerate(_WIDE)]
    return left + by[0] * unit, right - by[1] * unit


def corridors_of(recording: Recording, lanes: Lanes, elements: Elements, paths: Sequence[Path]) -> Corridors:
    """How far a corridor may go, on either side, at every station that some route uses; 0 at others."""
    width, rule = np.zeros((len(lanes.left), 2)), np.full((len(lanes.left), 2), NONE)
    used = np.unique(np.concatenate([np.zeros(0, int), *(path.stations[path.stations >= 0] for path in paths)]))
    if len(used):
        beside, painted = (shapely.STRtree(polygons(lanes)), _Edges(recording, elements)), _painted(recording, lanes)
        outward = (_outward(lanes, 0), _outward(lanes, 1))
        chord = chord_depths(lanes, outward, paths, LIMITS[Rule.CHORD])
        for side, border in enumerate((lanes.left, lanes.right)):
            looks = _Looks(used, border[used], outward[side][used], painted[used, side], chord[used, side])
            width[used, side], rule[used, side] = _looked(lanes, looks, *beside)
    return Corridors(width, rule)


@dataclass(frozen=True)
class _Looks:
    """Where one looks from, outward: stations, their border, unit vectors, and what is painted on the border."""

    station: Int[np.ndarray, "n"]
    border: Float[np.ndarray, "n 2"]
    outward: Float[np.ndarray, "n 2"]
    painted: Int[np.ndarray, "n"]  # ElementKind
    chord: Float[np.ndarray, "n"]  # m, from the border to the farthest chord

    @property
    def reach(self) -> Float[np.ndarray, "n"]:
        """So far one looks, m."""
        return np.maximum(self.chord, BESIDE)


class _Edges:
    """The road's edges, where the recording gives them: those derived from the lanes say nothing of what is beside."""

    def __init__(self, recording: Recording, elements: Elements):
        given = any(feature.kind == ElementKind.ROAD_EDGE for feature in recording.features)
        kept = (elements.kind == ElementKind.ROAD_EDGE) & given
        self.height = None if elements.height is None else elements.height[kept]
        self.tree = shapely.STRtree(np.asarray(shapely.linestrings(elements.segments[kept].reshape(-1, 2, 2))))

    def met(self, lanes: Lanes, looks: _Looks) -> Float[np.ndarray, "n"]:
        """How far beyond each border one meets the first edge, from the lane's middle outward; infinite: none."""
        far = looks.border + EDGE_KNOWN * looks.outward
        rays = np.asarray(shapely.linestrings(np.stack([lanes.centre[looks.station], far], axis=1)))
        look, edge = self.tree.query(rays, predicate="intersects")
        if self.height is not None and lanes.height is not None:
            level = ~apart(self.height[edge], lanes.height[looks.station[look]])
            look, edge = look[level], edge[level]
        points, row = shapely.get_coordinates(
            shapely.intersection(rays[look], self.tree.geometries[edge]), return_index=True
        )
        look, away = look[row], np.full(len(rays), np.inf)
        np.minimum.at(away, look, ((points - looks.border[look]) * looks.outward[look]).sum(axis=1))
        return away


def _outward(lanes: Lanes, side: int) -> Float[np.ndarray, "Q 2"]:
    """Unit vectors along each cross-section; where it has no breadth, across the direction of travel."""
    across = (lanes.left - lanes.right) * (1.0 if side == 0 else -1.0)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    normal = np.stack([-lanes.tangent[:, 1], lanes.tangent[:, 0]], axis=1) * (1.0 if side == 0 else -1.0)
    return np.where(length > 0.1, across / np.maximum(length, 1e-9), normal)


def _painted(recording: Recording, lanes: Lanes) -> Int[np.ndarray, "Q 2"]:
    """What is painted on the left and right border of each station: an ElementKind; beyond the map, nothing."""
    by_id = {lane.id: (int(lane.left_border), int(lane.right_border)) for lane in recording.lanes}
    nothing = (int(ElementKind.LINE_VIRTUAL),) * 2
    return np.array([by_id.get(int(id), nothing) for id in lanes.id], int).reshape(-1, 2)[lanes.lane]


def _looked(
    lanes: Lanes, looks: _Looks, tree: shapely.STRtree, edges: _Edges
) -> tuple[Float[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Along one side: how far the corridor goes, and by which rule at last."""
    (same, crossing, oncoming), middle = _covered(lanes, looks, tree)
    edge = edges.met(lanes, looks)
    free = ~(same | crossing | oncoming)
    beyond = np.flip(np.maximum.accumulate(np.flip(~free, axis=1), axis=1), axis=1)  # a lane follows
    known = np.isfinite(edge)[:, None] | beyond
    solid, bare = ((looks.painted == kind)[:, None] for kind in (ElementKind.LINE_SOLID, ElementKind.LINE_VIRTUAL))
    cases = {
        Rule.JUNCTION: crossing,
        Rule.SAME_WAY: same,
        Rule.SOLID_LINE: oncoming & solid,
        Rule.ONCOMING: oncoming,
        Rule.SURFACE: free & known,
        Rule.UNPAINTED: free & bare,
    }
    rule = np.select(list(cases.values()), [int(name) for name in cases], int(Rule.PAINTED))
    against, further = np.isin(rule, AGAINST_US), np.isin(rule, CHORDS_OF)
    until = np.array([LIMITS[each] for each in Rule])[rule]
    until = np.where(further, np.maximum(until, looks.chord[:, None]), until)
    until = np.where(against, np.minimum(until, middle[:, None] + PAST_MIDDLE), until)
    width = _until(np.minimum(until, edge[:, None]))
    rule = np.where(further & (DELTA > BESIDE + 1e-9), int(Rule.CHORD), rule)
    last = rule[np.arange(len(rule)), np.maximum(np.ceil(width / STEP - 1e-6).astype(int) - 1, 0)]
    return width, np.where(width > 0.0, last, NONE)


def _until(until: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n"]:
    """How far one gets, m, where each step of `DELTA` allows to go until so far: within the first that ends it."""
    ended = np.concatenate([until + 1e-9 < DELTA, np.ones((len(until), 1), bool)], axis=1).argmax(axis=1)
    inside = until[np.arange(len(until)), np.minimum(ended, len(DELTA) - 1)]
    return np.where(ended < len(DELTA), np.maximum(STEP * ended, inside), DELTA[-1])


def _covered(
    lanes: Lanes, looks: _Looks, tree: shapely.STRtree
) -> tuple[tuple[Bool[np.ndarray, "n K"], ...], Float[np.ndarray, "n"]]:
    """Which steps lie on another lane of the same direction, of one across, and of the opposite direction; and how far
    away the middle of the nearest of the latter is.
    """
    ends = looks.border + looks.reach[:, None] * looks.outward
    rays = np.asarray(shapely.linestrings(np.stack([looks.border, ends], axis=1)))
    look, lane = tree.query(rays, predicate="intersects")
    other = lanes.lane[looks.station[look]] != lane
    look, lane = look[other], lane[other]
    on = _stations_beside(lanes, looks.border[look], lane)
    if lanes.height is not None:
        level = ~apart(lanes.height[on], lanes.height[looks.station[look]])
        look, lane, on = look[level], lane[level], on[level]
    cosine = (lanes.tangent[on] * lanes.tangent[looks.station[look]]).sum(axis=1)
    to_middle = ((lanes.centre[on] - looks.border[look]) * looks.outward[look]).sum(axis=1)
    middle, against = np.full(len(rays), np.inf), cosine < AGAINST
    np.minimum.at(middle, look[against], to_middle[against])
    parts, row = shapely.get_parts(shapely.intersection(rays[look], tree.geometries[lane]), return_index=True)
    points, part = shapely.get_coordinates(parts, return_index=True)
    look, cosine = look[row], cosine[row]
    away = ((points - looks.border[look[part]]) * looks.outward[look[part]]).sum(axis=1)
    low, high = np.full(len(parts), np.inf), np.full(len(parts), -np.inf)
    np.minimum.at(low, part, away)
    np.maximum.at(high, part, away)
    within = (low[:, None] - 1e-6 <= DELTA) & (high[:, None] + 1e-6 >= DELTA)
    covered = []
    for mine in (cosine > ALONG, (cosine <= ALONG) & (cosine >= AGAINST), cosine < AGAINST):
        steps = np.zeros((len(rays), len(DELTA)), bool)
        np.logical_or.at(steps, look[mine], within[mine])
        covered.append(steps)
    return tuple(covered), middle


def _stations_beside(
    lanes: Lanes, points: Float[np.ndarray, "n 2"], lane: Int[np.ndarray, "n"]
) -> Int[np.ndarray, "n"]:
    """The station of a lane each that is nearest to some points."""
    on = np.zeros(len(lane), int)
    order = np.argsort(lane, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(lane[order])) + 1):
        if len(rows):
            own = lanes.stations(int(lane[rows[0]]))
            away = ((lanes.centre[own][None] - points[rows][:, None]) ** 2).sum(axis=-1)
            on[rows] = own.start + away.argmin(axis=1)
    return on
