"""Lanes as rows of stations: cross-sections about every 2 m, seams mended, the map continued beyond its edge.

Shapes: N lanes · Q stations · n points of a polyline. Stations of a lane are contiguous. The first and the last lie on
its ends, so the last station of a lane and the first of its successor are the same place.
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from drivetrain.data.recordings.polylines import arc_length, arc_lengths, at_shares
from drivetrain.data.recordings.recording import Lane, Recording

SPACING = 2.0
"""Distance between stations, m."""
SEAM = 0.5
"""Borders closer than this, m, are one border; what lies between is an artefact of drawing."""
BESIDE = 5.0
"""Ends of a border that two neighbours share differ by at most this, m: a lane may open out of the other."""

Indices = Int[np.ndarray, "_"]


@dataclass(frozen=True)
class Merge:
    """Stations `first` … `last` of a lane run along the border of one that is not its neighbour (see `merges`)."""

    lane: int
    beside: int
    first: int
    last: int


@dataclass(frozen=True)
class Lanes:
    """All drivable lanes of a recording and what continues them beyond the map's edge.

    Lanes of one `group` have the same number of stations, and station i of one is beside station i of the other:
    neighbours that share a border over its full length, and lanes that lead from one bundle of neighbours to another.
    What follows from the fields is found once: a map may have 300,000 stations.
    """

    id: Int[np.ndarray, "N"]  # the recording's id; −1 for a lane beyond the map's edge
    first: Int[np.ndarray, "N"]
    count: Int[np.ndarray, "N"]
    group: Int[np.ndarray, "N"]
    neighbours: Int[np.ndarray, "N 2"]  # left, right; −1: none
    successors: tuple[tuple[int, ...], ...]
    predecessors: tuple[tuple[int, ...], ...]
    left: Float[np.ndarray, "Q 2"]
    right: Float[np.ndarray, "Q 2"]
    limit: Float[np.ndarray, "N"]  # m/s, 0: unknown
    merges: tuple[Merge, ...] = ()
    height: Float[np.ndarray, "Q"] | None = None  # m; None: all on one level

    @cached_property
    def lane(self) -> Int[np.ndarray, "Q"]:
        """The lane of each station."""
        return np.repeat(np.arange(len(self.count)), self.count)

    @cached_property
    def centre(self) -> Float[np.ndarray, "Q 2"]:
        """The middle of each cross-section."""
        return (self.left + self.right) / 2

    @property
    def added(self) -> Bool[np.ndarray, "N"]:
        """Lanes that continue the map beyond its edge."""
        return self.id < 0

    @cached_property
    def tangent(self) -> Float[np.ndarray, "Q 2"]:
        """The unit tangent of each lane's centre: central differences, one-sided at the ends."""
        centre, station = self.centre, np.arange(len(self.left))
        start, end = self.first[self.lane], (self.first + self.count - 1)[self.lane]
        chord = centre[np.minimum(station + 1, end)] - centre[np.maximum(station - 1, start)]
        norm = np.linalg.norm(chord, axis=1, keepdims=True)
        return np.where(norm > 1e-6, chord / np.where(norm > 1e-6, norm, 1.0), np.array([1.0, 0.0]))

    @cached_property
    def row(self) -> dict[int, int]:
        """The row of each recorded lane by its id."""
        return {int(id): row for row, id in enumerate(self.id) if id >= 0}

    @cached_property
    def merges_beside(self) -> dict[int, list[int]]:
        """The merges along the border of each lane that has some, by their places in `merges`."""
        beside: dict[int, list[int]] = {}
        for place, merge in enumerate(self.merges):
            beside.setdefault(merge.beside, []).append(place)
        return beside

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(np.asarray(shapely.points(self.centre)))

    def nearest(self, points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "n"]:
        """The station whose middle is nearest to each point."""
        return np.asarray(self._tree.nearest(shapely.points(points)))

    def stations(self, lane: int) -> slice:
        """The stations of a lane."""
        return slice(int(self.first[lane]), int(self.first[lane] + self.count[lane]))

    def chain(self, lane: int) -> list[int]:
        """The lane and its neighbours in the same direction, from left to right."""
        chain = [lane]
        for side in (0, 1):
            at = int(self.neighbours[lane, side])
            while at >= 0 and at not in chain:
                chain.insert(0 if side == 0 else len(chain), at)
                at = int(self.neighbours[at, side])
        return chain


@dataclass(frozen=True)
class Mending:
    """What was changed on the way from borders to stations."""

    points: int = 0  # border points moved by more than 1 mm so that seams close
    shift: float = 0.0  # the largest such move, m
    neighbours_dropped: int = 0  # neighbours that do not run beside each other over their full length
    lanes_dropped: int = 0  # too short to have a direction
    lanes_added_ahead: int = 0  # lanes added ahead of the map's edge
    lanes_added_behind: int = 0  # lanes added behind it


