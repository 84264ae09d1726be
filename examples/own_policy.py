"""A policy of your own: drivetrain train examples/own_policy.py:mine (every option of `mine` has its dotted name)."""

import jax
import jax.numpy as jnp

from drivetrain.policy.base import Architecture, Policy
from drivetrain.policy.categorical import Categorical
from drivetrain.runs.run import Run, Stage
from drivetrain.types import component


class Linear(Policy):
    """Linear in the ego's features; no memory."""

    columns: tuple[jax.Array, ...]  # one matrix for each column of an action
    worth: jax.Array

    def __call__(self, observation, memory, key):
        """Distribution over actions, value and memory of one agent."""
        return Categorical(tuple(observation.ego @ w for w in self.columns)), observation.ego @ self.worth, memory


@component
class LinearSizes(Architecture):
    """How it is made; its fields are options: `--policy.scale 0.1`."""

    scale: float = 0.01  # of the first weights

    def build(self, env, key) -> Linear:
        """A policy for what the environment shows and takes."""
        ego, counts = env.observer.widths.ego, [len(values) for values in env.dynamics.grid()]
        return Linear(tuple(self.scale * jax.random.normal(key, (ego, n)) for n in counts), jnp.zeros(ego))


def mine() -> Run:
    """PPO of it on the shipped recordings."""
    return Run(name="own-policy", policy=LinearSizes(), stages=(Stage(name="ppo", title="PPO"),))
