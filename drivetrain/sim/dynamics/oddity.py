"""Agents that brake sharply now and then, whatever their driver wants: the others must be safe from them."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.sim.dice import dice
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, State

SECONDS = 2.0
"""It brakes for so long at least."""
SHARE = 0.1
"""Of the time."""
SALT = 1


def braking_at_random(
    dynamics: Dynamics, dt: Float[Array, ""], state: State, action: Float[Array, "C width"]
) -> Float[Array, "C width"]:
    """The actions, those of agents that brake at random now replaced by the hardest braking straight on."""
    if state.traits is None or state.traits.odd is None:
        return action
    odd, window = state.traits.odd, jnp.floor(state.time * dt / SECONDS).astype(jnp.int32)
    chance = jax.vmap(lambda seed: dice(seed, window, 1, SALT)[0])(odd.seed)
    hardest = dynamics.limit(jnp.zeros(dynamics.width).at[0].set(-1e6))
    return jnp.where((odd.brakes & (chance < SHARE))[:, None], hardest, action)
