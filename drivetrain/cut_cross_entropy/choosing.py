"""Draws from a large vocabulary, and its likeliest entries."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.cut_cross_entropy.blocks import Blocks, Cut, Sums, gone_on, logits_of, nothing_yet
from drivetrain.cut_cross_entropy.exact import stacked
from drivetrain.types import Array, Key


def likeliest(
    embeddings: Float[Array, "N D"],
    classifier: Float[Array, "V D"],
    bias: Float[Array, "V"] | None = None,
    cut: Cut = Cut(),  # noqa: B008 - frozen
    key: Key | None = None,
) -> Int[Array, "N"]:
    """The entry with the largest logit; with a key, a draw: the largest after Gumbel noise. It has no slope."""
    embeddings, classifier, bias = jax.lax.stop_gradient((embeddings, classifier, bias))
    tokens, entries = Blocks(len(embeddings), cut.tokens), Blocks(len(classifier), cut.entries)

    def of_tokens(first: Array) -> Int[Array, "n"]:
        some = tokens.take(embeddings, first)

        def step(best: tuple[Array, Array], at: Array) -> tuple[tuple[Array, Array], None]:
            logits = logits_of(cut, some, entries.take(classifier, at), entries.take(bias, at))
            if key is not None:
                own = jax.random.fold_in(jax.random.fold_in(key, first), at)
                logits = logits + jax.random.gumbel(own, logits.shape)
            logits = jnp.where(entries.fresh(at), logits, -jnp.inf)
            column = jnp.argmax(logits, axis=1)
            value = jnp.max(logits, axis=1)
            better = value > best[0]
            return (jnp.where(better, value, best[0]), jnp.where(better, entries.rows(at)[column], best[1])), None

        nothing = jnp.full(len(some), -jnp.inf), jnp.zeros(len(some), jnp.int32)
        return jax.lax.scan(step, nothing, entries.starts())[0][1]

    chosen = jnp.zeros(len(embeddings), jnp.int32)
    return jax.lax.scan(
        lambda chosen, first: (tokens.put(chosen, first, of_tokens(first)), None), chosen, tokens.starts()
    )[0]


def several_likeliest(
    embeddings: Float[Array, "N D"],
    classifier: Float[Array, "V D"],
    bias: Float[Array, "V"] | None,
    count: int,
    cut: Cut = Cut(),  # noqa: B008 - frozen
) -> tuple[Int[Array, "N k"], Float[Array, "N k"]]:
    """The likeliest `count` entries (V where that is less), the likeliest first, and their log-probabilities; of all
    tokens at once.
    """
    count = min(count, len(classifier))

    def step(best: tuple[Array, Array, Sums], block) -> tuple[tuple[Array, Array, Sums], None]:
        values, rows, sums = best
        logits = logits_of(cut, embeddings, *block[1][:2]) + block[1][2]
        own = block[0] * logits.shape[1] + jnp.broadcast_to(jnp.arange(logits.shape[1]), logits.shape)
        values, at = jax.lax.top_k(jnp.concatenate([values, logits], axis=1), count)
        rows = jnp.take_along_axis(jnp.concatenate([rows, own], axis=1), at, axis=1)
        return (values, rows, gone_on(sums, logits)), None

    blocks, shape = stacked(cut, classifier, bias), (len(embeddings), count)
    nothing = jnp.full(shape, -jnp.inf), jnp.zeros(shape, jnp.int32), nothing_yet(len(embeddings))
    (values, rows, sums), _ = jax.lax.scan(step, nothing, (jnp.arange(len(blocks[2])), blocks))
    return rows, values - (sums[0] + jnp.log(sums[1]))[:, None]
