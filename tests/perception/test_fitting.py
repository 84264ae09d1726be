"""Fitting gives back the model that made the reports; files survive, and bad ones are named."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.perception.errors import ErrorModel
from drivetrain.perception.exposure import Exposure
from drivetrain.perception.fitting import Pairs, fit, matched, read_errors, score, write_errors
from drivetrain.perception.report import STATIONS
from drivetrain.types import InputError

MADE = ErrorModel(
    found=(0.95, 0.9, 0.8, 0.6, 0.3),
    hidden=(0.1, 0.4, 0.7, 0.9, 1.0),
    cut=0.7,
    bias=(0.05, 0.02, 0.0, -0.05, -0.1),
    spread=(0.03, 0.05, 0.08, 0.1, 0.15),
    middle=0.004,
    narrow=-0.05,
    width=0.06,
    alarms=0.2,
    alarm_depth=(10.0, 12.0, 15.0, 18.0, 20.0),
    alarm_aside=(-0.2, -0.18, -0.15, -0.12, -0.1),
    line_spread=(0.05, 0.1, 0.1, 0.2, 0.3, 0.4),
    steady=0.4,
)
DRIVES, STEPS, VEHICLES, HALF = 250, 12, 3, 0.6


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Drives in which each vehicle stays where it is, side by side."""
    draw = np.random.default_rng(0)
    shape = (DRIVES, VEHICLES)
    depth, share, cut = draw.uniform(5.0, 75.0, shape), draw.uniform(0.05, 1.0, shape), draw.random(shape) < 0.2
    share = np.where(draw.random(shape) < 0.5, 1.0, share)
    middle = np.array([-0.4, 0.0, 0.4])
    there = np.ones(shape, bool)
    one = Exposure(depth, middle + 0.9 / depth, middle - 0.9 / depth, share, cut, there)
    one = jax.tree.map(lambda leaf: jnp.asarray(np.broadcast_to(leaf, shape)), one)
    seeds = jnp.arange(DRIVES * VEHICLES, dtype=jnp.uint32).reshape(shape) * jnp.uint32(747796405)
    lines = jnp.array([[2.0] * len(STATIONS), [-1.5] * len(STATIONS)]), jnp.ones((2, len(STATIONS)), bool)

    @jax.jit
    @jax.vmap
    def drive(exposure, seeds):
        return jax.vmap(lambda time: MADE.report(exposure, lines, HALF, (seeds[0], seeds), time))(jnp.arange(STEPS))

    report = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:]), drive(one, seeds))
    whole = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf), STEPS, axis=0), one)
    vehicle = np.repeat(np.arange(DRIVES * VEHICLES).reshape(shape), STEPS, axis=0)
    aside, known = (np.broadcast_to(np.asarray(part), (len(vehicle), 2, len(STATIONS))) for part in lines)
    return Pairs(whole, vehicle, report, aside, known)


def test_a_fit_gives_back_the_model(pairs):
    told = fit(pairs, delay=1)
    np.testing.assert_allclose(told.found, MADE.found, atol=0.08)  # between the points, chances are not constant
    np.testing.assert_allclose(told.hidden, MADE.hidden, atol=0.12)
    assert told.cut == pytest.approx(MADE.cut, abs=0.06) and told.delay == 1
    np.testing.assert_allclose(told.bias, MADE.bias, atol=0.02)
    np.testing.assert_allclose(told.spread, MADE.spread, rtol=0.25)
    assert told.middle == pytest.approx(MADE.middle, rel=0.1) and told.width == pytest.approx(MADE.width, rel=0.1)
    assert told.narrow == pytest.approx(MADE.narrow, abs=0.01) and told.alarms == pytest.approx(0.2, abs=0.08)
    np.testing.assert_allclose(told.alarm_depth[1:4], MADE.alarm_depth[1:4], rtol=0.15)
    np.testing.assert_allclose(told.alarm_aside[1:4], MADE.alarm_aside[1:4], atol=0.03)
    assert told.steady == pytest.approx(MADE.steady, abs=0.1)
    np.testing.assert_allclose(told.line_found, MADE.line_found, atol=0.05)
    np.testing.assert_allclose(told.line_spread, MADE.line_spread, rtol=0.15)


def test_each_report_is_one_vehicles(pairs):
    of, false = matched(pairs)
    taken = [row[row >= 0] for row in of]
    assert all(len(set(row.tolist())) == len(row) for row in taken)
    assert (np.array([len(row) for row in taken]) + false.sum(1) == pairs.report.seen.sum(1)).all()
    assert (of[of >= 0] == np.nonzero(of >= 0)[1]).mean() > 0.97  # reports stand in the order of vehicles


def test_scores_count(pairs):
    found = score(pairs)
    of, _ = matched(pairs)
    assert found.pictures == DRIVES * STEPS and found.vehicles == DRIVES * STEPS * VEHICLES
    assert found.found == pytest.approx((of >= 0).mean())
    assert found.lines == pytest.approx(np.mean(MADE.line_found), abs=0.05) and 0.1 < found.line_error < 0.3


def test_of_nothing_the_default_stands(pairs):
    few = jax.tree.map(lambda leaf: leaf[:1], (pairs.exposure, pairs.report))
    told = fit(Pairs(few[0], pairs.vehicle[:1], few[1], pairs.aside[:1], pairs.there[:1]))
    assert told.spread == ErrorModel().spread and told.found == ErrorModel().found


def test_a_file_survives_and_a_bad_one_is_named(tmp_path):
    file = tmp_path / "errors.json"
    write_errors(file, MADE)
    assert read_errors(file) == MADE
    body = json.loads(file.read_text())
    for spoil, words in (
        (lambda b: b["errors"].pop("cut"), "cut: missing"),
        (lambda b: b["errors"].update(other=1), "other: unknown"),
        (lambda b: b["errors"].update(middle="x"), "middle: 'x'"),
        (lambda b: b["errors"].update(delay=0.5), "delay: 0.5"),
        (lambda b: b["errors"].update(found=[1.0]), "found: 1 numbers"),
        (lambda b: b.pop("errors"), "not a file of errors"),
    ):
        spoilt = json.loads(json.dumps(body))
        spoil(spoilt)
        file.write_text(json.dumps(spoilt))
        with pytest.raises(InputError, match=words):
            read_errors(file)
    with pytest.raises(InputError, match="No such file"):
        read_errors(tmp_path / "none.json")
