"""Dense layers, norms and residual blocks.

Weights stand [in, out] and act on rows from the right, so that `vmap` over tokens and agents folds into one product.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.types import Array, Key


def contract(equation: str, rows: Array, weights: Array, dtype: str) -> Array:
    """`einsum` of operands in `dtype` (bfloat16 on GPUs, which add up in float32 all the same); float32 out."""
    return jnp.einsum(equation, rows.astype(dtype), weights.astype(dtype)).astype(jnp.float32)


def uniform(key: Key, shape: tuple[int, ...], inputs: int) -> Float[Array, "..."]:
    """Weights of variance 1 / inputs (He et al. 2015). Uniform: forty normal draws take seconds to compile."""
    bound = (3.0 / inputs) ** 0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Dense(eqx.Module):
    """An affine map of the last axis that, at first, multiplies the variance of its input by `scale`²."""

    weight: Float[Array, "n m"]
    bias: Float[Array, "m"]
    dtype: str = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, key: Key, scale: float = 1.0, dtype: str = "float32"):
        self.weight = scale * uniform(key, (inputs, outputs), inputs)
        self.bias = jnp.zeros(outputs)
        self.dtype = dtype

    def __call__(self, x: Float[Array, "*rows n"]) -> Float[Array, "*rows m"]:
        """Apply to each row."""
        return contract("...n,nm->...m", x, self.weight, self.dtype) + self.bias


class Norm(eqx.Module):
    """Layer normalisation of the last axis (Ba et al. 2016)."""

    scale: Float[Array, "d"]
    bias: Float[Array, "d"]

    def __init__(self, width: int):
        self.scale, self.bias = jnp.ones(width), jnp.zeros(width)

    def __call__(self, x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Apply to each row."""
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centred**2, axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * self.scale + self.bias


class Block(eqx.Module):
    """x + W₂ relu(W₁ norm(x)): a dense residual block, near the identity at first."""

    norm: Norm
    first: Dense
    second: Dense

    def __init__(self, width: int, hidden: int, key: Key, dtype: str = "float32"):
        first, second = jax.random.split(key)
        self.norm = Norm(width)
        self.first = Dense(width, hidden, first, 2.0**0.5, dtype)
        self.second = Dense(hidden, width, second, 0.1, dtype)

    def __call__(self, x: Float[Array, "*rows d"]) -> Float[Array, "*rows d"]:
        """Apply to each row."""
        return x + self.second(jax.nn.relu(self.first(self.norm(x))))


class Embedding(eqx.Module):
    """Features of a token to the policy's width, by two layers."""

    first: Dense
    second: Dense

    def __init__(self, inputs: int, width: int, key: Key, dtype: str = "float32"):
        first, second = jax.random.split(key)
        self.first = Dense(inputs, width, first, 2.0**0.5, dtype)
        self.second = Dense(width, width, second, 1.0, dtype)

    def __call__(self, x: Float[Array, "*rows f"]) -> Float[Array, "*rows d"]:
        """Apply to each row."""
        return self.second(jax.nn.relu(self.first(x)))
