import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.learn.update import Optimiser, begin, descend


class Point(eqx.Module):
    place: jax.Array
    weight: jax.Array


def start() -> Point:
    return Point(jnp.array([3.0, -2.0]), jnp.ones((2, 2)))


def square(point: Point, key: jax.Array):
    loss = jnp.sum(point.place**2)
    return loss, (loss, jax.random.uniform(key))


def test_schedule_rises_then_falls_to_the_share_that_is_left():
    rate = Optimiser(learning_rate=1.0, warmup=10, steps=110, final=0.1).schedule()
    assert float(rate(0)) == pytest.approx(0.1)
    assert float(rate(10)) == pytest.approx(1.0)
    assert float(rate(60)) == pytest.approx(0.55)
    assert float(rate(110)) == pytest.approx(0.1)
    assert float(rate(1000)) == pytest.approx(0.1)


def test_rate_is_constant_by_default():
    rate = Optimiser(learning_rate=0.3).schedule()
    assert float(rate(0)) == float(rate(10_000)) == pytest.approx(0.3)


def test_descent_reaches_the_minimum_and_uses_a_new_key_each_step():
    optimiser = Optimiser(learning_rate=0.05)
    train = begin(optimiser, start(), jax.random.key(0))
    step = jax.jit(lambda train: descend(optimiser, train, square))
    draws, losses = [], []
    for _ in range(200):
        train, (loss, draw), norm = step(train)
        draws.append(float(draw))
        losses.append(float(loss))
    assert losses[0] == pytest.approx(13.0) and losses[-1] < 1e-2
    assert len(set(draws)) == 200
    assert int(train.step) == 200
    assert float(norm) == pytest.approx(2.0 * float(jnp.linalg.norm(train.policy.place)), rel=0.5)


def test_decay_pulls_at_matrices_alone():
    optimiser = Optimiser(learning_rate=0.1, weight_decay=0.5)
    train = begin(optimiser, start(), jax.random.key(0))
    train, _, _ = descend(optimiser, train, lambda point, key: (0.0 * jnp.sum(point.place), ()))
    np.testing.assert_allclose(train.policy.weight, 0.95)
    np.testing.assert_array_equal(train.policy.place, start().place)


def test_the_norm_reported_is_that_before_clipping():
    train = begin(Optimiser(clip=1e-3), start(), jax.random.key(0))
    _, _, norm = descend(Optimiser(clip=1e-3), train, square)
    assert float(norm) == pytest.approx(2.0 * np.hypot(3.0, 2.0), rel=1e-5)
