"""Attention over sets of tokens, pre-norm and residual (Vaswani et al. 2017; Xiong et al. 2020); order is nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.policy.dense import Block, Dense, Norm, contract, uniform
from drivetrain.types import Array, Key


def masked_softmax(logits: Float[Array, "*rows n"], mask: Bool[Array, "n"]) -> Float[Array, "*rows n"]:
    """Softmax over the tokens that exist; all zeros, with gradient zero, where none does."""
    return jax.nn.softmax(jnp.where(mask, logits, -1e9)) * mask


class SelfAttention(eqx.Module):
    """Every token looks at every token; then a dense block."""

    norm: Norm
    project: Dense
    out: Dense
    block: Block
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, hidden: int, key: Key, dtype: str = "float32"):
        project, out, block = jax.random.split(key, 3)
        self.norm = Norm(width)
        self.project = Dense(width, 3 * width, project, 1.0, dtype)
        self.out = Dense(width, width, out, 0.1, dtype)
        self.block = Block(width, hidden, block, dtype)
        self.heads = heads

    def __call__(self, tokens: Float[Array, "n d"], mask: Bool[Array, "n"]) -> Float[Array, "n d"]:
        """Tokens after the exchange; those masked tell nobody anything."""
        n, d = tokens.shape
        projected = self.project(self.norm(tokens)).reshape(n, 3, self.heads, d // self.heads)
        query, key, value = jnp.moveaxis(projected, (1, 2), (0, 1))
        logits = contract("hqe,hke->hqk", query, key, self.out.dtype) * (d // self.heads) ** -0.5
        seen = contract("hqk,hke->hqe", masked_softmax(logits, mask), value, self.out.dtype)
        return self.block(tokens + self.out(jnp.swapaxes(seen, 0, 1).reshape(n, d)))


class CrossAttention(eqx.Module):
    """A few latents look at many tokens; then a dense block.

    Keys and values of the tokens are never formed: (W_q q)·(W_k x) = (W_kᵀ W_q q)·x, and W_v goes after the weighted
    sum. With fewer latents × heads than width this is the smaller product.
    """

    norm: Norm
    token_norm: Norm
    query: Dense
    key: Float[Array, "h e d"]
    value: Float[Array, "h d e"]
    out: Dense
    block: Block

    def __init__(self, width: int, heads: int, hidden: int, key: Key, dtype: str = "float32"):
        query, keys, value, out, block = jax.random.split(key, 5)
        self.norm, self.token_norm = Norm(width), Norm(width)
        self.query = Dense(width, width, query, 1.0, dtype)
        self.key = uniform(keys, (heads, width // heads, width), width)
        self.value = uniform(value, (heads, width, width // heads), width)
        self.out = Dense(width, width, out, 0.3, dtype)
        self.block = Block(width, hidden, block, dtype)

    def __call__(
        self, latents: Float[Array, "q d"], tokens: Float[Array, "n d"], mask: Bool[Array, "n"]
    ) -> Float[Array, "q d"]:
        """Latents after the look."""
        heads, size, d = self.key.shape
        dtype = self.query.dtype
        query = self.query(self.norm(latents)).reshape(-1, heads, size)
        asked = contract("qhe,hed->qhd", query, self.key, dtype).reshape(-1, d)
        tokens = self.token_norm(tokens)
        logits = contract("ad,nd->an", asked, tokens, dtype) * size**-0.5
        seen = contract("an,nd->ad", masked_softmax(logits, mask), tokens, dtype).reshape(-1, heads, d)
        answer = contract("qhd,hde->qhe", seen, self.value, dtype).reshape(-1, d)
        return self.block(latents + self.out(answer))
