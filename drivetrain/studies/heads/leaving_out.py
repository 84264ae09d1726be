"""What the gradient filter leaves out of a vocabulary's head as training goes on, and what is lost by it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from drivetrain.banks.part import Lot
from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.cut_cross_entropy.filtered import negligible
from drivetrain.cut_cross_entropy.loss import linear_cross_entropy
from drivetrain.env import Env
from drivetrain.learn.algorithm import unroll
from drivetrain.learn.bc import Bc
from drivetrain.policy.base import Policy
from drivetrain.sim.bank import Bank
from drivetrain.types import Array

ROWS, EPISODES = 512, 32
"""Steps of the log whose loss is asked for, about as many as a minibatch has; and episodes that they are drawn from."""
CUTS = tuple(
    Cut(tokens, entries, least, ordered)
    for least in (2.0**-12, 2.0**-20)
    for tokens, entries, ordered in ((512, 1024, False), (512, 1024, True), (64, 128, True))
)


def left_out(env: Env, algorithm: Bc, policy: Any, lot: Lot, cuts: Sequence[Cut] = CUTS) -> list[dict[str, Any]]:
    """What each cut leaves out of the loss of the log's choices, under a policy with a vocabulary's head."""
    features, targets = shown(env, algorithm, policy, lot, EPISODES, ROWS)
    return filtered(features, targets, policy.head.classifier, policy.head.bias, cuts)


def filtered(
    features: Float[Array, "N d"],
    targets: Int[Array, "N"],
    classifier: Float[Array, "V d"],
    bias: Float[Array, "V"],
    cuts: Sequence[Cut] = CUTS,
) -> list[dict[str, Any]]:
    """Of each cut: the share of blocks left out; and by how much the gradient of the mean loss by features, classifier
    and bias is off, relative to its norm. `loss` is that loss, nats.
    """
    given = features, classifier, bias, targets
    loss, exact = _slopes(*given, cut=Cut())
    rows = []
    for cut in cuts:
        off = optax.tree.norm(optax.tree.sub(_slopes(*given, cut=cut)[1], exact)) / optax.tree.norm(exact)
        share = _negligible(features, classifier, targets, bias, cut=cut)
        about = {"tokens": cut.tokens, "entries": cut.entries, "least": cut.least, "ordered": cut.ordered}
        rows.append(about | {"skipped": float(share), "off": float(off), "loss": float(loss)})
    return rows


_negligible = jax.jit(negligible, static_argnames="cut")


@partial(jax.jit, static_argnames="cut")
def _slopes(features: Array, classifier: Array, bias: Array, targets: Array, cut: Cut) -> tuple[Array, Any]:
    def loss(features: Array, classifier: Array, bias: Array) -> Array:
        return jnp.mean(linear_cross_entropy(features, classifier, targets, bias, cut).loss)

    return jax.value_and_grad(loss, (0, 1, 2))(features, classifier, bias)


def shown(
    env: Env, algorithm: Bc, policy: Policy, lot: Lot, episodes: int, count: int
) -> tuple[Float[Array, "N d"], Int[Array, "N"]]:
    """Features and the log's choices of at most so many steps, drawn from the first episodes of a lot."""
    rows = jnp.asarray(lot.rows()[:episodes])
    features, targets, mask = (np.asarray(leaf) for leaf in _features(env, algorithm, lot.bank, policy, rows))
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(mask.reshape(-1)))[:count]
    return jnp.asarray(features.reshape(-1, features.shape[-1])[chosen]), jnp.asarray(targets.reshape(-1)[chosen])


@eqx.filter_jit
def _features(env: Env, algorithm: Bc, bank: Bank, policy: Policy, rows: Array) -> tuple[Array, Array, Array]:
    def of_episode(row: Array) -> tuple[Array, Array, Array]:
        key = jax.random.fold_in(jax.random.key(0), row)
        carry = algorithm.open(env, policy, bank, row[None], key)
        segment = algorithm.gather(env, policy, bank, row[None], carry, jnp.zeros((), jnp.int32))[1]
        steps = algorithm.prepare(env, policy, bank, segment, key).steps
        ask = lambda distribution, action: (distribution.features, action[0])  # noqa: E731
        return *unroll(policy, steps, key, ask)[0], steps.mask

    return jax.vmap(of_episode)(rows)
