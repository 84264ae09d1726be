"""Losses against closed forms, and that what is not asked for costs nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.perception.losses import Weighing, focal, huber, loss, overlap
from drivetrain.perception.network import Seen
from drivetrain.perception.targets import Targets


def test_focal_cross_entropy():
    p = 1.0 / (1.0 + np.exp(-0.7))
    assert float(focal(jnp.float32(0.7), jnp.float32(1.0), 2.0)) == pytest.approx((1 - p) ** 2 * -np.log(p), rel=1e-5)
    assert float(focal(jnp.float32(0.7), jnp.float32(0.0), 2.0)) == pytest.approx(p**2 * -np.log(1 - p), rel=1e-5)


def test_overlap_of_equal_and_of_half():
    assert float(overlap(jnp.array([1.0, 2, 3, 4]), jnp.array([1.0, 2, 3, 4]))) == pytest.approx(1.0)
    # Half as wide on one side: intersection 12, union and hull 24.
    assert float(overlap(jnp.array([0.0, 2, 2, 4]), jnp.array([2.0, 2, 2, 4]))) == pytest.approx(0.5)


def test_huber_is_smooth():
    assert float(huber(jnp.float32(0.0499999))) == pytest.approx(float(huber(jnp.float32(0.0500001))), abs=1e-5)
    assert float(jax.grad(huber)(jnp.float32(0.0))) == 0.0


def _one(value: float) -> tuple[Seen, Targets]:
    cells = lambda *more: jnp.full((1, 2, 3, *more), value, jnp.float32)  # noqa: E731
    seen = Seen(cells(), jnp.abs(cells(4)) + 1.0, cells(), cells(), cells(4), cells(2))
    zero, ones = jnp.zeros((1, 2, 3)), jnp.ones((1, 2, 3, 4))
    return seen, Targets(zero, zero, ones, zero, zero, zero, zero, 0.0 * ones, zero[..., None].repeat(2, -1), zero)


def test_what_nobody_asks_for_costs_nothing():
    seen, targets = _one(3.0)
    total, slope = jax.value_and_grad(lambda s: loss(s, targets, Weighing())[0])(seen)
    assert float(total) == 0.0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(slope))
