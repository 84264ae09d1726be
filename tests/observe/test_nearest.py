import numpy as np
import pytest

from drivetrain.observe.nearest import nearest


@pytest.mark.parametrize("count", [1, 7, 20, 30, 64, 90])
def test_set_is_that_of_a_full_sort(count):
    draw = np.random.default_rng(0)
    distance = draw.uniform(-5.0, 50.0, 100).astype(np.float32)
    exists = draw.random(100) < 0.7
    index, mask = nearest(distance, exists, count)
    expected = [row for row in np.argsort(distance) if exists[row]][:count]
    assert set(np.asarray(index)[np.asarray(mask)].tolist()) == set(map(int, expected))
    assert int(mask.sum()) == min(count, int(exists.sum()))


def test_of_ties_for_the_last_places_enough_are_taken():
    distance = np.repeat(np.array([2.0, 1.0, 0.0, -0.0, 3.0], np.float32), 16)
    index, mask = nearest(distance, np.ones(80, bool), 40)
    assert mask.all() and len(set(index.tolist())) == 40
    np.testing.assert_array_equal(np.sort(distance[np.asarray(index)]), np.sort(distance)[:40])


def test_more_places_than_things_are_padding():
    index, mask = nearest(np.array([3.0, 1.0], np.float32), np.array([True, False]), 5)
    assert index.shape == mask.shape == (5,)
    assert np.asarray(mask).tolist() == [True, False, False, False, False]
    assert int(index[0]) == 0


def test_nothing_exists():
    _, mask = nearest(np.zeros(4, np.float32), np.zeros(4, bool), 2)
    assert not mask.any()
