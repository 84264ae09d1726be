"""What all margins share: the clip that every one of them ends in."""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.types import Array

LIMIT = 50.0
"""Margins are clipped to ± this many metres; it is also the margin where nothing is near."""


def worst(margins: Float[Array, "n"]) -> Float[Array, ""]:
    """The least of several margins, clipped to ±50 m; +50 m where there are none."""
    return jnp.clip(jnp.min(margins, initial=LIMIT), -LIMIT, LIMIT)
