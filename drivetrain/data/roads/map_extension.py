"""The map continued beyond its edge, so that no route ends where the recording's map does.

A lane that leaves the map goes straight on for 120 m, one that enters it starts 30 m earlier. A dead end on the map (a
neighbour goes on, or other lanes lie ahead) is a dead end and stays one.
"""

import dataclasses

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
    open_ends = _open_ends(recorded, tree, forward)
    links = [(int(left), lane) for lane in open_ends if (left := recorded.neighbours[lane, 0]) in open_ends]
    bundle = components(len(recorded.count), links)
    for root in sorted({int(bundle[lane]) for lane in open_ends}):
        lanes = _append(lanes, [lane for lane in open_ends if bundle[lane] == root], tree, forward)
    return lanes


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


def _append(lanes: Lanes, bundle: list[int], tree: shapely.STRtree, forward: bool) -> Lanes:
    """One bundle of neighbours continued side by side, in their mean direction, until it would meet a recorded lane."""
    direction = np.mean([_direction(lanes, lane, forward) for lane in bundle], axis=0)
    direction = direction / np.linalg.norm(direction)
    arc = SPACING * np.arange(1 + round((AHEAD if forward else BEHIND) / SPACING))
    ends = np.array([lanes.stations(lane).stop - 1 if forward else lanes.stations(lane).start for lane in bundle])
    probes = lanes.centre[ends][:, None] + arc[None, 1:, None] * direction
    met = np.zeros(probes.shape[:2], bool)
    met.reshape(-1)[_met(lanes, tree, probes.reshape(-1, 2), np.repeat(ends, probes.shape[1]))] = True
    free = int(np.argmax(met.any(axis=0))) if met.any() else len(arc) - 1
    arc = arc[: max(free, 1) + 1] if forward else arc[: max(free, 1) + 1][::-1]
    offsets = arc[:, None] * direction
    size, number, count = len(lanes.count), len(bundle), len(arc)
    new = {lane: size + index for index, lane in enumerate(bundle)}
    successors = [list(s) for s in lanes.successors] + [[] for _ in bundle]
    for lane in bundle:
        source, target = (lane, new[lane]) if forward else (new[lane], lane)
        successors[source].append(target)
    neighbours = [[new.get(int(n), -1) for n in lanes.neighbours[lane]] for lane in bundle]
    return dataclasses.replace(
        lanes,
        id=_joined(lanes.id, np.full(number, -1)),
        first=_joined(lanes.first, len(lanes.left) + count * np.arange(number)),
        count=_joined(lanes.count, np.full(number, count)),
        group=_joined(lanes.group, np.full(number, size)),
        neighbours=np.concatenate([lanes.neighbours, np.array(neighbours, int)]),
        successors=tuple(tuple(s) for s in successors),
        predecessors=inverse(tuple(tuple(s) for s in successors)),
        left=np.concatenate([lanes.left, *(lanes.left[end] + offsets for end in ends)]),
        right=np.concatenate([lanes.right, *(lanes.right[end] + offsets for end in ends)]),
        limit=np.concatenate([lanes.limit, lanes.limit[bundle]]),
        height=None if lanes.height is None else np.concatenate([lanes.height, np.repeat(lanes.height[ends], count)]),
    )


def _joined(a: Int[np.ndarray, "n"], b: Int[np.ndarray, "m"]) -> Int[np.ndarray, "k"]:
    return np.concatenate([a, b]).astype(int)
