"""The nearest few of many."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.types import Array


def nearest(
    distance: Float[Array, "n"], exists: Bool[Array, "n"], count: int
) -> tuple[Int[Array, "count"], Bool[Array, "count"]]:
    """Indices of the `count` nearest that exist, and which of them do.

    `top_k`, not a bisected threshold: for 16 of 128 or 24 of 320 it was 2 to 4 times as fast on a CPU, and on a GPU it
    is one kernel instead of a chain of reductions.
    """
    n = distance.shape[0]
    taken = min(count, n)
    negative, index = jax.lax.top_k(jnp.where(exists, -distance, -jnp.inf), taken)
    padding = (0, count - taken)
    return jnp.pad(index, padding), jnp.pad(negative > -jnp.inf, padding)
