"""A policy of your own: python examples/own_policy.py DATASET. Any callable of this signature will do."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp

from drivetrain.data.loading import load
from drivetrain.env import Env
from drivetrain.policy.heads import Discrete
from drivetrain.rollout import rollout, start
from drivetrain.sim.bank import make_bank


class Linear(eqx.Module):
    """One matrix for each action column and one for the value, on the ego's features; no memory."""

    columns: tuple[jax.Array, ...]
    worth: jax.Array

    def __call__(self, observation, memory, key):
        """Distribution over actions, value and memory of one agent."""
        return Discrete(tuple(observation.ego @ w for w in self.columns)), observation.ego @ self.worth, memory


def main(folder: str):
    """Drive 32 steps with it, and print what came of it."""
    data, env = load(folder, admitted_only=False), Env()
    bank, features = make_bank(data.scenarios, data.dt), env.observer.widths.ego
    policy = Linear(tuple(jnp.zeros((features, len(v))) for v in env.dynamics.grid()), jnp.zeros(features))
    episodes = jnp.arange(len(bank.episodes.first))
    carry = start(env, bank, episodes, jax.random.key(1))
    _, transitions, figures = jax.jit(rollout, static_argnums=(0, 4))(env, bank, policy, carry, 32, episodes)
    print(f"reward {figures.reward:.2f} in {figures.steps:.0f} steps")
    return transitions


if __name__ == "__main__":
    main(sys.argv[1])
