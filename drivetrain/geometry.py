"""Frames, boxes, segments and strips of quadrilaterals: pure functions of arrays.

Every function is written for one point, box or small set of points, in metres, and has finite gradients everywhere
(zero where a distance has none). Headings are unit vectors (cos, sin).
"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.types import Array

FAR = 1000.0
"""Stands for "nothing near", m: finite, so that it may be clipped, compared and differentiated."""

SEAM = 1e-4
"""How far a piece reaches over its closed borders, m, so that rounding opens no gap between pieces that share one."""

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


def box_corners(
    position: Float[Array, "2"], heading: Float[Array, "2"], length: Scalar, width: Scalar
) -> Float[Array, "4 2"]:
    """Corners of a box centred on `position`: front left, front right, rear right, rear left."""
    forward = heading * (0.5 * length)
    left = jnp.stack([-heading[1], heading[0]]) * (0.5 * width)
    return position + jnp.stack([forward + left, forward - left, -forward - left, -forward + left])


def box_clearance(
    position: Float[Array, "2"],
    heading: Float[Array, "2"],
    length: Scalar,
    width: Scalar,
    other_position: Float[Array, "2"],
    other_heading: Float[Array, "2"],
    other_length: Scalar,
    other_width: Scalar,
) -> Float[Array, ""]:
    """Signed clearance of two boxes, m: their Euclidean distance, or minus the least translation that parts them.

    Apart, the nearest points of two boxes include a corner of one; overlapping, the least translation is along a side
    of one (separating axes: Gottschalk et al. 1996, "OBBTree", section 5, in the plane).
    """
    half, other_half = (0.5 * length, 0.5 * width), (0.5 * other_length, 0.5 * other_width)
    turn = unrotate(other_heading, heading)  # the other's heading in this box's frame
    here = unrotate(other_position - position, heading)  # its centre in this box's frame
    there = unrotate(-here, turn)  # this box's centre in the other's frame
    cos, sin = jnp.abs(turn[0]), jnp.abs(turn[1])

    overlap = (
        half[0] + other_half[0] * cos + other_half[1] * sin - jnp.abs(here[0]),
        half[1] + other_half[0] * sin + other_half[1] * cos - jnp.abs(here[1]),
        other_half[0] + half[0] * cos + half[1] * sin - jnp.abs(there[0]),
        other_half[1] + half[0] * sin + half[1] * cos - jnp.abs(there[1]),
    )
    depth = jnp.minimum(jnp.minimum(overlap[0], overlap[1]), jnp.minimum(overlap[2], overlap[3]))

    def nearest_corner(centre, turn, half, corner_half):
        """Squared distance from a box at the origin to the nearest corner of another."""
        along, across = turn * corner_half[0], jnp.stack([-turn[1], turn[0]]) * corner_half[1]
        corners = centre + jnp.stack([along + across, along - across, -along - across, -along + across])
        outside_x = jnp.maximum(jnp.abs(corners[:, 0]) - half[0], 0.0)
        outside_y = jnp.maximum(jnp.abs(corners[:, 1]) - half[1], 0.0)
        return jnp.min(outside_x**2 + outside_y**2)

    back = turn * jnp.array([1.0, -1.0])  # this box's heading in the other's frame
    square = jnp.minimum(
        nearest_corner(here, turn, half, other_half),
        nearest_corner(there, back, other_half, half),
    )
    return jnp.where(depth > 0.0, -depth, root(square))


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


def segments_cross(
    a: Float[Array, "2"], b: Float[Array, "2"], c: Float[Array, "2"], d: Float[Array, "2"]
) -> Bool[Array, ""]:
    """Whether the segments a–b and c–d have a point in common; parallel ones (also on one line) never cross."""
    first, second, offset = b - a, d - c, c - a
    scale = cross(first, second)
    safe = jnp.where(scale == 0.0, 1.0, scale)
    along, across = cross(offset, second) / safe, cross(offset, first) / safe
    return (scale != 0.0) & (along >= 0.0) & (along <= 1.0) & (across >= 0.0) & (across <= 1.0)


# -------------------------------------------------------------------------------------------------------------- regions


def signed_distance_to_pieces(
    points: Float[Array, "n 2"],
    left0: Float[Array, "m 2"],
    right0: Float[Array, "m 2"],
    left1: Float[Array, "m 2"],
    right1: Float[Array, "m 2"],
    exists: Bool[Array, "m"],
    open_left: Bool[Array, "m"],
    open_right: Bool[Array, "m"],
    open_start: Bool[Array, "m"],
    open_end: Bool[Array, "m"],
) -> Float[Array, "n"]:
    """Signed distance of points to the outline of a union of quadrilateral pieces, m: positive inside.

    A piece runs from the cross-section (left0, right0) to (left1, right1); a border is *open* where it lies on the
    union's outline. Inside, the distance is to the nearest open border (`FAR` where there is none); outside, to the
    nearest piece (−`FAR` where there is none). A point is inside where the winding number of any piece around it is not
    0, so that bent (non-convex) and degenerate pieces count for what they cover; a seam between pieces is inside.
    """
    opens = (open_left, open_right, open_start, open_end)
    sides = ((left1, left0), (right0, right1), (left0, right0), (right1, left1))  # anticlockwise around the piece
    squares, turns = [], []
    for (a, b), is_open in zip(sides, opens, strict=True):
        squares.append(segment_square(points[:, None], a, b))
        slack = jnp.where(is_open, 0.0, SEAM * norm(b - a))
        turns.append(cross(b - a, points[:, None] - a) + slack)
    diagonal = cross(right1 - left0, points[:, None] - left0)
    winding = _winding(turns[2], turns[1], -diagonal, cross(right0 - left0, right1 - left0))
    winding += _winding(turns[3], turns[0], diagonal, cross(right1 - left0, left1 - left0))
    inside = jnp.any((winding != 0) & exists, axis=1)

    outside_square, inside_square = jnp.full(len(points), FAR**2), jnp.full(len(points), FAR**2)
    for square, is_open in zip(squares, opens, strict=True):
        outside_square = jnp.minimum(outside_square, jnp.min(jnp.where(exists, square, FAR**2), axis=1))
        inside_square = jnp.minimum(inside_square, jnp.min(jnp.where(exists & is_open, square, FAR**2), axis=1))
    return jnp.where(inside, 1.0, -1.0) * root(jnp.where(inside, inside_square, outside_square))


def _winding(a: Array, b: Array, c: Array, area: Array) -> Array:
    """Winding of triangles around points (−1, 0, 1) from the crosses of their three sides; a side itself is inside."""
    anticlockwise = (a >= 0.0) & (b >= 0.0) & (c >= 0.0) & (area > 0.0)
    clockwise = (a < 0.0) & (b < 0.0) & (c <= 0.0) & (area < 0.0)
    return anticlockwise.astype(jnp.int32) - clockwise.astype(jnp.int32)


def signed_distance_to_edges(
    points: Float[Array, "n 2"], edges: Float[Array, "m 4"], mask: Bool[Array, "m"]
) -> Float[Array, "n"]:
    """Signed distance of points to directed segments (x0, y0, x1, y1), m: positive on the left of the nearest.

    Where several are equally near (a shared vertex), the one from whose line the point is farther decides: at a corner,
    the line of the other may pass on the wrong side. `FAR` where there is no edge.
    """
    a, b = edges[:, :2], edges[:, 2:]
    square = jnp.where(mask, segment_square(points[:, None], a, b), FAR**2)
    nearest = jnp.min(square, axis=1)
    tied = mask & (square <= nearest[:, None] * (1.0 + 1e-4) + 1e-10)
    size = norm(b - a)
    offset = cross(b - a, points[:, None] - a) / jnp.where(size > 0.0, size, 1.0)
    leftmost = jnp.max(jnp.where(tied, offset, -jnp.inf), axis=1)
    rightmost = jnp.min(jnp.where(tied, offset, jnp.inf), axis=1)
    return jnp.where(leftmost >= -rightmost, 1.0, -1.0) * root(nearest)
