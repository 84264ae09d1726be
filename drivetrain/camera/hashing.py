"""Cheap pseudo-random numbers for textures and noise: a picture needs millions, and they need not be good."""

import jax.numpy as jnp
from jaxtyping import UInt

from drivetrain.types import Array


def mixed(word: UInt[Array, "*n"]) -> UInt[Array, "*n"]:
    """32 bits that look unlike those of neighbouring words (lowbias32 of C. Wellons)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


def share(word: UInt[Array, "*n"], first: int = 0) -> Array:
    """Eight bits of a word, from bit `first` on, as a number of 0 .. 1."""
    # Through int32: a conversion from unsigned words is slow without AVX-512.
    return ((word >> first) & 255).astype(jnp.int32).astype(jnp.float32) * jnp.float32(1.0 / 255.0)
