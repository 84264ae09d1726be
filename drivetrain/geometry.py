"""Frames, boxes, segments and strips of quadrilaterals: pure functions of arrays.

Every function is written for one point, box or small set of points, in metres, and has finite gradients everywhere
(zero where a distance has none). Headings are unit vectors (cos, sin).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.types import Array, record, replace

FAR = 1000.0
"""Stands for "nothing near", m: finite, so that it may be clipped, compared and differentiated."""

SEAM = 1e-4
"""How far a piece reaches over its closed borders, m (up to 1.4 times as far where one runs at an angle to the axes),
so that rounding opens no gap between pieces that share one."""


TIE = 1e-4
"""By this share of their squared distance segments may differ that count as equally near."""
ON_LEFT, ON_RIGHT, SIDELESS = 0, 1, 2
"""What the segment that is nearest to a point says of it."""
LARGEST = np.int32(np.iinfo(np.int32).max)

Scalar = Float[Array, ""] | float


def root(square: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The square root, with gradient 0 at 0."""
    positive = square > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def norm(vectors: Float[Array, "*shape 2"]) -> Float[Array, "*shape"]:
    """Lengths of vectors, with gradient 0 at the zero vector."""
    return root(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)


def cross(a: Float[Array, "*a 2"], b: Float[Array, "*b 2"]) -> Float[Array, "*c"]:
    """The cross product's z: positive where `b` points to the left of `a`."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


# --------------------------------------------------------------------------------------------------------------- frames


def rotate(vector: Float[Array, "*shape 2"], heading: Float[Array, "2"]) -> Float[Array, "*shape 2"]:
    """Turn vectors by the angle of a heading: from an agent's frame to the map's."""
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([x * heading[0] - y * heading[1], x * heading[1] + y * heading[0]], -1)


def unrotate(vector: Float[Array, "*shape 2"], heading: Float[Array, "2"]) -> Float[Array, "*shape 2"]:
    """Turn vectors back by the angle of a heading: from the map's frame to an agent's."""
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([x * heading[0] + y * heading[1], y * heading[0] - x * heading[1]], -1)


def to_frame(
    point: Float[Array, "*shape 2"], position: Float[Array, "2"], heading: Float[Array, "2"]
) -> Float[Array, "*shape 2"]:
    """Points of the map in the frame of an agent: x forward, y left, origin at `position`."""
    return unrotate(point - position, heading)


# ---------------------------------------------------------------------------------------------------------------- boxes


@record
class Box:
    """Boxes, coordinate by coordinate (shapes broadcast): whole rows are what vector units are made for."""

    x: Float[Array, "..."]  # centre, m
    y: Float[Array, "..."]
    cos: Float[Array, "..."]  # heading
    sin: Float[Array, "..."]
    length: Float[Array, "..."] | float  # m
    width: Float[Array, "..."] | float


def box(
    position: Float[Array, "*shape 2"],
    heading: Float[Array, "*shape 2"],
    length: Float[Array, "*shape"] | float,
    width: Float[Array, "*shape"] | float,
) -> Box:
    """Boxes of centres and headings."""
    return Box(position[..., 0], position[..., 1], heading[..., 0], heading[..., 1], length, width)


def box_corners(box: Box) -> tuple[tuple[Array, Array], ...]:
    """X and y of the corners: front left, front right, rear right, rear left."""
    ahead_x, ahead_y = 0.5 * box.length * box.cos, 0.5 * box.length * box.sin
    left_x, left_y = -0.5 * box.width * box.sin, 0.5 * box.width * box.cos
    return tuple(
        (box.x + ahead * ahead_x + left * left_x, box.y + ahead * ahead_y + left * left_y)
        for ahead, left in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    )


def seen_from(box: Box, other: Box) -> Box:
    """The other box in the frame of the first: x forward, y left, origin at its centre."""
    x, y = other.x - box.x, other.y - box.y
    return Box(
        x=x * box.cos + y * box.sin,
        y=y * box.cos - x * box.sin,
        cos=other.cos * box.cos + other.sin * box.sin,
        sin=other.sin * box.cos - other.cos * box.sin,
        length=other.length,
        width=other.width,
    )


def box_clearance(box: Box, other: Box) -> Float[Array, "..."]:
    """Signed clearance of boxes, m (shapes broadcast): their distance, or minus the least translation that parts them.

    Apart, the nearest points of two boxes include a corner of one; overlapping, the least translation is along a side
    of one (separating axes: Gottschalk et al. 1996, "OBBTree", section 5, in the plane).
    """
    square = clearance_square(box, other)
    return jnp.where(square < 0.0, -1.0, 1.0) * root(jnp.abs(square))


def clearance_square(box: Box, other: Box) -> Float[Array, "..."]:
    """The square of `box_clearance` with its sign: in the same order, and without a root for every pair."""
    here = seen_from(box, other)
    back = replace(
        box,
        x=-here.x * here.cos - here.y * here.sin,
        y=here.x * here.sin - here.y * here.cos,
        cos=here.cos,
        sin=-here.sin,
    )
    cos, sin = jnp.abs(here.cos), jnp.abs(here.sin)
    long, wide = 0.5 * box.length, 0.5 * box.width
    other_long, other_wide = 0.5 * other.length, 0.5 * other.width
    depth = jnp.minimum(
        jnp.minimum(
            long + other_long * cos + other_wide * sin - jnp.abs(here.x),
            wide + other_long * sin + other_wide * cos - jnp.abs(here.y),
        ),
        jnp.minimum(
            other_long + long * cos + wide * sin - jnp.abs(back.x),
            other_wide + long * sin + wide * cos - jnp.abs(back.y),
        ),
    )
    apart = jnp.minimum(_nearest_corner(here, long, wide), _nearest_corner(back, other_long, other_wide))
    return jnp.where(depth > 0.0, -(depth**2), apart)


def _nearest_corner(box: Box, long: Array | float, wide: Array | float) -> Array:
    """Squared distance of a box's nearest corner from the rectangle of these half sides around the origin."""
    squares = [
        jnp.maximum(jnp.abs(x) - long, 0.0) ** 2 + jnp.maximum(jnp.abs(y) - wide, 0.0) ** 2 for x, y in box_corners(box)
    ]
    return jnp.minimum(jnp.minimum(squares[0], squares[1]), jnp.minimum(squares[2], squares[3]))


