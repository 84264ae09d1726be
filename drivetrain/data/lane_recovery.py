"""Lanes from centre lines alone: borders, successors and neighbours by geometry.

The rules, in order:
  1. A lane continues another where it starts within 0.5 m of its end, within 45° of its heading.
  2. Beside a point of a lane runs another lane where a ray across meets its centre line 2.5 to 5 m away, within 20° of
     the heading; stretches shorter than 6 m do not count.
  3. Lanes are cut where what runs beside them changes, and where the lane beside them is cut, never within 3 m of
     another cut: so pieces lie side by side from end to end, and neighbours may be used where they overlap.
  4. Two pieces are neighbours where 80 % of one runs beside the other, both ways, and their ends are level to 2.5 m.
  5. A border lies half-way between neighbours; else at a painted line or road edge 1.4 to 2.5 m from the centre line,
     where half of the piece has one; else 1.75 m away (0.75 m for a bicycle lane).

Shapes: n points of a polyline · m samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from drivetrain.data.lane_sampling import (
    Beside,
    CentreLine,
    Samples,
    arc_lengths,
    beside_of,
    cast,
    left_of,
    sample,
    segments_of,
)
from drivetrain.data.recording import Lane, Polyline
from drivetrain.types import ElementKind

JOINED = 0.5  # m
JOINED_HEADING = np.cos(np.radians(45.0))
SHORTEST_STRETCH = 6.0  # m
SHORTEST_PIECE = 3.0  # m
NEIGHBOUR_SHARE = 0.8
LEVEL = 2.5  # m
HALF_WIDTH = (1.4, 2.5)  # m
DEFAULT_HALF_WIDTH = 1.75  # m
BICYCLE_HALF_WIDTH = 0.75  # m


@dataclass(frozen=True)
class Paint:
    """A painted line or a road edge."""

    points: Polyline
    kind: ElementKind


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
    whole = sample(centres, [np.array([0.0, length]) for length in lengths])
    cuts = _cuts(whole, _without_short(whole, beside_of(whole, whole)), lengths)
    samples = sample(centres, cuts)
    piece_first = np.cumsum([0, *(len(cut) - 1 for cut in cuts)])
    owner_of = np.repeat(np.arange(len(centres)), np.diff(piece_first))
    bounds = np.array([(a, b) for cut in cuts for a, b in zip(cut[:-1], cut[1:], strict=True)])
    beside = beside_of(_with_owner(samples, owner_of), whole)
    neighbours = _neighbours(samples, beside, piece_first, cuts, bounds)
    bicycle = np.array([centre.bicycle for centre in centres])[owner_of]
    offsets, kinds, found = _borders(samples, beside, neighbours, paint, bicycle)
    successors = _successors(centres, piece_first)
    predecessors: list[list[int]] = [[] for _ in successors]
    for row, ahead in enumerate(successors):
        for other in ahead:
            predecessors[other].append(row)
    pieces = []
    for row, owner in enumerate(owner_of.tolist()):
        rows = samples.owner == row
        position, normal = samples.position[rows], left_of(samples.heading[rows])
        left, right = (int(neighbour) if neighbour >= 0 else None for neighbour in neighbours[row])
        lane = Lane(
            id=row,
            left=position + offsets[rows, :1] * normal,
            right=position - offsets[rows, 1:] * normal,
            successors=successors[row],
            predecessors=tuple(predecessors[row]),
            left_neighbour=left,
            right_neighbour=right,
            left_border=kinds[row][0],
            right_border=kinds[row][1],
            drivable=not bool(bicycle[row]),
        )
        pieces.append(Piece(lane, centres[owner].id, position))
    notes = {
        "lanes_cut_to_pieces": len(pieces) - len(centres),
        "lane_successors_derived": sum(len(ahead) for ahead in successors),
        "lane_neighbours_derived": int((neighbours >= 0).sum()),
        "lane_borders_between_neighbours": int((neighbours >= 0).sum()),
        "lane_borders_painted": found,
        "lane_borders_by_default_width": int((neighbours < 0).sum()) - found,
    }
    return tuple(pieces), notes


def _with_owner(samples: Samples, owner_of: Int[np.ndarray, "_"]) -> Samples:
    return Samples(owner_of[samples.owner], samples.along, samples.position, samples.heading)


def _stretches(owner: Int[np.ndarray, "m"], lane: Int[np.ndarray, "m"]) -> Int[np.ndarray, "_"]:
    """Where a run of samples of one owner beside one lane starts; the number of samples closes the list."""
    change = (np.diff(owner) != 0) | (np.diff(lane) != 0)
    return np.concatenate([[0], np.flatnonzero(change) + 1, [len(owner)]])


def _without_short(samples: Samples, beside: Beside) -> Beside:
    lane = beside.lane.copy()
    for side in (0, 1):
        starts = _stretches(samples.owner, lane[:, side])
        for first, last in zip(starts[:-1], starts[1:], strict=True):
            if samples.along[last - 1] - samples.along[first] < SHORTEST_STRETCH:
                lane[first:last, side] = -1
    return Beside(lane, beside.along, beside.distance)


def _cuts(samples: Samples, beside: Beside, lengths: Float[np.ndarray, "_"]) -> list[Float[np.ndarray, "_"]]:
    """Where each lane is cut, its ends included, by rule 3: a cut spreads to the lanes beside it."""
    first = np.searchsorted(samples.owner, np.arange(len(lengths)))
    count = np.bincount(samples.owner, minlength=len(lengths))
    cuts = [[0.0, float(length)] for length in lengths]
    waiting = []
    for side in (0, 1):
        starts = _stretches(samples.owner, beside.lane[:, side])
        inner = [row for row in starts[1:-1] if samples.owner[row] == samples.owner[row - 1]]
        waiting += [(int(samples.owner[row]), float(samples.along[row - 1 : row + 1].mean())) for row in inner]
    while waiting:
        lane, at = waiting.pop()
        if min(abs(at - cut) for cut in cuts[lane]) < SHORTEST_PIECE:
            continue
        cuts[lane].append(at)
        row = first[lane] + round(at / lengths[lane] * (count[lane] - 1))
        for side in (0, 1):
            if beside.lane[row, side] >= 0:
                level = beside.along[row, side] + at - samples.along[row]
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
        inner = np.searchsorted(cuts[lane][1:-1], beside.along[row, side], side="right")
        seen[row, side] = piece_first[lane] + inner
    found = np.full((len(bounds), 2), -1)
    edges = np.searchsorted(samples.owner, np.arange(len(bounds) + 1))
    for piece in range(len(bounds)):
        rows = slice(edges[piece], edges[piece + 1])
        for side in (0, 1):
            inner = seen[rows, side][1:-1]  # the ends may see what is beside the next piece
            pieces, counts = np.unique(inner if len(inner) else seen[rows, side], return_counts=True)
            best = int(np.argmax(counts))
            if pieces[best] >= 0 and counts[best] >= NEIGHBOUR_SHARE * counts.sum():
                other = int(pieces[best])
                if _level(samples, rows, slice(edges[other], edges[other + 1])):
                    found[piece, side] = other
    back = np.stack([found[found[:, 0], 1], found[found[:, 1], 0]], axis=1)
    return np.where((found >= 0) & (back == np.arange(len(found))[:, None]), found, -1)


def _level(samples: Samples, rows: slice, other: slice) -> bool:
    """Whether two pieces' ends lie beside each other."""
    ends = np.array([rows.start, rows.stop - 1]), np.array([other.start, other.stop - 1])
    gap = samples.position[ends[1]] - samples.position[ends[0]]
    return bool((np.abs((gap * samples.heading[ends[0]]).sum(axis=1)) < LEVEL).all())


