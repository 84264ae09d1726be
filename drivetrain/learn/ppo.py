"""PPO (Schulman et al. 2017) on V-trace advantages (Espeholt et al. 2018), as in arXiv 2312.15122.

    prepare   values and ratios of a window under the present policy → advantages and value targets
    loss      clipped surrogate + value_scale · (V − target)² − entropy · H

The rollout gathers.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.env import Env
from drivetrain.learn.returns import explained_variance, vtrace
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Key, State, Transition, component, record


@record
class Experience:
    """One step of one controlled agent, with what PPO needs to learn from it."""

    state: State
    agent: Int[Array, "*N"]  # 0 .. C - 1
    action: Int[Array, "*N width"]
    log_prob: Float[Array, "*N"]  # under the behaviour policy
    advantage: Float[Array, "*N"]
    target: Float[Array, "*N"]  # of the value
    mask: Bool[Array, "*N"]


@record
class PpoFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    surrogate: Float[Array, ""]
    value_error: Float[Array, ""]  # mean square
    entropy: Float[Array, ""]  # nats, both columns
    ratio: Float[Array, ""]  # π / μ
    clipped: Float[Array, ""]  # share of ratios beyond the clip
    divergence: Float[Array, ""]  # KL(μ ‖ π), by the estimator ratio − 1 − log ratio
    explained: Float[Array, ""]  # share of the target's variance that the value explains


@component
class Ppo:
    """Hyper-parameters. The paper: clip 0.3, value scale 1e-2, entropy 3e-2; γ, λ, ρ̄, c̄ and normalisation are ours."""

    clip: float = 0.3
    value_scale: float = 1e-2
    entropy: float = 3e-2
    discount: float = 0.97  # γ, per step
    trace: float = 0.95  # λ
    rho_bar: float = 1.0
    c_bar: float = 1.0
    normalise: bool = True  # advantages to mean 0 and deviation 1 within each batch of the loss

    def prepare(
        self, env: Env, bank: Bank, policy: eqx.Module, window: Transition, final: State, key: Key
    ) -> Experience:
        """Experiences [T · C] of one scene's window [T, C] and the state after it. The key is split once a state.

        A terminated step is worth its reward. A truncated one is bootstrapped from the state before it, since the one
        it reached has given way to another life; the window's last from `final`.
        """
        steps, agents = window.mask.shape
        keys = jax.random.split(key, steps + 1)

        def evaluate(row: tuple[State, Array, Key]) -> tuple[Array, Array]:
            state, action, key = row
            distribution, value, _ = jax.vmap(lambda o: policy(o, (), key))(env.observe(bank, state))  # type: ignore[operator]
            return value, jax.vmap(lambda d, a: d.log_prob(a))(distribution, action)

        # One step at a time: the window's activations would not fit in any cache.
        value, log_prob = jax.lax.map(evaluate, (window.state, window.action, keys[:-1]))
        last, _ = evaluate((final, window.action[-1], keys[-1]))
        following = jnp.concatenate([value[1:], last[None]])
        following = jnp.where(window.truncated, value, following)
        discount = self.discount * (1.0 - window.terminated)
        trace = self.trace * (1.0 - (window.terminated | window.truncated))
        ratio = jnp.exp(log_prob - window.log_prob)
        target, advantage = jax.vmap(
            lambda *row: vtrace(*row, rho_bar=self.rho_bar, c_bar=self.c_bar), in_axes=1, out_axes=1
        )(value, following, window.reward, discount, ratio, trace)
        return Experience(
            state=jax.tree.map(lambda leaf: jnp.repeat(leaf, agents, axis=0), window.state),
            agent=jnp.tile(jnp.arange(agents), steps),
            action=window.action.reshape(steps * agents, -1),
            log_prob=window.log_prob.reshape(-1),
            advantage=advantage.reshape(-1),
            target=target.reshape(-1),
            mask=window.mask.reshape(-1),
        )

    def loss(
        self, env: Env, bank: Bank, policy: eqx.Module, batch: Experience, key: Key
    ) -> tuple[Float[Array, ""], PpoFigures]:
        """Mean loss of a batch of N experiences and its figures. The key is split once an experience."""

        def evaluate(row: Experience, key: Key) -> tuple[Array, Array, Array]:
            distribution, value, _ = policy(env.observer(bank, row.state, row.agent), (), key)  # type: ignore[operator]
            return distribution.log_prob(row.action), distribution.entropy(), value

        keys = jax.random.split(key, batch.mask.shape[0])
        log_prob, entropy, value = jax.vmap(evaluate)(batch, keys)
        return self.objective(log_prob, entropy, value, batch)

    def objective(
        self, log_prob: Float[Array, "N"], entropy: Float[Array, "N"], value: Float[Array, "N"], batch: Experience
    ) -> tuple[Float[Array, ""], PpoFigures]:
        """The loss, of what the present policy says of a batch (eq. 7 and 9 of the PPO paper)."""
        weight = batch.mask.astype(jnp.float32)
        total = jnp.maximum(jnp.sum(weight), 1.0)

        def mean(x: Array) -> Array:
            return jnp.sum(jnp.where(batch.mask, x, 0.0)) / total

        advantage = batch.advantage
        if self.normalise:
            advantage = advantage - mean(advantage)
            advantage = advantage / jnp.sqrt(mean(advantage**2) + 1e-8)
        log_ratio = jnp.where(batch.mask, log_prob - batch.log_prob, 0.0)
        ratio = jnp.exp(log_ratio)
        held = jnp.clip(ratio, 1.0 - self.clip, 1.0 + self.clip)
        surrogate = mean(jnp.minimum(ratio * advantage, held * advantage))
        value_error = mean((value - batch.target) ** 2)
        loss = -surrogate + self.value_scale * value_error - self.entropy * mean(entropy)
        return loss, PpoFigures(
            loss=loss,
            surrogate=surrogate,
            value_error=value_error,
            entropy=mean(entropy),
            ratio=mean(ratio),
            clipped=mean((jnp.abs(ratio - 1.0) > self.clip).astype(jnp.float32)),
            divergence=mean(ratio - 1.0 - log_ratio),
            explained=explained_variance(value, batch.target, weight),
        )
