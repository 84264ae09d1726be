"""Exact losses: the backward pass is JAX's own, of scans that compute their blocks again."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.cut_cross_entropy.blocks import (
    FAR,
    Blocks,
    Cut,
    Sums,
    answers,
    gone_on,
    logits_of,
    nothing_yet,
    own_rows,
    right_logits,
)
from drivetrain.types import Array

Stacked = tuple[Float[Array, "*blocks v D"], Float[Array, "*blocks v"] | None, Float[Array, "*blocks v"]]
"""A classifier and its bias by blocks, and what is added to the logits: 0, or `FAR` where there is no entry."""


def stacked(cut: Cut, classifier: Array, bias: Array | None) -> Stacked:
    """All blocks of the vocabulary; the last is filled up."""
    count, size = len(classifier), min(cut.entries, len(classifier))
    over = -count % size
    words = jnp.pad(classifier, ((0, over), (0, 0))).reshape(-1, size, classifier.shape[1])
    offset = None if bias is None else jnp.pad(bias, (0, over)).reshape(-1, size)
    return words, offset, jnp.where(jnp.arange(count + over) < count, 0.0, FAR).reshape(-1, size)


def exact_loss(
    cut: Cut, embeddings: Array, classifier: Array, targets: Array, bias: Array | None
) -> tuple[Float[Array, "N"], Float[Array, "N"], Float[Array, "N"]]:
    """Losses, log-sum-exps and entropies.

    Blocks of the vocabulary go round outside those of tokens: so going back, the gradient of each block of the
    classifier is whole when its turn is over, and no second copy of all of it is summed up.
    """
    tokens, count = Blocks(len(embeddings), cut.tokens), len(classifier)
    seen = tokens.stacked(embeddings)

    def of_entries(sums: Sums, block: Stacked) -> tuple[Sums, None]:
        def of_tokens(each: tuple[Sums, Array]) -> Sums:
            return gone_on(each[0], logits_of(cut, each[1], *block[:2]) + block[2])

        return jax.lax.map(jax.checkpoint(of_tokens), (sums, seen)), None  # type: ignore[attr-defined]

    again = jax.checkpoint(of_entries)  # type: ignore[attr-defined]
    nothing = jax.tree.map(lambda row: jnp.broadcast_to(row, seen.shape[:2]), nothing_yet(tokens.size))
    sums = jax.lax.scan(again, nothing, stacked(cut, classifier, bias))[0]
    sums = jax.tree.map(lambda rows: rows.reshape(-1)[: tokens.count], sums)
    right = right_logits(cut, embeddings, classifier, bias, own_rows(None, targets, count))
    return answers(cut, sums, right, targets, count)


Scored = tuple[Float[Array, "N D"], Float[Array, "V D"], Float[Array, "V"] | None]
"""What gives logits: embeddings, a classifier, a bias."""


def linear_divergence(one: Scored, other: Scored, cut: Cut = Cut()) -> Float[Array, "N"]:  # noqa: B008 - frozen
    """KL(one ‖ other) of two softmaxes over one vocabulary, nats, exact, with slopes of both; of all tokens at once."""

    def step(sums: tuple[Sums, Sums, Array], blocks: tuple[Stacked, Stacked]) -> tuple[tuple[Sums, Sums, Array], None]:
        own, theirs = (logits_of(cut, each[0], *b[:2]) + b[2] for each, b in zip((one, other), blocks, strict=True))
        further = gone_on(sums[0], own)
        mixed = jnp.sum(jnp.exp(own - further[0][:, None]) * theirs, axis=1)
        return (further, gone_on(sums[1], theirs), jnp.exp(sums[0][0] - further[0]) * sums[2] + mixed), None

    nothing, again = nothing_yet(len(one[0])), jax.checkpoint(step)  # type: ignore[attr-defined]
    blocks = stacked(cut, *one[1:]), stacked(cut, *other[1:])
    own, theirs, mixed = jax.lax.scan(again, (nothing, nothing, jnp.zeros(len(one[0]))), blocks)[0]
    return (own[2] - mixed) / own[1] - jnp.log(own[1]) + theirs[0] + jnp.log(theirs[1])
