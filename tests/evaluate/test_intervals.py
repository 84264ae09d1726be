import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivetrain.evaluate.intervals import apart, mean, ratio


def test_equal_clusters_have_no_width():
    figure = mean(np.tile([0.0, 1.0], 12), np.repeat(np.arange(12), 2))
    assert (figure.value, figure.low, figure.high, figure.n) == (0.5, 0.5, 0.5, 24)


def test_two_clusters_that_disagree_say_nothing():
    # A draw of two clusters is (0, 0), (0, 1), (1, 0) or (1, 1): a quarter of the draws at either end.
    figure = mean(np.repeat([0.0, 1.0], 50), np.repeat([7, 9], 50))
    assert (figure.value, figure.low, figure.high) == (0.5, 0.0, 1.0)


def test_width_is_that_of_the_mean_of_clusters():
    random = np.random.default_rng(1)
    levels = random.normal(size=200)
    figure = mean(np.repeat(levels, 5), np.repeat(np.arange(200), 5))
    deviation = levels.std() / np.sqrt(200)
    assert figure.value == pytest.approx(levels.mean())
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * deviation, rel=0.06)


def test_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        shift = np.repeat(random.normal(size=40), 4)  # shared within a cluster
        figure = mean(1.0 + shift + random.normal(size=160), np.repeat(np.arange(40), 4), trial)
        assert figure.low is not None and figure.high is not None
        hits += figure.low <= 1.0 <= figure.high
    assert 0.90 <= hits / 200 <= 0.985


def test_resampling_egos_would_be_too_sure():
    random = np.random.default_rng(3)
    shared = np.repeat(random.normal(size=20), 30)
    by_cluster = mean(shared, np.repeat(np.arange(20), 30))
    by_ego = mean(shared, np.arange(600))
    assert by_cluster.high - by_cluster.low > 4 * (by_ego.high - by_ego.low)


def test_ratio_weighs_by_the_denominator():
    figure = ratio(np.array([10.0, 90.0]), np.array([20.0, 80.0]), np.array([0, 1]))
    assert figure.value == 1.0
    assert (figure.low, figure.high) == (0.5, 1.125)


def test_nothing_to_count():
    empty = np.zeros(0)
    assert mean(empty, np.zeros(0, int)).as_json() == {"value": None, "low": None, "high": None, "n": 0}
    assert ratio(np.ones(3), np.zeros(3), np.arange(3)).value is None


def test_a_draw_without_a_denominator_is_left_out():
    figure = ratio(np.array([0.0, 3.0]), np.array([0.0, 4.0]), np.array([0, 1]))
    assert (figure.value, figure.low, figure.high) == (0.75, 0.75, 0.75)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=30), st.randoms())
def test_order_of_egos_changes_nothing(pairs, random):
    shuffled = pairs[:]
    random.shuffle(shuffled)
    figures = [mean(np.array([v for v, _ in some]), np.array([c for _, c in some])) for some in (pairs, shuffled)]
    assert figures[0].as_json() == pytest.approx(figures[1].as_json(), abs=1e-9)
    assert figures[0].low - 1e-9 <= figures[0].value <= figures[0].high + 1e-9


def test_what_a_cluster_does_to_both_is_no_part_of_their_difference():
    random = np.random.default_rng(4)
    levels, worlds = 10.0 * random.random(30), np.arange(30)
    one, other = (levels + 1.0, np.ones(30)), (2.0 * levels, np.full(30, 2.0))
    both = apart(one, other, worlds)
    np.testing.assert_allclose((both.value, both.low, both.high), 1.0)
    alone = ratio(*one, worlds)
    assert alone.high is not None and alone.low is not None and alone.high - alone.low > 1.0
    assert apart(one, (levels, np.zeros(30)), worlds).value is None
