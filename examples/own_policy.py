"""A policy of your own: python examples/own_policy.py DATASET. Any callable of this signature will do."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp

from drivetrain.data.store.loading import load
from drivetrain.env import Env
from drivetrain.policy.heads import Discrete
from drivetrain.rollout import rollout, start
from drivetrain.sim.building import make_bank


class Linear(eqx.Module):
    """Linear in the ego's features; no memory."""

    columns: tuple[jax.Array, ...]  # one matrix for each column of an action
    worth: jax.Array

    def __call__(self, observation, memory, key):
        """Distribution over actions, value and memory of one agent."""
        return Discrete(tuple(observation.ego @ w for w in self.columns)), observation.ego @ self.worth, memory


def main(folder: str):
    """Drive 32 steps with it, and print what came of it."""
    data, env = load(folder, admitted_only=False), Env()
    bank, ego = make_bank(data.scenarios, data.dt), env.observer.widths.ego
    policy = Linear(tuple(jnp.zeros((ego, len(values))) for values in env.dynamics.grid()), jnp.zeros(ego))
    carry = start(env, bank, episodes := jnp.arange(len(bank.episodes.first)), jax.random.key(1))
    _, steps, figures = jax.jit(rollout, static_argnums=(0, 4))(env, bank, policy, carry, 32, episodes)
    print(f"reward {figures.reward:.2f} in {figures.steps:.0f} steps")
    return steps


if __name__ == "__main__":
    main(sys.argv[1])
