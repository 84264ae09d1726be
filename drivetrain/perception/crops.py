"""Pictures of one thing each, as recognition has them: cut out of labelled pictures, about a thing of any kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from drivetrain.camera.sets import pillow
from drivetrain.perception.labelled import Boxed, Labelled
from drivetrain.perception.pixels import read_pixels
from drivetrain.types import InputError, component

OUTSIDE = (112, 112, 112)
"""What a cut shows beyond its picture's border."""


@component
class Cutting:
    """How things are cut out."""

    size: int = 64  # pixels along each side of what is cut out
    least: float = 12.0  # pixels of the source: things whose longer side is shorter are left out
    visible: float = 0.6  # share that must not be hidden
    small: float = 0.3  # of a cut's side: its thing's longer side, at least
    large: float = 0.8  # and at most
    alone: float = 0.5  # share of its thing's area that no other thing in a cut may exceed: it is of one thing
    each: int = 1  # cuts of each thing
    seed: int = 0


@dataclass(frozen=True)
class Crops:
    """Cuts, with all things in them that are large enough: the first of each is what it was cut about."""

    pictures: UInt8[np.ndarray, "N S S 3"]
    kinds: tuple[str, ...]  # that there are
    boxes: tuple[np.ndarray, ...]  # of each [n, 4]: x0, y0, x1, y1, shares of the cut's side
    kind: tuple[np.ndarray, ...]  # of each [n]: rows of `kinds`
    source: Int[np.ndarray, "N"]  # number of the picture that it is from

    @property
    def about(self) -> Int[np.ndarray, "N"]:
        """The kind that each was cut about."""
        return np.array([each[0] for each in self.kind], np.int64)

    def only(self, rows: np.ndarray) -> "Crops":
        """Some of them."""
        chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
        boxes, kind = (tuple(each[row] for row in chosen) for each in (self.boxes, self.kind))
        return Crops(self.pictures[chosen], self.kinds, boxes, kind, self.source[chosen])


def cut(labelled: Iterable[Labelled], kinds: Sequence[str], cutting: Cutting) -> Crops:
    """Every thing of these kinds, once or more. Raises `InputError` where there is none."""
    image, rows = pillow(), {kind: row for row, kind in enumerate(kinds)}
    pictures, boxes, kind, source = [], [], [], []
    for number, one in enumerate(labelled):
        things = [thing for thing in one.things or () if thing.kind in rows]
        wanted = [thing for thing in things if _whole(thing, cutting)]
        if not wanted:
            continue
        random = np.random.default_rng((cutting.seed, number))
        pixels = image.fromarray(read_pixels(one.file, (one.width, one.height)))
        for thing in wanted * cutting.each:
            window = _window(thing, cutting, random)
            size = (cutting.size, cutting.size)
            inside = [thing, *(other for other in things if other is not thing and _seen(other, window, cutting))]
            if any(
                _area(other, window) > cutting.alone * _area(thing, window) for other in things if other is not thing
            ):
                continue
            shown = pixels.transform(size, image.Transform.EXTENT, window, image.Resampling.BILINEAR, fillcolor=OUTSIDE)
            pictures.append(np.asarray(shown))
            boxes.append(np.stack([_within(other, window) for other in inside]))
            kind.append(np.array([rows[other.kind] for other in inside]))
            source.append(number)
    if not pictures:
        raise InputError(f"pictures: none shows a {', '.join(kinds[:3])} … that is large and whole enough")
    return Crops(np.stack(pictures), tuple(kinds), tuple(boxes), tuple(kind), np.array(source))


def _whole(thing: Boxed, cutting: Cutting) -> bool:
    x0, y0, x1, y1 = thing.box
    return max(x1 - x0, y1 - y0) >= cutting.least and thing.visible >= cutting.visible and not thing.truncated


def _window(thing: Boxed, cutting: Cutting, random: np.random.Generator) -> tuple[float, float, float, float]:
    """A square about a thing, which stands anywhere in it; edges of pixels, as Pillow counts them."""
    x0, y0, x1, y1 = (edge + 0.5 for edge in thing.box)
    side = max(x1 - x0, y1 - y0) / np.exp(random.uniform(np.log(cutting.small), np.log(cutting.large)))
    left = random.uniform(x1 - side, x0)
    above = random.uniform(y1 - side, y0)
    return left, above, left + side, above + side


def _within(thing: Boxed, window: tuple[float, float, float, float]) -> Float[np.ndarray, "4"]:
    left, above, right, _ = window
    box = (np.array(thing.box) + 0.5 - np.array([left, above, left, above])) / (right - left)
    return np.clip(box, 0.0, 1.0)


def _area(thing: Boxed, window: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = _within(thing, window)
    return float((x1 - x0) * (y1 - y0))


def _seen(thing: Boxed, window: tuple[float, float, float, float], cutting: Cutting) -> bool:
    """Whether most of a thing is in a window, and it is no speck there."""
    x0, y0, x1, y1 = _within(thing, window)
    whole = (thing.box[2] - thing.box[0]) * (thing.box[3] - thing.box[1]) / (window[2] - window[0]) ** 2
    return bool(
        thing.visible >= cutting.visible and (x1 - x0) * (y1 - y0) > 0.6 * whole and max(x1 - x0, y1 - y0) > 0.08
    )
