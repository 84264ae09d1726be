"""Where the edge of the road is not known: given edges opened where lanes lead across, and marks where edges break off.

Beyond the end of an edge nobody knows on which side the road is. A mark (`ElementKind.NO_EDGE`) stands just beyond each
end that no other edge continues, and along lanes that go on beyond the map: what is nearest to a mark is not judged.
"""

import numpy as np
import shapely
from jaxtyping import Bool, Float

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.data.roads.lanes import SEAM, Lanes

ACROSS = 0.7
"""An edge leads across a lane, not along it, where the cosine between them is below this."""
AROUND = 3
"""Stations of a lane before and after the place where an edge crosses its middle, along which the edge is opened."""
SHORTEST = 0.1
"""What is left of an edge is kept from this length on, m."""
MARK = 0.01
"""A mark begins so far beyond an edge's end, and is as long, m."""
LONG = 5
"""Marks along lanes are so many stations long: 10 m."""

Points = Float[np.ndarray, "_ _"]


def opened(edges: list[Points], lanes: Lanes) -> tuple[list[Points], int]:
    """Edges without what lies across a lane, border to border, and how many such places there were.

    Vehicles drive there: a driveway's mouth, the rim of the map. Edges along a lane stay, wherever they are.
    """
    if not edges or not len(lanes.count):
        return edges, 0
    lines = np.array([shapely.LineString(points) for points in edges], object)
    here = np.delete(np.arange(len(lanes.left)), lanes.first + lanes.count - 1)  # a chord to the next of its lane
    chords = np.stack([lanes.centre[here], lanes.centre[here + 1]], axis=1)
    edge, chord = shapely.STRtree(np.asarray(shapely.linestrings(chords))).query(lines, predicate="intersects")[:2]
    gates: dict[int, list[shapely.Geometry]] = {}
    places = set()
    for row, at in zip(edge.tolist(), here[chord].tolist(), strict=True):
        if _leads_across(edges[row], lanes, at):
            gates.setdefault(row, []).append(_gate(lanes, at))
            places.add((row, int(lanes.lane[at])))
    left: list[Points] = []
    for row, line in enumerate(lines):
        if row not in gates:
            left.append(edges[row])
            continue
        parts = shapely.get_parts(shapely.difference(line, shapely.union_all(np.array(gates[row], object))))
        left += [
            shapely.get_coordinates(part, include_z=edges[row].shape[1] > 2) for part in parts if part.length > SHORTEST
        ]
    return left, len(places)


def marks(
    edges: Float[np.ndarray, "n 4"], height: Float[np.ndarray, "n"], lanes: Lanes, given: bool
) -> tuple[Float[np.ndarray, "m 4"], Float[np.ndarray, "m"]]:
    """Short segments beyond the free ends of edges (x0, y0, x1, y1), and their heights.

    Where the source gives the edges, what follows the lanes beyond its map is marked too.
    """
    ends = edges.reshape(-1, 2, 2)
    free = _free_ends(ends)
    row, end = np.nonzero(free)
    out = ends[row, end] - ends[row, 1 - end]
    out *= MARK / np.linalg.norm(out, axis=1, keepdims=True)
    segments, levels = [np.concatenate([ends[row, end] + out, ends[row, end] + 2 * out], axis=1)], [height[row]]
    for lane in np.flatnonzero(lanes.added & given):
        own = np.arange(lanes.stations(int(lane)).start, lanes.stations(int(lane)).stop)[::LONG]
        segments.append(np.concatenate([lanes.centre[own[:-1]], lanes.centre[own[1:]]], axis=1))
        levels.append(np.zeros(len(own) - 1) if lanes.height is None else lanes.height[own[:-1]])
    return np.concatenate(segments), np.concatenate(levels)


def _free_ends(ends: Float[np.ndarray, "n 2 2"]) -> Bool[np.ndarray, "n 2"]:
    """Which ends of segments nothing goes on from: no other is near but those that meet the segment's other end."""
    free = np.ones((len(ends), 2), bool)
    tree = shapely.STRtree(np.asarray(shapely.linestrings(ends)))
    for end in (0, 1):
        here, there = (np.asarray(shapely.points(ends[:, at])) for at in (end, 1 - end))
        one, other = tree.query(here, predicate="dwithin", distance=SEAM)
        beyond = (shapely.distance(there[one], tree.geometries[other]) > 1e-6) | (
            shapely.distance(here[one], tree.geometries[other]) <= 1e-6
        )
        free[one[(one != other) & beyond], end] = False
    return free


def _leads_across(edge: Points, lanes: Lanes, station: int) -> bool:
    """Whether an edge that meets the middle of a lane at a station does so across it, and on its level."""
    chord, along = np.diff(edge[:, :2], axis=0), lanes.tangent[station]
    pieces = shapely.linestrings(np.stack([edge[:-1, :2], edge[1:, :2]], axis=1))
    at = int(shapely.distance(pieces, shapely.Point(lanes.centre[station : station + 2].mean(axis=0))).argmin())
    if lanes.height is not None and edge.shape[1] > 2 and abs(edge[at, 2] - lanes.height[station]) > LEVELS_APART:
        return False
    return bool(abs(chord[at] @ along) < ACROSS * np.linalg.norm(chord[at]))


def _gate(lanes: Lanes, station: int) -> shapely.Geometry:
    """The surface of a lane around a station."""
    own = lanes.stations(int(lanes.lane[station]))
    rows = np.arange(max(station - AROUND, own.start), min(station + AROUND + 2, own.stop))
    return shapely.make_valid(shapely.Polygon(np.concatenate([lanes.left[rows], lanes.right[rows][::-1]])))
