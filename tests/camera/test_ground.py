import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.camera import ground as grounds
from drivetrain.camera.beside import Beside, Laying, Post
from drivetrain.camera.grid import VERGE
from drivetrain.camera.ground import lay_ground, of_angle, stack_grounds, to_angle, with_room
from drivetrain.camera.markings import Drawn, Paint, boundary_points, chained
from drivetrain.camera.surface import edge_place, line_place, paint_kind, texels_at
from drivetrain.data.recordings.recording import Feature
from drivetrain.types import ControlKind, ElementKind, InputError

random = np.random.default_rng(5)


@pytest.fixture(scope="module")
def curve():
    return scenes.scenario(scenes.curve())


@pytest.fixture(scope="module")
def laid(curve):
    return jax.tree.map(jnp.asarray, stack_grounds([lay_ground(curve.map)]))


def looked_up(ground, points):
    return texels_at(
        ground, jnp.int32(0), jnp.asarray(points[:, 0], jnp.float32), jnp.asarray(points[:, 1], jnp.float32)
    )


def distances(points, segments):
    """To every segment, one by one."""
    a, b = segments[:, :2], segments[:, 2:]
    share = np.clip(np.einsum("pnd,nd->pn", points[:, None] - a, b - a) / np.sum((b - a) ** 2, 1), 0, 1)
    return np.linalg.norm(points[:, None] - a - share[..., None] * (b - a), axis=-1)


def test_directions_survive_their_words():
    angle = random.uniform(-np.pi, np.pi, 400)
    x, y = of_angle(jnp.asarray(to_angle(np.cos(angle), np.sin(angle)), jnp.float32))
    off = np.arctan2(np.asarray(y), np.asarray(x)) - angle
    assert np.abs((off + np.pi) % (2 * np.pi) - np.pi).max() < 0.005
    np.testing.assert_allclose(np.hypot(x, y), 1.0, atol=1e-5)


def test_pixels_find_the_lines_that_are_near_them(curve, laid):
    drawn = Drawn(curve.map)
    row = random.integers(len(drawn.segments), size=300)
    middle = 0.5 * (drawn.segments[row, :2] + drawn.segments[row, 2:])
    points = middle + random.uniform(-0.15, 0.15, (300, 2))
    aside = np.asarray(line_place(looked_up(laid, points))[0])
    np.testing.assert_allclose(np.abs(aside), distances(points, drawn.segments).min(1), atol=0.012)
    kind = np.asarray(paint_kind(looked_up(laid, points).line))
    assert (kind == drawn.paint[np.argmin(distances(points, drawn.segments), 1)]).mean() > 0.97


def test_far_from_lines_there_is_none(curve, laid):
    drawn = Drawn(curve.map)
    points = random.uniform((-60, -10), (50, 90), (2000, 2))
    far = distances(points, drawn.segments).min(1) > 1.1
    assert (np.asarray(paint_kind(looked_up(laid, points).line))[far] == Paint.NONE).all()


def test_the_road_is_where_lanes_are_and_its_edge_as_far_as_it_is(curve, laid):
    elements = np.asarray(curve.map.elements)[np.asarray(curve.map.element_kind) == ElementKind.ROAD_EDGE]
    points = random.uniform((-50, -10), (60, 90), (3000, 2))
    # Two lanes that turn about (0, 40): their outer border has the radius 41.75, the inner one 34.75.
    radius = np.hypot(points[:, 0], points[:, 1] - 40.0)
    bend = (points[:, 0] > 1.0) & (points[:, 1] < 39.0)
    off = np.asarray(edge_place(looked_up(laid, points))[0])
    away = np.minimum(41.75 - radius, radius - 34.75)
    assert ((off > 0.0) == (away > 0.0))[bend & (np.abs(away) > 0.1)].mean() > 0.995
    near = bend & (np.abs(away) < VERGE - 0.5)
    np.testing.assert_allclose(np.abs(off[near]), distances(points, elements).min(1)[near], atol=0.06)


