"""Drivers that draw: samples of a policy, and noise on what any driver asks for."""

import jax
import jax.numpy as jnp
import numpy as np
from policies import ENV, table

from drivetrain.drivers.constant import ConstantVelocity
from drivetrain.drivers.noisy import Noisy
from drivetrain.drivers.sampled import Sampled
from drivetrain.rollout import drive


def test_samples_differ_by_their_keys_and_stay_on_the_grid(bank):
    driver = Sampled(table(), ENV.dynamics)
    state = jax.jit(lambda: ENV.reset(bank, 0, jax.random.key(0)))()
    seen = jax.jit(lambda state: ENV.observe(bank, state))(state)
    act = jax.jit(lambda key: driver(bank, state, seen, driver.initial_memory(1), key)[0])
    actions = np.stack([act(key) for key in jax.random.split(jax.random.key(1), 8)])
    assert len(np.unique(actions[:, 0, 0])) > 3
    for column, values in enumerate(ENV.dynamics.grid()):
        assert np.isclose(actions[:, 0, column, None], values).any(axis=1).all()


def test_noise_is_added_to_what_is_asked_for(bank):
    env = ConstantVelocity().rules(ENV)
    width = env.dynamics.width
    still, shaken = (Noisy(ConstantVelocity(), jnp.full(width, size)) for size in (0.0, 0.5))
    paths = []
    for driver in (ConstantVelocity(), still, shaken):
        driven = jax.jit(lambda driver=driver: drive(ENV, bank, driver, 0, 10, jax.random.key(0)))()
        paths.append(np.asarray(driven.agents.position)[:, int(driven.controlled[0])])
    np.testing.assert_array_equal(paths[0], paths[1])
    assert np.abs(paths[0] - paths[2]).max() > 1e-3
