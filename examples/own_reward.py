"""A reward of your own: drivetrain train examples/own_reward.py:mine (`--env.reward.distance 8` sets a field of it)."""

import jax
import jax.numpy as jnp

from drivetrain.env import Env
from drivetrain.runs.run import Run, Stage
from drivetrain.types import Events, component


@component
class KeepDistance:
    """Pays for progress, less for every metre by which the nearest box is too close."""

    distance: float = 5.0  # m
    weight: float = 0.1  # per m and second

    def __call__(self, events: Events, traits, dt) -> jax.Array:
        """The reward of one step; nobody has traits here."""
        return 0.02 * events.progress - self.weight * dt * jnp.maximum(self.distance - events.collision, 0.0)


def mine() -> Run:
    """PPO under it on the shipped recordings."""
    return Run(name="own-reward", env=Env(reward=KeepDistance()), stages=(Stage(name="ppo", title="PPO"),))
