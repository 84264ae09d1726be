"""What brings metres and seconds to numbers of about one, so that no feature drowns another."""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.types import Array

SPEED = 10.0  # m/s
ACCELERATION = 4.0  # m/s²
STEERING = 0.3  # rad
LENGTH = 5.0  # m, of bodies and of road elements
WIDTH = 2.0  # m
SLOPE = 0.2  # per metre near 0, where centimetres decide
BEND = 20.0  # m, at which a distance counts half


def compress(metres: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A distance or coordinate as a feature: `SLOPE` per metre near 0, at most ±4 far away."""
    return SLOPE * metres / (1.0 + jnp.abs(metres) / BEND)
