"""Behavioural cloning of policy and value (arXiv 2312.15122, section on pre-training).

    gather    the expert drives an episode: the inverse of the dynamics tracks the log from where the agent *is*
    prepare   the discounted return of every step
    loss      −log π of the expert's action + value_scale · (V − G)²

G is the discounted return of the replayed log under the reward and the ending of RL: the critic starts where RL needs
it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Sequences, by_sequence, cut, scalars, unroll
from drivetrain.learn.returns import Fit, discounted_returns, explained, fit
from drivetrain.policy.base import Distribution, Policy, first_memory, remembers
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import logged, record_of
from drivetrain.sim.simulator import distance_to_log, movers
from drivetrain.types import Array, Key, Observation, Reached, Segment, State, Transition, component, record


@record
class Demonstration:
    """Sequences of what the expert did, and the returns that followed ([N, L])."""

    steps: Sequences
    target: Float[Array, "*N L"]  # discounted return


@record
class GatherFigures:
    """Sums over one episode: how well the simulator could follow its log."""

    steps: Float[Array, ""]  # agent steps
    episodes: Float[Array, ""]  # agent episodes
    clipped: Float[Array, ""]  # steps beyond the limits of the dynamics
    ended: Float[Array, ""]  # agents that ended before the recording did
    error: Float[Array, ""]  # distance to the log after each step, m
    worst: Float[Array, ""]  # the largest of them, of each agent, m


@record
class BcFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    nll: Float[Array, "width"]  # −log π of each action column, without smoothing
    accuracy: Float[Array, "width"]  # the mode is the expert's; of continuous actions, never
    value: Fit


@component
class Bc(Algorithm):
    """Hyper-parameters. The paper: value scale 1e-4, batch 32768, learning rate 2e-3, 20 epochs; the rest is ours."""

    longest: int = 40  # steps of the longest episode: a return is cut where they end
    discount: float = 0.97  # per step: γ of RL
    value_scale: float = 1e-4
    smoothing: float = 0.0  # probability that the target gives to the two neighbouring values of each column
    horizon: int = 6  # steps of the log that the inverse tracks at once

    def behind(self) -> Algorithm:
        """The same: the expert drives, whatever the policy."""
        return self

    def steps(self) -> int:
        """A whole episode."""
        return self.longest

    def open(self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key) -> Key:
        """The key: every episode is driven from its start."""
        return key

    def gather(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Key, version: Int[Array, ""]
    ) -> tuple[Key, Segment, GatherFigures]:
        """Drive one episode as its log did, by actions that the policy could sample. The key is split in two."""
        key, draw = jax.random.split(carry)
        first = env.reset(bank, jax.random.choice(draw, episodes), jax.random.fold_in(draw, 1))
        agents = first.alive.shape[0]
        like = _distribution_of(policy, env.observe(bank, first))
        nothing = jnp.zeros(agents)

        def step(state: State, _: None):
            wanted = expert_actions(env, bank, state, self.horizon)
            sample = jax.vmap(lambda row: like.express(env.dynamics, row))(wanted)
            observation = env.observe(bank, state)
            after, events = env.step(bank, state, jax.vmap(env.dynamics.decode)(sample))
            terminated, truncated = env.endings(bank, after, events)
            ended = terminated | truncated
            clipped = jnp.any(jnp.abs(jax.vmap(env.dynamics.limit)(wanted) - wanted) > 1e-6, axis=-1)
            early = ended & (after.time < bank.episodes.last[after.episode])
            transition = Transition(
                state=state,
                observation=observation,
                action=sample,
                log_prob=nothing,
                value=nothing,
                reward=env.rewards(bank, events, state.traits),
                terminated=terminated,
                truncated=truncated,
                mask=state.alive,
                fresh=jnp.broadcast_to(state.time == bank.episodes.first[state.episode], state.alive.shape),
                reached=None,
            )
            return retire(after, ended), (transition, clipped, distance_to_log(bank, after), early)

        final, (transitions, clipped, error, early) = jax.lax.scan(step, first, None, length=self.longest)
        memory = first_memory(policy, agents)
        record = jnp.broadcast_to(record_of(bank, first.episode), (self.longest, 2))
        segment = Segment(
            transitions, memory, Reached(final, memory), jax.random.key_data(carry), jnp.asarray(version), record
        )
        mask = transitions.mask
        error = jnp.where(mask, error, 0.0)
        return (
            key,
            segment,
            GatherFigures(
                steps=jnp.sum(mask, dtype=jnp.float32),
                episodes=jnp.sum(first.alive, dtype=jnp.float32),
                clipped=jnp.sum(mask & clipped, dtype=jnp.float32),
                ended=jnp.sum(mask & early, dtype=jnp.float32),
                error=jnp.sum(error),
                worst=jnp.sum(jnp.max(error, axis=0)),
            ),
        )

    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Demonstration:
        """Demonstrations of one scene, each with its return. The key is not used."""
        steps = segment.steps
        goes_on = steps.mask & ~(steps.terminated | steps.truncated)
        returns = jax.vmap(discounted_returns, in_axes=1, out_axes=1)
        target = returns(steps.reward * steps.mask, self.discount * goes_on)
        return Demonstration(cut(policy, segment), by_sequence(target, remembers(policy)))

    def loss(
        self, env: Env, policy: Policy, bank: Bank, batch: Demonstration, moments: tuple[()], key: Key
    ) -> tuple[Float[Array, ""], BcFigures]:
        """Mean loss of some sequences and its figures."""

        def ask(distribution: Distribution, action: Array) -> tuple[Array, Array, Array]:
            exact = distribution.nll(action)
            smooth = distribution.nll(action, self.smoothing) if self.smoothing else exact
            return exact, smooth, distribution.mode() == action

        (exact, smooth, hit), value = unroll(policy, batch.steps, key, ask)
        mask = batch.steps.mask
        total = jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)

        def mean(rows: Float[Array, "N L *width"]) -> Array:
            counted = mask.reshape(*mask.shape, *[1] * (rows.ndim - 2))
            return jnp.sum(jnp.where(counted, rows, 0.0), axis=(0, 1)) / total

        of_value = fit(value, batch.target, mask)
        loss = mean(jnp.sum(smooth, axis=-1)) + self.value_scale * of_value.error_square
        return loss, BcFigures(loss, mean(exact), mean(hit.astype(jnp.float32)), of_value)

    def describe(self, gathered: GatherFigures) -> dict[str, float]:
        """How well the expert followed its logs."""
        steps, episodes = max(float(gathered.steps), 1.0), max(float(gathered.episodes), 1.0)
        return {
            "expert_clipped_share": float(gathered.clipped) / steps,
            "expert_failed_share": float(gathered.ended) / episodes,
            "expert_error_mean": float(gathered.error) / steps,
            "expert_error_worst": float(gathered.worst) / episodes,
        }

    def describe_loss(self, learnt: BcFigures) -> dict[str, float]:
        """Means, and how well the values fit."""
        return scalars(learnt) | explained(learnt.value)


def _distribution_of(policy: Policy, observation: Observation) -> Distribution:
    """The distribution of one agent, in shapes alone."""
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), observation)
    return jax.eval_shape(lambda seen: policy(seen, policy.initial_memory(), jax.random.key(0))[0], one)


def expert_actions(env: Env, bank: Bank, state: State, horizon: int) -> Float[Array, "C width"]:
    """The actions, not limited, that bring each controlled agent back to its log over the next `horizon` steps."""
    later, agents = state.time + 1 + jnp.arange(horizon), jnp.arange(state.alive.shape[0])
    targets = jax.vmap(lambda c: jax.vmap(lambda time: logged(bank, state.episode, c, time))(later))(agents)
    return jax.vmap(env.dynamics.inverse, (0, 0, 0, None))(*movers(state), targets, bank.dt)
