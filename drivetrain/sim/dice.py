"""Chances that a state can repeat: numbers between 0 and 1 from a seed and a step, without a key.

What is drawn must be the same whenever a state is looked at again, as where observations are rebuilt from states.
"""

import jax.numpy as jnp
from jaxtyping import Float, Int, UInt

from drivetrain.types import Array


def dice(seed: UInt[Array, ""], time: Int[Array, ""] | int, count: int, salt: int = 0) -> Float[Array, "count"]:
    """So many numbers, uniform in [0, 1), of an agent's seed at a step; `salt` tells one use from another."""
    start = _mixed(_mixed(seed.astype(jnp.uint32) + jnp.uint32(salt)) + jnp.asarray(time).astype(jnp.uint32))
    numbers = _mixed(start + jnp.arange(count, dtype=jnp.uint32) * jnp.uint32(0x9E3779B9))
    return (numbers >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def _mixed(bits: UInt[Array, "*n"]) -> UInt[Array, "*n"]:
    """Wellons 2018, "Prospecting for hash functions": lowbias32, whose outputs hardly depend on single bits."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)
