"""A greedy driver does the likeliest thing, for each of its agents, by the dynamics' own values."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate
from drivetrain.policy.base import Policy
from drivetrain.policy.categorical import Categorical
from drivetrain.types import Array


class Preferring(Policy):
    """Prefers one index of each column, by a little, and counts its steps in its memory."""

    logits: tuple[Array, Array]

    def initial_memory(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, observation, memory, key):
        return Categorical(self.logits), jnp.zeros(()), memory + 1


def steady(acceleration, rate):
    logits = (jnp.zeros(71).at[acceleration].set(0.1), jnp.zeros(31).at[rate].set(0.1))
    return Greedy(Preferring(logits), Env().dynamics)


def test_each_agent_gets_the_value_of_its_likeliest_index(bank):
    env = Env()
    state = env.reset(bank, 0, jax.random.key(0))
    observation, memory = env.observe(bank, state), steady(50, 15).initial_memory(1)
    action, memory = steady(50, 15)(bank, state, observation, memory, jax.random.key(0))
    np.testing.assert_allclose(action, [[1.0, 0.0]], atol=1e-6)  # −4 + 50 · 0.1 m/s²; the middle of the rates
    assert memory.tolist() == [1]


def test_it_does_not_draw(bank):
    env = Env()
    state = env.reset(bank, 0, jax.random.key(0))
    asked = [steady(3, 20)(bank, state, env.observe(bank, state), jnp.zeros(1), jax.random.key(k))[0] for k in range(5)]
    assert all(np.array_equal(action, asked[0]) for action in asked)


def test_it_drives_an_evaluation_with_memory(bank):
    result = evaluate(Env(), bank, steady(0, 15))
    speed = np.asarray(result.drives.speed)[:, :, 0]
    assert (speed[:, 5] < speed[:, 0]).all()  # it brakes at −4 m/s²
    np.testing.assert_allclose(speed[0, 1], speed[0, 0] - 0.8, atol=1e-4)
