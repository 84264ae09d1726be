"""Cross-entropy over a large vocabulary that never holds its logits (Wijmans et al. 2025, arXiv 2411.09009).

    forward    a block of tokens × a block of the vocabulary at a time: logits → a running log-sum-exp
    backward   the block again: S = softmax − onehot → what it gives to the embeddings and to the classifier;
               a block in which no |S| reaches `least` gives nothing, and its products are never taken

Memory is that of inputs, gradients and one block. In the order of their mean logit the entries of the vocabulary that
matter lie together, so that more blocks give nothing. XLA's own operations on every backend.

As long as no block is left out, the backward pass is JAX's own, of a scan that computes its blocks again: so rows may
be batched by `vmap` while they share a classifier, and neither it nor its gradient is held for each of them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.cut_cross_entropy.exact import exact_loss
from drivetrain.cut_cross_entropy.filtered import cut_loss
from drivetrain.cut_cross_entropy.kernels import kernel_loss
from drivetrain.types import Array, InputError, record


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
    if cut.backend != "xla":
        three: Any = kernel_loss(cut, *given)
    else:
        three = cut_loss(cut, over, *given) if cut.least or over is not None else exact_loss(cut, *given)
    return Surprise(*three)


def _check(embeddings: Array, classifier: Array, targets: Array, bias: Array | None, cut: Cut, over: str | None):
    def refuse(what: str, remedy: str):
        raise InputError(f"cross-entropy: {what} ({remedy})")

    shapes = jnp.shape(embeddings), jnp.shape(classifier), jnp.shape(targets)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1] or shapes[2] != shapes[0][:1]:
        refuse(f"embeddings {shapes[0]}, classifier {shapes[1]}, targets {shapes[2]}", "give [N, D], [V, D] and [N]")
    if not shapes[0][0] or not shapes[1][0]:
        refuse(f"{shapes[0][0]} tokens, {shapes[1][0]} entries", "give at least one of each")
    if cut.backend != "xla" and (over is not None or cut.ordered):
        refuse(f"backend {cut.backend}", "kernels take a whole vocabulary as it stands: leave out over and ordered")
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
