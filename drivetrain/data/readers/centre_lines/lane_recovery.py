"""Lanes from centre lines: borders, successors and neighbours by geometry, and by what the source says of them.

The rules, in order (what a source gives a lane as successors, neighbours or border lines goes before geometry):
  1. A lane continues another where it starts within 0.5 m of its end, within 45° of its heading; a successor that the
     source gives starts within 2 m.
  2. Beside a point of a lane runs another lane where a ray across meets its centre line 2.5 to 5 m away, within 20° of
     the heading; stretches shorter than 6 m do not count. Of a lane whose neighbours the source gives, only those.
  3. Lanes are cut where what runs beside them changes, and where the lane beside them is cut, never within 3 m of
     another cut: so pieces lie side by side from end to end, and neighbours may be used where they overlap.
  4. Two pieces are neighbours where 80 % of one runs beside the other, both ways, and their ends are level to 2.5 m.
  5. A border lies half-way between neighbours; else at a painted line or road edge 1.4 to 2.5 m from the centre line,
     where half of the piece has one (0.8 to 4 m, where the source gives that line as the border); else 1.75 m away
     (0.75 m for a bicycle lane).
  6. What differs by 2.5 m in height is on another level: it neither follows, nor lies beside, nor borders.

Shapes: n points of a polyline · m samples.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.readers.centre_lines.lane_borders import Paint, borders_of
from drivetrain.data.readers.centre_lines.lane_sampling import (
    Beside,
    CentreLine,
    Samples,
    beside_of,
    left_of,
    sample,
    told_of,
)
from drivetrain.data.recordings.polylines import arc_lengths
from drivetrain.data.recordings.recording import LEVELS_APART, Lane, Polyline

JOINED = 0.5  # m
JOINED_HEADING = np.cos(np.radians(45.0))
SHORTEST_STRETCH = 6.0  # m
SHORTEST_PIECE = 3.0  # m
NEIGHBOUR_SHARE = 0.8
LEVEL = 2.5  # m
GIVEN_JOINED = 2.0  # m; a link that the source gives over a wider gap is none


@dataclass(frozen=True)
class Piece:
    """A recovered lane's cross-sections: the recording's lane, the centre line it was cut from, and its centre."""

    lane: Lane
    source: int  # id of the centre line
    centre: Polyline  # as many points as the lane's borders


def recover(centres: Sequence[CentreLine], paint: Sequence[Paint]) -> tuple[tuple[Piece, ...], dict[str, int]]:
    """Lanes with borders, successors and neighbours from centre lines, and counts of what was derived, by name."""
    if not centres:
        return (), {}
    lengths = np.array([arc_lengths(centre.points)[-1] for centre in centres])
    whole, told = sample(centres, [np.array([0.0, length]) for length in lengths]), told_of(centres)
    cuts = _cuts(whole, _without_short(whole, beside_of(whole, whole, told)), lengths)
    samples = sample(centres, cuts)
    piece_first = np.cumsum([0, *(len(cut) - 1 for cut in cuts)])
    owner_of = np.repeat(np.arange(len(centres)), np.diff(piece_first))
    bounds = np.array([(a, b) for cut in cuts for a, b in zip(cut[:-1], cut[1:], strict=True)])
    beside = beside_of(_with_owner(samples, owner_of), whole, told)
    neighbours = _neighbours(samples, beside, piece_first, cuts, bounds)
    borders = borders_of(samples, beside, neighbours, paint, centres, owner_of)
    successors, links = _successors(centres, piece_first)
    predecessors: list[list[int]] = [[] for _ in successors]
    for row, ahead in enumerate(successors):
        for other in ahead:
            predecessors[other].append(row)
    pieces = []
    for row, owner in enumerate(owner_of.tolist()):
        own = samples.owner == row
        position, normal = samples.position[own], left_of(samples.heading[own])
        left, right = (int(neighbour) if neighbour >= 0 else None for neighbour in neighbours[row])
        lane = Lane(
            id=row,
            left=position + borders.offsets[own, :1] * normal,
            right=position - borders.offsets[own, 1:] * normal,
            successors=successors[row],
            predecessors=tuple(predecessors[row]),
            left_neighbour=left,
            right_neighbour=right,
            left_border=borders.kinds[row][0],
            right_border=borders.kinds[row][1],
            speed_limit=centres[owner].speed_limit,
            drivable=not centres[owner].bicycle,
            height=None if centres[owner].height is None else samples.height[own],
        )
        pieces.append(Piece(lane, centres[owner].id, position))
    level, given = int((neighbours >= 0).sum()), int((neighbours[told.lanes[owner_of]] >= 0).sum())
    notes = links | {
        "lanes_cut_to_pieces": len(pieces) - len(centres),
        "lane_successors_derived": sum(len(ahead) for ahead in successors) - links["lane_successors_given"],
        "lane_neighbours_given": given,
        "lane_neighbours_derived": level - given,
        "lane_borders_between_neighbours": level,
        "lane_borders_given": borders.given,
        "lane_borders_painted": borders.painted,
        "lane_borders_by_default_width": 2 * len(pieces) - level - borders.given - borders.painted,
    }
    return tuple(pieces), notes


def _with_owner(samples: Samples, owner_of: Int[np.ndarray, "_"]) -> Samples:
    return dataclasses.replace(samples, owner=owner_of[samples.owner])


def _stretches(owner: Int[np.ndarray, "m"], lane: Int[np.ndarray, "m"]) -> Int[np.ndarray, "_"]:
    """Where a run of samples of one owner beside one lane starts; the number of samples closes the list."""
    change = (np.diff(owner) != 0) | (np.diff(lane) != 0)
    return np.concatenate([[0], np.flatnonzero(change) + 1, [len(owner)]])


def _without_short(samples: Samples, beside: Beside) -> Beside:
    lane = beside.lane.copy()
    for side in (0, 1):
        starts = _stretches(samples.owner, lane[:, side])
        for first, last in zip(starts[:-1], starts[1:], strict=True):
            if samples.arc[last - 1] - samples.arc[first] < SHORTEST_STRETCH:
                lane[first:last, side] = -1
    return Beside(lane, beside.arc, beside.distance)


def _cuts(samples: Samples, beside: Beside, lengths: Float[np.ndarray, "_"]) -> list[Float[np.ndarray, "_"]]:
    """Where each lane is cut, its ends included, by rule 3: a cut spreads to the lanes beside it."""
    first = np.searchsorted(samples.owner, np.arange(len(lengths)))
    count = np.bincount(samples.owner, minlength=len(lengths))
    cuts = [[0.0, float(length)] for length in lengths]
    waiting = []
    for side in (0, 1):
        starts = _stretches(samples.owner, beside.lane[:, side])
        inner = [row for row in starts[1:-1] if samples.owner[row] == samples.owner[row - 1]]
        waiting += [(int(samples.owner[row]), float(samples.arc[row - 1 : row + 1].mean())) for row in inner]
    while waiting:
        lane, at = waiting.pop()
        if min(abs(at - cut) for cut in cuts[lane]) < SHORTEST_PIECE:
            continue
        cuts[lane].append(at)
        row = first[lane] + round(at / lengths[lane] * (count[lane] - 1))
        for side in (0, 1):
            if beside.lane[row, side] >= 0:
                level = beside.arc[row, side] + at - samples.arc[row]
                waiting.append((int(beside.lane[row, side]), float(level)))
    return [np.array(sorted(cut)) for cut in cuts]


def _neighbours(
    samples: Samples,
    beside: Beside,
    piece_first: Int[np.ndarray, "_"],
    cuts: Sequence[Float[np.ndarray, "_"]],
    bounds: Float[np.ndarray, "_ 2"],
) -> Int[np.ndarray, "_ 2"]:
    """Each piece's left and right neighbour (−1: none), by rule 4; always mutual."""
    seen = np.full((len(samples.owner), 2), -1)
    for row, side in np.argwhere(beside.lane >= 0):
        lane = int(beside.lane[row, side])
        inner = np.searchsorted(cuts[lane][1:-1], beside.arc[row, side], side="right")
        seen[row, side] = piece_first[lane] + inner
    neighbours = np.full((len(bounds), 2), -1)
    edges = np.searchsorted(samples.owner, np.arange(len(bounds) + 1))
    for piece in range(len(bounds)):
        own = slice(edges[piece], edges[piece + 1])
        for side in (0, 1):
            inner = seen[own, side][1:-1]  # the ends may see what is beside the next piece
            pieces, counts = np.unique(inner if len(inner) else seen[own, side], return_counts=True)
            best = int(np.argmax(counts))
            if pieces[best] >= 0 and counts[best] >= NEIGHBOUR_SHARE * counts.sum():
                other = int(pieces[best])
                if _level(samples, own, slice(edges[other], edges[other + 1])):
                    neighbours[piece, side] = other
    back = np.stack([neighbours[neighbours[:, 0], 1], neighbours[neighbours[:, 1], 0]], axis=1)
    return np.where((neighbours >= 0) & (back == np.arange(len(neighbours))[:, None]), neighbours, -1)


