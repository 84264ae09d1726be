"""Roll out a policy: python examples/rollout.py DATASET (a folder written by `drivetrain data convert`)."""

import sys

import jax
import jax.numpy as jnp

from drivetrain.data.store.loading import load
from drivetrain.env import Env
from drivetrain.policy.perceiver import Perceiver
from drivetrain.policy.presets import TINY
from drivetrain.rollout import rollout, start
from drivetrain.sim.building import make_bank


def main(folder: str):
    """Drive 32 steps with an untrained policy, and print what came of it."""
    data, env = load(folder, admitted_only=False), Env()
    bank = make_bank(data.scenarios, data.dt)
    episodes = jnp.arange(len(bank.episodes.first))
    actions = tuple(len(values) for values in env.dynamics.grid())
    policy = Perceiver(TINY, env.observer.widths, actions, jax.random.key(0))
    carry = start(env, bank, episodes, jax.random.key(1))
    carry, transitions, figures = jax.jit(rollout, static_argnums=(0, 4))(env, bank, policy, carry, 32, episodes)
    print(f"{figures.progress:.1f} m in {figures.steps:.0f} steps, {figures.off_route:.0f} left the route")
    return transitions


if __name__ == "__main__":
    main(sys.argv[1])
