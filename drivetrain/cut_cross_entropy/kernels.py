"""The loss by kernels for GPUs (Pallas): logits leave no multiprocessor, blocks that give nothing are not multiplied.

    forward    a program a block of tokens: through the whole vocabulary, a running log-sum-exp
    backward   a part of the vocabulary after another: slopes (what each logit is worth), and of each block of them
               whether any |softmax − onehot| reaches `least`; then two products that pass over those where none does

Held are the slopes of one part, [N, part]. Off unless asked for: on no GPU has it been measured against XLA yet.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Float, Int

from drivetrain.cut_cross_entropy.blocks import (
    LOWEST,
    Cut,
    answers,
    capped,
    gone_on,
    nothing_yet,
    own_rows,
    right_logits,
)
from drivetrain.types import Array

TOKENS, ENTRIES, WIDTH = 64, 128, 64
"""Of a block; powers of two, as tensor cores want them."""
TRITON = triton.CompilerParams(num_warps=4, num_stages=2)
PART = 2048
"""Entries whose slopes are held at once."""


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def kernel_loss(cut: Cut, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    """Losses, log-sum-exps and entropies, as `cut_loss` gives them."""
    sums, count = _sums(cut, embeddings, classifier, bias), len(classifier)
    right = right_logits(cut, embeddings, classifier, bias, own_rows(None, targets, count))
    return answers(cut, sums, right, targets, count)


def _forward(cut: Cut, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    three: Any = kernel_loss(cut, embeddings, classifier, targets, bias)
    return three, (embeddings, classifier, targets, bias, three[1], three[2])


def _backward(cut: Cut, kept: tuple, slopes: tuple[Array, Array, Array]):
    embeddings, classifier, targets, bias, log_sum_exp, entropy = kept
    count, part = len(classifier), min(PART, -(-len(classifier) // ENTRIES) * ENTRIES)
    seen, words = _even(embeddings.astype(cut.dtype), TOKENS, WIDTH), _even(classifier.astype(cut.dtype), part, WIDTH)
    offset = _even(jnp.zeros(count) if bias is None else bias.astype(jnp.float32), part)
    of_loss = jnp.where(targets == cut.ignored, 0.0, slopes[0])
    parts = [(of_loss, 0.0), (of_loss + slopes[1], 0.0), (slopes[2], 0.0), (log_sum_exp, 1e30), (entropy, 0.0)]
    rows = [_even(row, TOKENS, fill=fill) for row, fill in parts]  # a token that is none has a softmax of zeros
    own = _even(own_rows(None, targets, count), TOKENS, fill=-1)

    def step(to_tokens: Array, at: Array) -> tuple[Array, tuple[Array, Array]]:
        some = jax.lax.dynamic_slice_in_dim(words, at, part)
        biases = jax.lax.dynamic_slice_in_dim(offset, at, part)
        slope, counted = _slopes(cut, seen, some, biases, (*rows, own), at, count)
        to_tokens = to_tokens + _sparse_product(cut, slope, counted, some, TOKENS, ENTRIES)
        to_words = _sparse_product(cut, slope.T, counted.T, seen, ENTRIES, TOKENS)
        kept = counted.repeat(TOKENS, axis=0).repeat(ENTRIES, axis=1)
        return to_tokens, (to_words.astype(classifier.dtype), jnp.sum(slope * kept, axis=0, dtype=jnp.float32))

    starts = jnp.arange(0, len(words), part)
    to_tokens, (to_words, to_bias) = jax.lax.scan(step, jnp.zeros(seen.shape), starts)
    n, d = embeddings.shape
    to_classifier = to_words.reshape(-1, words.shape[1])[:count, :d]
    to_bias = None if bias is None else to_bias.reshape(-1)[:count].astype(bias.dtype)
    return (
        to_tokens[:n, :d].astype(embeddings.dtype),
        to_classifier,
        np.zeros(targets.shape, jax.dtypes.float0),
        to_bias,
    )


kernel_loss.defvjp(_forward, _backward)


def _even(array: Array, *sizes: int, fill: float | int = 0) -> Array:
    """Filled up so that blocks of these sizes make up its first axes; as it is where they do."""
    over = [(0, -length % size) for length, size in zip(array.shape, sizes, strict=False)]
    over += [(0, 0)] * (array.ndim - len(over))
    return jnp.pad(array, over, constant_values=fill) if any(more for _, more in over) else array


def _call(cut: Cut, kernel: Any, grid: tuple[int, ...], out: Any) -> Any:
    interpreted = cut.backend == "interpreted"
    return pl.pallas_call(
        kernel, grid=grid, out_shape=out, interpret=interpreted, compiler_params=None if interpreted else TRITON
    )


def _block(row: Any, size: int) -> Any:
    return pl.ds(row * size, size)


def _block_logits(cut: Cut, seen: Any, words: Any, offset: Any, i: Any, j: Any) -> Float[Array, "n v"]:
    """The logits of the `i`-th block of tokens and the `j`-th of entries."""

    def step(k: Array, total: Array) -> Array:
        left, right = seen[_block(i, TOKENS), _block(k, WIDTH)], words[_block(j, ENTRIES), _block(k, WIDTH)]
        return total + triton.dot(left, right, trans_b=True).astype(jnp.float32)

    logits = jax.lax.fori_loop(0, seen.shape[1] // WIDTH, step, jnp.zeros((TOKENS, ENTRIES), jnp.float32))
    return capped(cut, logits + offset[_block(j, ENTRIES)][None, :])


def _sums(cut: Cut, embeddings: Array, classifier: Array, bias: Array | None):
    """Of each token the highest logit, Σ exp(x) and Σ exp(x) · x."""
    n, count = len(embeddings), len(classifier)
    seen, words = (
        _even(embeddings.astype(cut.dtype), TOKENS, WIDTH),
        _even(classifier.astype(cut.dtype), ENTRIES, WIDTH),
    )
    offset = _even(jnp.zeros(count) if bias is None else bias.astype(jnp.float32), ENTRIES)

    def kernel(seen: Any, words: Any, offset: Any, *out: Any) -> None:
        i = pl.program_id(0)

        def step(j: Array, sums: Any) -> Any:
            logits = _block_logits(cut, seen, words, offset, i, j)
            there = j * ENTRIES + jax.lax.broadcasted_iota(jnp.int32, logits.shape, 1) < count
            return gone_on(sums, jnp.where(there, logits, LOWEST))

        sums = jax.lax.fori_loop(0, words.shape[0] // ENTRIES, step, nothing_yet(TOKENS))
        for ref, each in zip(out, sums, strict=True):
            ref[_block(i, TOKENS)] = each

    out = [jax.ShapeDtypeStruct((len(seen),), jnp.float32)] * 3
    return tuple(each[:n] for each in _call(cut, kernel, (len(seen) // TOKENS,), out)(seen, words, offset))


def _slopes(
    cut: Cut, seen: Array, words: Array, offset: Array, rows: tuple[Array, ...], at: Array, count: int
) -> tuple[Float[Array, "N part"], Int[Array, "blocks parts"]]:
    """What the logits of a part are worth, and whether a block of them counts.

    `rows` [N]: what loss, log-sum-exp and entropy are worth, the latter two themselves, and the target.
    """
    shape = len(seen) // TOKENS, len(words) // ENTRIES

    def kernel(seen: Any, words: Any, offset: Any, *rest: Any) -> None:
        *rows, at, slope, counted = rest
        i, j = pl.program_id(0), pl.program_id(1)
        logits = _block_logits(cut, seen, words, offset, i, j)
        entry = at[0] + j * ENTRIES + jax.lax.broadcasted_iota(jnp.int32, logits.shape, 1)
        on_loss, on_sum, on_entropy, summed, mixed, own = (ref[_block(i, TOKENS)][:, None] for ref in rows)
        hit = own == entry
        softmax = jnp.where(entry < count, jnp.exp(logits - summed), 0.0)
        worth = softmax * (on_sum - on_entropy * (logits - summed + mixed)) - jnp.where(hit, on_loss, 0.0)
        if cut.cap:
            worth = worth * (1.0 - (logits / cut.cap) ** 2)
        slope[_block(i, TOKENS), _block(j, ENTRIES)] = worth.astype(slope.dtype)
        counted[i, j] = (jnp.max(jnp.abs(softmax - hit.astype(jnp.float32))) >= cut.least).astype(jnp.int32)

    out = [jax.ShapeDtypeStruct((len(seen), len(words)), cut.dtype), jax.ShapeDtypeStruct(shape, jnp.int32)]
    slope, counted = _call(cut, kernel, shape, out)(seen, words, offset, *rows, at[None])
    return slope, counted


def _sparse_product(
    cut: Cut, left: Float[Array, "n m"], counted: Int[Array, "i j"], right: Float[Array, "m d"], tall: int, wide: int
) -> Float[Array, "n d"]:
    """`left` · `right`, summed in float32, without the blocks [tall, wide] of `left` that do not count."""

    def kernel(left: Any, counted: Any, right: Any, out: Any) -> None:
        i, k = pl.program_id(0), pl.program_id(1)

        def step(j: Array, total: Array) -> Array:
            def more() -> Array:
                some, other = left[_block(i, tall), _block(j, wide)], right[_block(j, wide), _block(k, WIDTH)]
                return total + triton.dot(some, other).astype(jnp.float32)

            return jax.lax.cond(counted[i, j] > 0, more, lambda: total)

        nothing = jnp.zeros((tall, WIDTH), jnp.float32)
        out[_block(i, tall), _block(k, WIDTH)] = jax.lax.fori_loop(0, counted.shape[1], step, nothing)

    out = jax.ShapeDtypeStruct((len(left), right.shape[1]), jnp.float32)
    return _call(cut, kernel, (counted.shape[0], right.shape[1] // WIDTH), out)(left, counted, right)
