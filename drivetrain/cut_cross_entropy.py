"""Cross-entropy over a large vocabulary that never holds its logits (Wijmans et al. 2025, arXiv 2411.09009).

    forward    a block of tokens × a block of the vocabulary at a time: logits → a running log-sum-exp
    backward   the block again: S = softmax − onehot → what it gives to the embeddings and to the classifier;
               a block in which no |S| reaches `least` gives nothing, and its products are never taken

Memory is that of inputs, gradients and one block. In the order of their mean logit the entries of the vocabulary that
matter lie together, so that more blocks give nothing. XLA's own operations on every backend.

As long as no block is left out, the backward pass is JAX's own, of a scan that computes its blocks again: so rows may
be batched by `vmap` while they share a classifier, and neither it nor its gradient is held for each of them.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Bool, Float, Int

from drivetrain.types import Array, InputError, Key, component, record

LOWEST = float(np.finfo(np.float32).min)
FAR = -1e30
"""What makes a logit one of no entry, and leaves slopes finite."""


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


@record
class Surprise:
    """Of N tokens, float32."""

    loss: Float[Array, "N"]  # −log-probability of the target, nats; 0 where it is ignored
    log_sum_exp: Float[Array, "N"]  # of all logits
    entropy: Float[Array, "N"]  # of the softmax, nats


def linear_cross_entropy(
    embeddings: Array,
    classifier: Array,
    targets: Array,
    bias: Array | None = None,
    cut: Cut = Cut(),  # noqa: B008 - frozen
    over: str | None = None,
) -> Surprise:
    """The loss of logits `embeddings [N, D] · classifier [V, D]ᵀ + bias [V]`, which are held a block at a time.

    With `over`, the axis of a `shard_map`, each shard has V rows of a vocabulary as many times larger, in order;
    targets count over the whole, and all else is the same on every shard. A target that is no entry gives NaN in a
    compiled program. Raises `InputError` on shapes and types that do not fit, and on such a target where it is known.
    """
    _check(embeddings, classifier, targets, bias, cut, over)
    given = jax.tree.map(jnp.asarray, (embeddings, classifier, targets, bias))
    three: Any = _cut(cut, over, *given) if cut.least or over is not None else _exact(cut, *given)
    return Surprise(*three)


Scored = tuple[Float[Array, "N D"], Float[Array, "V D"], Float[Array, "V"] | None]
"""What gives logits: embeddings, a classifier, a bias."""


def linear_divergence(one: Scored, other: Scored, cut: Cut = Cut()) -> Float[Array, "N"]:  # noqa: B008 - frozen
    """KL(one ‖ other) of two softmaxes over one vocabulary, nats, exact, with slopes of both; of all tokens at once."""

    def step(sums: tuple[Sums, Sums, Array], blocks: tuple[Stacked, Stacked]) -> tuple[tuple[Sums, Sums, Array], None]:
        own, theirs = (_logits(cut, each[0], *b[:2]) + b[2] for each, b in zip((one, other), blocks, strict=True))
        further = _further(sums[0], own)
        mixed = jnp.sum(jnp.exp(own - further[0][:, None]) * theirs, axis=1)
        return (further, _further(sums[1], theirs), jnp.exp(sums[0][0] - further[0]) * sums[2] + mixed), None

    nothing, again = _nothing(len(one[0])), jax.checkpoint(step)  # type: ignore[attr-defined]
    blocks = _stacked(cut, *one[1:]), _stacked(cut, *other[1:])
    own, theirs, mixed = jax.lax.scan(again, (nothing, nothing, jnp.zeros(len(one[0]))), blocks)[0]
    return (own[2] - mixed) / own[1] - jnp.log(own[1]) + theirs[0] + jnp.log(theirs[1])


def negligible(
    embeddings: Float[Array, "N D"],
    classifier: Float[Array, "V D"],
    targets: Int[Array, "N"],
    bias: Float[Array, "V"] | None = None,
    cut: Cut = Cut(),  # noqa: B008 - frozen
) -> Float[Array, ""]:
    """The share of blocks whose gradient is left out."""
    log_sum_exp = linear_cross_entropy(embeddings, classifier, targets, bias, cut).log_sum_exp
    tokens, entries = _Blocks(len(embeddings), cut.tokens), _blocks_of(cut, embeddings, classifier, bias)

    def of_entries(at: Array) -> Float[Array, ""]:
        def of_tokens(first: Array) -> Bool[Array, ""]:
            logits = _logits(cut, tokens.take(embeddings, first), entries.take(classifier, at), entries.take(bias, at))
            summed, own = tokens.take(log_sum_exp, first), tokens.take(targets, first)
            return jnp.all(jnp.abs(_apart(logits, summed, own, entries, at)) < cut.least)

        return jnp.mean(jax.lax.map(of_tokens, tokens.starts()).astype(jnp.float32))

    return jnp.mean(jax.lax.map(of_entries, entries.starts()))


def likeliest(
    embeddings: Float[Array, "N D"],
    classifier: Float[Array, "V D"],
    bias: Float[Array, "V"] | None = None,
    cut: Cut = Cut(),  # noqa: B008 - frozen
    key: Key | None = None,
) -> Int[Array, "N"]:
    """The entry with the largest logit; with a key, a draw: the largest after Gumbel noise. It has no slope."""
    embeddings, classifier, bias = jax.lax.stop_gradient((embeddings, classifier, bias))
    tokens, entries = _Blocks(len(embeddings), cut.tokens), _Blocks(len(classifier), cut.entries)

    def of_tokens(first: Array) -> Int[Array, "n"]:
        some = tokens.take(embeddings, first)

        def step(best: tuple[Array, Array], at: Array) -> tuple[tuple[Array, Array], None]:
            logits = _logits(cut, some, entries.take(classifier, at), entries.take(bias, at))
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


# ---------------------------------------------------------------------------------------------------- forward, backward


Sums = tuple[Float[Array, "n"], Float[Array, "n"], Float[Array, "n"]]
"""Of the logits of some tokens so far: the highest, Σ exp(x) and Σ exp(x) · x, where x is a logit less the highest."""


def _nothing(count: int) -> Sums:
    return jnp.full(count, LOWEST), jnp.zeros(count), jnp.zeros(count)


def _raised(sums: Sums, highest: Float[Array, "n"]) -> Sums:
    """The same sums about a higher logit."""
    down = sums[0] - highest
    shrink = jnp.exp(down)
    return highest, shrink * sums[1], shrink * (sums[2] + down * sums[1])


def _further(sums: Sums, logits: Float[Array, "n v"]) -> Sums:
    """The sums with another block's logits."""
    highest = jax.lax.stop_gradient(jnp.maximum(sums[0], jnp.max(logits, axis=1)))
    highest, summed, weighted = _raised(sums, highest)
    below = logits - highest[:, None]
    some = jnp.exp(below)
    return highest, summed + jnp.sum(some, axis=1), weighted + jnp.sum(some * below, axis=1)


