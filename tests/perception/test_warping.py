"""Warps: pixels go where labels go; a shifted camera sees the road as one that stands there does."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drivetrain.camera.pinhole import Camera, Mount
from drivetrain.perception.labelled import Labelled
from drivetrain.perception.warping import Warp, Warping, drawn, fitted

CAMERA = Camera(640, 384, 500.0, 500.0, 319.5, 191.5, mount=Mount(z=1.5))
PICTURE = Labelled(Path("none.png"), 640, 384, camera=CAMERA)


def test_whole_pictures_keep_their_outer_border():
    warp = fitted(1280, 720, 640, 1000.0)
    assert (warp.width, warp.height, warp.focal) == (640, 384, 500.0)
    assert np.allclose(warp.place(np.array([[-0.5, -0.5], [1279.5, 719.5]])), [[-0.5, -0.5], [639.5, 359.5]])


@pytest.mark.parametrize("seed", range(6))
def test_pixels_go_where_labels_go(seed):
    warp = Warping()(PICTURE, np.random.default_rng(seed))
    back = np.linalg.inv(warp.matrix)
    middle = np.array([warp.width * 0.4, warp.height * 0.6, 1.0])
    at = back @ middle
    column, row = np.round(at[:2] / at[2]).astype(int)
    pixels = np.zeros((384, 640, 3), np.uint8)
    if not (6 < column < 633 and 6 < row < 377):
        pytest.skip("beyond the picture")
    pixels[row - 4 : row + 5, column - 4 : column + 5] = 255
    made = drawn(pixels, warp, Image)[..., 0].astype(float)
    rows, columns = np.nonzero(made > 100.0)
    there = warp.place(np.array([[float(column), float(row)]]))[0]
    assert np.allclose([columns.mean(), rows.mean()], there, atol=0.8)


def test_a_shifted_camera_sees_the_road_from_there():
    """Points of the road before and after: those of a camera 1 m further right lie 1 m further left."""
    shifting = Warping(flip=0.0, turn=0.0, shift=1.0, scale=(1.0, 1.0), width=640, height=384)
    warp = shifting(PICTURE, np.random.default_rng(3))
    assert not warp.vehicles
    depth = np.array([5.0, 10.0, 40.0])
    before = np.column_stack([500.0 * 2.0 / depth + 319.5, 500.0 * 1.5 / depth + 191.5])
    moved = (warp.place(before)[:, 0] - before[:, 0]) * depth / 500.0
    assert np.allclose(moved, moved[0], atol=1e-6) and 0.0 < abs(moved[0]) <= 1.0
    assert np.allclose(warp.place(before)[:, 1], before[:, 1])
    assert np.allclose(warp.depth(before, depth), depth)


def test_a_turned_camera_sees_other_depths():
    turning = Warping(
        flip=0.0, turn=1.0, yaw=0.12, pitch=0.0, roll=0.0, shift=0.0, scale=(1.0, 1.0), width=640, height=384
    )
    warp = turning(PICTURE, np.random.default_rng(1))
    ray = np.array([0.4, 0.1, 1.0])
    pixel = np.array([[500.0 * 0.4 + 319.5, 500.0 * 0.1 + 191.5]])
    deep = warp.depth(pixel, np.array([10.0]))[0]
    there = (warp.place(pixel)[0] - (319.5, 191.5)) / 500.0
    assert np.linalg.norm([*there, 1.0]) * deep == pytest.approx(10.0 * np.linalg.norm(ray), rel=1e-6)


def test_small_pictures_are_averaged_first():
    pixels = np.tile(np.array([0, 255], np.uint8), 160)[None, :, None].repeat(320, 0).repeat(3, 2)
    made = drawn(pixels, fitted(320, 320, 64), Image)
    assert abs(float(made.mean()) - 127.5) < 2.0 and made.std() < 40.0


def test_a_camera_that_nobody_knows_has_no_focal_length():
    warp = Warping()(Labelled(Path("none.png"), 640, 384), np.random.default_rng(0))
    assert math.isnan(warp.focal) and isinstance(warp, Warp)