def _successors(centres: Sequence[CentreLine], piece_first: Int[np.ndarray, "_"]) -> list[tuple[int, ...]]:
    """Pieces that follow each piece: the next of its lane, or by rule 1 the first of every lane that continues it."""
    starts, ends = (np.array([centre.points[at] for centre in centres]) for at in (0, -1))
    tree = shapely.STRtree(np.asarray(shapely.points(starts)))
    ahead: list[tuple[int, ...]] = [(row + 1,) for row in range(int(piece_first[-1]))]
    out, into = (np.array([_end_heading(centre.points, last) for centre in centres]) for last in (True, False))
    near = tree.query(shapely.points(ends), predicate="dwithin", distance=JOINED)
    follows: list[list[int]] = [[] for _ in centres]
    for lane, other in near.T:
        if lane != other and out[lane] @ into[other] > JOINED_HEADING:
            follows[lane].append(int(piece_first[other]))
    for lane, rows in enumerate(follows):
        ahead[piece_first[lane + 1] - 1] = tuple(sorted(rows))
    return ahead


def _end_heading(points: Polyline, last: bool) -> Float[np.ndarray, "2"]:
    """The direction of a line's last or first metre."""
    at = arc_lengths(points)
    a, b = (max(at[-1] - 1.0, 0.0), at[-1]) if last else (0.0, min(1.0, at[-1]))
    chord = np.array([np.interp(b, at, line) - np.interp(a, at, line) for line in points.T])
    return chord / max(float(np.linalg.norm(chord)), 1e-9)