def _answers(
    cut: Cut, sums: Sums, right: Float[Array, "N"], targets: Int[Array, "N"], count: Int[Array, ""] | int
) -> tuple[Float[Array, "N"], Float[Array, "N"], Float[Array, "N"]]:
    """Losses, log-sum-exps and entropies, of the sums over all entries and the targets' own logits."""
    highest, summed, weighted = sums
    log_sum_exp = highest + jnp.log(summed)
    loss = jnp.where((targets >= 0) & (targets < count), log_sum_exp - right, jnp.nan)
    return jnp.where(targets == cut.ignored, 0.0, loss), log_sum_exp, jnp.log(summed) - weighted / summed


Stacked = tuple[Float[Array, "*blocks v D"], Float[Array, "*blocks v"] | None, Float[Array, "*blocks v"]]
"""A classifier and its bias by blocks, and what is added to the logits: 0, or `FAR` where there is no entry."""


def _stacked(cut: Cut, classifier: Array, bias: Array | None) -> Stacked:
    count, size = len(classifier), min(cut.entries, len(classifier))
    over = -count % size
    words = jnp.pad(classifier, ((0, over), (0, 0))).reshape(-1, size, classifier.shape[1])
    offset = None if bias is None else jnp.pad(bias, (0, over)).reshape(-1, size)
    return words, offset, jnp.where(jnp.arange(count + over) < count, 0.0, FAR).reshape(-1, size)


