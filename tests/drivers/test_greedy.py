"""A greedy driver does the likeliest thing, for each of its agents, by the dynamics' own values."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate
from drivetrain.policy.base import Policy
from drivetrain.policy.categorical import Categorical
from drivetrain.policy.joint import Joint
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


class Wavering(Policy):
    """Brakes or swerves."""

    logits: Array

    def __call__(self, observation, memory, key):
        return Joint(self.logits), jnp.zeros(()), memory


def test_what_it_considers_is_where_its_likeliest_actions_lead(bank):
    """Full braking, less likely a turn at constant speed: a second of each, from where the agent is at every step."""
    env = Env()
    logits = jnp.full((71, 31), -20.0).at[0, 15].set(jnp.log(0.6)).at[40, 30].set(jnp.log(0.3))
    policy = Wavering(logits.at[40, 15].set(jnp.log(0.1)))
    evaluation = evaluate(env, bank, Greedy(policy, env.dynamics, shown=2))
    drives = evaluation.drives
    shown, speed = drives.considered, np.asarray(drives.speed)[:, :-1]
    assert shown.path.shape == (*drives.mask.shape, 2, 5, 2)
    np.testing.assert_allclose(shown.probability, np.broadcast_to([0.6, 0.3], (*drives.mask.shape, 2)), rtol=1e-4)
    away = np.linalg.norm(shown.path[..., -1, :] - drives.position[:, :-1, :, None], axis=-1)
    stops = np.where(speed > 4.0, speed - 2.0, speed**2 / 8.0)  # v t − ½ 4 t², or v² / 2a
    np.testing.assert_allclose(away[..., 0], stops, atol=1e-2)
    aside = shown.path[..., 1, :, :] - drives.position[:, :-1, :, None]
    heading = np.asarray(drives.heading)[:, :-1, :, None]
    cross = heading[..., 0] * aside[..., 1] - heading[..., 1] * aside[..., 0]
    assert (cross[speed > 1.0][:, -1] > 0.02).all()  # to the left
    np.testing.assert_allclose(drives.position[:, 1], shown.path[:, 0, :, 0, 0], atol=1e-4)  # the likeliest is driven


def test_who_has_no_samples_to_count_shows_nothing(bank):
    env = Env()
    assert evaluate(env, bank, steady(50, 15)).drives.considered is None
    counted = Greedy(steady(50, 15).policy, env.dynamics, shown=3)
    assert evaluate(env, bank, counted).drives.considered is None
