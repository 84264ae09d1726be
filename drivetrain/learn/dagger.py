"""Imitation of a teacher on the states that the learner itself comes to (DAgger: Ross, Gordon and Bagnell 2011, arXiv
1011.0686), where the teacher may see more of a state than the learner does.

    gather    a window of rollout; with probability β the teacher's sample is done in place of the learner's
    prepare   the teacher's distribution in every state of the window, and value targets as PPO's
    loss      KL(teacher ‖ π) + value_scale · (V − target)²

The paper adds each iteration's states to all before and learns anew; here each update learns from its own window, as
the learner's states are cheap to have again. β falls on a straight line to 0. Values are those of whoever drove.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Sequences, by_sequence, cut, scalars, unroll
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.returns import Fit, explained, fit
from drivetrain.policy.base import Architecture, Distribution, Policy, Sample, remembers
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.taught import Taught
from drivetrain.rollout import Carry, Figures, rates, rollout
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Key, Segment, State, by_row, component, record, replace


@record
class Lesson:
    """Sequences of a window, whose actions are the teacher's distributions ([N, L])."""

    steps: Sequences
    target: Float[Array, "*N L"]  # of the value


@record
class DaggerFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    divergence: Float[Array, ""]  # KL(teacher ‖ π), nats
    agreement: Float[Array, "width"]  # the mode is the teacher's; of continuous actions, never
    value: Fit


@component
class Dagger(Algorithm):
    """Hyper-parameters, and who teaches."""

    teacher: str = ""  # a run's folder, one of its checkpoints, or what `drivetrain export` wrote
    taught_in: Env = Env()  # the teacher's environment: its observer is the teacher's eyes
    built: Architecture = DeepSetsSizes()  # how the teacher is made
    beta: float = 1.0  # at first
    weaned: int = 50  # updates after which β is 0; 0: it stays as it is
    window: int = 32  # steps of a rollout
    value_scale: float = 0.05
    discount: float = 0.97  # γ, per step, as in PPO
    trace: float = 0.95  # λ

    @property
    def rules(self) -> Ppo:
        """PPO's rules of windows and value targets."""
        return Ppo(window=self.window, discount=self.discount, trace=self.trace)

    def begin(self, policy: Policy) -> Taught:
        """The policy beside a teacher of the right shapes, whose weights are not learnt yet: a run reads them.

        Raises `InputError` for a teacher that remembers.
        """
        if isinstance(policy, Taught):
            return policy
        teacher = self.built.build(self.taught_in, jax.random.key(0))
        if remembers(teacher):
            raise InputError("teacher: it remembers (name one that does not)")
        return Taught(policy, teacher)

    def steps(self) -> int:
        """A window."""
        return self.window

    def open(self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key) -> Carry:
        """A scene at the start of an episode."""
        return self.rules.open(env, policy, bank, episodes, key)

    def reopen(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Carry, slots: Int[Array, "n"]
    ) -> Carry:
        """A scene on one of the slots that were replaced begins anew."""
        return self.rules.reopen(env, policy, bank, episodes, carry, slots)

    def share(self, version: Int[Array, ""]) -> Float[Array, ""]:
        """β after so many updates."""
        fallen = jnp.asarray(version) / self.weaned if self.weaned else 0.0
        return self.beta * jnp.maximum(1.0 - fallen, 0.0)

    def gather(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Carry, version: Int[Array, ""]
    ) -> tuple[Carry, Segment, Figures]:
        """A window of rollout, each step of each agent the teacher's with probability β."""
        share = self.share(version)

        def guide(state: State, sample: Sample, key: Key) -> Sample:
            coin_key, sample_key = jax.random.split(key)
            coin = jax.random.uniform(coin_key, state.alive.shape) < share

            def guided() -> Sample:
                shown = self.says(policy, bank, state)
                keys = jax.random.split(sample_key, state.alive.shape[0])
                return by_row(coin, jax.vmap(lambda told, key: told.sample(key))(shown, keys), sample)

            return jax.lax.cond(share > 0.0, guided, lambda: sample)

        asked = guide if self.beta else None
        return rollout(env, bank, policy, carry, self.window, episodes, version=version, guide=asked)

    def says(self, policy: Policy, bank: Bank, state: State) -> Distribution:
        """The teacher's distribution for each agent of a state, [C], by what the teacher sees of it."""
        if not isinstance(policy, Taught):
            raise InputError(f"teacher: {type(policy).__name__} has none (begin with `Dagger.begin`)")
        teacher, key = policy.teacher, jax.random.key(0)  # which no policy without dropout reads
        return jax.vmap(lambda seen: teacher(seen, (), key)[0])(self.taught_in.observe(bank, state))

    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Lesson:
        """The lesson of one scene. The key is consumed."""
        taught = jax.lax.map(lambda state: self.says(policy, bank, state), segment.steps.state)
        target = self.rules.prepare(env, policy, bank, segment, key).target
        return Lesson(replace(cut(policy, segment), action=by_sequence(taught, remembers(policy))), target)

    def loss(
        self, env: Env, policy: Policy, bank: Bank, batch: Lesson, moments: tuple[()], key: Key
    ) -> tuple[Float[Array, ""], DaggerFigures]:
        """Mean loss of some sequences and its figures."""

        def ask(distribution: Distribution, taught: Distribution) -> tuple[Array, Array]:
            return taught.divergence(distribution), distribution.mode() == taught.mode()

        (apart, agreed), value = unroll(policy, batch.steps, key, ask)
        mask = batch.steps.mask
        total = jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)
        divergence = jnp.sum(jnp.where(mask, apart, 0.0)) / total
        agreement = jnp.sum(jnp.where(mask[..., None], agreed, False), axis=(0, 1), dtype=jnp.float32) / total
        of_value = fit(value, batch.target, mask)
        loss = divergence + self.value_scale * of_value.error_square
        return loss, DaggerFigures(loss, divergence, agreement, of_value)

    def describe(self, gathered: Figures) -> dict[str, float]:
        """Shares of the episodes that ended, and means."""
        return rates(gathered)

    def describe_loss(self, learnt: DaggerFigures) -> dict[str, float]:
        """Means, and how well the values fit."""
        return scalars(learnt) | explained(learnt.value)
