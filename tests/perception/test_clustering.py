"""DBSCAN against its definition."""

import numpy as np

from drivetrain.perception.clustering import dbscan


def test_two_rows_and_one_alone():
    points = np.concatenate(
        [np.column_stack([np.arange(8.0), np.zeros(8)]), [[3.0, 9.0]], [[0, 20.0], [1, 20], [2, 20]]]
    )
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert dbscan(distance, 1.1, 3).tolist() == [0] * 8 + [-1] + [1] * 3
    assert dbscan(distance, 1.1, 4).tolist() == [-1] * 12


def test_random_points_by_the_definition():
    random = np.random.default_rng(2)
    points = random.uniform(0.0, 10.0, (120, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    cluster, near = dbscan(distance, 0.9, 4), distance <= 0.9
    middle = near.sum(1) >= 4
    assert (cluster[middle] >= 0).all()
    for a, b in zip(*np.nonzero(near & middle[:, None] & middle[None]), strict=True):
        assert cluster[a] == cluster[b]
    for row in np.flatnonzero(~middle):
        around = cluster[near[row] & middle]
        assert cluster[row] in around if len(around) else cluster[row] == -1


def test_none():
    assert dbscan(np.zeros((0, 0)), 1.0, 3).shape == (0,)