def stations_of(recording: Recording) -> tuple[Lanes, Mending]:
    """The drivable lanes of a recording by station, seams mended; nothing is added beyond the map's edge yet."""
    usable = [lane for lane in recording.lanes if lane.drivable]
    kept = [lane for lane in usable if min(len(lane.left), len(lane.right)) >= 2 and _length(lane) > 0.1]
    row = {lane.id: index for index, lane in enumerate(kept)}
    successors = [{row[other] for other in lane.successors if other in row} for lane in kept]
    for index, lane in enumerate(kept):
        for other in lane.predecessors:
            if other in row:
                successors[row[other]].add(index)
    ahead = tuple(tuple(sorted(s)) for s in successors)
    behind = inverse(ahead)
    neighbours, dropped = _neighbours(kept, row)
    lengths = np.array([_length(lane) for lane in kept])
    group = _groups(neighbours, ahead, behind, lengths)
    mean = (np.bincount(group, lengths) / np.maximum(np.bincount(group), 1))[group]
    count = np.maximum(np.round(mean / SPACING).astype(int) + 1, 2)
    sections = [(lane, np.linspace(0.0, 1.0, n)) for lane, n in zip(kept, count, strict=True)]
    empty = np.zeros((0, 2))
    lanes = Lanes(
        id=np.array([lane.id for lane in kept], int),
        first=(np.cumsum(count) - count).astype(int),
        count=count.astype(int),
        group=group,
        neighbours=neighbours,
        successors=ahead,
        predecessors=behind,
        left=np.concatenate([empty, *(at_shares(lane.left, shares) for lane, shares in sections)]),
        right=np.concatenate([empty, *(at_shares(lane.right, shares) for lane, shares in sections)]),
        limit=np.array([lane.speed_limit for lane in kept], float),
        height=_heights(sections),
    )
    left, right, moved, shift = _mend(lanes)
    mending = Mending(moved, shift, neighbours_dropped=dropped, lanes_dropped=len(usable) - len(kept))
    return dataclasses.replace(lanes, left=left, right=right), mending


def inverse(links: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Predecessors from successors."""
    sources: list[list[int]] = [[] for _ in links]
    for source, targets in enumerate(links):
        for target in targets:
            sources[target].append(source)
    return tuple(tuple(sorted(f)) for f in sources)


def components(size: int, links: list[tuple[int, int]]) -> Indices:
    """The smallest member of each node's connected component."""
    root = list(range(size))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for a, b in links:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    return np.array([find(node) for node in range(size)], int)


def _length(lane: Lane) -> float:
    return (arc_length(lane.left) + arc_length(lane.right)) / 2


def _heights(sections: list[tuple[Lane, Float[np.ndarray, "_"]]]) -> Float[np.ndarray, "Q"] | None:
    """The height of each station, m; None where some lane has none."""
    heights = [np.zeros(0)]
    for lane, shares in sections:
        if lane.height is None:
            return None
        arc = arc_lengths(lane.left)
        heights.append(np.interp(shares * arc[-1], arc, lane.height))
    return np.concatenate(heights)


def _neighbours(lanes: list[Lane], row: dict[int, int]) -> tuple[Int[np.ndarray, "N 2"], int]:
    """Neighbours that run beside each other from end to end, and how many others were dropped. Always mutual."""
    neighbours, dropped = np.full((len(lanes), 2), -1), 0
    pairs = {(i, row[lane.left_neighbour]) for i, lane in enumerate(lanes) if lane.left_neighbour in row}
    pairs |= {(row[lane.right_neighbour], i) for i, lane in enumerate(lanes) if lane.right_neighbour in row}
    for index, other in sorted(pairs):
        gap = lanes[index].left[[0, -1]] - lanes[other].right[[0, -1]]
        beside = bool((np.linalg.norm(gap, axis=1) < BESIDE).all())
        if index != other and beside and neighbours[index, 0] < 0 and neighbours[other, 1] < 0:
            neighbours[index, 0], neighbours[other, 1] = other, index
        else:
            dropped += 1
    return neighbours, dropped


def _groups(
    neighbours: Int[np.ndarray, "N 2"],
    ahead: tuple[tuple[int, ...], ...],
    behind: tuple[tuple[int, ...], ...],
    length: Float[np.ndarray, "N"],
) -> Indices:
    """Bundles of neighbours, joined with lanes that lead from the same bundle to the same (in a junction)."""
    links = [(i, int(left)) for i, left in enumerate(neighbours[:, 0]) if left >= 0]
    bundle = components(len(length), links)
    by_ends: dict[tuple[int, int], int] = {}
    for index in range(len(length)):
        for source in behind[index]:
            for target in ahead[index]:
                ends = int(bundle[source]), int(bundle[target])
                other = by_ends.setdefault(ends, index)
                if other != index and 0.8 < length[index] / length[other] < 1.25:
                    links.append((other, index))
    return components(len(length), links)


def _mend(lanes: Lanes) -> tuple[Float[np.ndarray, "Q 2"], Float[np.ndarray, "Q 2"], int, float]:
    """Border points that belong together, moved to their mean: along shared borders and where lanes meet."""
    size = len(lanes.left)
    points = np.concatenate([lanes.left, lanes.right])
    pairs: list[tuple[int, int]] = []
    for lane in range(len(lanes.count)):
        stations, other = lanes.stations(lane), int(lanes.neighbours[lane, 0])
        if other >= 0:
            start = int(lanes.first[other])
            pairs += [(stations.start + i, size + start + i) for i in range(int(lanes.count[lane]))]
        for following in lanes.successors[lane]:
            end, start = stations.stop - 1, int(lanes.first[following])
            pairs += [(end, start), (size + end, size + start)]
    links = [pair for pair in pairs if np.linalg.norm(points[pair[0]] - points[pair[1]]) < SEAM]
    root = components(2 * size, links)
    total = np.zeros_like(points)
    np.add.at(total, root, points)
    mended = total[root] / np.bincount(root, minlength=2 * size)[root][:, None]
    shift = np.linalg.norm(mended - points, axis=1)
    return mended[:size], mended[size:], int((shift > 1e-3).sum()), float(shift.max(initial=0.0))
