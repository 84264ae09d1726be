"""Traits are drawn in their ranges; a conditioning is a point; the paper's scales have its two halves."""

import dataclasses

import jax
import numpy as np
import pytest

from drivetrain.sim.spawning.styles import CONSERVATIVE, HASTY, MEDIAN, Styles
from drivetrain.traits import Scales, Weights

COUNT = 4000


def drawn(styles):
    return jax.jit(jax.vmap(styles.draw))(jax.random.split(jax.random.key(0), COUNT))


def test_weights_are_uniform_in_their_ranges():
    styles = Styles(collision=(0.5, 2.5))
    weights = drawn(styles).weights
    for field in dataclasses.fields(Weights):
        low, high = getattr(styles, field.name)
        values = np.asarray(getattr(weights, field.name))
        assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
        deviation = (high - low) / np.sqrt(12)
        assert abs(values.mean() - 0.5 * (low + high)) <= 4.0 * deviation / np.sqrt(COUNT) + 1e-6
    assert abs(np.corrcoef(weights.collision, weights.off_road)[0, 1]) < 4.0 / np.sqrt(COUNT)


def test_scales_are_half_below_one_and_half_above():
    scales = drawn(Styles(throttle=1.25, top_speed=1.5, power=1.4)).scales
    for values, most in ((scales.acceleration, 1.25), (scales.speed, 1.5), (scales.power, 1.4)):
        values = np.asarray(values)
        assert values.min() >= 1.0 / most and values.max() <= most
        assert abs((values < 1.0).mean() - 0.5) < 4.0 * 0.5 / np.sqrt(COUNT)
        expected = 0.25 * (1.0 / most + 1.0) + 0.25 * (1.0 + most)
        assert abs(values.mean() - expected) < 4.0 * 0.3 / np.sqrt(COUNT)


def test_odd_agents_are_as_many_as_asked():
    odd = drawn(Styles(blind=0.05, brakes=0.1)).odd
    for share, expected in ((odd.blind, 0.05), (odd.brakes, 0.1)):
        assert abs(np.asarray(share).mean() - expected) < 4.0 * np.sqrt(expected / COUNT)
    assert len(np.unique(odd.seed)) > COUNT - 5


@pytest.mark.parametrize("style", [CONSERVATIVE, MEDIAN, HASTY])
def test_a_conditioning_is_everybodys(style):
    traits = drawn(style)
    assert all(np.ptp(np.asarray(leaf)) == 0.0 for leaf in jax.tree.leaves(traits.weights))
    assert all(float(getattr(traits.scales, field.name)[0]) == 1.0 for field in dataclasses.fields(Scales))
    assert not np.asarray(traits.odd.blind).any() and not np.asarray(traits.odd.brakes).any()


def test_the_hasty_care_less():
    assert CONSERVATIVE.collision[0] > MEDIAN.collision[0] > HASTY.collision[0]
