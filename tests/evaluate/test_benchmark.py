import json

import equinox as eqx
import jax
import numpy as np
import pytest

from drivetrain.drivers import BASELINES
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Portion, compare, evaluate, summarise
from drivetrain.evaluate.metrics import RATES
from drivetrain.types import InputError


def test_the_log_follows_itself(bank, log_run, rows):
    alone = rows["straight"] + rows["curve"]
    assert np.asarray(log_run.outcome.ade).max() < 1e-4
    assert not np.asarray(log_run.outcome.failure)[alone].any()
    assert np.asarray(log_run.outcome.happened["collision"])[rows["overlap"]].all()


def test_straight_on_is_right_on_a_straight_road_and_leaves_a_bend(constant_run, rows):
    figures = constant_run.outcome
    assert not np.asarray(figures.failure)[rows["straight"]].any()
    # 8 m/s for 29 steps of 0.2 s
    assert np.asarray(figures.progress)[rows["straight"]] == pytest.approx(8.0 * 29 * 0.2, rel=1e-4)
    assert np.asarray(figures.happened["off_route"])[rows["curve"]].all()


def test_order_and_how_many_at_once_change_nothing(bank, constant_run):
    count, seen = len(constant_run.episode), []
    twice = np.concatenate([constant_run.episode[::-1], constant_run.episode[:1]])  # the last are padded
    portion = Portion(twice, at_once=count)
    run = evaluate(Env(), bank, BASELINES["constant"], portion, progress=lambda *now: seen.append(now))
    assert seen == [(count, count + 1), (count + 1, count + 1)]
    for one, other in zip(jax.tree.leaves(constant_run), jax.tree.leaves(run), strict=True):
        np.testing.assert_allclose(one[::-1], other[:count], atol=1e-5)
        np.testing.assert_allclose(one[0], other[count], atol=1e-5)


def test_summary_has_every_figure_with_its_interval(constant_run, rows):
    summary = summarise(constant_run, "constant", "drawn", "test", 0.2, 3)
    count = sum(map(len, rows.values()))
    for name in [f"{rate}_rate" for rate in RATES] + ["progress_ratio", "ade", "comfort"]:
        assert set(summary[name]) == {"value", "low", "high", "n"}
        assert summary[name]["low"] <= summary[name]["value"] <= summary[name]["high"]
    failing = len(rows["curve"]) + len(rows["overlap"])
    assert summary["failure_rate"]["value"] == pytest.approx(failing / count)
    assert summary["failure_rate"]["n"] == summary["scenarios"] == count
    assert summary["groups"] == 3
    assert (summary["policy"], summary["split"], summary["dt"], summary["seed"]) == ("constant", "test", 0.2, 3)
    json.dumps(summary, allow_nan=False)


def test_paired_difference_counts_only_where_they_differ(log_run, constant_run, rows):
    difference = compare(constant_run, log_run)["failure_rate"]
    assert difference["value"] == pytest.approx(len(rows["curve"]) / len(log_run.episode))
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0, "n": len(log_run.episode)}
    assert compare(log_run, log_run)["failure_rate"] == nothing
    assert compare(log_run, constant_run)["failure_rate"]["value"] == pytest.approx(-difference["value"])


def test_only_the_same_episodes_can_be_compared(bank, log_run):
    part = jax.tree.map(lambda leaf: leaf[:1], log_run)
    with pytest.raises(InputError, match="episodes"):
        compare(log_run, part)


def test_no_episodes(bank):
    with pytest.raises(InputError, match="none"):
        evaluate(Env(), bank, BASELINES["constant"], Portion(np.zeros(0, int)))


def test_egos_that_hardly_move_do_not_count_in_progress(constant_run):
    still = eqx.tree_at(lambda run: run.outcome.log_distance, constant_run, replace_fn=np.zeros_like)
    assert summarise(still, "constant", "drawn", "test", 0.2, 0)["progress_ratio"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
    }
