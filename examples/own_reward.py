"""A reward of your own: python examples/own_reward.py DATASET. Any hashable callable of one agent's events will do."""

import sys

import jax
import jax.numpy as jnp

from drivetrain.data.store.loading import load
from drivetrain.env import Env
from drivetrain.rollout import drive
from drivetrain.sim.building import make_bank
from drivetrain.types import Events, component


@component
class KeepDistance:
    """Pays for progress, less for every metre by which the nearest box is too close."""

    distance: float = 5.0  # m
    weight: float = 0.1  # per m and second

    def __call__(self, events: Events, traits, dt) -> jax.Array:
        """The reward of one step; nobody has traits here."""
        return 0.02 * events.progress - self.weight * dt * jnp.maximum(self.distance - events.collision, 0.0)


def main(folder: str):
    """Coast through the first episode, and print what it earns."""
    data, env = load(folder, admitted_only=False), Env(reward=KeepDistance())
    bank = make_bank(data.scenarios, data.dt)
    trajectory = drive(env, bank, lambda *seen: (jnp.zeros((1, 2)), ()), 0, 20, jax.random.key(0))
    rewards = jax.vmap(env.rewards, (None, 0, None))(bank, trajectory.events, None)
    print(f"coasting earns {jnp.sum(rewards * trajectory.mask):.2f}")
    return rewards


if __name__ == "__main__":
    main(sys.argv[1])
