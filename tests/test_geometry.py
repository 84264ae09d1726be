"""Against shapely (distances, outlines), separating axes in NumPy (depth), and gradients on the awkward cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point, Polygon

from drivetrain.geometry import (
    FAR,
    Pieces,
    box,
    box_clearance,
    box_corners,
    line,
    norm,
    point_segment_distance,
    root,
    rotate,
    signed_distance_to_edges,
    signed_distance_to_pieces,
    to_frame,
    unrotate,
)

COUNT = 4000


def unit(angle):
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)


def corners_of(position, angle, length, width):
    """Independent of the package: a rectangle turned by shapely."""
    box = shapely.box(-length / 2, -width / 2, length / 2, width / 2)
    return shapely.affinity.translate(shapely.affinity.rotate(box, angle, (0, 0), use_radians=True), *position)


def separating_depth(first, second):
    """Least translation that parts two convex polygons, by separating axes, in float64."""
    overlaps = []
    for polygon in (first, second):
        for edge in np.diff(np.vstack([polygon, polygon[:1]]), axis=0):
            normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
            a, b = first @ normal, second @ normal
            overlaps.append(min(a.max() - b.min(), b.max() - a.min()))
    return min(overlaps)


@pytest.fixture(scope="module")
def boxes():
    rng = np.random.default_rng(0)
    draw = {
        "position": rng.normal(0, 4, (COUNT, 2)),
        "angle": rng.uniform(-np.pi, np.pi, COUNT),
        "length": rng.uniform(0.5, 12, COUNT),
        "width": rng.uniform(0.4, 3, COUNT),
    }
    other = {
        "position": rng.normal(0, 4, (COUNT, 2)),
        "angle": np.where(rng.random(COUNT) < 0.2, draw["angle"], rng.uniform(-np.pi, np.pi, COUNT)),
        "length": rng.uniform(0.5, 12, COUNT),
        "width": rng.uniform(0.4, 3, COUNT),
    }
    return draw, other


def boxes_of(draw):
    return box(
        draw["position"].astype(np.float32),
        unit(draw["angle"]),
        draw["length"].astype(np.float32),
        draw["width"].astype(np.float32),
    )


def test_clearance_is_the_distance_apart_and_the_least_translation_in_overlap(boxes):
    draw, other = boxes
    found = np.asarray(jax.jit(box_clearance)(boxes_of(draw), boxes_of(other)))
    expected = np.empty(COUNT)
    for row in range(COUNT):
        first = corners_of(draw["position"][row], draw["angle"][row], draw["length"][row], draw["width"][row])
        second = corners_of(other["position"][row], other["angle"][row], other["length"][row], other["width"][row])
        if first.intersects(second):
            expected[row] = -separating_depth(*[np.array(each.exterior.coords)[:4] for each in (first, second)])
        else:
            expected[row] = first.distance(second)
    assert 0.2 < np.mean(expected < 0) < 0.8  # both cases are there
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_clearance_is_the_same_seen_from_the_other(boxes):
    draw, other = boxes
    clearance = jax.jit(box_clearance)
    there = clearance(boxes_of(draw), boxes_of(other))
    back = clearance(boxes_of(other), boxes_of(draw))
    np.testing.assert_allclose(there, back, atol=1e-5)


def test_corners_are_named_in_order():
    found = box_corners(box(jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0]), 4.0, 2.0))
    np.testing.assert_allclose(found, [[0, 4], [2, 4], [2, 0], [0, 0]], atol=1e-6)


def test_frames_are_inverse_and_turn_left():
    heading = jnp.array([0.6, 0.8])
    point = jnp.array([[3.0, -1.0], [0.5, 2.0]])
    np.testing.assert_allclose(rotate(jnp.array([1.0, 0.0]), heading), heading)
    np.testing.assert_allclose(unrotate(rotate(point, heading), heading), point, atol=1e-6)
    np.testing.assert_allclose(to_frame(jnp.array([1.0, 5.0]), jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0])), [3, 0])


def test_segment_distance_against_shapely():
    rng = np.random.default_rng(1)
    points = rng.normal(0, 3, (2000, 3, 2)).astype(np.float32)
    points[:50, 1] = points[:50, 0]  # segments without length
    a, b, c = points.transpose(1, 0, 2)
    distance = jax.jit(jax.vmap(point_segment_distance))(c, a, b)
    lines = shapely.linestrings(points[:, :2].astype(float))
    expected = np.where(
        np.arange(2000) < 50,
        np.hypot(*(c - a).T),
        shapely.distance(shapely.points(c.astype(float)), lines),
    )
    np.testing.assert_allclose(distance, expected, atol=1e-5)


def strip(rng, lanes, stations, bend):
    """Borders [lanes + 1, stations, 2] of a curved road, and which pieces exist: lanes begin and end."""
    angle = np.cumsum(rng.normal(0, bend, stations))
    centre = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], -1) * rng.uniform(1.5, 2.5, (stations, 1)), 0)
    normal = np.stack([-np.sin(angle), np.cos(angle)], -1)
    offset = np.cumsum(rng.uniform(2.5, 4, (lanes + 1, 1)), 0) + 0.2 * rng.normal(0, 1, (lanes + 1, stations))
    borders = (centre + normal * (offset - offset.mean())[..., None]).astype(np.float32)
    exists = np.zeros((lanes, stations - 1), bool)
    for lane in range(lanes):
        start = rng.integers(0, stations // 2)
        exists[lane, start : rng.integers(start + 1, stations)] = True
    exists[lanes // 2] = True
    return borders, exists


def pieces_of(borders, exists):
    """Corners and open borders of every piece: a border is open where no piece lies beyond it."""
    empty = np.zeros((1, exists.shape[1]), bool)
    beyond = np.vstack([empty, exists, empty])
    side = np.zeros((exists.shape[0], 1), bool)
    along = np.hstack([side, exists, side])
    right, left = borders[:-1], borders[1:]
    return (
        left[:, :-1].reshape(-1, 2),
        right[:, :-1].reshape(-1, 2),
        left[:, 1:].reshape(-1, 2),
        right[:, 1:].reshape(-1, 2),
        exists.reshape(-1),
        ~beyond[2:].reshape(-1),
        ~beyond[:-2].reshape(-1),
        ~along[:, :-2].reshape(-1),
        ~along[:, 2:].reshape(-1),
    )


def to_pieces(points, left0, right0, left1, right1, exists, *opens):
    """Of points [n, 2] and of the corners [m, 2] of pieces."""
    corners = [(corner[:, 0], corner[:, 1]) for corner in (left0, right0, left1, right1)]
    borders = ((left1, left0), (right0, right1), (left0, right0), (right1, left1))
    there = jnp.concatenate([exists & is_open for is_open in opens])[:, None]
    start, end = (jnp.where(there, jnp.concatenate(ends), 1e6) for ends in zip(*borders, strict=True))
    pieces = Pieces(*corners, exists=exists, opens=opens)
    outline = line(*start.T, *end.T)
    of_point = jax.vmap(lambda x, y: signed_distance_to_pieces(x[None], y[None], pieces, outline)[0])
    return of_point(*jnp.asarray(points).T)


def to_edges(points, edges, mask):
    lines = line(*edges.T)
    of_point = jax.vmap(lambda x, y: signed_distance_to_edges(x[None], y[None], lines, mask, ~mask & False)[0][0])
    return of_point(*jnp.asarray(points).T)


def outline_distance(pieces, points):
    """Signed distance to the outline of the union, by shapely."""
    left0, right0, left1, right1, exists = pieces[:5]
    quads = [Polygon(np.stack(quad).astype(float)) for quad in zip(left0, right0, right1, left1, strict=True)]
    # A grid of 1e-6 m joins borders that rounding parts.
    union = shapely.union_all([quad for quad, is_there in zip(quads, exists, strict=True) if is_there], grid_size=1e-6)
    parts = [union] if isinstance(union, Polygon) else union.geoms
    slits = [Polygon(part.exterior, [ring for ring in part.interiors if Polygon(ring).area > 1e-3]) for part in parts]
    union = shapely.MultiPolygon(slits)  # what the grid itself has torn open is no hole
    where = shapely.points(points.astype(float))
    return np.where(shapely.covers(union, where), 1, -1) * shapely.distance(union.boundary, where)


@pytest.mark.parametrize("seed", range(25))
def test_pieces_against_the_outline_of_their_union(seed):
    rng = np.random.default_rng(seed)
    borders, exists = strip(rng, 4, 20, 0.04)
    pieces = pieces_of(borders, exists)
    points = (borders.reshape(-1, 2)[rng.integers(0, borders[..., 0].size, 300)] + rng.normal(0, 3, (300, 2))).astype(
        np.float32
    )
    found = jax.jit(to_pieces)(points, *pieces)
    expected = outline_distance(pieces, points)
    assert (expected > 0).any() and (expected < 0).any()
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_points_on_a_seam_are_inside_and_far_from_the_outline():
    borders, exists = strip(np.random.default_rng(3), 3, 12, 0.03)
    pieces = pieces_of(borders, np.ones_like(exists))
    seam = borders[1]
    share = np.linspace(0.05, 0.95, 13, dtype=np.float32)[:, None, None]
    along = (seam[1:-2] * (1 - share) + seam[2:-1] * share).reshape(-1, 2)
    across = (borders[1, 1:-1] * (1 - share) + borders[2, 1:-1] * share).reshape(-1, 2)
    for points in (along, across):
        assert np.min(np.asarray(jax.jit(to_pieces)(points, *pieces))) > 0.5


def test_bent_and_degenerate_pieces_cover_what_they_cover():
    # A dart whose right0 is pulled inside, a triangle (left border repeats), and a piece of no area.
    left0 = np.array([[0, 2], [10, 2], [20, 0]], np.float32)
    right0 = np.array([[1.5, 1.5], [10, 0], [20, 0]], np.float32)
    left1 = np.array([[2, 2], [10, 2], [22, 0]], np.float32)
    right1 = np.array([[2, 0], [12, 0], [22, 0]], np.float32)
    yes = np.ones(3, bool)
    points = np.array([[1.7, 1.7], [1.2, 1.2], [10.5, 0.5], [11.8, 1.8], [21, 0.25]], np.float32)
    found = to_pieces(points, left0, right0, left1, right1, yes, yes, yes, yes, yes)
    quads = [
        Polygon([[0, 2], [1.5, 1.5], [2, 0], [2, 2]]),
        Polygon([[10, 2], [10, 0], [12, 0]]),
        LineString([[20, 0], [22, 0]]),
    ]
    for point, value in zip(points, np.asarray(found), strict=True):
        where = Point(point)
        inside = any(quad.covers(where) for quad in quads)
        nearest = min((quad.exterior if quad.area else quad).distance(where) for quad in quads)
        np.testing.assert_allclose(value, nearest if inside else -nearest, atol=1e-5)


def test_without_pieces_or_edges_nothing_is_near():
    none, no = np.zeros((3, 2), np.float32), np.zeros(3, bool)
    point = np.ones((2, 2), np.float32)
    assert np.all(np.asarray(to_pieces(point, none, none, none, none, no, no, no, no, no)) == -FAR)
    assert np.all(np.asarray(to_edges(point, np.zeros((3, 4), np.float32), no)) == FAR)


@pytest.mark.parametrize("seed", range(20))
def test_edges_against_a_star_shaped_polygon(seed):
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
    ring = (rng.uniform(2, 9, 9)[:, None] * unit(angle)).astype(np.float32)
    polygon = Polygon(ring.astype(float))
    if not polygon.exterior.is_ccw:
        ring = ring[::-1]
    edges = np.hstack([ring, np.roll(ring, -1, 0)])
    edges = np.vstack([edges, np.full((4, 4), 1.0, np.float32)])  # padding
    points = rng.normal(0, 6, (300, 2)).astype(np.float32)
    found = to_edges(points, edges, np.arange(13) < 9)
    where = shapely.points(points.astype(float))
    expected = np.where(shapely.contains(polygon, where), 1, -1) * shapely.distance(polygon.exterior, where)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def finite(function, *arguments):
    slopes = jax.jit(jax.grad(lambda *inputs: jnp.sum(function(*inputs)), argnums=range(len(arguments))))(*arguments)
    return all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes)


@pytest.mark.parametrize(
    ("offset", "angle"),
    [
        ((0, 0), 0.0),
        ((0, 0), 0.3),
        ((4, 0), 0.0),
        ((4, 2), 0.0),
        ((0, 2), np.pi / 2),
        ((1e-8, 0), 0.0),
        ((900, 0), 1.0),
    ],
)
def test_clearance_has_finite_gradients_touching_and_coincident(offset, angle):
    def clearance(*arguments):
        return box_clearance(box(*arguments[:4]), box(*arguments[4:]))

    first = (jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.asarray(4.0), jnp.asarray(2.0))
    other = (jnp.array(offset, jnp.float32), jnp.asarray(unit(np.asarray(angle))), jnp.asarray(4.0), jnp.asarray(2.0))
    assert finite(clearance, *first, *other)
    nothing = (jnp.zeros(2), jnp.zeros(2), jnp.asarray(0.0), jnp.asarray(0.0))
    assert finite(clearance, *nothing, *nothing)


def test_clearance_slopes_are_those_of_the_distance():
    def clearance(x):
        size = jnp.array(4.0), jnp.array(2.0)
        ahead = jnp.array([1.0, 0.0])
        return box_clearance(box(jnp.zeros(2), ahead, *size), box(jnp.array([x, 0.3]), ahead, *size))

    np.testing.assert_allclose([jax.grad(clearance)(6.0), jax.grad(clearance)(3.9)], [1.0, 1.0], atol=1e-6)


def test_distances_have_finite_gradients_on_borders_vertices_and_without_length():
    zero, one = jnp.zeros(2), jnp.array([1.0, 0.0])
    for point in (zero, one, jnp.array([0.5, 0.0]), jnp.array([0.5, 1.0])):
        assert finite(point_segment_distance, point, zero, one)
        assert finite(point_segment_distance, point, zero, zero)
    corner = jnp.array([[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [3.0, 0.0]])
    edges = jnp.array([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    assert finite(lambda points, edges: to_edges(points, edges, jnp.ones(3, bool)), corner, edges)
    left0, right0 = jnp.array([[0.0, 1.0], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [0.0, 0.0]])
    left1, right1 = jnp.array([[1.0, 1.0], [0.0, 0.0]]), jnp.array([[1.0, 0.0], [0.0, 0.0]])
    for there in (True, False):
        mask = jnp.full(2, there)

        def distance(points, *quads, mask=mask):
            return to_pieces(points, *quads, mask, mask, mask, mask, mask)

        assert finite(distance, corner, left0, right0, left1, right1)


def test_root_and_norm_are_exact_and_flat_at_zero():
    np.testing.assert_allclose(root(jnp.array([0.0, 4.0])), [0, 2])
    np.testing.assert_allclose(jax.grad(root)(0.0), 0.0)
    np.testing.assert_allclose(norm(jnp.array([3.0, 4.0])), 5.0)
    np.testing.assert_allclose(jax.grad(norm)(jnp.zeros(2)), 0.0)
