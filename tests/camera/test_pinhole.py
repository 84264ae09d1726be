import hypothesis.strategies as some
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from drivetrain.camera.pinhole import (
    Camera,
    Mount,
    back_project,
    finer,
    from_camera,
    mounted,
    of_field,
    on_map,
    project,
    slopes,
    to_camera,
)
from drivetrain.types import InputError

BENT = Camera(640, 360, 580.0, 575.0, 330.0, 190.0, -0.2475, -0.0125)


def opencv(point, camera):
    """OpenCV's formula, one point in float64."""
    x, y = point[0] / point[2], point[1] / point[2]
    square = x * x + y * y
    out = 1 + camera.k1 * square + camera.k2 * square**2
    return np.array([camera.fx * x * out + camera.cx, camera.fy * y * out + camera.cy])


@settings(max_examples=25, deadline=None)
@given(some.floats(-0.5, 0.5), some.floats(-0.3, 0.3), some.floats(0.5, 100.0))
def test_points_are_projected_as_opencv_does_and_come_back(x, y, depth):
    point = np.array([x * depth, y * depth, depth])
    pixel, far = project(BENT, jnp.asarray(point, jnp.float32))
    np.testing.assert_allclose(pixel, opencv(point, BENT), atol=2e-3)
    assert far == pytest.approx(depth, rel=1e-6)
    np.testing.assert_allclose(back_project(BENT, opencv(point, BENT), np.asarray(depth)), point, atol=1e-6 * depth)


def test_what_is_behind_says_so():
    assert project(BENT, jnp.array([1.0, 1.0, -5.0]))[1] < 0.0


def test_slopes_are_those_of_pixel_centres():
    table = slopes(BENT)
    assert table.shape == (360, 640, 2)
    for row, column in ((0, 0), (359, 639), (190, 330), (17, 400)):
        np.testing.assert_allclose(opencv(np.append(table[row, column], 1.0), BENT), (column, row), atol=1e-3)


def test_the_camera_looks_ahead_and_its_angles_turn_it_as_they_say():
    eye = mounted(Mount(x=1.0, y=0.2, z=1.5))
    ahead = to_camera(eye, jnp.array([[11.0, 0.2, 1.5], [11.0, 1.2, 1.5], [11.0, 0.2, 2.5]]))
    np.testing.assert_allclose(ahead, [[0, 0, 10], [-1, 0, 10], [0, -1, 10]], atol=1e-6)
    down = to_camera(mounted(Mount(x=0.0, z=1.0, pitch=0.1)), jnp.array([np.cos(0.1), 0.0, 1.0 - np.sin(0.1)]))
    np.testing.assert_allclose(down, [0, 0, 1], atol=1e-6)
    left = to_camera(mounted(Mount(x=0.0, z=1.0, yaw=0.1)), jnp.array([np.cos(0.1), np.sin(0.1), 1.0]))
    np.testing.assert_allclose(left, [0, 0, 1], atol=1e-6)
    leaning = to_camera(mounted(Mount(x=0.0, z=1.0, roll=0.1)), jnp.array([1.0, 0.0, 2.0]))
    assert leaning[0] < -0.05  # leaning to the right, what is above is to the left


def test_poses_are_rigid_and_undo_one_another():
    eye = on_map(
        mounted(Mount(pitch=0.1, roll=-0.2, yaw=0.4), jnp.array([0.1, 0.2, 0.3]), jnp.array([0.05, 0.0, -0.1])),
        jnp.array([30.0, -4.0]),
        jnp.array([0.6, 0.8]),
    )
    np.testing.assert_allclose(eye.turn @ eye.turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(np.asarray(eye.turn)) == pytest.approx(1.0, abs=1e-5)
    points = jnp.array([[1.0, 2.0, 3.0], [50.0, -20.0, 0.0]])
    np.testing.assert_allclose(from_camera(eye, to_camera(eye, points)), points, atol=1e-4)


def test_finer_pixels_fill_those_of_the_camera():
    camera = Camera(8, 6, 7.0, 7.5, 3.2, 2.6)
    table = slopes(finer(camera, 2)).reshape(6, 2, 8, 2, 2).mean((1, 3))
    np.testing.assert_allclose(table, slopes(camera), atol=1e-5)


def test_a_picture_spans_what_was_asked():
    camera = of_field(320, 240, 90.0)
    edge = (camera.width - 0.5 - camera.cx) / camera.fx
    assert np.degrees(2 * np.arctan(edge)) == pytest.approx(90.0)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"fx": -1.0}, {"k1": -2.0}, {"fy": float("nan")}])
def test_what_is_no_camera_is_refused(wrong):
    with pytest.raises(InputError, match="camera: "):
        Camera(**wrong)
