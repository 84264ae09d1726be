"""What brings metres and seconds to numbers of about one, so that no feature drowns another."""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.types import Array

SPEED = 10.0  # m/s
ACCELERATION = 4.0  # m/s²
STEERING = 0.3  # rad
LENGTH = 5.0  # m, of bodies and of road elements
WIDTH = 2.0  # m


def compress(metres: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A distance or coordinate as a feature: 0.2 per metre near 0, where centimetres decide, at most ±4 far away."""
    return 0.2 * metres / (1.0 + jnp.abs(metres) / 20.0)
