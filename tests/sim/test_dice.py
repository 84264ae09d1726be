"""Chances from a seed and a step: even, unlike each other, and the same again."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.sim.dice import dice

SEEDS = jnp.arange(64, dtype=jnp.uint32) * 77


def thrown(time, salt=0, count=200):
    return np.asarray(jax.vmap(lambda seed: dice(seed, time, count, salt))(SEEDS))


def test_numbers_are_even_and_the_same_again():
    numbers = thrown(5)
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    counts = np.histogram(numbers, 20, (0.0, 1.0))[0]
    expected = numbers.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # chi square of 19 degrees, 0.1 %
    np.testing.assert_array_equal(numbers, thrown(5))


def test_seeds_steps_and_uses_have_nothing_to_do_with_each_other():
    numbers = thrown(5)
    others = [thrown(6), thrown(5, salt=1), np.roll(numbers, 1, axis=0), np.roll(numbers, 1, axis=1)]
    for other in others:
        assert abs(np.corrcoef(numbers.ravel(), other.ravel())[0, 1]) < 4.0 / np.sqrt(numbers.size)
