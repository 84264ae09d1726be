"""Which detection is which thing, and which found line which line: greedily, the surest first, each truth once."""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.camera.pinhole import Camera, back_project
from drivetrain.perception.found import Found, FoundLine
from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.types import component

WIDE = 1280.0
"""Lengths in pixels are those of a picture so many pixels wide."""
COVERED = 0.5
"""A detection of which such a share lies in an ignored region counts neither way."""
STEP = 10.0
"""Rows from one point to the next at which a line is looked at."""
LEAST_POINTS = 8
EGO = ("ego_left", "ego_right")
VEHICLES = ("car", "van", "truck", "bus", "trailer", "vehicle", "motorcycle", "motorbike", "motobike")


@component
class Judging:
    """What counts, and from when on it is right."""

    score: float = 0.5  # from which on a detection or a line counts in precision, recall, F1 and depth errors
    kinds: tuple[str, ...] | None = VEHICLES  # that count; others count neither way. None: all
    least_height: float = 20.0  # px of a picture 1280 wide; what is lower counts neither way
    least_visible: float = 0.25  # share; what is more hidden counts neither way
    metres: float = 0.3  # that a point of a line may be off in the ground plane
    pixels: float = 20.0  # that it may be off in a picture 1280 wide
    share: float = 0.85  # of a line's points that must be right, as TuSimple has it
    farthest: float = 80.0  # m; points of lines beyond do not count in metres
    least_rows: float = 20.0  # px of a picture 1280 wide; a line that spans less counts neither way


# --------------------------------------------------------------------------------------------------------------- things


@dataclasses.dataclass(frozen=True)
class ThingMatches:
    """The detections of a picture that count, the surest first, and the things that count."""

    score: Float[np.ndarray, "D"]
    right: Bool[np.ndarray, "D"]
    told: Float[np.ndarray, "D"]  # depth of the detection, m
    depth: Float[np.ndarray, "D"]  # of the thing that it is, m; nan where it is none
    things: Float[np.ndarray, "T"]  # depths of all things that count, m
    which: Int[np.ndarray, "D"]  # row of the detection in `Found.things`
    is_thing: Int[np.ndarray, "D"]  # row of the thing in `Labelled.things`; −1: none
    counts: Bool[np.ndarray, "labelled"]  # which of `Labelled.things` count