def test_metres_along_a_line_go_on_from_piece_to_piece(laid):
    y = np.full(41, 3.5 - 1.75)  # the border between the lanes, before the bend
    x = np.linspace(-55.0, -45.0, 41)
    _, along, _, _ = line_place(looked_up(laid, np.stack([x, y], 1)))
    step = np.diff(np.asarray(along)) % grounds.PERIOD
    step = np.minimum(step, grounds.PERIOD - step)
    assert np.abs(step - 0.25).max() < 0.06


def test_lines_on_the_left_are_told_apart():
    drawn = Drawn(scenes.scenario(scenes.straight_road()).map)
    height = drawn.segments[:, [1, 3]].mean(1).round(1)
    assert set(drawn.paint[height == 10.5]) == {Paint.LEFT_SOLID}
    assert set(drawn.paint[height == 0.0]) == {Paint.SOLID}
    assert set(drawn.paint[np.isin(height, (3.5, 7.0))]) == {Paint.DASHED}


def test_points_of_lines_are_on_them_and_evenly_apart(curve):
    drawn = Drawn(curve.map)
    points, paint, line = boundary_points(drawn)
    assert distances(points, drawn.segments).min(1).max() < 1e-6
    same = line[1:] == line[:-1]
    assert np.linalg.norm(np.diff(points, axis=0), axis=1)[same].max() <= 2.0 + 1e-6
    assert (paint > 0).all()


def test_segments_are_one_line_while_they_meet():
    segments = np.array([[0, 0, 1, 0], [1, 0, 2, 0], [5, 0, 6, 0], [6, 0, 7, 0.0]])
    assert chained(segments, np.array([2, 2, 2, 3])).tolist() == [0, 0, 1, 2]


def test_a_crossing_is_striped():
    outline = np.array([[20, 0], [24, 0], [24, 10.5], [20, 10.5], [20, 0.0]])
    drawn = scenes.straight_road(features=(Feature(ElementKind.CROSSWALK, outline),))
    laid = jax.tree.map(jnp.asarray, stack_grounds([lay_ground(scenes.scenario(drawn).map)]))
    points = np.stack([np.full(50, 22.0), np.linspace(0.7, 9.8, 50)], 1)
    assert (np.asarray(paint_kind(looked_up(laid, points).line)) == Paint.ZEBRA).all()


def test_a_light_stands_where_the_map_has_it_and_faces_its_traffic():
    posts = lay_ground(scenes.scenario(scenes.crossing()).map).posts
    (post,) = posts[posts[:, Post.KIND] == ControlKind.LIGHT]
    np.testing.assert_allclose(post[[Post.X, Post.Y]], [20.0, 3.0], atol=1e-5)
    np.testing.assert_allclose(post[[Post.COS, Post.SIN]], [-1.0, 0.0], atol=1e-6)


def test_nothing_beside_the_road_stands_on_it(curve, laid):
    made = lay_ground(curve.map, Laying(buildings=1.0, trees=1.0)).beside
    assert len(made) > 5
    for row in made:
        unit, size = row[[Beside.COS, Beside.SIN]], row[[Beside.LENGTH, Beside.WIDTH]]
        aside = np.array([-unit[1], unit[0]])
        corner = [row[:2] + 0.5 * (a * size[0] * unit + b * size[1] * aside) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        assert (np.asarray(edge_place(looked_up(laid, np.array(corner)))[0]) <= 0.0).all()
    np.testing.assert_array_equal(made, lay_ground(curve.map, Laying(buildings=1.0, trees=1.0)).beside)


def test_room_changes_nothing(curve, laid):
    wide = jax.tree.map(jnp.asarray, stack_grounds([with_room(lay_ground(curve.map))]))
    points = random.uniform((-50, -10), (60, 90), (200, 2))
    for one, other in zip(looked_up(laid, points), looked_up(wide, points), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_map_too_large_is_refused(curve, monkeypatch):
    monkeypatch.setattr(grounds, "MOST", 100)
    with pytest.raises(InputError, match="too large"):
        lay_ground(curve.map)
