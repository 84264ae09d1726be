import numpy as np
import pytest

from drivetrain.observe.nearest import nearest


@pytest.mark.parametrize("count", [1, 7, 20])
def test_set_is_that_of_a_full_sort(count):
    draw = np.random.default_rng(0)
    distance = draw.uniform(0.0, 50.0, 40).astype(np.float32)
    exists = draw.random(40) < 0.7
    index, mask = nearest(distance, exists, count)
    expected = [row for row in np.argsort(distance) if exists[row]][:count]
    assert set(np.asarray(index)[np.asarray(mask)].tolist()) == set(map(int, expected))
    assert int(mask.sum()) == min(count, int(exists.sum()))


def test_more_places_than_things_are_padding():
    index, mask = nearest(np.array([3.0, 1.0], np.float32), np.array([True, False]), 5)
    assert index.shape == mask.shape == (5,)
    assert np.asarray(mask).tolist() == [True, False, False, False, False]
    assert int(index[0]) == 0


def test_nothing_exists():
    _, mask = nearest(np.zeros(4, np.float32), np.zeros(4, bool), 2)
    assert not mask.any()
