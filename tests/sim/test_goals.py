import numpy as np

from drivetrain.sim.goals import chain, evenly, stack_chains

ARC = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 8.0, 8.0])
CENTRE = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [4.0, 2.0], [4.0, 4.0]])


def test_goals_lie_on_the_lane_so_far_along():
    rows = chain(ARC, CENTRE, np.array([0.0, 3.0, 7.0]))
    np.testing.assert_allclose(rows, [[0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 0.0, 1.5], [7.0, 4.0, 3.0, 3.5]])


def test_evenly_means_at_one_distance_to_the_end_of_the_route():
    np.testing.assert_allclose(evenly(ARC, CENTRE, 3.0)[:, 0], [0.0, 3.0, 6.0])
    assert len(evenly(ARC[:1], CENTRE[:1], 3.0)) == 1


def test_beyond_the_last_goal_there_is_infinity():
    goals = stack_chains([chain(ARC, CENTRE, np.array([0.0, 3.0])), chain(ARC, CENTRE, np.array([0.0, 2.0, 4.0]))])
    assert goals.shape == (2, 4, 4) and goals.dtype == np.float32
    assert np.isfinite(goals[:, :, 0]).sum(axis=1).tolist() == [2, 3]
    assert np.isinf(goals[0, 2:]).all()
