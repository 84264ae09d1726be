"""Levels, as the simulator compares them: what lies above or below does not act.

Heights exist in the bank only where some road crosses above another. Everything here is asked for behind a test for
`None`, which is known when the program is traced: on flat maps nothing is computed.
"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.types import Array

STEEPEST = 0.1
"""m a metre: what is seen further off on the same road may lie as much higher or lower."""


def on_level(
    height: Float[Array, "*n"],
    own: Float[Array, "*own"],
    away: Float[Array, "*n"] | float = 0.0,
    steepest: float = STEEPEST,
) -> Bool[Array, "*both"]:
    """Whether heights, m, are those of one's own level; `away` is the squared distance in plan, m²."""
    gap = jnp.abs(height - own) - LEVELS_APART
    return (gap <= 0.0) | (gap * gap <= steepest**2 * away)
