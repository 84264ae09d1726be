"""Roll out a policy: python examples/rollout.py DATASET (a folder written by `drivetrain data convert`)."""

import sys

import jax
import jax.numpy as jnp

from drivetrain.data.store.loading import load
from drivetrain.env import Env
from drivetrain.policy.presets import POOLED
from drivetrain.rollout import rollout, start
from drivetrain.sim.building import make_bank


def main(folder: str):
    """Drive 32 steps with an untrained policy, and print what came of it."""
    data, env = load(folder, admitted_only=False), Env()
    bank = make_bank(data.scenarios, data.dt)
    episodes, policy = jnp.arange(len(bank.episodes.first)), POOLED.build(env, jax.random.key(0))
    carry = start(env, bank, policy, episodes, jax.random.key(1))
    carry, segment, figures = jax.jit(rollout, static_argnums=(0, 4))(env, bank, policy, carry, 32, episodes)
    left = figures.events.off_route
    print(f"{figures.events.progress:.1f} m in {figures.steps:.0f} steps, outside the route in {left:.0f} of them")
    return segment.steps


if __name__ == "__main__":
    main(sys.argv[1])
