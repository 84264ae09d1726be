"""The map continued beyond its edge, so that no route ends where the recording's map does.

A lane that leaves the map goes straight on for 120 m, one that enters it starts 30 m earlier. A dead end on the map (a
neighbour goes on, or other lanes lie ahead) is a dead end and stays one.
"""

import dataclasses
import itertools

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.roads.lanes import SPACING, Lanes, Mending, components, inverse
from drivetrain.data.roads.levels import on_level

AHEAD = 120.0
"""Length of a lane added ahead, m."""
BEHIND = 30.0
"""Length of a lane added behind, m."""
PROBE = 16.0
"""A lane that has other lanes this far, m, beyond its end ends on the map, not at its edge."""


def extend_map(lanes: Lanes, mending: Mending) -> tuple[Lanes, Mending]:
    """The lanes with what goes on ahead and behind, appended; neighbours stay neighbours beyond the edge."""
    if not len(lanes.count):
        return lanes, mending
    shapes = polygons(lanes)
    tree = shapely.STRtree(shapes)
    before = len(lanes.count)
    recorded = lanes
    lanes = _extend(lanes, recorded, tree, forward=True)
    outs = len(lanes.count) - before
    lanes = _extend(lanes, recorded, tree, forward=False)
    ins = len(lanes.count) - before - outs
    return lanes, dataclasses.replace(mending, lanes_added_ahead=outs, lanes_added_behind=ins)


def polygons(lanes: Lanes) -> np.ndarray:
    """Each lane's surface, valid also where the borders cross."""
    shapes = []
    for lane in range(len(lanes.count)):
        stations = lanes.stations(lane)
        shapes.append(shapely.Polygon(np.concatenate([lanes.left[stations], lanes.right[stations][::-1]])))
    return shapely.make_valid(np.array(shapes, object))


def _extend(lanes: Lanes, recorded: Lanes, tree: shapely.STRtree, forward: bool) -> Lanes:
    """Lanes appended beyond one edge of the map."""
    open_ends = dict.fromkeys(_open_ends(recorded, tree, forward))
    links = [(int(left), lane) for lane in open_ends if (left := recorded.neighbours[lane, 0]) in open_ends]
    root = components(len(recorded.count), links)
    members: dict[int, list[int]] = {}
    for lane in open_ends:
        members.setdefault(int(root[lane]), []).append(lane)
    bundles = [members[first] for first in sorted(members)]
    runs = [_free(recorded, bundle, tree, forward) for bundle in bundles]
    return _appended(lanes, bundles, runs, forward) if bundles else lanes


def _direction(lanes: Lanes, lane: int, forward: bool) -> Float[np.ndarray, "2"]:
    """Out of the map: the unit direction of a lane's last 10 m."""
    centre = lanes.centre[lanes.stations(lane)]
    chord = centre[-1] - centre[-min(6, len(centre))] if forward else centre[0] - centre[min(5, len(centre) - 1)]
    return chord / max(float(np.linalg.norm(chord)), 1e-9)


def _open_ends(lanes: Lanes, tree: shapely.STRtree, forward: bool) -> list[int]:
    """Lanes that end at the map's edge: nothing follows them, their neighbours, or ahead of them."""
    links = lanes.successors if forward else lanes.predecessors
    open_ends = []
    for lane in range(len(lanes.count)):
        if any(links[other] for other in lanes.chain(lane)):
            continue
        row = lanes.stations(lane).stop - 1 if forward else lanes.stations(lane).start
        probes = lanes.centre[row] + np.linspace(1.0, PROBE, 6)[:, None] * _direction(lanes, lane, forward)
        if not len(_met(lanes, tree, probes, np.full(len(probes), row))):
            open_ends.append(lane)
    return open_ends


def _met(
    lanes: Lanes, tree: shapely.STRtree, probes: Float[np.ndarray, "n 2"], ends: Int[np.ndarray, "n"]
) -> Int[np.ndarray, "_"]:
    """The probes that lie on a recorded lane of the level of the station that each continues."""
    probe, lane = tree.query(shapely.points(probes), predicate="intersects")
    return probe[on_level(lanes, probes[probe], ends[probe], lane)]


def _free(
    lanes: Lanes, bundle: list[int], tree: shapely.STRtree, forward: bool
) -> tuple[Int[np.ndarray, "b"], Float[np.ndarray, "n 2"]]:
    """The last stations of a bundle of neighbours, and the steps by which they go on side by side.

    They go on in their mean direction, until they would meet a recorded lane; steps stand in the order of travel.
    """
    direction = np.mean([_direction(lanes, lane, forward) for lane in bundle], axis=0)
    direction = direction / np.linalg.norm(direction)
    arc = SPACING * np.arange(1 + round((AHEAD if forward else BEHIND) / SPACING))
    ends = np.array([lanes.stations(lane).stop - 1 if forward else lanes.stations(lane).start for lane in bundle])
    probes = lanes.centre[ends][:, None] + arc[None, 1:, None] * direction
    met = np.zeros(probes.shape[:2], bool)
    met.reshape(-1)[_met(lanes, tree, probes.reshape(-1, 2), np.repeat(ends, probes.shape[1]))] = True
    free = int(np.argmax(met.any(axis=0))) if met.any() else len(arc) - 1
    arc = arc[: max(free, 1) + 1] if forward else arc[: max(free, 1) + 1][::-1]
    return ends, arc[:, None] * direction


def _appended(
    lanes: Lanes,
    bundles: list[list[int]],
    runs: list[tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_ 2"]]],
    forward: bool,
) -> Lanes:
    """The lanes with every bundle continued from its last stations by its steps."""
    new = {lane: row for row, lane in enumerate(itertools.chain(*bundles), start=len(lanes.count))}
    successors = [list(s) for s in lanes.successors] + [[] for _ in new]
    for lane, row in new.items():
        source, target = (lane, row) if forward else (row, lane)
        successors[source].append(target)
    ends = np.concatenate([end for end, _ in runs])
    steps = [offsets for end, offsets in runs for _ in end]
    count = np.array([len(offsets) for offsets in steps])
    neighbours = [[new.get(int(n), -1) for n in lanes.neighbours[lane]] for lane in new]
    offsets = np.concatenate(steps)
    return dataclasses.replace(
        lanes,
        id=_joined(lanes.id, np.full(len(new), -1)),
        first=_joined(lanes.first, len(lanes.left) + np.cumsum(count) - count),
        count=_joined(lanes.count, count),
        group=_joined(lanes.group, np.array([new[bundle[0]] for bundle in bundles for _ in bundle])),
        neighbours=np.concatenate([lanes.neighbours, np.array(neighbours, int)]),
        successors=tuple(tuple(s) for s in successors),
        predecessors=inverse(tuple(tuple(s) for s in successors)),
        left=np.concatenate([lanes.left, np.repeat(lanes.left[ends], count, axis=0) + offsets]),
        right=np.concatenate([lanes.right, np.repeat(lanes.right[ends], count, axis=0) + offsets]),
        limit=np.concatenate([lanes.limit, lanes.limit[list(new)]]),
        height=None if lanes.height is None else np.concatenate([lanes.height, np.repeat(lanes.height[ends], count)]),
    )


def _joined(a: Int[np.ndarray, "n"], b: Int[np.ndarray, "m"]) -> Int[np.ndarray, "k"]:
    return np.concatenate([a, b]).astype(int)