def overlaps(one: Float[np.ndarray, "n 4"], other: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Areas that rectangles have in common."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=-1)


def area(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """Areas of rectangles."""
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)


def iou(one: Float[np.ndarray, "n 4"], other: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersections over unions."""
    common = overlaps(one, other)
    union = area(one)[:, None] + area(other)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0.0)


def match_things(labels: Labelled, found: Found, least: float, judging: Judging) -> ThingMatches:
    """Detections against things at an intersection over union of at least `least`.

    A detection is the best of the things that no surer one took. One that is none counts neither way where it is a
    thing that does not count, lies in an ignored region or is too low.
    """
    things = labels.things or ()
    counts = np.array([_counts(thing, labels, judging) for thing in things], bool)
    truths = np.array([thing.box for thing in things], np.float64).reshape(-1, 4)
    depths = np.array([thing.depth for thing in things], np.float64)
    rows = [n for n, one in enumerate(found.things) if not one.kind or _asked(one.kind, judging)]
    rows.sort(key=lambda n: -found.things[n].score)
    boxes = np.array([found.things[n].box for n in rows], np.float64).reshape(-1, 4)
    both = iou(boxes, truths)
    open_to = np.where(counts[None], both, 0.0)
    is_spare = np.any(both[:, ~counts] >= least, axis=1)
    is_spare |= np.any(overlaps(boxes, labels.ignored) >= COVERED * area(boxes)[:, None], axis=1)
    is_spare |= (boxes[:, 3] - boxes[:, 1]) * WIDE / labels.width < judging.least_height
    kept, is_thing = [], []
    for row, number in enumerate(rows):
        best = int(np.argmax(open_to[row])) if len(things) else 0
        hit = bool(len(things)) and open_to[row, best] >= least
        if hit:
            open_to[:, best] = 0.0
        elif is_spare[row]:
            continue
        kept.append(number)
        is_thing.append(best if hit else -1)
    which, thing = np.array(kept, int), np.array(is_thing, int)
    return ThingMatches(
        score=np.array([found.things[n].score for n in kept], np.float64),
        right=thing >= 0,
        told=np.array([found.things[n].depth for n in kept], np.float64),
        depth=np.array([depths[n] if n >= 0 else math.nan for n in is_thing], np.float64),
        things=depths[counts],
        which=which,
        is_thing=thing,
        counts=counts,
    )


def _asked(kind: str, judging: Judging) -> bool:
    return judging.kinds is None or kind in judging.kinds


def _counts(thing: Boxed, labels: Labelled, judging: Judging) -> bool:
    height = (thing.box[3] - thing.box[1]) * WIDE / labels.width
    seen = height >= judging.least_height and thing.visible >= judging.least_visible
    return seen and _asked(thing.kind, judging)


# ---------------------------------------------------------------------------------------------------------------- lines


@dataclasses.dataclass(frozen=True)
class LineMatches:
    """Of a picture: found lines that are right and wrong, lines that are missed, and how far right points are off."""

    right: tuple[int, ...]  # rows of `Found.lines`
    wrong: tuple[int, ...]
    missed: tuple[int, ...]  # rows of `Labelled.lines`
    offsets: Float[np.ndarray, "n"]  # of the points of lines that were found: m, or px of a picture 1280 wide


def match_lines(labels: Labelled, found: Found, judging: Judging, unit: str, only_ego: bool) -> LineMatches | None:
    """Found lines against lines, in `metres` of the ground plane or `pixels`; None where the labels do not tell.

    A line is found where `Judging.share` of its points, a few rows apart, lie no farther from the found one than
    `Judging` allows. With `only_ego` the lines of the camera's own lane alone, and each role for itself. What lies
    outside the own lane is not wrong where only that was labelled for certain (`Labelled.only_named`).
    """
    camera = labels.camera
    if labels.lines is None or (unit == "metres" and (camera is None or not _has_depths(labels.lines))):
        return None
    sure = [n for n, one in enumerate(found.lines) if one.score >= judging.score]
    sure = sorted(
        (n for n in sure if not only_ego or found.lines[n].line.role in EGO), key=lambda n: -found.lines[n].score
    )
    asked = [n for n, line in enumerate(labels.lines) if not only_ego or line.role in EGO]
    lines = [labels.lines[n] for n in asked]
    samples = [_looked_at(line, labels, judging, unit) for line in lines]
    counts = [len(points) > 0 for points in samples]
    spare = [
        _placed(_sampled(line, STEP)[0], labels, unit) for line, kept in zip(lines, counts, strict=True) if not kept
    ]
    limit = judging.metres if unit == "metres" else judging.pixels
    taken, right, wrong, offsets = set(), [], [], [np.zeros(0)]
    for row in sure:
        one = found.lines[row]
        path = _placed(_near(one.line.points, judging, unit), labels, unit)
        if len(path) < 2:  # it begins where nothing counts any more
            continue
        away = [off_path(points, path) if kept else np.zeros(0) for points, kept in zip(samples, counts, strict=True)]
        shares = np.array([np.mean(off <= limit) if len(off) else 0.0 for off in away])
        if only_ego:
            shares *= np.array([line.role == one.line.role for line in lines], float)
        open_to = [0.0 if number in taken else share for number, share in enumerate(shares)]
        best = int(np.argmax(open_to)) if open_to else 0
        if open_to and open_to[best] >= judging.share:
            taken.add(best)
            right.append(row)
            offsets.append(away[best])
        elif not any(np.mean(off_path(points, path) <= limit) >= judging.share for points in spare if len(points)):
            twice = bool(np.any(shares >= judging.share))
            if not labels.only_named or only_ego or twice or _in_own_lane(one, labels):
                wrong.append(row)
    missed = tuple(n for place, n in enumerate(asked) if counts[place] and place not in taken)
    return LineMatches(tuple(right), tuple(wrong), missed, np.concatenate(offsets))


def _near(points: Float[np.ndarray, "n 3"], judging: Judging, unit: str) -> Float[np.ndarray, "m 3"]:
    """The points of a found line that count: in metres those within reach, and 2 m more."""
    return points if unit == "pixels" else points[~(points[:, 2] > judging.farthest + 2.0)]


def _has_depths(lines: tuple[Line, ...]) -> bool:
    return all(np.isfinite(line.points[:, 2]).all() for line in lines)


def _looked_at(line: Line, labels: Labelled, judging: Judging, unit: str) -> Float[np.ndarray, "n 2"]:
    """The points of a line that count, where they are compared; none where too little of it can be seen."""
    scale = WIDE / labels.width
    points, visible = _sampled(line, STEP / scale)
    if unit == "metres":
        visible &= points[:, 2] <= judging.farthest
    seen = points[visible]
    if len(seen) < 2 or np.ptp(seen[:, 1]) * scale < judging.least_rows:
        return np.zeros((0, 2))
    return _placed(seen, labels, unit)


def _sampled(line: Line, step: float) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
    """Points along a line so many rows apart, at least `LEAST_POINTS`; a flat one's evenly. 1 / depth is linear."""
    points = np.asarray(line.points, np.float64)
    moved = np.diff(points[:, :2], axis=0)
    rises = np.abs(moved[:, 1])
    along = np.concatenate([[0.0], np.cumsum(rises if rises.sum() >= 1.0 else np.hypot(moved[:, 0], moved[:, 1]))])
    at = np.linspace(0.0, along[-1], max(LEAST_POINTS, int(along[-1] / step) + 1))
    column, row, closeness = (
        np.interp(at, along, values) for values in (points[:, 0], points[:, 1], 1.0 / points[:, 2])
    )
    return np.stack([column, row, 1.0 / closeness], -1), np.interp(at, along, line.visible.astype(float)) >= 0.5


def _placed(points: Float[np.ndarray, "n 3"], labels: Labelled, unit: str) -> Float[np.ndarray, "n 2"]:
    """Where points are compared: right and ahead of the camera, m, or in the picture as if it were 1280 wide."""
    if unit == "pixels":
        return points[:, :2] * (WIDE / labels.width)
    assert isinstance(labels.camera, Camera)
    return back_project(labels.camera, points[:, :2], points[:, 2])[:, [0, 2]]


def off_path(points: Float[np.ndarray, "n 2"], path: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "n"]:
    """How far points are from a polyline; infinitely from one whose place is not told."""
    path = path[np.isfinite(path).all(axis=1)]
    if len(path) < 2:
        return np.full(len(points), np.inf)
    start, way = path[:-1], np.diff(path, axis=0)
    long = np.sum(way * way, axis=1)
    to = points[:, None] - start[None]
    share = np.divide(np.sum(to * way, axis=-1), long, out=np.zeros(to.shape[:2]), where=long > 0.0)
    off = to - np.clip(share, 0.0, 1.0)[..., None] * way
    return np.min(np.hypot(off[..., 0], off[..., 1]), axis=1)


def _in_own_lane(one: FoundLine, labels: Labelled) -> bool:
    """Whether a found line calls itself the own lane's, or runs between its borders for most of the rows they share."""
    if one.line.role in EGO:
        return True
    borders = {line.role: line.points for line in labels.lines or () if line.role in EGO}
    if len(borders) < 2:
        return False
    own = one.line.points
    rows = np.arange(own[:, 1].min(), own[:, 1].max() + 1.0, 2.0)
    for points in borders.values():
        rows = rows[(rows >= points[:, 1].min()) & (rows <= points[:, 1].max())]
    if not len(rows):
        return False
    at = {role: _columns(points, rows) for role, points in borders.items()}
    middle = _columns(own, rows)
    return bool(np.mean((at["ego_left"] < middle) & (middle < at["ego_right"])) > 0.5)


def _columns(points: Float[np.ndarray, "n 3"], rows: Float[np.ndarray, "r"]) -> Float[np.ndarray, "r"]:
    order = np.argsort(points[:, 1])
    return np.interp(rows, points[order, 1], points[order, 0])
