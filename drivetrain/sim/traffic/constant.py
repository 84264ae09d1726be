"""Straight on: the plainest baseline."""

import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.sim.bank import Bank
from drivetrain.types import Array, State


def constant_velocity(bank: Bank, state: State, c: Int[Array, ""] | int) -> Float[Array, "4"]:
    """The pose, as an action of `Playback`, to which a controlled agent's velocity takes it in one step."""
    me = state.controlled[c]
    position = state.agents.position[me] + state.agents.velocity[me] * bank.dt
    return jnp.concatenate([position, state.agents.heading[me]])
