"""Cases of the loss over a vocabulary, and the plain formula in float64, on the host."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.cut_cross_entropy.loss import linear_cross_entropy


def drawn(n=13, v=29, d=5, scale=1.0, seed=0):
    draw = np.random.default_rng(seed)
    embeddings, classifier = (scale * draw.normal(size=(rows, d)).astype(np.float32) for rows in (n, v))
    return embeddings, classifier, draw.integers(0, v, n).astype(np.int32), draw.normal(size=v).astype(np.float32)


def plain(embeddings, classifier, targets, bias, of_loss, of_sum, of_entropy, cap=0.0, ignored=-1):
    """Losses, log-sum-exps, entropies, and the gradients of their weighted sum, in float64."""
    embeddings, classifier, bias = (np.asarray(x, np.float64) for x in (embeddings, classifier, bias))
    logits = embeddings @ classifier.T + bias
    bend = np.ones_like(logits)
    if cap:
        logits = cap * np.tanh(logits / cap)
        bend = 1.0 - (logits / cap) ** 2
    most = logits.max(axis=1, keepdims=True)
    summed = (most + np.log(np.exp(logits - most).sum(axis=1, keepdims=True)))[:, 0]
    counted = targets != ignored
    loss = np.where(counted, summed - logits[np.arange(len(logits)), np.where(counted, targets, 0)], 0.0)
    of_loss = of_loss * counted
    log = logits - summed[:, None]
    entropy = -(np.exp(log) * log).sum(axis=1)
    slope = np.exp(log) * ((of_loss + of_sum)[:, None] - of_entropy[:, None] * (log + entropy[:, None]))
    slope[np.arange(len(logits)), np.where(counted, targets, 0)] -= of_loss
    slope *= bend
    return loss, summed, entropy, slope @ classifier, slope.T @ embeddings, slope.sum(axis=0)


def ours(embeddings, classifier, targets, bias, of_loss, of_sum, of_entropy, cut):
    def weighed(embeddings, classifier, bias):
        surprise = linear_cross_entropy(embeddings, classifier, targets, bias, cut)
        parts = of_loss * surprise.loss, of_sum * surprise.log_sum_exp, of_entropy * surprise.entropy
        return jnp.sum(sum(parts)), surprise

    (_, surprise), slopes = jax.jit(jax.value_and_grad(weighed, (0, 1, 2), has_aux=True))(embeddings, classifier, bias)
    return surprise.loss, surprise.log_sum_exp, surprise.entropy, *slopes


def agree(case, cut, rtol=2e-5, **options):
    n = len(case[0])
    draw = np.random.default_rng(5)
    weights = tuple(draw.normal(size=(3, n)).astype(np.float32))
    expected = plain(*case, *weights, **options)
    for mine, theirs in zip(ours(*case, *weights, cut), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * max(np.abs(theirs).max(), 0.05))


def peaked(n=64, v=512, d=16):
    """Tokens that a trained head is sure of: only entries near the target's matter."""
    draw = np.random.default_rng(1)
    classifier = draw.normal(size=(v, d)).astype(np.float32)
    targets = draw.integers(0, 32, n).astype(np.int32)
    return 3.0 * classifier[targets], classifier, targets, np.where(np.arange(v) < 32, 0.0, -20.0).astype(np.float32)
