"""The road's plane, groups of boxes, and lines of cameras that nobody knows. What comes back whole: test_targets.py."""

import numpy as np
import pytest

from drivetrain.camera.pinhole import Mount, mounted
from drivetrain.perception.decoding import Decoding, Ground, down_of, grouping, road


def test_down_is_where_the_mount_has_it():
    mount = Mount(pitch=0.1, roll=0.05, yaw=0.3)
    turn = np.asarray(mounted(mount).turn)
    assert np.allclose(turn.T @ np.array([0.0, 0.0, -1.0]), down_of(mount), atol=1e-6)


@pytest.mark.parametrize("spread", [0.03, 0.1])
def test_the_road_is_found_though_some_points_lie(spread):
    random = np.random.default_rng(0)
    normal = down_of(Mount(pitch=0.03, roll=0.01))
    rays = np.column_stack([random.uniform(-0.6, 0.6, 300), random.uniform(0.06, 0.5, 300), np.ones(300)])
    depth = 1.6 / (rays @ normal)
    told = depth * np.exp(random.normal(0.0, 0.05, 300))
    told[:40] *= 3.0
    plane = road(rays, told, np.ones(300), Mount(z=1.5), spread)
    assert plane is not None
    assert np.allclose(plane, normal / 1.6, atol=0.03)
    ground = Ground.of(plane, 1.6)
    assert np.allclose(np.linalg.norm(ground.foot), 1.6)
    place = ground.place(np.array([[0.0, 0.2, 1.0]]))[0]
    assert place[1] == pytest.approx(0.0, abs=0.4) and 5.0 < place[0] < 11.0
    assert ground.place(np.array([[-0.5, 0.2, 1.0]]))[0, 1] > 0.0  # what is left in the picture is to the left


def test_what_overlaps_the_surest_is_one_thing():
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [40, 0, 50, 10], [4, 0, 14, 10]])
    groups = grouping(boxes, np.array([0.9, 0.6, 0.5, 0.4]), Decoding())
    assert [first for first, _, _ in groups] == [0, 2, 3]
    assert groups[0][2] == pytest.approx([0.4, 0.0, 10.4, 10.0])
