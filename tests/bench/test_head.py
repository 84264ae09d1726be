"""The benchmark of losses over a vocabulary measures what it says: every way gives the same loss and slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.bench import head as head_bench
from drivetrain.bench.head import Size, cut_by, descend, draw, head_line, measure_heads, plain
from drivetrain.cut_cross_entropy.blocks import Cut

SMALL = Size(tokens=96, entries=300, width=8)


def test_all_ways_are_of_one_loss():
    head = draw(SMALL, jax.random.key(3))
    both = [jax.value_and_grad(loss, (0, 1))(*head) for loss in (plain, cut_by(Cut(tokens=32, entries=64)))]
    for one, other in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_descent_makes_a_head_sure():
    head = draw(SMALL, jax.random.key(3))
    assert float(plain(*descend(SMALL, head, 60))) < 0.3 * float(plain(*head))


def test_what_there_is_no_room_for_takes_no_time(monkeypatch):
    def full(call, seconds):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(head_bench, "median_seconds", full)
    row = next(measure_heads((SMALL,), 0.0, 0))
    assert np.isnan(row.forward) and np.isnan(row.both) and row.temporary_mb > 0.0 and "nan" in head_line(row)


def test_every_row_of_the_table():
    rows = list(measure_heads((SMALL,), 0.0, 3))
    assert [row.way for row in rows[:5]] == ["plain", "plain, twice", "cut", "cut, filtered", "cut, in order"]
    assert [row.head for row in rows] == ["drawn"] * 5 + ["trained"] * 5
    for row in rows:
        assert row.forward > 0.0 and row.both > 0.0 and row.least_mb == pytest.approx(2e-6 * 4 * 8 * 396)
        assert row.logit_share == pytest.approx(row.temporary_mb / (4e-6 * 96 * 300)) and 0.0 <= row.skipped <= 1.0
        assert len(head_line(row)) > 100
    assert jnp.isfinite(jnp.array([row.compile_seconds for row in rows])).all()
