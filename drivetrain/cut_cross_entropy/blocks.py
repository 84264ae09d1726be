"""How the work is cut: blocks of tokens and of the vocabulary, the logits of one of each, and sums over them."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.types import Array, component

LOWEST = float(np.finfo(np.float32).min)
FAR = -1e30
"""What makes a logit one of no entry, and leaves slopes finite."""


@jax.tree_util.register_static
@component
class Cut:
    """How the work is cut, and what of it is left out. By default the loss and its gradients are exact."""

    tokens: int = 512  # of a block
    entries: int = 1024  # of the vocabulary, of a block
    least: float = 0.0  # |softmax − onehot| below which a whole block gives no gradient; 2⁻¹² is bfloat16's (the paper)
    ordered: bool = False  # backwards, the vocabulary by its mean logit
    cap: float = 0.0  # logits are cap · tanh(logit / cap); 0: as they are
    ignored: int = -1  # a target that counts nothing
    dtype: str = "float32"  # of the factors of products; sums are float32
    backend: Literal["xla", "pallas", "interpreted"] = "xla"  # kernels for GPUs (`kernels.py`), or these run by XLA


def product(letters: str, left: Array, right: Array, dtype: str) -> Array:
    """An `einsum` of factors of one type, summed in float32."""
    return jnp.einsum(letters, left.astype(dtype), right.astype(dtype), preferred_element_type=jnp.float32)


def logits_of(cut: Cut, embeddings: Array, words: Array, offset: Array | None) -> Float[Array, "n v"]:
    """The logits of a block of each, capped where they are."""
    logits = product("nd,vd->nv", embeddings, words, cut.dtype)
    return capped(cut, logits if offset is None else logits + offset)


def capped(cut: Cut, logits: Array) -> Array:
    """Logits as cap · tanh(logit / cap), where there is a cap."""
    return cut.cap * jnp.tanh(logits / cut.cap) if cut.cap else logits


def apart_of(logits: Array, log_sum_exp: Array, targets: Array, entries: "Blocks", at: Array) -> Float[Array, "n v"]:
    """Softmax less onehot of a block; 0 for entries that an earlier block had."""
    apart = jnp.exp(logits - log_sum_exp[:, None]) - (targets[:, None] == entries.rows(at))
    return jnp.where(entries.fresh(at), apart, 0.0)


def right_logits(cut: Cut, embeddings: Array, classifier: Array, bias: Array | None, own: Array) -> Float[Array, "N"]:
    """The logits of the targets, by an indexed product."""
    at = jnp.maximum(own, 0)
    right = product("nd,nd->n", embeddings, classifier[at], cut.dtype)
    return capped(cut, right if bias is None else right + bias[at])


def own_rows(over: str | None, targets: Array, count: int) -> Int[Array, "N"]:
    """Targets as rows of this shard's classifier; −1 where they are another's, or none."""
    own = targets if over is None else targets - count * jax.lax.axis_index(over)
    return jnp.where((own >= 0) & (own < count), own, -1)


# ----------------------------------------------------------------------------------------------------------------- sums


Sums = tuple[Float[Array, "*some n"], Float[Array, "*some n"], Float[Array, "*some n"]]
"""Of the logits of some tokens so far: the highest, Σ exp(x) and Σ exp(x) · x, where x is a logit less the highest."""


def nothing_yet(count: int) -> Sums:
    """The sums over no logit."""
    return jnp.full(count, LOWEST), jnp.zeros(count), jnp.zeros(count)


def raised(sums: Sums, highest: Float[Array, "n"]) -> Sums:
    """The same sums about a higher logit."""
    down = sums[0] - highest
    shrink = jnp.exp(down)
    return highest, shrink * sums[1], shrink * (sums[2] + down * sums[1])


def gone_on(sums: Sums, logits: Float[Array, "n v"]) -> Sums:
    """The sums with another block's logits."""
    highest = jax.lax.stop_gradient(jnp.maximum(sums[0], jnp.max(logits, axis=1)))
    highest, summed, weighted = raised(sums, highest)
    below = logits - highest[:, None]
    some = jnp.exp(below)
    return highest, summed + jnp.sum(some, axis=1), weighted + jnp.sum(some * below, axis=1)


def answers(
    cut: Cut, sums: Sums, right: Float[Array, "N"], targets: Int[Array, "N"], count: Int[Array, ""] | int
) -> tuple[Float[Array, "N"], Float[Array, "N"], Float[Array, "N"]]:
    """Losses, log-sum-exps and entropies, of the sums over all entries and the targets' own logits."""
    highest, summed, weighted = sums
    log_sum_exp = highest + jnp.log(summed)
    loss = jnp.where((targets >= 0) & (targets < count), log_sum_exp - right, jnp.nan)
    return jnp.where(targets == cut.ignored, 0.0, loss), log_sum_exp, jnp.log(summed) - weighted / summed


# --------------------------------------------------------------------------------------------------------------- blocks


class Blocks:
    """`count` rows in blocks of one size, in an order of their own or as they stand.

    The last block, which would overhang, begins earlier: `fresh` says which of its rows no block had before.
    """

    def __init__(self, count: int, size: int, order: Int[Array, "count"] | None = None):
        self.count, self.size, self.order = count, min(size, count), order

    def starts(self) -> Int[Array, "blocks"]:
        """By what the other functions name a block."""
        return jnp.arange(0, self.count, self.size)

    def fresh(self, start: Array) -> Bool[Array, "size"]:
        """Rows of a block that none before has."""
        return self._first(start) + jnp.arange(self.size) >= start

    def rows(self, start: Array) -> Int[Array, "size"]:
        """Numbers of the rows of a block."""
        if self.order is None:
            return self._first(start) + jnp.arange(self.size)
        return jax.lax.dynamic_slice_in_dim(self.order, self._first(start), self.size)

    def take(self, array: Any, start: Array) -> Any:
        """A block of an array; None of none."""
        if array is None:
            return None
        if self.order is None:
            return jax.lax.dynamic_slice_in_dim(array, self._first(start), self.size)
        return jnp.asarray(array)[self.rows(start)]

    def stacked(self, array: Float[Array, "count *rest"]) -> Float[Array, "blocks size *rest"]:
        """All blocks; the last is filled up with zeros."""
        array = jnp.asarray(array)
        over = -self.count % self.size
        return jnp.pad(array, ((0, over), *[(0, 0)] * (array.ndim - 1))).reshape(-1, self.size, *array.shape[1:])

    def put(self, array: Array, start: Array, block: Array) -> Array:
        """The array with a block in its place."""
        return jax.lax.dynamic_update_slice_in_dim(array, block, self._first(start), 0)

    def add(self, array: Array, start: Array, block: Array) -> Array:
        """The array with a block added where it belongs."""
        block = block.astype(array.dtype)
        if self.order is None:
            return self.put(array, start, self.take(array, start) + block)
        return jnp.asarray(array).at[self.rows(start)].add(block)

    def _first(self, start: Array) -> Array:
        return jnp.minimum(start, self.count - self.size)


def blocks_of(cut: Cut, embeddings: Array, classifier: Array, bias: Array | None) -> Blocks:
    """Blocks of the vocabulary, by the mean logit of each entry (which is that of the mean embedding) where asked."""
    order = None
    if cut.ordered:
        logits = classifier.astype(jnp.float32) @ jnp.mean(embeddings.astype(jnp.float32), axis=0)
        order = jnp.argsort(logits if bias is None else logits + bias)
    return Blocks(len(classifier), cut.entries, order)
