"""Points along lanes, and what lies across from them: rays against the lanes and lines beside.

Where a source says what lies beside a lane, nothing else counts there; rays only measure how far off it is. What lies
on another level is never beside: see `LEVELS_APART`.

Shapes: n points of a polyline · m samples · s segments · r rays · h hits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from drivetrain.data.recordings.polylines import arc_lengths
from drivetrain.data.recordings.recording import LEVELS_APART

BESIDE = (2.5, 5.0)  # m
BESIDE_HEADING = np.cos(np.radians(20.0))
SPACING = 2.0  # m, between samples
ALONG = 1.0  # m, by which a stretch that a source gives may be short of a sample

Vectors = Float[np.ndarray, "m 2"]


@dataclass(frozen=True)
class Stretch:
    """Where a source says that a lane or a line lies beside a lane."""

    other: int  # id of the lane or line
    first: float  # m along the lane
    last: float


@dataclass(frozen=True)
class Links:
    """A lane's place in the lane graph as its source gives it; what the scene lacks may be named."""

    successors: tuple[int, ...] = ()
    left: tuple[Stretch, ...] = ()  # lanes of the same direction
    right: tuple[Stretch, ...] = ()
    left_lines: tuple[Stretch, ...] = ()  # painted lines and road edges
    right_lines: tuple[Stretch, ...] = ()
    whole: bool = True  # False: these successors and perhaps more, and nothing said of what lies beside


@dataclass(frozen=True)
class CentreLine:
    """A lane as its source draws it: at least two distinct points, in the direction of travel."""

    id: int
    points: Float[np.ndarray, "n 2"]
    bicycle: bool = False
    height: Float[np.ndarray, "n"] | None = None  # m; None: everything lies on one level
    speed_limit: float = 0.0  # m/s; 0: unknown
    links: Links | None = None  # None: the source gives no lane graph


@dataclass(frozen=True)
class Samples:
    """Points along lanes, in order."""

    owner: Int[np.ndarray, "m"]  # row of the lane
    arc: Float[np.ndarray, "m"]  # m from the lane's start
    position: Float[np.ndarray, "m 2"]
    heading: Float[np.ndarray, "m 2"]
    height: Float[np.ndarray, "m"]


@dataclass(frozen=True)
class Told:
    """What a source says lies beside its lanes: stretches by row of the lane, side (0 left, 1 right) and other row."""

    lanes: Bool[np.ndarray, "_"]  # the lanes of which it speaks
    stretches: dict[tuple[int, int, int], list[Stretch]]

    def of(
        self,
        owner: Int[np.ndarray, "h"],
        side: Int[np.ndarray, "h"],
        other: Int[np.ndarray, "h"],
        arc: Float[np.ndarray, "h"],
    ) -> Bool[np.ndarray, "h"]:
        """Whether the source says of each place along a lane that the other lies on that side."""
        return np.array(
            [
                any(part.first - ALONG <= at <= part.last + ALONG for part in self.stretches.get((a, b, c), ()))
                for a, b, c, at in zip(owner.tolist(), side.tolist(), other.tolist(), arc.tolist(), strict=True)
            ],
            bool,
        )


@dataclass(frozen=True)
class Beside:
    """What runs left (column 0) and right (1) of each sample: a lane (−1: none), where on it, how far off."""

    lane: Int[np.ndarray, "m 2"]
    arc: Float[np.ndarray, "m 2"]
    distance: Float[np.ndarray, "m 2"]


def cast(
    origin: Float[np.ndarray, "r 2"],
    direction: Float[np.ndarray, "r 2"],
    reach: float,
    start: Float[np.ndarray, "s 2"],
    end: Float[np.ndarray, "s 2"],
) -> tuple[Int[np.ndarray, "h"], Int[np.ndarray, "h"], Float[np.ndarray, "h"], Float[np.ndarray, "h"]]:
    """Every crossing of rays of length `reach` with segments: ray, segment, distance along the ray, segment's share.

    Sorted by ray, then by distance. Parallel pairs do not cross.
    """
    tree = shapely.STRtree(np.asarray(shapely.linestrings(np.stack([start, end], axis=1))))
    ray, segment = tree.query(shapely.linestrings(np.stack([origin, origin + reach * direction], axis=1)))
    edge, gap, ahead = (end - start)[segment], start[segment] - origin[ray], direction[ray]
    across = _cross(ahead, edge)
    safe = np.where(np.abs(across) > 1e-9, across, 1.0)
    distance, share = _cross(gap, edge) / safe, _cross(gap, ahead) / safe
    kept = (np.abs(across) > 1e-9) & (distance >= 0) & (distance <= reach) & (share >= -1e-6) & (share <= 1 + 1e-6)
    ray, segment, distance, share = ray[kept], segment[kept], distance[kept], share[kept]
    order = np.lexsort((distance, ray))
    return ray[order], segment[order], distance[order], share[order]


