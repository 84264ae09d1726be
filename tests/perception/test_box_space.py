"""The space of boxes: what is put in comes out, and proposals find what a distribution means."""

import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.perception.box_space import BoxSpace, recall
from drivetrain.perception.matching import iou

SPACE = BoxSpace()


def some_boxes(count, seed=0):
    random = np.random.default_rng(seed)
    sides = np.exp(random.uniform(np.log(SPACE.least), np.log(0.6), (count, 2)))
    corner = random.uniform(0.0, 1.0 - sides)
    return np.concatenate([corner, corner + sides], -1)


def test_steps_are_undone():
    boxes = some_boxes(50)
    np.testing.assert_allclose(SPACE.boxes(SPACE.steps(boxes)), boxes, atol=1e-9)
    corner = SPACE.boxes(np.array([[0.0, 0.0, 0.0, SPACE.sides - 1.0]]))[0]
    np.testing.assert_allclose(corner[[3, 2]] - corner[[1, 0]], [SPACE.least, SPACE.most])
    np.testing.assert_allclose(0.5 * (corner[:2] + corner[2:]), 0.5 / SPACE.cells)


def test_a_target_is_a_distribution_with_as_much_about_each_box_and_none_about_what_is_not_there():
    boxes = np.array([[0.1, 0.1, 0.3, 0.4], [0.6, 0.5, 0.9, 0.8], [0.1, 0.7, 0.2, 0.9]])
    steps = jnp.asarray(SPACE.steps(boxes))
    target = np.asarray(SPACE.target(steps, jnp.array([1.0, 1.0, 0.0])))
    assert target.shape == (16, 16, 36) and target.sum() == pytest.approx(1.0, abs=1e-5)
    left = target[:, :8].sum()
    assert left == pytest.approx(0.5, abs=1e-3) and target[10:, :4].sum() < 1e-3
    # By its definition: a Gaussian of each of the four numbers.
    one = np.asarray(SPACE.target(steps[:1], jnp.ones(1))).reshape(16, 16, 6, 6)
    row, column, tall, wide = np.asarray(steps[0])
    ratio = one[2, 2, 1, 1] / one[2, 3, 1, 1]
    wanted = np.exp((-((2 - column) ** 2) + (3 - column) ** 2) / (2 * SPACE.width**2))
    assert ratio == pytest.approx(wanted, rel=1e-3)


def test_proposals_of_a_target_are_its_boxes_between_the_steps_too():
    boxes = some_boxes(60, seed=1)
    for pair in boxes.reshape(-1, 2, 4):
        if iou(pair[:1], pair[1:])[0, 0] > 0.2:
            continue
        target = SPACE.target(jnp.asarray(SPACE.steps(pair)), jnp.ones(2))
        found, score = SPACE.proposals(np.asarray(target), 10)
        assert np.all(np.diff(score) <= 0.0) and len(found) <= 10
        assert np.min(iou(pair, found[:4]).max(axis=1)) > 0.8
        assert np.max(np.triu(iou(found, found), 1)) <= 0.6


def test_recall_counts_things_that_are_overlapped_enough():
    truth = [np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]), np.zeros((0, 4))]
    found = [np.array([[0.0, 0.0, 0.5, 0.3], [0.5, 0.5, 1.0, 1.0]]), np.zeros((0, 4))]
    assert [each.tolist() for each in recall(truth, found, 2)] == [[True, True], []]
    assert recall(truth, found, 1)[0].tolist() == [True, False]
    assert recall(truth, found, 2, least=0.7)[0].tolist() == [False, True]
