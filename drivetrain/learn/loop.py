"""LOOP: reinforcement learning without a critic (arXiv 2502.01600, "leave-one-out PPO").

    gather    K rollouts of one scene, all from one state
    prepare   each rollout's return less the mean of the other K − 1: the advantage of all its steps
    loss      clipped surrogate − entropy · H; ratios of steps, or of whole rollouts

No value is learnt or kept, and no second policy. The rungs of its ladder are options:

    REINFORCE leave-one-out (Kool et al. 2019)   one pass (`epochs`) in one minibatch (`minibatches`)
    LOOP                                         several passes of shuffled minibatches
    normalised, GRPO (arXiv 2402.03300)          `normalise`: advantages in deviations of the group's returns
    PPO with a critic                            `value_scale`: each step's return less the critic's value of it
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Sequences, by_sequence, cut, scalars, unroll
from drivetrain.learn.ppo import clipped_surrogate, largest
from drivetrain.learn.returns import Fit, discounted_returns, explained, fit, leave_one_out
from drivetrain.policy.base import Policy, remembers
from drivetrain.rollout import Figures, rates, rollout, start
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Key, Segment, component, record, replace


@record
class Attempts:
    """Sequences of K rollouts ([N, L])."""

    steps: Sequences
    log_prob: Float[Array, "*N L"]  # under the policy that drove
    advantage: Float[Array, "*N L"]
    target: Float[Array, "*N L"]  # of the value, where there is a critic: the return from here on


@record
class LoopFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    surrogate: Float[Array, ""]
    entropy: Float[Array, ""]  # nats, all columns
    ratio: Float[Array, ""]  # π / μ
    clipped: Float[Array, ""]  # share of ratios beyond the clip
    advantage: Float[Array, ""]  # mean size
    value: Fit


@component
class Loop(Algorithm):
    """Hyper-parameters. The paper: K 6, clip 0.1 per token, two passes, |A| < 0.01 dropped; the rest is ours."""

    rollouts: int = 6  # K, of one scene from one state
    longest: int = 40  # steps of a rollout, at most
    clip: float = 0.1
    per_trajectory: bool = False  # one ratio a rollout, the product of its steps', instead of one a step
    entropy: float = 3e-3
    discount: float = 1.0  # per step, of a return
    least: float = 0.01  # advantages smaller than this teach nothing
    normalise: bool = False  # advantages over the deviation of a group's returns
    value_scale: float = 0.0  # of the value's loss: a critic is the baseline; 0: the other rollouts are

    def steps(self) -> int:
        """Those of all rollouts."""
        return self.rollouts * self.longest

    def open(self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key) -> Key:
        """The key: every rollout begins anew."""
        return key

    def gather(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Key, version: Int[Array, ""]
    ) -> tuple[Key, Segment, Figures]:
        """K rollouts of an episode drawn from `episodes`: a segment [K]. The key is split in three."""
        key, draw, drive = jax.random.split(carry, 3)
        begun = start(env, bank, policy, episodes, draw)

        def attempt(key: Key) -> tuple[Segment, Figures]:
            return rollout(env, bank, policy, replace(begun, key=key), self.longest, None, version=version)[1:]

        segments, figures = jax.vmap(attempt)(jax.random.split(drive, self.rollouts))
        return key, segments, jax.tree.map(lambda rows: jnp.sum(rows, axis=0), figures)

    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Attempts:
        """Advantages of K rollouts [K], agent by agent. The key is not used."""
        window, whole = segment.steps, remembers(policy) or self.per_trajectory
        discount = jnp.full(window.reward.shape, self.discount)
        returns = jax.vmap(jax.vmap(discounted_returns, in_axes=1, out_axes=1))(window.reward * window.mask, discount)
        if self.value_scale:
            advantage = returns - window.value
        else:
            advantage = jax.vmap(leave_one_out, in_axes=1, out_axes=1)(returns[:, 0])  # [K, C]
            if self.normalise:
                advantage /= jnp.std(returns[:, 0], axis=0) + 1e-6
            advantage = jnp.broadcast_to(advantage[:, None], window.mask.shape)

        def of_rollout(one: Segment, advantage: Array, returns: Array) -> Attempts:
            steps = cut(policy, one, whole)
            log_prob, advantage, returns = by_sequence((one.steps.log_prob, advantage, returns), whole)
            mask = steps.mask & (jnp.abs(advantage) >= self.least)
            return Attempts(replace(steps, mask=mask), log_prob, advantage, returns)

        attempts = jax.vmap(of_rollout)(segment, advantage, returns)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), attempts)

    def priority(self, batch: Attempts) -> Float[Array, "*N"]:
        """The size of the advantage: the largest of a sequence."""
        return largest(batch.advantage, batch.steps.mask)

    def loss(
        self, env: Env, policy: Policy, bank: Bank, batch: Attempts, moments: tuple[()], key: Key
    ) -> tuple[Float[Array, ""], LoopFigures]:
        """Mean loss of some sequences and its figures."""
        (log_prob, entropy), value = unroll(policy, batch.steps, key, lambda d, a: d.weigh(a))
        mask = batch.steps.mask
        total = jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)

        def mean(x: Array) -> Array:
            return jnp.sum(jnp.where(mask, x, 0.0)) / total

        log_ratio = jnp.where(mask, log_prob - batch.log_prob, 0.0)
        if self.per_trajectory:
            log_ratio = jnp.broadcast_to(jnp.sum(log_ratio, axis=1, keepdims=True), log_ratio.shape)
        surrogate, ratio, clipped = clipped_surrogate(log_ratio, batch.advantage, self.clip)
        loss = -mean(surrogate) - self.entropy * mean(entropy)
        of_value = fit(value, batch.target, mask)
        if self.value_scale:
            loss += self.value_scale * of_value.error_square
        size = mean(jnp.abs(batch.advantage))
        return loss, LoopFigures(loss, mean(surrogate), mean(entropy), mean(ratio), mean(clipped), size, of_value)

    def describe(self, gathered: Figures) -> dict[str, float]:
        """Shares of the episodes that ended, and means."""
        return rates(gathered)

    def describe_loss(self, learnt: LoopFigures) -> dict[str, float]:
        """Means, and, where there is a critic, how well its values fit."""
        return scalars(learnt) | (explained(learnt.value) if self.value_scale else {})
