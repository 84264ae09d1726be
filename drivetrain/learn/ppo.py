"""PPO (Schulman et al. 2017) on V-trace advantages (Espeholt et al. 2018), as in arXiv 2312.15122.

gather    a window of rollout
prepare   values and ratios of the window → advantages and value targets
loss      clipped surrogate + value_scale · (V − target)² − entropy · H + anchor · KL(anchor ‖ π)
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Sequences, Total, by_sequence, cut, scalars, unroll
from drivetrain.learn.returns import Fit, explained, fit, vtrace
from drivetrain.policy.anchored import Anchored, strayed
from drivetrain.policy.base import Memory, Policy, remembers
from drivetrain.rollout import Carry, Figures, Others, open_again, rates, rollout, start
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Key, Segment, State, component, record, replace


@record
class Experience:
    """Sequences of a window, with what PPO needs to learn from them ([N, L])."""

    steps: Sequences
    log_prob: Float[Array, "*N L"]  # under the behaviour policy
    advantage: Float[Array, "*N L"]
    target: Float[Array, "*N L"]  # of the value


@record
class Advantages:
    """Of a whole minibatch, over all learners."""

    mean: Float[Array, ""]
    deviation: Float[Array, ""]


@record
class PpoFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    surrogate: Float[Array, ""]
    entropy: Float[Array, ""]  # nats, all columns
    ratio: Float[Array, ""]  # π / μ
    clipped: Float[Array, ""]  # share of ratios beyond the clip
    divergence: Float[Array, ""]  # KL(μ ‖ π), by the estimator ratio − 1 − log ratio
    value: Fit
    strayed: Float[Array, ""]  # KL(anchor ‖ π); 0 where it is not asked for


@component
class Ppo(Algorithm):
    """Hyper-parameters. The paper: clip 0.3, value scale 1e-2, entropy 3e-2; γ, λ, ρ̄, c̄ and normalisation are ours."""

    window: int = 32  # steps of a rollout
    clip: float = 0.3
    value_scale: float = 1e-2
    entropy: float = 3e-2
    discount: float = 0.97  # γ, per step
    trace: float = 0.95  # λ
    rho_bar: float = 1.0
    c_bar: float = 1.0
    normalise: bool = True  # advantages to mean 0 and deviation 1 within each minibatch
    anchor: float = 0.0  # scale of the divergence from the policy that is begun with; published: 0.075
    lagging: bool = False  # the window may be another policy's: values and ratios are those of the policy that learns

    def begin(self, policy: Policy) -> Policy:
        """The policy, held near itself as it is now where an anchor is asked for (`policy/anchored.py`).

        Raises `InputError` for one that remembers.
        """
        if not self.anchor:
            return policy
        if remembers(policy):
            raise InputError("anchor: the policy remembers (clone one that does not)")
        return Anchored(policy, jax.tree.map(jnp.copy, policy))

    def behind(self) -> Algorithm:
        """Corrected by V-trace."""
        return replace(self, lagging=True)

    def steps(self) -> int:
        """A window."""
        return self.window

    def open(self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key) -> Carry:
        """A scene at the start of an episode."""
        return start(env, bank, policy, episodes, key)

    def gather(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Carry, version: Int[Array, ""]
    ) -> tuple[Carry, Segment, Figures]:
        """A window of rollout."""
        return rollout(env, bank, policy, carry, self.window, episodes, version=version)

    def gather_among(
        self,
        env: Env,
        policy: Policy,
        bank: Bank,
        episodes: Int[Array, "E"],
        carry: Carry,
        version: Int[Array, ""],
        others: Others,
    ) -> tuple[Carry, Segment, Figures]:
        """A window of rollout among others."""
        return rollout(env, bank, policy, carry, self.window, episodes, others, version)

    def reopen(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Carry, slots: Int[Array, "n"]
    ) -> Carry:
        """A scene on one of the slots that were replaced begins anew."""
        return open_again(env, bank, policy, episodes, carry, slots)

    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Experience:
        """Experience of one scene. The key is split in two: the window's values, and those of what it reached.

        A terminated step is worth its reward; a truncated one, and the window's last, go on with the value of the state
        that they reached.
        """
        window, (key, reached_key) = segment.steps, jax.random.split(key)
        steps, whole = cut(policy, segment), remembers(policy)
        value, log_prob = window.value, window.log_prob
        if self.lagging:
            logs, values = unroll(policy, steps, key, lambda d, a: d.log_prob(a))
            value, log_prob = (by_step(rows, window.mask.shape, whole) for rows in (values, logs))

        def worth(state: State, memory: Memory) -> Float[Array, "C"]:
            return jax.vmap(lambda seen, own: policy(seen, own, reached_key)[1])(env.observe(bank, state), memory)

        last = worth(segment.final.state, segment.final.memory)
        following = jnp.concatenate([value[1:], last[None]])
        if window.reached is not None:
            reached = jax.lax.map(lambda reached: worth(reached.state, reached.memory), window.reached)
            following = jnp.where(window.truncated, reached, following)
        discount = self.discount * (1.0 - window.terminated)
        trace = self.trace * (1.0 - (window.terminated | window.truncated))
        ratio = jnp.exp(log_prob - window.log_prob)
        target, advantage = jax.vmap(
            lambda *row: vtrace(*row, rho_bar=self.rho_bar, c_bar=self.c_bar), in_axes=1, out_axes=1
        )(value, following, window.reward, discount, ratio, trace)
        rows = by_sequence((window.log_prob, advantage, target), whole)
        return Experience(steps, *rows)

    def priority(self, batch: Experience) -> Float[Array, "*N"]:
        """The size of the advantage: the largest of a sequence."""
        return largest(batch.advantage, batch.steps.mask)

    def origins(self, policy: Policy, window: tuple[int, int]) -> Int[Array, "N L"]:
        """In the order of `cut`."""
        return by_sequence(jnp.arange(window[0] * window[1]).reshape(window), remembers(policy))

    def moments(self, batch: Experience, total: Total) -> Advantages:
        """Mean and deviation of a minibatch's advantages; 0 and 1 where they are not normalised."""
        if not self.normalise:
            return Advantages(jnp.zeros(()), jnp.ones(()))
        mask = batch.steps.mask
        advantage = jnp.where(mask, batch.advantage, 0.0)
        count, summed = total((jnp.sum(mask, dtype=jnp.float32), jnp.sum(advantage)))
        count = jnp.maximum(count, 1.0)
        mean = summed / count
        square = total(jnp.sum(jnp.where(mask, (advantage - mean) ** 2, 0.0)))
        return Advantages(mean, jnp.sqrt(square / count + 1e-8))

    def loss(
        self, env: Env, policy: Policy, bank: Bank, batch: Experience, moments: Advantages, key: Key
    ) -> tuple[Float[Array, ""], PpoFigures]:
        """Mean loss of some sequences and its figures."""
        if not self.anchor:
            (log_prob, entropy), value = unroll(policy, batch.steps, key, lambda d, a: d.weigh(a))
            return self.objective(log_prob, entropy, value, batch, moments)
        if not isinstance(policy, Anchored):
            raise InputError(f"anchor: {self.anchor}: {type(policy).__name__} has none (hold it to one, or set 0)")
        (weighed, far), value = unroll(policy, batch.steps, key, lambda d, a: (d.weigh(a), strayed(d)))
        log_prob, entropy = weighed
        loss, figures = self.objective(log_prob, entropy, value, batch, moments)
        mask = batch.steps.mask
        mean = jnp.sum(jnp.where(mask, far, 0.0)) / jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)
        loss += self.anchor * mean
        return loss, replace(figures, loss=loss, strayed=mean)

    def objective(
        self,
        log_prob: Float[Array, "N L"],
        entropy: Float[Array, "N L"],
        value: Float[Array, "N L"],
        batch: Experience,
        moments: Advantages,
    ) -> tuple[Float[Array, ""], PpoFigures]:
        """The loss, of what the present policy says of a batch (eq. 7 and 9 of the PPO paper)."""
        mask = batch.steps.mask
        total = jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)

        def mean(x: Array) -> Array:
            return jnp.sum(jnp.where(mask, x, 0.0)) / total

        advantage = (batch.advantage - moments.mean) / moments.deviation
        log_ratio = jnp.where(mask, log_prob - batch.log_prob, 0.0)
        surrogate, ratio, clipped = clipped_surrogate(log_ratio, advantage, self.clip)
        of_value = fit(value, batch.target, mask)
        loss = -mean(surrogate) + self.value_scale * of_value.error_square - self.entropy * mean(entropy)
        return loss, PpoFigures(
            loss=loss,
            surrogate=mean(surrogate),
            entropy=mean(entropy),
            ratio=mean(ratio),
            clipped=mean(clipped),
            divergence=mean(ratio - 1.0 - log_ratio),
            value=of_value,
            strayed=jnp.zeros(()),
        )

    def describe(self, gathered: Figures) -> dict[str, float]:
        """Shares of the episodes that ended, and means."""
        return rates(gathered)

    def describe_loss(self, learnt: PpoFigures) -> dict[str, float]:
        """Means, and how well the values fit."""
        return scalars(learnt) | explained(learnt.value)


def clipped_surrogate(
    log_ratio: Float[Array, "*n"], advantage: Float[Array, "*n"], clip: float
) -> tuple[Float[Array, "*n"], Float[Array, "*n"], Float[Array, "*n"]]:
    """The pessimistic surrogate (eq. 7 of the PPO paper), the ratios, and 1 where they are beyond the clip."""
    ratio = jnp.exp(log_ratio)
    held = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    return jnp.minimum(ratio * advantage, held * advantage), ratio, (jnp.abs(ratio - 1.0) > clip).astype(jnp.float32)


def largest(advantage: Float[Array, "*N L"], mask: Bool[Array, "*N L"]) -> Float[Array, "*N"]:
    """The size of each sequence's largest advantage; −1 where all of it is masked."""
    return jnp.max(jnp.where(mask, jnp.abs(advantage), -1.0), axis=-1)


def by_step(rows: Float[Array, "N L"], shape: tuple[int, ...], whole: bool) -> Float[Array, "T C"]:
    """Rows of sequences as the window's steps, of that shape; `whole`: a sequence is an agent's whole window."""
    return rows.T if whole else rows.reshape(shape)
