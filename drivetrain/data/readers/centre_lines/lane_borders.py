"""Where a recovered lane's borders lie and what is painted there: rule 5 of `lane_recovery`.

Shapes: n points of a polyline · m samples · h hits of rays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.centre_lines.lane_sampling import (
    Beside,
    CentreLine,
    Samples,
    Stretch,
    Told,
    cast,
    left_of,
    segments_of,
)
from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.types import ElementKind

HALF_WIDTH = (1.4, 2.5)  # m
GIVEN_HALF_WIDTH = (0.8, 4.0)  # m, to a line that the source gives as the lane's border
DEFAULT_HALF_WIDTH = 1.75  # m
BICYCLE_HALF_WIDTH = 0.75  # m


@dataclass(frozen=True)
class Paint:
    """A painted line or a road edge."""

    points: Float[np.ndarray, "n 2"]
    kind: ElementKind
    id: int = -1  # the source's, by which lanes name their borders; -1: none
    height: Float[np.ndarray, "n"] | None = None  # m; None: everything lies on one level


@dataclass(frozen=True)
class Line:
    """The line on the left (column 0) and right (1) of each sample; a distance of NaN: none."""

    distance: Float[np.ndarray, "m 2"]
    kind: Int[np.ndarray, "m 2"]  # ElementKind
    given: Bool[np.ndarray, "m 2"]  # the source names it as the lane's border


@dataclass(frozen=True)
class Borders:
    """Borders of pieces of lanes: where, of what kind, and how many of them were given or painted."""

    offsets: Float[np.ndarray, "m 2"]  # m from the centre, left and right of each sample
    kinds: list[tuple[ElementKind, ElementKind]]  # left and right of each piece
    given: int  # at a line that the source names
    painted: int  # at a line that lies where a border may be


def borders_of(
    samples: Samples,
    beside: Beside,
    neighbours: Int[np.ndarray, "_ 2"],
    paint: Sequence[Paint],
    centres: Sequence[CentreLine],
    owner_of: Int[np.ndarray, "_"],
) -> Borders:
    """The borders of pieces (which `samples` name as owners), cut from the lanes `owner_of` of some centre lines."""
    line = _lines(samples, paint, centres, owner_of)
    offsets = np.empty((len(samples.owner), 2))
    kinds, given, painted = [], 0, 0
    edges = np.searchsorted(samples.owner, np.arange(len(neighbours) + 1))
    for piece in range(len(neighbours)):
        own, bicycle = slice(edges[piece], edges[piece + 1]), centres[owner_of[piece]].bicycle
        words = []
        for side in (0, 1):
            seen = np.isfinite(line.distance[own, side])
            drawn = 2 * seen.sum() >= len(seen)
            told = bool(2 * line.given[own, side].sum() >= len(seen))
            words.append(ElementKind(_commonest(line.kind[own, side][seen])) if drawn else ElementKind.LINE_VIRTUAL)
            between = beside.lane[own, side] >= 0
            if neighbours[piece, side] >= 0 and between.any():
                offsets[own, side] = _filled(beside.distance[own, side] / 2, between)
            elif drawn and (told or not bicycle):
                offsets[own, side] = _median(_filled(line.distance[own, side], seen))
                given, painted = given + told, painted + (not told)
            else:
                offsets[own, side] = BICYCLE_HALF_WIDTH if bicycle else DEFAULT_HALF_WIDTH
        kinds.append((words[0], words[1]))
    return Borders(offsets, kinds, given, painted)


def _lines(
    samples: Samples, paint: Sequence[Paint], centres: Sequence[CentreLine], owner_of: Int[np.ndarray, "_"]
) -> Line:
    """The line that the source gives as the border, else the nearest where it is a plausible half width away."""
    count = len(samples.owner)
    lane = owner_of[samples.owner]
    drawn = [shapely.get_coordinates(_simple(p), include_z=True) for p in paint]
    start, end, owner = segments_of([line[:, :2] for line in drawn])
    height = np.concatenate([np.zeros(0), *(line[1:, 2] for line in drawn)])
    normal = left_of(samples.heading)
    rays = np.tile(samples.position, (2, 1)), np.concatenate([normal, -normal])
    ray, segment, off, _ = cast(*rays, GIVEN_HALF_WIDTH[1], start, end)
    level = np.abs(height[segment] - samples.height[ray % count]) < LEVELS_APART
    ray, row, off = ray[level], owner[segment[level]], off[level]
    told = _told_lines(centres, paint).of(lane[ray % count], ray // count, row, samples.arc[ray % count])
    told &= off >= GIVEN_HALF_WIDTH[0]
    nearest = np.unique(ray, return_index=True)[1]
    nearest = nearest[(off[nearest] >= HALF_WIDTH[0]) & (off[nearest] <= HALF_WIDTH[1])]
    named = np.flatnonzero(told)[np.unique(ray[told], return_index=True)[1]]
    kinds = np.array([int(p.kind) for p in paint], int)
    distance, kind, given = np.full(2 * count, np.nan), np.zeros(2 * count, int), np.zeros(2 * count, bool)
    for rows, word in ((nearest, False), (named, True)):
        distance[ray[rows]], kind[ray[rows]], given[ray[rows]] = off[rows], kinds[row[rows]], word
    return Line(*(column.reshape(2, count).T for column in (distance, kind, given)))


def _simple(paint: Paint) -> shapely.Geometry:
    height = np.zeros(len(paint.points)) if paint.height is None else paint.height
    return shapely.LineString(np.column_stack([paint.points, height])).simplify(0.05)


def _told_lines(centres: Sequence[CentreLine], paint: Sequence[Paint]) -> Told:
    """The lines that a source gives its lanes as borders."""
    row_of = {line.id: row for row, line in enumerate(paint) if line.id >= 0}
    stretches: dict[tuple[int, int, int], list[Stretch]] = {}
    for lane, centre in enumerate(centres):
        for side, parts in enumerate((centre.links.left_lines, centre.links.right_lines) if centre.links else ()):
            for part in parts:
                if part.other in row_of:
                    stretches.setdefault((lane, side, row_of[part.other]), []).append(part)
    return Told(np.array([bool(centre.links and centre.links.whole) for centre in centres], bool), stretches)


def _commonest(values: Int[np.ndarray, "n"]) -> int:
    kinds, counts = np.unique(values, return_counts=True)
    return int(kinds[np.argmax(counts)])


def _filled(values: Float[np.ndarray, "n"], known: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    places = np.arange(len(values))
    return np.interp(places, places[known], values[known])


def _median(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The running median of 5."""
    return np.median(np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="edge"), 5), axis=1)
