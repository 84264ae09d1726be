"""What there is to be seen, by geometry alone: how much of each vehicle is in the picture and not behind another, and
where the lines of the camera's own lane run. Cheap enough for every step of a rollout.

Vehicles are boxes on flat ground. A nearer one covers what is behind it, however high both are: of what is covered
wholly a camera may still see the roof, and it sees most often the whole width of what is covered in part. Buildings
cover nothing.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.perception.report import SIDES, STATIONS
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import road_rows
from drivetrain.types import Array, ElementKind, record

NEAR = 0.5
"""m: what is nearer to the plane of the camera is beyond the picture."""
RAYS = 64
"""Of the fan by which shares are counted: 5 columns of a picture of 320."""
NO_FARTHER = 6.0
"""m: a line farther aside bounds another lane."""
GATE = 1.2
"""m that a line may lie beside where its last stations point to."""
_CORNERS = np.array([(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)], np.float32) / 2.0


@record
class Ahead:
    """Boxes in the frame of `report.py` [n]."""

    x: Float[Array, "n"]  # centre, m
    y: Float[Array, "n"]
    cos: Float[Array, "n"]  # of the heading
    sin: Float[Array, "n"]
    length: Float[Array, "n"]
    width: Float[Array, "n"]
    valid: Bool[Array, "n"]


@record
class Exposure:
    """What of each vehicle is within the picture [n], hidden or not."""

    depth: Float[Array, "*t n"]  # m, of the nearest of it within the picture
    left: Float[Array, "*t n"]
    right: Float[Array, "*t n"]
    share: Float[Array, "*t n"]  # of its columns that no nearer one covers
    cut: Bool[Array, "*t n"]  # by the picture's border
    there: Bool[Array, "*t n"]  # False: padding, or beyond the picture


def exposed(boxes: Ahead, half: float) -> Exposure:
    """What of boxes a camera sees whose picture spans slopes from −`half` to `half`."""
    cos, sin = boxes.cos, boxes.sin
    long, wide = (_CORNERS[:, axis, None] * size for axis, size in ((0, boxes.length), (1, boxes.width)))
    x, y = boxes.x + long * cos - wide * sin, boxes.y + long * sin + wide * cos  # [4, n]
    slope = jnp.where(x > NEAR, y / jnp.maximum(x, NEAR), jnp.sign(y) * jnp.inf)
    left, right = jnp.max(slope, axis=0), jnp.min(slope, axis=0)
    corner = jnp.where((x > NEAR) & (jnp.abs(y) <= half * x), x, jnp.inf)
    along, across = jnp.roll(x, -1, axis=0) - x, jnp.roll(y, -1, axis=0) - y
    depth = jnp.minimum(jnp.min(corner, axis=0), _nearest_cut((x, y), (along, across), half))
    there = boxes.valid & jnp.isfinite(depth) & (jnp.minimum(left, half) - jnp.maximum(right, -half) > 1e-4)
    cut = (left > half) | (right < -half)
    left, right = jnp.clip(left, -half, half), jnp.clip(right, -half, half)

    step = 2.0 * half / RAYS
    ray = half - step * (np.arange(RAYS, dtype=np.float32) + 0.5)
    covers = (ray <= left[:, None]) & (ray >= right[:, None])
    covers |= jnp.abs(ray - 0.5 * (left + right)[:, None]) <= 0.5 * step  # narrow ones fall between rays
    covers &= there[:, None]
    first = jnp.min(jnp.where(covers, depth[:, None], jnp.inf), axis=0)
    open_to = covers & (depth[:, None] <= first)
    share = jnp.sum(open_to, axis=1) / jnp.maximum(jnp.sum(covers, axis=1), 1)
    return Exposure(
        depth=jnp.where(there, depth, 0.0),
        left=jnp.where(there, left, 0.0),
        right=jnp.where(there, right, 0.0),
        share=jnp.where(there, share, 0.0),
        cut=there & cut,
        there=there,
    )


def _nearest_cut(start: tuple[Array, Array], way: tuple[Array, Array], half: float) -> Float[Array, "n"]:
    """The least depth at which edges [4, n] meet the picture's borders, m."""
    (x, y), (along, across) = start, way
    depths = []
    for border in (half, -half):
        towards = across - border * along
        share = (border * x - y) / jnp.where(jnp.abs(towards) > 1e-9, towards, 1e-9)
        at = x + share * along
        depths.append(jnp.min(jnp.where((share >= 0.0) & (share <= 1.0) & (at > NEAR), at, jnp.inf), axis=0))
    return jnp.minimum(*depths)


def own_lines(
    bank: Bank, episode: Int[Array, ""], foot: Float[Array, "2"], heading: Float[Array, "2"]
) -> tuple[Float[Array, "2 k"], Bool[Array, "2 k"]]:
    """The painted lines that bound the lane of a camera above a place of the map: see `followed`."""
    x0, y0, x1, y1, kind, _ = road_rows(bank, episode, foot)
    painted = (kind == ElementKind.LINE_SOLID) | (kind == ElementKind.LINE_DASHED)
    (x, y), (cos, sin) = foot, heading
    x0, y0, x1, y1 = x0 - x, y0 - y, x1 - x, y1 - y
    x0, y0, x1, y1 = x0 * cos + y0 * sin, y0 * cos - x0 * sin, x1 * cos + y1 * sin, y1 * cos - x1 * sin
    return followed((x0, y0, x1, y1), painted)


def followed(segments: tuple[Array, Array, Array, Array], painted: Bool[Array, "n"]) -> tuple[Array, Array]:
    """The lines to the left and right of the camera's foot, m to the left of it at `STATIONS`, and where there are any,
    of painted segments x0, y0, x1, y1.

    The first on either side is chosen at the first station, and followed from station to station.
    """
    x0, y0, x1, y1 = segments
    along = x1 - x0
    flat = jnp.abs(along) < 1e-6
    steep = (y1 - y0) / jnp.where(flat, 1.0, along)
    painted &= ~flat

    def beyond(at: float, place: Float[Array, ""]) -> tuple[Array, Array]:
        """The lines next to a place, so far ahead: m to the left, infinite where there is none."""
        crossed, aside = painted & ((x0 - at) * (x1 - at) <= 0.0), y0 + (at - x0) * steep
        return (
            jnp.min(jnp.where(crossed & (aside >= place), aside, jnp.inf)),
            jnp.max(jnp.where(crossed & (aside <= place), aside, -jnp.inf)),
        )

    def follow(first: Float[Array, ""]) -> tuple[Array, Array]:
        """A line from its place at the first station on: the nearest to where its last piece points."""
        here = jnp.abs(first) <= NO_FARTHER
        found, place, steepness = here, jnp.where(here, first, 0.0), jnp.zeros(())
        places = [(place, here)]
        for last, at in zip(STATIONS[:-1], STATIONS[1:], strict=True):
            expected = place + steepness * (at - last)
            left, right = beyond(at, expected)
            nearer = jnp.where(left - expected < expected - right, left, right)
            here = found & (jnp.abs(nearer - expected) <= GATE)
            steepness = jnp.where(here, (nearer - place) / (at - last), steepness)
            place = jnp.where(here, nearer, expected)
            places.append((place, here))
        return jnp.stack([place for place, _ in places]), jnp.stack([here for _, here in places])

    sides = [follow(first) for first in beyond(STATIONS[0], jnp.zeros(()))]
    assert len(sides) == SIDES
    there = jnp.stack([here for _, here in sides])
    return jnp.where(there, jnp.stack([place for place, _ in sides]), 0.0), there