def _level(samples: Samples, one: slice, other: slice) -> bool:
    """Whether two pieces' ends lie beside each other."""
    ends = np.array([one.start, one.stop - 1]), np.array([other.start, other.stop - 1])
    gap = samples.position[ends[1]] - samples.position[ends[0]]
    return bool((np.abs((gap * samples.heading[ends[0]]).sum(axis=1)) < LEVEL).all())


def _successors(
    centres: Sequence[CentreLine], piece_first: Int[np.ndarray, "_"]
) -> tuple[list[tuple[int, ...]], dict[str, int]]:
    """Pieces that follow each piece, by rule 1 (or the next of its lane), and what became of the links given."""
    ends = np.array([[centre.points[0], centre.points[-1]] for centre in centres])
    heights = np.array([(0.0, 0.0) if c.height is None else (c.height[0], c.height[-1]) for c in centres])
    out, into = (np.array([_end_heading(centre.points, last) for centre in centres]) for last in (True, False))
    tree = shapely.STRtree(np.asarray(shapely.points(ends[:, 0])))
    near = tree.query(shapely.points(ends[:, 1]), predicate="dwithin", distance=JOINED)
    row_of = {centre.id: row for row, centre in enumerate(centres)}
    follows: list[set[int]] = [set() for _ in centres]
    notes = {"lane_successors_given": 0, "lane_successors_apart": 0, "lane_successors_out_of_scene": 0}
    for lane, other in near.T.tolist():
        level, links = abs(heights[lane, 1] - heights[other, 0]) < LEVELS_APART, centres[lane].links
        told = links is not None and links.whole
        if not told and lane != other and level and out[lane] @ into[other] > JOINED_HEADING:
            follows[lane].add(other)
    for lane, centre in enumerate(centres):
        for id in sorted(set(centre.links.successors)) if centre.links else ():
            other = row_of.get(id)
            joined = other is not None and np.linalg.norm(ends[lane, 1] - ends[other, 0]) < GIVEN_JOINED
            if other is not None and joined:
                follows[lane].add(other)
            what = "given" if joined else "apart" if other is not None else "out_of_scene"
            notes[f"lane_successors_{what}"] += 1
    ahead: list[tuple[int, ...]] = [(row + 1,) for row in range(int(piece_first[-1]))]
    for lane, heads in enumerate(follows):
        ahead[piece_first[lane + 1] - 1] = tuple(sorted(int(piece_first[row]) for row in heads))
    return ahead, notes


def _end_heading(points: Polyline, last: bool) -> Float[np.ndarray, "2"]:
    """The direction of a line's last or first metre."""
    at = arc_lengths(points)
    a, b = (max(at[-1] - 1.0, 0.0), at[-1]) if last else (0.0, min(1.0, at[-1]))
    chord = np.array([np.interp(b, at, line) - np.interp(a, at, line) for line in points.T])
    return chord / max(float(np.linalg.norm(chord)), 1e-9)
