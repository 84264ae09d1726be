"""Starts that are aside and askew by as much as was asked for, and nobody else's."""

import jax
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.sim.building import make_bank
from drivetrain.sim.spawning.scattered import Scattered


@pytest.fixture(scope="module")
def bank():
    cars = (scenes.along_x(1.75, 20.0), scenes.along_x(5.25, 40.0), scenes.along_x(8.75, 60.0))
    return make_bank([scenes.scenario(scenes.straight_road(agents=cars, steps=30))], 0.2, controlled=2)


def test_those_controlled_begin_aside_and_askew_by_the_deviations(bank):
    env, noisy = Env(), Env(spawning=Scattered(position=0.5, heading=0.1))
    exact = jax.jit(lambda: env.reset(bank, 0, jax.random.key(0)))()
    drawn = jax.jit(jax.vmap(lambda key: noisy.reset(bank, 0, key)))(jax.random.split(jax.random.key(1), 2000))
    me = np.asarray(exact.controlled)
    shift = np.asarray(drawn.agents.position - exact.agents.position[None])
    np.testing.assert_allclose(shift[:, me].std(axis=0), 0.5, rtol=0.1)
    np.testing.assert_allclose(shift[:, me].mean(axis=0), 0.0, atol=0.05)
    others = np.setdiff1d(np.arange(shift.shape[1]), me)
    assert not shift[:, others].any()
    heading = np.asarray(drawn.agents.heading)[:, me]
    np.testing.assert_allclose(np.arctan2(heading[..., 1], heading[..., 0]).std(axis=0), 0.1, rtol=0.1)
    np.testing.assert_allclose(np.linalg.norm(heading, axis=-1), 1.0, rtol=1e-5)
    speed = np.broadcast_to(np.asarray(exact.motion.speed), drawn.motion.speed.shape)
    np.testing.assert_allclose(drawn.motion.speed, speed, rtol=1e-4)
    np.testing.assert_allclose(drawn.motion.steering, 0.0, atol=1e-5)
