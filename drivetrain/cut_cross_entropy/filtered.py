"""Losses whose backward pass leaves out blocks that give nothing, and those of a vocabulary in shards."""

import functools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.cut_cross_entropy.blocks import (
    LOWEST,
    Blocks,
    Cut,
    Sums,
    answers,
    apart_of,
    blocks_of,
    gone_on,
    logits_of,
    nothing_yet,
    own_rows,
    product,
    raised,
    right_logits,
)
from drivetrain.types import Array


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def cut_loss(cut: Cut, over: str | None, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    """Losses, log-sum-exps and entropies; with `over`, of a vocabulary of which each shard of that axis has a part."""
    tokens, entries = Blocks(len(embeddings), cut.tokens), Blocks(len(classifier), cut.entries)

    def step(before: Sums, at: Array) -> tuple[Sums, None]:
        words, offset, fresh = entries.take(classifier, at), entries.take(bias, at), entries.fresh(at)

        def of_tokens(sums: Sums, first: Array) -> tuple[Sums, None]:
            logits = jnp.where(fresh, logits_of(cut, tokens.take(embeddings, first), words, offset), LOWEST)
            own = gone_on(jax.tree.map(lambda rows: tokens.take(rows, first), before), logits)
            return jax.tree.map(lambda rows, some: tokens.put(rows, first, some), sums, own), None

        return jax.lax.scan(of_tokens, before, tokens.starts())[0], None

    sums: Sums = jax.lax.scan(step, nothing_yet(len(embeddings)), entries.starts())[0]
    own, count = own_rows(over, targets, len(classifier)), len(classifier)
    right = right_logits(cut, embeddings, classifier, bias, own)
    if over is not None:
        highest, *rest = raised(sums, jax.lax.pmax(sums[0], over))
        sums = highest, *jax.lax.psum(rest, over)
        right, count = jax.lax.psum(jnp.where(own >= 0, right, 0.0), over), count * jax.lax.psum(1, over)
    return answers(cut, sums, right, targets, count)


def _forward(cut: Cut, over: str | None, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    three: Any = cut_loss(cut, over, embeddings, classifier, targets, bias)
    return three, (embeddings, classifier, targets, bias, three[1], three[2])


def _backward(cut: Cut, over: str | None, kept: tuple, slopes: tuple[Array, Array, Array]):
    embeddings, classifier, targets, bias, log_sum_exp, entropy = kept
    tokens, entries = Blocks(len(embeddings), cut.tokens), blocks_of(cut, embeddings, classifier, bias)
    own = own_rows(over, targets, len(classifier))
    of_loss = jnp.where(targets == cut.ignored, 0.0, slopes[0])
    of_rows = jnp.stack([of_loss, of_loss + slopes[1], slopes[2], log_sum_exp, entropy], axis=1)

    def step(sums: tuple[Array, Array, Array | None], at: Array):
        words, offset, fresh = entries.take(classifier, at), entries.take(bias, at), entries.fresh(at)

        def of_tokens(sums: tuple[Array, Array, Array], first: Array):
            seen, mine = tokens.take(embeddings, first), tokens.take(own, first)
            logits = logits_of(cut, seen, words, offset)
            on_loss, on_sum, on_entropy, summed, mixed = tokens.take(of_rows, first).T[..., None]
            apart = apart_of(logits, summed[:, 0], mine, entries, at)

            def give(sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
                hit = (mine[:, None] == entries.rows(at)) & fresh
                slope = (apart + hit) * (on_sum - on_entropy * (logits - summed + mixed)) - hit * on_loss
                slope = jnp.where(tokens.fresh(first)[:, None], slope, 0.0)
                if cut.cap:
                    slope = slope * (1.0 - (logits / cut.cap) ** 2)
                to_tokens, to_words, to_offset = sums
                given = tokens.take(to_tokens, first) + product("nv,vd->nd", slope, words, cut.dtype)
                to_words = to_words + product("nv,nd->vd", slope, seen, cut.dtype)
                return tokens.put(to_tokens, first, given), to_words, to_offset + jnp.sum(slope, axis=0)

            if not cut.least:
                return give(sums), None
            return jax.lax.cond(jnp.any(jnp.abs(apart) >= cut.least), give, lambda sums: sums, sums), None

        to_tokens, to_classifier, to_bias = sums
        nothing = to_tokens, jnp.zeros(words.shape), jnp.zeros(len(words))
        (to_tokens, to_words, to_offset), _ = jax.lax.scan(of_tokens, nothing, tokens.starts())
        to_classifier = entries.add(to_classifier, at, to_words)
        return (to_tokens, to_classifier, None if to_bias is None else entries.add(to_bias, at, to_offset)), None

    nothing = jnp.zeros(embeddings.shape), jnp.zeros_like(classifier), None if bias is None else jnp.zeros_like(bias)
    (to_tokens, to_classifier, to_bias), _ = jax.lax.scan(step, nothing, entries.starts())
    if over is not None:
        to_tokens = jax.lax.psum(to_tokens, over)
    return to_tokens.astype(embeddings.dtype), to_classifier, np.zeros(targets.shape, jax.dtypes.float0), to_bias


cut_loss.defvjp(_forward, _backward)


@functools.lru_cache
def rows_together(cut: Cut):
    """The same for a row of one `vmap`: rows that share a classifier are put together, so that work is left out.

    Under a plain `vmap` a condition is a choice between two results, both of which are computed. The gradient is to be
    taken outside that `vmap`; further ones, and one over classifiers, are plain.
    """

    def plain(embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
        three: Any = cut_loss(cut, None, embeddings, classifier, targets, bias)
        return three

    of_rows = jax.custom_batching.custom_vmap(plain)

    @of_rows.def_vmap
    def _(size: int, batched: list, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
        axes = [None if leaf is None else 0 if leaf else None for leaf in batched]
        if axes[1] == 0 or axes[3] == 0:
            return jax.vmap(plain, axes)(embeddings, classifier, targets, bias), (True, True, True)
        rows = [
            each if axis == 0 else jnp.broadcast_to(each, (size, *each.shape))
            for each, axis in ((embeddings, axes[0]), (targets, axes[2]))
        ]
        count = rows[1].shape[1]
        three = plain(rows[0].reshape(size * count, -1), classifier, rows[1].reshape(-1), bias)
        return tuple(each.reshape(size, count) for each in three), (True, True, True)

    return of_rows


def negligible(
    embeddings: Float[Array, "N D"],
    classifier: Float[Array, "V D"],
    targets: Int[Array, "N"],
    bias: Float[Array, "V"] | None = None,
    cut: Cut = Cut(),  # noqa: B008 - frozen
) -> Float[Array, ""]:
    """The share of blocks whose gradient is left out."""
    three: Any = cut_loss(cut, None, embeddings, classifier, targets, bias)
    log_sum_exp = three[1]
    tokens, entries = Blocks(len(embeddings), cut.tokens), blocks_of(cut, embeddings, classifier, bias)

    def of_entries(at: Array) -> Float[Array, ""]:
        def of_tokens(first: Array) -> Bool[Array, ""]:
            logits = logits_of(
                cut, tokens.take(embeddings, first), entries.take(classifier, at), entries.take(bias, at)
            )
            summed, own = tokens.take(log_sum_exp, first), tokens.take(targets, first)
            return jnp.all(jnp.abs(apart_of(logits, summed, own, entries, at)) < cut.least)

        return jnp.mean(jax.lax.map(of_tokens, tokens.starts()).astype(jnp.float32))

    return jnp.mean(jax.lax.map(of_entries, entries.starts()))