# ------------------------------------------------------------------------------------------------------------- segments


def segment_square(
    points: Float[Array, "*p 2"], a: Float[Array, "*m 2"], b: Float[Array, "*m 2"]
) -> Float[Array, "*c"]:
    """Squared distance of points to segments, m² (shapes broadcast); a segment of no length is its first end."""
    edge, offset = b - a, points - a
    square = edge[..., 0] ** 2 + edge[..., 1] ** 2
    inverse = jnp.where(square > 0.0, 1.0 / jnp.where(square > 0.0, square, 1.0), 0.0)
    share = jnp.clip((offset[..., 0] * edge[..., 0] + offset[..., 1] * edge[..., 1]) * inverse, 0.0, 1.0)
    return (offset[..., 0] - share * edge[..., 0]) ** 2 + (offset[..., 1] - share * edge[..., 1]) ** 2


def point_segment_distance(point: Float[Array, "2"], a: Float[Array, "2"], b: Float[Array, "2"]) -> Float[Array, ""]:
    """Distance of a point to the segment from `a` to `b`, m."""
    return root(segment_square(point, a, b))


# -------------------------------------------------------------------------------------------------------------- regions


@record
class Pieces:
    """Quadrilaterals between two cross-sections of a lane, coordinate by coordinate; and which of them count.

    A border is *open* where it lies on the outline of the pieces' union.
    """

    left0: tuple[Array, Array]  # x, y [m] of the first cross-section's left end
    right0: tuple[Array, Array]
    left1: tuple[Array, Array]
    right1: tuple[Array, Array]
    exists: Bool[Array, "m"]
    opens: tuple[Array, Array, Array, Array]  # left, right, start, end: [m]