def segments_of(lines: Sequence[Float[np.ndarray, "_ 2"]]) -> tuple[Vectors, Vectors, Int[np.ndarray, "m"]]:
    """Starts and ends of all segments of some polylines, and the polyline of each."""
    empty = np.zeros((0, 2))
    start = np.concatenate([empty, *(line[:-1] for line in lines)])
    end = np.concatenate([empty, *(line[1:] for line in lines)])
    return start, end, np.repeat(np.arange(len(lines)), [max(len(line) - 1, 0) for line in lines])


def told_of(centres: Sequence[CentreLine]) -> Told:
    """The neighbours that a source gives its lanes, those of the scene alone."""
    row_of = {centre.id: row for row, centre in enumerate(centres)}
    stretches: dict[tuple[int, int, int], list[Stretch]] = {}
    for row, centre in enumerate(centres):
        for side, parts in enumerate((centre.links.left, centre.links.right) if centre.links else ()):
            for part in parts:
                if part.other in row_of:
                    stretches.setdefault((row, side, row_of[part.other]), []).append(part)
    return Told(np.array([bool(centre.links and centre.links.whole) for centre in centres], bool), stretches)


def beside_of(samples: Samples, whole: Samples, told: Told) -> Beside:
    """The nearest lane of `whole` on each side of `samples` (owned by lanes of it): 2.5 to 5 m away, within 20°."""
    count = len(samples.owner)
    linked = np.flatnonzero(whole.owner[:-1] == whole.owner[1:])
    normal = left_of(samples.heading)
    rays = np.tile(samples.position, (2, 1)), np.concatenate([normal, -normal])
    ray, segment, distance, share = cast(*rays, BESIDE[1], whole.position[linked], whole.position[linked + 1])
    hit, sample = linked[segment], ray % count
    agree = (samples.heading[sample] * whole.heading[hit]).sum(axis=1) > BESIDE_HEADING
    level = np.abs(samples.height[sample] - whole.height[hit]) < LEVELS_APART
    kept = agree & level & (distance >= BESIDE[0]) & (whole.owner[hit] != samples.owner[sample])
    ray, hit, distance, share, sample = ray[kept], hit[kept], distance[kept], share[kept], sample[kept]
    owner = samples.owner[sample]
    kept = ~told.lanes[owner] | told.of(owner, ray // max(count, 1), whole.owner[hit], samples.arc[sample])
    ray, hit, distance, share = ray[kept], hit[kept], distance[kept], share[kept]
    nearest = np.unique(ray, return_index=True)[1]
    ray, hit, distance, share = ray[nearest], hit[nearest], distance[nearest], share[nearest]
    lane, arc, off = np.full((2, count), -1), np.zeros((2, count)), np.zeros((2, count))
    lane.reshape(-1)[ray] = whole.owner[hit]
    arc.reshape(-1)[ray] = whole.arc[hit] + share * (whole.arc[hit + 1] - whole.arc[hit])
    off.reshape(-1)[ray] = distance
    return Beside(lane.T, arc.T, off.T)


def left_of(heading: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "m 2"]:
    """The unit vectors to the left of headings."""
    return np.stack([-heading[:, 1], heading[:, 0]], axis=1)


def _cross(a: Float[np.ndarray, "m 2"], b: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "m"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def sample(centres: Sequence[CentreLine], cuts: Sequence[Float[np.ndarray, "_"]]) -> Samples:
    """Points about every 2 m of each piece between cuts, both ends included. Rows of `owner` are pieces, in order."""
    owner, arc, position, heading, height = [], [], [], [], []
    piece = 0
    for centre, cut in zip(centres, cuts, strict=True):
        at = arc_lengths(centre.points)
        for first, last in zip(cut[:-1], cut[1:], strict=True):
            places = np.linspace(first, last, max(2, 1 + round((last - first) / SPACING)))
            around = np.clip(np.stack([places - 0.75, places, places + 0.75]), 0.0, at[-1])
            x, y = (np.interp(around, at, centre.points[:, axis]) for axis in (0, 1))
            chord = np.stack([x[2] - x[0], y[2] - y[0]], axis=1)
            norm = np.linalg.norm(chord, axis=1, keepdims=True)
            owner.append(np.full(len(places), piece))
            arc.append(places)
            position.append(np.stack([x[1], y[1]], axis=1))
            heading.append(np.where(norm > 1e-6, chord / np.where(norm > 1e-6, norm, 1.0), np.array([1.0, 0.0])))
            height.append(np.zeros(len(places)) if centre.height is None else np.interp(places, at, centre.height))
            piece += 1
    return Samples(*(np.concatenate(part) for part in (owner, arc, position, heading, height)))
