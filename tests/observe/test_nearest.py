import jax
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


def test_rows_that_need_unlike_many_halvings_together():
    draw = np.random.default_rng(1)
    distance = draw.normal(size=(60, 100)).astype(np.float32) * 10.0 ** draw.integers(-30, 30, (60, 1))
    distance[::3] = np.round(distance[::3] / np.abs(distance[::3]).max() * 4.0)  # many ties
    distance, exists = distance.astype(np.float32), draw.random((60, 100)) < draw.random((60, 1))
    index, mask = jax.jit(jax.vmap(lambda row, there: nearest(row, there, 40)))(distance, exists)
    for row, there, found, taken in zip(distance, exists, np.asarray(index), np.asarray(mask), strict=True):
        least = np.sort(row[there])[:40]
        assert len(set(found[taken].tolist())) == len(least) == taken.sum()
        assert there[found[taken]].all()
        np.testing.assert_array_equal(np.sort(row[found[taken]]), least)