def _borders(
    samples: Samples,
    beside: Beside,
    neighbours: Int[np.ndarray, "_ 2"],
    paint: Sequence[Paint],
    bicycle: Bool[np.ndarray, "_"],
) -> tuple[Float[np.ndarray, "m 2"], list[tuple[ElementKind, ElementKind]], int]:
    """Half widths left and right of each sample by rule 5, what is painted there, and how many borders were found."""
    distance, kind = _painted(samples, paint)
    offsets = np.empty((len(samples.owner), 2))
    kinds, found = [], 0
    edges = np.searchsorted(samples.owner, np.arange(len(neighbours) + 1))
    for piece in range(len(neighbours)):
        rows = slice(edges[piece], edges[piece + 1])
        words = []
        for side in (0, 1):
            seen = np.isfinite(distance[rows, side])
            painted = 2 * seen.sum() >= len(seen)
            words.append(ElementKind(_commonest(kind[rows, side][seen])) if painted else ElementKind.LINE_VIRTUAL)
            between = beside.lane[rows, side] >= 0
            if neighbours[piece, side] >= 0 and between.any():
                offsets[rows, side] = _filled(beside.distance[rows, side] / 2, between)
            elif painted and not bicycle[piece]:
                offsets[rows, side] = _median(_filled(distance[rows, side], seen))
                found += 1
            else:
                offsets[rows, side] = BICYCLE_HALF_WIDTH if bicycle[piece] else DEFAULT_HALF_WIDTH
        kinds.append((words[0], words[1]))
    return offsets, kinds, found


def _painted(samples: Samples, paint: Sequence[Paint]) -> tuple[Float[np.ndarray, "m 2"], Int[np.ndarray, "m 2"]]:
    """Distance to the nearest line or edge on each side (NaN: none at a plausible half width), and its kind."""
    count = len(samples.owner)
    start, end, line = segments_of(
        [shapely.get_coordinates(shapely.LineString(p.points).simplify(0.05)) for p in paint]
    )
    distance, kind = np.full((2, count), np.nan), np.zeros((2, count), int)
    normal = left_of(samples.heading)
    rays = np.tile(samples.position, (2, 1)), np.concatenate([normal, -normal])
    ray, segment, off, _ = cast(*rays, HALF_WIDTH[1], start, end)
    ray, first = np.unique(ray, return_index=True)
    ray, first = ray[off[first] >= HALF_WIDTH[0]], first[off[first] >= HALF_WIDTH[0]]
    distance.reshape(-1)[ray] = off[first]
    kind.reshape(-1)[ray] = np.array([int(p.kind) for p in paint], int)[line[segment[first]]]
    return distance.T, kind.T


def _commonest(values: Int[np.ndarray, "n"]) -> int:
    kinds, counts = np.unique(values, return_counts=True)
    return int(kinds[np.argmax(counts)])


def _filled(values: Float[np.ndarray, "n"], known: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    rows = np.arange(len(values))
    return np.interp(rows, rows[known], values[known])


def _median(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The running median of 5."""
    return np.median(np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="edge"), 5), axis=1)
