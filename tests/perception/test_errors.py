"""Reports of a model of errors: as often and as far off as it says, alike whenever they are looked at again."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.perception.errors import ALARMS, DEPTHS, PERFECT, SHARES, ErrorModel, between
from drivetrain.perception.exposure import Exposure
from drivetrain.perception.report import STATIONS
from drivetrain.types import InputError, replace

COUNT, HALF = 4000, 0.6
MODEL = ErrorModel(alarms=0.4)
LINES = jnp.array([[2.0] * len(STATIONS), [-1.5] * len(STATIONS)]), jnp.ones((2, len(STATIONS)), bool)


def exposure(depth=25.0, share=1.0, cut=False, count=COUNT) -> Exposure:
    full = jnp.full(count, 1.0)
    return Exposure(depth * full, 0.1 * full, 0.02 * full, share * full, full > (0.0 if cut else 2.0), full > 0.0)


@partial(jax.jit, static_argnums=0)
def report(model: ErrorModel, seen: Exposure, time: int = 5):
    seeds = jnp.uint32(99), jnp.arange(len(seen.depth), dtype=jnp.uint32) * jnp.uint32(2654435761)
    return model.report(seen, LINES, HALF, seeds, jnp.int32(time))


def test_vehicles_are_missed_and_misplaced_as_often_and_far_as_told():
    for depth, share, cut in ((25.0, 1.0, False), (50.0, 1.0, False), (25.0, 0.4, False), (25.0, 1.0, True)):
        told = report(MODEL, exposure(depth, share, cut))
        expected = np.interp(depth, DEPTHS, MODEL.found) * np.interp(share, SHARES, MODEL.hidden)
        seen = np.asarray(told.seen)[:COUNT]
        assert seen.mean() == pytest.approx(expected * (0.9 if cut else 1.0), abs=0.025)
        off = np.log(np.asarray(told.depth)[:COUNT][seen] / depth)
        assert off.mean() == pytest.approx(0.0, abs=0.005)
        assert off.std() == pytest.approx(np.interp(depth, DEPTHS, MODEL.spread), rel=0.06)
        middle = 0.5 * np.asarray(told.left + told.right)[:COUNT][seen]
        assert middle.std() == pytest.approx(MODEL.middle, rel=0.06) and middle.mean() == pytest.approx(0.06, abs=5e-4)


def test_the_same_is_reported_again_and_something_else_later():
    first, again, later = report(MODEL, exposure()), report(MODEL, exposure()), report(MODEL, exposure(), 6)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    both = np.asarray(first.seen & later.seen)[:COUNT]
    errors = [np.log(np.asarray(told.depth)[:COUNT][both] / 25.0) for told in (first, later)]
    assert np.corrcoef(*errors)[0, 1] == pytest.approx(MODEL.steady, abs=0.05)


def test_a_perfect_detector_reports_what_there_is():
    told = report(PERFECT, exposure(70.0, 0.2, True))
    assert told.seen[:COUNT].all() and not told.seen[COUNT:].any()
    np.testing.assert_allclose(told.depth[:COUNT], 70.0, rtol=1e-6)
    np.testing.assert_allclose(told.left[:COUNT], 0.1, rtol=1e-5)
    np.testing.assert_array_equal(told.aside, LINES[0])


def test_false_alarms_and_lines():
    alarms, lines, off = [], [], []
    for time in range(300):
        told = report(MODEL, exposure(count=1), time)
        alarms.append(np.asarray(told.seen)[1:].sum())
        lines.append(np.asarray(told.lines))
        off.append(np.asarray(told.aside - LINES[0]))
    lines, off = np.stack(lines), np.stack(off)
    assert np.mean(alarms) == pytest.approx(MODEL.alarms, abs=0.12) and told.seen.shape == (1 + ALARMS,)
    model = replace(MODEL, steady=0.0)
    lines = np.stack([np.asarray(report(model, exposure(count=1), time).lines) for time in range(300)])
    np.testing.assert_allclose(lines.mean((0, 1)), MODEL.line_found, atol=0.07)


def test_tables_lie_on_straight_lines():
    x = jnp.array([0.0, 1.0, 2.0, 3.5, 9.0])
    np.testing.assert_allclose(between(x, (1.0, 3.0, 4.0), (5.0, 1.0, 2.0)), [5.0, 5.0, 3.0, 1.5, 2.0])


def test_a_table_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"errors: found: 2 numbers \(give 5"):
        ErrorModel(found=(0.5, 0.4))
