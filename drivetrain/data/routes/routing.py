"""Routes: the lanes that one agent may use to follow its path, by station.

A route is a row of segments. A segment is a bundle of lanes side by side with one number of stations: the lane that was
driven (the reference, which may change within the segment), its neighbours, and lanes that lead from the bundle before
to the bundle after. Lane changes are possible anywhere in a bundle, so each of its lanes is permissible as far as it
goes; a lane that leads elsewhere ends with its segment, and the outline is closed there. A ramp that joins the bundle
after, or has left the bundle before, is permissible where it runs beside the bundle (a strip).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.data.roads.lanes import SPACING, Lanes
from drivetrain.data.routes.arc_length import route_arc_lengths
from drivetrain.data.routes.map_matching import Match, match
from drivetrain.data.routes.route_outline import route_flags
from drivetrain.data.routes.slot_table import Segment, SlotTable, Strip, linked_rows

BEHIND = 16
"""Stations of a route before the path's first point, where the lane graph reaches as far: 32 m."""
AHEAD = 81
"""Stations of a route beyond the path's last point: 162 m."""
SLACK, REACH = 3, 30
"""Stations behind and ahead of the last one in which a path that comes back to where it was is looked for."""
SEGMENTS = 200
"""A route has at most so many segments."""
STRAIGHT = 30.0
"""Where a route may choose, it takes the lane whose next so many metres lead straight on."""


@dataclass(frozen=True)
class Path:
    """A route of its own size: P stations of L slots, as in `types.Route`."""

    stations: Int[np.ndarray, "P L"]
    flags: UInt[np.ndarray, "P L"]
    reference: Int[np.ndarray, "P"]
    offset: dict[int, list[int]]  # lane → where (in rows) its first station is, for every pass; may be negative
    cursor: int  # row at the path's first point
    distance: float  # along the route from the path's first point to its last, m
    left_out: int = 0  # permissible lanes for which no slot was free


def route(
    lanes: Lanes,
    position: Float[np.ndarray, "t 2"],
    heading: Float[np.ndarray, "t 2"],
    height: Float[np.ndarray, "t"] | None = None,
    slots: int = 8,
) -> Path | str:
    """The route of a path (box centres and unit headings by step), or the cause why it has none: no_lane, no_route."""
    matched = match(lanes, position, heading, height) if len(lanes.count) else "no_lane"
    if isinstance(matched, str):
        return matched
    return route_along(lanes, matched, position, height, slots)


def route_along(
    lanes: Lanes,
    matched: Match,
    position: Float[np.ndarray, "t 2"],
    height: Float[np.ndarray, "t"] | None = None,
    slots: int = 8,
) -> Path:
    """The route of a path whose lanes are known."""
    segments = _driven(lanes, matched)
    first, last = matched.entered[0], _station(lanes, int(segments[-1].reference[-1]), position[-1])
    behind = _prepend(lanes, segments, first)
    _append(lanes, segments, last)
    _permit(lanes, segments)
    table = SlotTable(lanes, segments, slots)
    driven = sum(len(s.reference) - 1 for s in segments[behind : behind + _driven_count(lanes, matched) - 1])
    before = sum(len(s.reference) - 1 for s in segments[:behind])
    low = max(before + first - BEHIND, 0)
    high = min(before + driven + last + AHEAD, len(table.reference) - 1)
    return _finish(lanes, table, low, high, position, height)


# ------------------------------------------------------------------------------------------------------------- segments


def _driven(lanes: Lanes, matched: Match) -> list[Segment]:
    """Segments of the matched lanes: a successor starts a new one, a lane change stays within."""
    segments: list[Segment] = []
    for index, (lane, entered) in enumerate(zip(matched.lanes, matched.entered, strict=True)):
        if index and _beside(lanes, matched.lanes[index - 1], lane):
            segments[-1].reference[entered:] = lane
        else:
            segments.append(Segment(np.full(int(lanes.count[lane]), lane)))
    return segments


def _driven_count(lanes: Lanes, matched: Match) -> int:
    return 1 + sum(not _beside(lanes, a, b) for a, b in zip(matched.lanes, matched.lanes[1:], strict=False))


def _beside(lanes: Lanes, lane: int, other: int) -> bool:
    return other in lanes.neighbours[lane].tolist() and other not in lanes.successors[lane]


def _station(lanes: Lanes, lane: int, point: Float[np.ndarray, "2"]) -> int:
    return int(((lanes.centre[lanes.stations(lane)] - point) ** 2).sum(axis=1).argmin())


