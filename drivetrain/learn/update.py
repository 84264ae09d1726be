"""One step of gradient descent, and what is trained."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from drivetrain.types import Array, Key, component, record


@component
class Optimiser:
    """AdamW after clipping the gradient's norm; the rate rises over `warmup` steps and falls as a cosine to `steps`."""

    learning_rate: float = 5.6e-5  # Zoox's rate for RL; 2e-3 for BC
    warmup: int = 0
    steps: int = 0  # 0: constant after the warm-up
    final: float = 0.0  # share of the rate that is left after `steps`
    weight_decay: float = 0.0
    clip: float = 1.0  # of the gradient's global norm
    beta2: float = 0.999
    epsilon: float = 1e-8

    def schedule(self) -> optax.Schedule:
        """Learning rate by step."""
        rate = optax.constant_schedule(self.learning_rate)
        if self.steps:
            rate = optax.cosine_decay_schedule(self.learning_rate, max(self.steps - self.warmup, 1), self.final)
        if not self.warmup:
            return rate
        rise = optax.linear_schedule(self.learning_rate / self.warmup, self.learning_rate, self.warmup)
        return optax.join_schedules([rise, rate], [self.warmup])

    def transform(self) -> optax.GradientTransformation:
        """The optax transformation."""
        adam = optax.adamw(
            self.schedule(), b2=self.beta2, eps=self.epsilon, weight_decay=self.weight_decay, mask=_is_matrix
        )
        return optax.chain(optax.clip_by_global_norm(self.clip), adam)


def _is_matrix(tree: Any) -> Any:
    """Decay pulls at weights, not at biases and scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, tree)


@record
class TrainState:
    """What is trained, and what its next step depends on. Donate it."""

    policy: eqx.Module  # all leaves are arrays
    optimiser: optax.OptState
    step: Int[Array, ""]
    key: Key


def begin(optimiser: Optimiser, policy: eqx.Module, key: Key) -> TrainState:
    """A policy before its first step. The key is carried."""
    return TrainState(policy, optimiser.transform().init(policy), jnp.zeros((), jnp.int32), key)  # type: ignore[arg-type]


Loss = Callable[[Any, Key], tuple[Array, Any]]
"""`loss(policy, key) -> (loss, figures)`."""


def descend(optimiser: Optimiser, train: TrainState, loss: Loss) -> tuple[TrainState, Any, Float[Array, ""]]:
    """One step down the gradient of `loss`: the state after it, the loss's figures, the gradient's norm unclipped.

    The key is split: one for the loss, one carried on.
    """
    key, loss_key = jax.random.split(train.key)
    (_, figures), gradient = jax.value_and_grad(loss, has_aux=True)(train.policy, loss_key)
    updates, state = optimiser.transform().update(gradient, train.optimiser, train.policy)  # type: ignore[arg-type]
    policy = optax.apply_updates(train.policy, updates)  # type: ignore[arg-type]
    return TrainState(policy, state, train.step + 1, key), figures, optax.tree.norm(gradient)  # type: ignore[arg-type]