@record
class Line:
    """Directed segments (*m), with what many points ask of them computed once."""

    x: Float[Array, "*m"]
    y: Float[Array, "*m"]
    along_x: Float[Array, "*m"]
    along_y: Float[Array, "*m"]
    inverse: Float[Array, "*m"]  # 1 / length²; 0 without length


def line(x0: Array, y0: Array, x1: Array, y1: Array) -> Line:
    """Segments from (x0, y0) to (x1, y1)."""
    x, y = x1 - x0, y1 - y0
    return Line(x0, y0, x, y, inverse_square(x, y))


def inverse_square(x: Array, y: Array) -> Array:
    """1 / length² of vectors, 1/m²; 0 without length."""
    square = x * x + y * y
    return jnp.where(square > 0.0, 1.0 / jnp.where(square > 0.0, square, 1.0), 0.0)


def line_square(line: Line, x: Array | float, y: Array | float) -> Array:
    """Squared distance of a point to segments, m²."""
    x, y = x - line.x, y - line.y
    share = jnp.clip((x * line.along_x + y * line.along_y) * line.inverse, 0.0, 1.0)
    return (x - share * line.along_x) ** 2 + (y - share * line.along_y) ** 2


def line_side(line: Line, x: Array | float, y: Array | float) -> Array:
    """Twice the area that a point spans with segments, m²: positive on their left."""
    return line.along_x * (y - line.y) - line.along_y * (x - line.x)


@jax.custom_jvp
def nearest_line(
    x: Float[Array, "n"], y: Float[Array, "n"], lines: Line, sideless: Bool[Array, "m"] | None = None
) -> tuple[Float[Array, "n"], Int[Array, "n"]]:
    """The least squared distance of each of a few points to segments ([m]), `FAR`² where none is nearer; and what that
    segment says of the point, `ON_LEFT`, `ON_RIGHT`, or `SIDELESS` where it is one of those; else it is not asked.

    Where several are equally near (a shared vertex), the one from whose line the point is farther decides: at a corner,
    the line of the other may pass on the wrong side. So they are compared by their squared distance and `TIE` of what
    it exceeds that of their lines; bits of a float that is not negative are in its own order, and the last two say what
    the segment says.
    """
    squares, keys = [], []
    for a, b in zip(x, y, strict=True):
        squares.append(line_square(lines, a, b))
        if sideless is not None:
            side = line_side(lines, a, b)
            compared = squares[-1] + TIE * (squares[-1] - side * side * lines.inverse)
            says = jnp.where(sideless, SIDELESS, (side < 0.0).astype(jnp.int32))
            keys.append((jax.lax.bitcast_convert_type(compared, jnp.int32) & ~3) | says)
    least = _joined(jnp.minimum, (*squares, *keys), (np.float32(FAR**2),) * len(squares) + (LARGEST,) * len(keys))
    says = jnp.stack(least[len(squares) :]) & 3 if keys else jnp.full(len(squares), SIDELESS)
    return jnp.stack(least[: len(squares)]), says


@nearest_line.defjvp
def _slopes_of_nearest(primals: tuple, tangents: tuple) -> tuple:
    """Those of the plain expression: JAX knows none of a reduction of many rows."""

    def plain(x: Array, y: Array, lines: Line) -> Array:
        return jax.vmap(lambda x, y: jnp.min(line_square(lines, x, y), initial=FAR**2))(x, y)

    nearest = nearest_line(*primals)
    return nearest, (jax.jvp(plain, primals[:3], tangents[:3])[1], np.zeros(nearest[1].shape, jax.dtypes.float0))


