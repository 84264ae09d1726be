import jax
import numpy as np
import pytest
import scenes

from drivetrain.evaluate.wrong_drives import aside, off_the_road, oncoming, recorded_drive, wrong_corner
from drivetrain.types import Cross

WIDTH = scenes.WIDTH


def drive_of(recording, ego=0):
    scenario = jax.tree.map(np.asarray, scenes.scenario(recording))
    egos, agents = scenario.egos, scenario.log.agents
    steps, track = slice(int(egos.first[ego]), int(egos.last[ego]) + 1), int(egos.track[ego])
    poses = np.concatenate([agents.position[steps, track], agents.heading[steps, track]], axis=1)
    return recorded_drive(scenario.map, egos, ego, poses, float(scenario.log.bodies.width[track]))


@pytest.mark.parametrize(("lane", "left", "right"), [(0, 3, 1), (1, 2, 2), (2, 1, 3)])
def test_aside_is_one_lane_beyond_the_outermost_of_the_route(lane, left, right):
    drive = drive_of(scenes.straight_road(lanes=3, length=200.0, agents=(scenes.along_x((lane + 0.5) * WIDTH, 20.0),)))
    for side, lanes in ((1, left), (-1, right)):
        wrong = aside(drive, side)
        np.testing.assert_allclose(wrong[:, 1] - drive.poses[:, 1], side * lanes * WIDTH, atol=1e-4)
        np.testing.assert_allclose(wrong[:, [0, 2, 3]], drive.poses[:, [0, 2, 3]], atol=1e-4)


def test_oncoming_is_the_middle_of_the_lane_that_leads_back():
    there = scenes.lane_along(1, [[0.0, 3.5], [200.0, 3.5]], [[0.0, 0.0], [200.0, 0.0]])
    back = scenes.lane_along(2, [[200.0, 4.0], [0.0, 4.0]], [[200.0, 7.0], [0.0, 7.0]])
    drive = drive_of(scenes.recording([there, back], (scenes.along_x(1.75, 20.0, 6.0),)))
    wrong = oncoming(drive)
    np.testing.assert_allclose(wrong[:, 1], 5.5, atol=1e-4)
    np.testing.assert_allclose(wrong[:, 2], 1.0, atol=1e-6)  # still facing ahead
    assert oncoming(drive_of(scenes.straight_road(lanes=2, length=200.0))) is None
    shared = scenes.lane_along(3, [[200.0, 0.2], [0.0, 0.2]], [[200.0, 3.7], [0.0, 3.7]])  # the own lane, the other way
    both = drive_of(scenes.recording([there, back, shared], (scenes.along_x(1.75, 20.0, 6.0),)))
    np.testing.assert_allclose(oncoming(both)[:, 1], 5.5, atol=1e-4)


def test_off_the_road_is_wholly_beyond_its_edge():
    drive = drive_of(scenes.straight_road(lanes=2, length=200.0))  # its right edge is at y = 0, the box 2 m wide
    np.testing.assert_allclose(off_the_road(drive)[:, 1], -1.5, atol=1e-3)


def test_the_wrong_corner_is_the_other_way_at_a_fork():
    """Straight on is recorded, to the left is wrong: about (0, 10), from x = 0 on, as fast."""
    drive = drive_of(scenes.crossing())
    wrong = wrong_corner(drive)
    before = drive.poses[:, 0] < -1.0
    np.testing.assert_allclose(wrong[before], drive.poses[before], atol=1e-4)
    last = drive.poses[-1, 0]
    around = 10.0 * np.pi / 2
    expected = [10.0, 10.0 + last - around]
    np.testing.assert_allclose(wrong[-1, :2], expected, atol=1.5)
    np.testing.assert_allclose(wrong[-1, 2:], [0.0, 1.0], atol=1e-3)
    step = np.linalg.norm(np.diff(wrong[:, :2], axis=0), axis=1)
    np.testing.assert_allclose(step, 2.0, atol=1.0)
    assert wrong_corner(drive_of(scenes.straight_road(lanes=2, length=200.0))) is None
    assert drive.map.stations.shape[1] == len(Cross)
