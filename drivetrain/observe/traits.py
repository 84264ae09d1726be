"""What sets the agent apart: a policy that drives many must know which of them it is."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.types import Array, Scales, State, Weights

FEATURES = len(Weights.__dataclass_fields__) + len(Scales.__dataclass_fields__)
"""The factors of `Weights`, then of `Scales`, less 1: zeros are an agent like any other."""


def observe_traits(state: State, c: Int[Array, ""] | int) -> Float[Array, "f"]:
    """The traits of controlled agent `c`; zeros where nobody has any."""
    if state.traits is None:
        return jnp.zeros(FEATURES)
    return jnp.stack([factor[c] for factor in jax.tree.leaves((state.traits.weights, state.traits.scales))]) - 1.0