def _joined(join: Callable[[Array, Array], Array], rows: tuple[Array, ...], first: tuple) -> tuple[Array, ...]:
    """Several rows ([m]) reduced in one pass.

    XLA's CPU backend makes one loop of it, in vectors, and computes once what the rows share. A reduction of one row it
    hands to a library, and writes the row out before.
    """
    return jax.lax.reduce(rows, first, lambda one, other: tuple(map(join, one, other)), (0,))


def signed_distance_to_pieces(
    x: Float[Array, "n"], y: Float[Array, "n"], pieces: Pieces, outline: Line
) -> Float[Array, "n"]:
    """Signed distance of a few points to the outline of a union of quadrilateral pieces, m: positive inside.

    The outline ([k]) holds the pieces' open borders; the distance is `FAR` where none is nearer. A point is inside
    where the winding number of any piece around it is not 0, so that bent (non-convex) and degenerate pieces count for
    what they cover; a seam between pieces is inside.
    """
    inside = _joined(jnp.logical_or, _around(x, y, pieces), (np.False_,) * len(x))
    return jnp.where(jnp.stack(inside), 1.0, -1.0) * root(nearest_line(x, y, outline)[0])


def _around(x: Float[Array, "n"], y: Float[Array, "n"], pieces: Pieces) -> tuple[Bool[Array, "m"], ...]:
    """Which pieces wind around each of the points."""
    corners = (pieces.left0, pieces.right0, pieces.right1, pieces.left1)  # anticlockwise
    left, right, start, end = pieces.opens
    sides = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(corners, (*corners[1:], corners[0]), strict=True)]
    slack = [
        jnp.where(is_open, 0.0, SEAM * (jnp.abs(along_x) + jnp.abs(along_y)))
        for (along_x, along_y), is_open in zip(sides, (start, right, end, left), strict=True)
    ]
    diagonal = (corners[2][0] - corners[0][0], corners[2][1] - corners[0][1])
    first, second = _spanned(sides[0], diagonal), _spanned(sides[3], diagonal)
    first, second = (jnp.where(pieces.exists, area, 0.0) for area in (first, second))  # without area, around nothing

    opposed = (first > 0.0) != (second > 0.0)

    def of_point(x: Array, y: Array) -> Array:
        seen = [(corner[0] - x, corner[1] - y) for corner in corners]
        to_right, to_end, to_left, to_start = (
            _spanned(a, b) + more for a, b, more in zip(seen, (*seen[1:], seen[0]), slack, strict=True)
        )
        across = _spanned(seen[0], seen[2])
        one, other = _in_triangle(to_right, to_end, -across, first), _in_triangle(to_left, to_start, across, second)
        return (one | other) & ~(one & other & opposed)  # wound around once each way is not wound around

    return tuple(of_point(*point) for point in zip(x, y, strict=True))


def _spanned(a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
    """Twice the area that two vectors span, m²: positive where `b` points to the left of `a`."""
    return a[0] * b[1] - a[1] * b[0]


def _in_triangle(a: Array, b: Array, c: Array, area: Array) -> Array:
    """Whether points are in triangles, sides included, from what they span with the three sides and from the area."""
    return (a * area >= 0.0) & (b * area >= 0.0) & (c * area >= 0.0) & (area != 0.0)


def signed_distance_to_edges(
    x: Float[Array, "n"], y: Float[Array, "n"], edges: Line, mask: Bool[Array, "m"], marks: Bool[Array, "m"]
) -> tuple[Float[Array, "n"], Bool[Array, "n"]]:
    """Signed distance of a few points to directed segments ([m]), m: positive on the left of the nearest; and for which
    of them it is known: not where one of the marks is nearer than any edge, or nothing is there (`FAR`).
    """
    there = replace(edges, x=jnp.where(mask | marks, edges.x, FAR**2))
    square, says = nearest_line(x, y, there, marks)
    known = (square < FAR**2) & (says != SIDELESS)
    return jnp.where(known, jnp.where(says == ON_RIGHT, -1.0, 1.0) * root(square), FAR), known