def _prepend(lanes: Lanes, segments: list[Segment], first: int) -> int:
    """Segments behind the first, until the route is long enough; their number."""
    tangent, added, behind = lanes.tangent, 0, first
    while behind < BEHIND and added < SEGMENTS:
        reference = segments[0].reference
        lane = _linked(lanes, int(reference[0]), lanes.predecessors)
        if lane is None:
            break
        reference[: max((first if not added else len(reference)) // 2, 1)] = lane  # unchanged where it has its own
        starts = tangent[lanes.first[lane]]
        back = max(lanes.predecessors[lane], key=lambda other: float(_direction(lanes, other, False) @ starts))
        segments.insert(0, Segment(np.full(int(lanes.count[back]), back)))
        added, behind = added + 1, behind + int(lanes.count[back]) - 1
    return added


def _append(lanes: Lanes, segments: list[Segment], last: int) -> None:
    """Segments after the last, straight on, until the route is long enough or the lanes end."""
    tangent, ahead, start = lanes.tangent, len(segments[-1].reference) - 1 - last, last
    while ahead < AHEAD and len(segments) < SEGMENTS:
        reference = segments[-1].reference
        lane = _linked(lanes, int(reference[-1]), lanes.successors)
        if lane is None:
            break
        reference[min((start + len(reference) + 1) // 2, len(reference) - 1) :] = lane
        ends = tangent[lanes.stations(lane).stop - 1]
        forth = max(lanes.successors[lane], key=lambda other: float(_direction(lanes, other, True) @ ends))
        segments.append(Segment(np.full(int(lanes.count[forth]), forth)))
        ahead, start = ahead + int(lanes.count[forth]) - 1, 0


def _linked(lanes: Lanes, lane: int, links: tuple[tuple[int, ...], ...]) -> int | None:
    """The lane itself or the nearest of its neighbours that goes on."""
    chain = lanes.chain(lane)
    at = chain.index(lane)
    return next((c for c in sorted(chain, key=lambda c: abs(chain.index(c) - at)) if links[c]), None)


def _direction(lanes: Lanes, lane: int, forward: bool) -> Float[np.ndarray, "2"]:
    """The unit chord of a lane's first 30 m, where it leads to, or of its last, where it comes from."""
    centre = lanes.centre[lanes.stations(lane)]
    reach = min(round(STRAIGHT / SPACING), len(centre) - 1)
    chord = centre[reach] - centre[0] if forward else centre[-1] - centre[-1 - reach]
    return chord / max(float(np.linalg.norm(chord)), 1e-9)


def _permit(lanes: Lanes, segments: list[Segment]) -> None:
    """Fill in the permissible lanes of every segment, from left to right."""
    chains = [set(lanes.chain(int(s.reference[0]))) for s in segments]
    for index in range(1, len(segments) - 1):
        group = lanes.group[int(segments[index].reference[0])]
        for source in sorted(chains[index - 1]):
            for lane in lanes.successors[source]:
                if lanes.group[lane] == group and chains[index + 1].intersection(lanes.successors[lane]):
                    chains[index].add(lane)
    tangent, centre = lanes.tangent, lanes.centre
    for segment, chain in zip(segments, chains, strict=True):
        middle = len(segment.reference) // 2
        own = int(lanes.first[int(segment.reference[0])]) + middle
        normal = np.array([-tangent[own, 1], tangent[own, 0]])
        place = {lane: float((centre[lanes.first[lane] + middle] - centre[own]) @ normal) for lane in sorted(chain)}
        segment.lanes = sorted(chain, key=lambda lane: (-place[lane], lane))
    for index, (segment, chain) in enumerate(zip(segments, chains, strict=True)):
        before = chains[index - 1] if index else set()
        after = chains[index + 1] if index + 1 < len(chains) else set()
        segment.strips = _strips(lanes, len(segment.reference), chain, before, after)


def _strips(lanes: Lanes, count: int, chain: set[int], before: set[int], after: set[int]) -> list[Strip]:
    """The merges beside a bundle of so many stations that come from the bundle before or lead into the one after."""
    strips: dict[int, Strip] = {}
    for place in sorted(place for lane in chain for place in lanes.merges_beside.get(lane, ())):
        merge = lanes.merges[place]
        lane, last = merge.lane, int(lanes.count[merge.lane]) - 1
        if lane in chain:
            continue
        if merge.last == last and after.intersection(lanes.successors[lane]):
            strip = Strip(lane, max(merge.first, last - count + 1), last, count - 1 - last)
        elif merge.first == 0 and before.intersection(lanes.predecessors[lane]):
            strip = Strip(lane, 0, min(merge.last, count - 1), 0)
        else:
            continue
        if lane not in strips or strip.last - strip.first > strips[lane].last - strips[lane].first:
            strips[lane] = strip
    return list(strips.values())


def _finish(
    lanes: Lanes,
    table: SlotTable,
    low: int,
    high: int,
    position: Float[np.ndarray, "t 2"],
    height: Float[np.ndarray, "t"] | None,
) -> Path:
    """The rows low … high of a table as a route, with its flags and the path's place on it."""
    stations, reference = table.stations[low : high + 1], table.reference[low : high + 1]
    linked = linked_rows(lanes, stations)
    centre, tangent = lanes.centre, lanes.tangent
    arc = route_arc_lengths(stations, reference, centre)
    on = stations[np.arange(len(reference)), reference]
    far = [np.linalg.norm(centre[on] - position[step], axis=1) for step in (0, -1)]
    if height is not None and lanes.height is not None:  # a route may pass above itself
        gap = [np.abs(lanes.height[on] - height[step]) for step in (0, -1)]
        far = [np.where(each > LEVELS_APART, np.inf, one) for one, each in zip(far, gap, strict=True)]
    start = int(far[0].argmin())
    if len(np.unique(on)) < len(on):  # it comes back to where it was: of equal stations the path tells which
        end = _followed(centre[on], start, position)
    else:
        end = start + int(far[1][start:].argmin())
    ends = ((start, position[0]), (end, position[-1]))
    distance = [arc[at] + (point - centre[on[at]]) @ tangent[on[at]] for at, point in ends]
    return Path(
        stations=stations,
        flags=route_flags(linked, lanes.left[stations], lanes.right[stations]),
        reference=reference,
        offset={lane: [row - low for row in rows] for lane, rows in sorted(table.offset.items())},
        cursor=start,
        distance=float(distance[1] - distance[0]),
        left_out=table.left_out,
    )


def _followed(centre: Float[np.ndarray, "P 2"], start: int, position: Float[np.ndarray, "t 2"]) -> int:
    """The station that a path reaches, followed point by point from station `start` on."""
    at = start
    for point in position:
        first = max(at - SLACK, 0)
        at = first + int(np.linalg.norm(centre[first : at + REACH] - point, axis=1).argmin())
    return at