def _exact(cut: Cut, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    tokens, count = _Blocks(len(embeddings), cut.tokens), len(classifier)
    blocks = _stacked(cut, classifier, bias)

    def of_tokens(first: Array) -> Sums:
        seen = tokens.take(embeddings, first)

        def step(sums: Sums, block: Stacked) -> tuple[Sums, None]:
            return _further(sums, _logits(cut, seen, *block[:2]) + block[2]), None

        again = jax.checkpoint(step)  # type: ignore[attr-defined]
        return jax.lax.scan(again, _nothing(tokens.size), blocks)[0]

    sums = jax.tree.map(tokens.joined, jax.lax.map(of_tokens, tokens.starts()))
    right = _right(cut, embeddings, classifier, bias, _own(None, targets, count))
    return _answers(cut, sums, right, targets, count)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _cut(cut: Cut, over: str | None, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    tokens, entries = _Blocks(len(embeddings), cut.tokens), _Blocks(len(classifier), cut.entries)

    def step(before: Sums, at: Array) -> tuple[Sums, None]:
        words, offset, fresh = entries.take(classifier, at), entries.take(bias, at), entries.fresh(at)

        def of_tokens(sums: Sums, first: Array) -> tuple[Sums, None]:
            logits = jnp.where(fresh, _logits(cut, tokens.take(embeddings, first), words, offset), LOWEST)
            own = _further(jax.tree.map(lambda rows: tokens.take(rows, first), before), logits)
            return jax.tree.map(lambda rows, some: tokens.put(rows, first, some), sums, own), None

        return jax.lax.scan(of_tokens, before, tokens.starts())[0], None

    sums: Sums = jax.lax.scan(step, _nothing(len(embeddings)), entries.starts())[0]
    own, count = _own(over, targets, len(classifier)), len(classifier)
    right = _right(cut, embeddings, classifier, bias, own)
    if over is not None:
        highest, *rest = _raised(sums, jax.lax.pmax(sums[0], over))
        sums = highest, *jax.lax.psum(rest, over)
        right, count = jax.lax.psum(jnp.where(own >= 0, right, 0.0), over), count * jax.lax.psum(1, over)
    return _answers(cut, sums, right, targets, count)


def _forward(cut: Cut, over: str | None, embeddings: Array, classifier: Array, targets: Array, bias: Array | None):
    three: Any = _cut(cut, over, embeddings, classifier, targets, bias)
    return three, (embeddings, classifier, targets, bias, three[1], three[2])


def _backward(cut: Cut, over: str | None, kept: tuple, slopes: tuple[Array, Array, Array]):
    embeddings, classifier, targets, bias, log_sum_exp, entropy = kept
    tokens, entries = _Blocks(len(embeddings), cut.tokens), _blocks_of(cut, embeddings, classifier, bias)
    own = _own(over, targets, len(classifier))
    of_loss = jnp.where(targets == cut.ignored, 0.0, slopes[0])
    of_rows = jnp.stack([of_loss, of_loss + slopes[1], slopes[2], log_sum_exp, entropy], axis=1)

    def step(sums: tuple[Array, Array, Array | None], at: Array):
        words, offset, fresh = entries.take(classifier, at), entries.take(bias, at), entries.fresh(at)

        def of_tokens(sums: tuple[Array, Array, Array], first: Array):
            seen, mine = tokens.take(embeddings, first), tokens.take(own, first)
            logits = _logits(cut, seen, words, offset)
            on_loss, on_sum, on_entropy, summed, mixed = tokens.take(of_rows, first).T[..., None]
            apart = _apart(logits, summed[:, 0], mine, entries, at)

            def give(sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
                hit = (mine[:, None] == entries.rows(at)) & fresh
                slope = (apart + hit) * (on_sum - on_entropy * (logits - summed + mixed)) - hit * on_loss
                slope = jnp.where(tokens.fresh(first)[:, None], slope, 0.0)
                if cut.cap:
                    slope = slope * (1.0 - (logits / cut.cap) ** 2)
                to_tokens, to_words, to_offset = sums
                given = tokens.take(to_tokens, first) + _product("nv,vd->nd", slope, words, cut.dtype)
                to_words = to_words + _product("nv,nd->vd", slope, seen, cut.dtype)
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


_cut.defvjp(_forward, _backward)


def _product(letters: str, left: Array, right: Array, dtype: str) -> Array:
    return jnp.einsum(letters, left.astype(dtype), right.astype(dtype), preferred_element_type=jnp.float32)


def _logits(cut: Cut, embeddings: Array, words: Array, offset: Array | None) -> Float[Array, "n v"]:
    logits = _product("nd,vd->nv", embeddings, words, cut.dtype)
    return _capped(cut, logits if offset is None else logits + offset)


def _capped(cut: Cut, logits: Array) -> Array:
    return cut.cap * jnp.tanh(logits / cut.cap) if cut.cap else logits


def _apart(logits: Array, log_sum_exp: Array, targets: Array, entries: "_Blocks", at: Array) -> Float[Array, "n v"]:
    """Softmax less onehot of a block; 0 for entries that an earlier block had."""
    apart = jnp.exp(logits - log_sum_exp[:, None]) - (targets[:, None] == entries.rows(at))
    return jnp.where(entries.fresh(at), apart, 0.0)


def _right(cut: Cut, embeddings: Array, classifier: Array, bias: Array | None, own: Array) -> Float[Array, "N"]:
    """The logits of the targets, by an indexed product."""
    at = jnp.maximum(own, 0)
    right = _product("nd,nd->n", embeddings, classifier[at], cut.dtype)
    return _capped(cut, right if bias is None else right + bias[at])


def _own(over: str | None, targets: Array, count: int) -> Int[Array, "N"]:
    """Targets as rows of this shard's classifier; −1 where they are another's, or none."""
    own = targets if over is None else targets - count * jax.lax.axis_index(over)
    return jnp.where((own >= 0) & (own < count), own, -1)


# --------------------------------------------------------------------------------------------------------------- blocks


class _Blocks:
    """`count` rows in blocks of one size, in an order of their own or as they stand.

    The last block, which would overhang, begins earlier: `fresh` says which of its rows no block had before.
    """

    def __init__(self, count: int, size: int, order: Int[Array, "count"] | None = None):
        self.count, self.size, self.order = count, min(size, count), order

    def starts(self) -> Int[Array, "blocks"]:
        return jnp.arange(0, self.count, self.size)

    def fresh(self, start: Array) -> Bool[Array, "size"]:
        return self._first(start) + jnp.arange(self.size) >= start

    def rows(self, start: Array) -> Int[Array, "size"]:
        if self.order is None:
            return self._first(start) + jnp.arange(self.size)
        return jax.lax.dynamic_slice_in_dim(self.order, self._first(start), self.size)

    def take(self, array: Any, start: Array) -> Any:
        if array is None:
            return None
        if self.order is None:
            return jax.lax.dynamic_slice_in_dim(array, self._first(start), self.size)
        return jnp.asarray(array)[self.rows(start)]

    def joined(self, blocks: Float[Array, "blocks size"]) -> Float[Array, "count"]:
        """What was found of each block, row by row."""
        return jnp.concatenate([blocks[:-1].reshape(-1), blocks[-1, -self.count % -self.size :]])

    def put(self, array: Array, start: Array, block: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(array, block, self._first(start), 0)

    def add(self, array: Array, start: Array, block: Array) -> Array:
        block = block.astype(array.dtype)
        if self.order is None:
            return self.put(array, start, self.take(array, start) + block)
        return jnp.asarray(array).at[self.rows(start)].add(block)

    def _first(self, start: Array) -> Array:
        return jnp.minimum(start, self.count - self.size)


def _blocks_of(cut: Cut, embeddings: Array, classifier: Array, bias: Array | None) -> _Blocks:
    """Blocks of the vocabulary, by the mean logit of each entry (which is that of the mean embedding) where asked."""
    order = None
    if cut.ordered:
        logits = classifier.astype(jnp.float32) @ jnp.mean(embeddings.astype(jnp.float32), axis=0)
        order = jnp.argsort(logits if bias is None else logits + bias)
    return _Blocks(len(classifier), cut.entries, order)


def _check(embeddings: Array, classifier: Array, targets: Array, bias: Array | None, cut: Cut, over: str | None):
    def refuse(what: str, remedy: str):
        raise InputError(f"cross-entropy: {what} ({remedy})")

    shapes = jnp.shape(embeddings), jnp.shape(classifier), jnp.shape(targets)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1] or shapes[2] != shapes[0][:1]:
        refuse(f"embeddings {shapes[0]}, classifier {shapes[1]}, targets {shapes[2]}", "give [N, D], [V, D] and [N]")
    if not shapes[0][0] or not shapes[1][0]:
        refuse(f"{shapes[0][0]} tokens, {shapes[1][0]} entries", "give at least one of each")
    if bias is not None and jnp.shape(bias) != shapes[1][:1]:
        refuse(f"bias {jnp.shape(bias)} of {shapes[1][0]} entries", "give [V]")
    for name, array in (("embeddings", embeddings), ("classifier", classifier)):
        if not jnp.issubdtype(array.dtype, jnp.floating):
            refuse(f"{name} of {array.dtype}", "give floats")
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        refuse(f"targets of {targets.dtype}", "give integers")
    if min(cut.tokens, cut.entries) < 1 or min(cut.least, cut.cap) < 0.0:
        refuse(f"{cut}", "give blocks of at least 1, and least and cap of 0 or more")
    if over is None and not isinstance(targets, Tracer):
        known = np.asarray(targets)
        odd = known[(known != cut.ignored) & ((known < 0) | (known >= shapes[1][0]))]
        if odd.size:
            refuse(f"target {odd[0]} of {shapes[1][0]} entries", f"use 0 to V − 1, or {cut.ignored} for none")
