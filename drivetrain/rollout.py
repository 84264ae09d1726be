"""Driving through time: `rollout` for learning, `drive` for evaluation.

    rollout   scan over steps: observe → policy → sample → env.step → reward, ending → restart where a scene is over,
              or others in place of agents that have ended, where the spawning rule replaces
    drive     scan over steps: observe → act → env.step; nothing ends, nothing restarts

`rollout` is the only place of training that restarts episodes. Both are written for one scene; `vmap` them over scenes.

Random keys: `start` splits its key in two: the draw of the first episode, and the carry's key. Each step of `rollout`
splits the carry's key in three: one for the policy (split again per agent, and there in two: the forward pass and the
sample), one for the draw of the next episode, one that is carried on. What an episode is drawn with, folded with 1, is
the key of where its agents begin; folded with 2, a guide's. `drive` gives its driver one key a step; where agents begin
has the key folded with steps.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.policy.base import Memory, Policy, Sample, first_memory
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import record_of
from drivetrain.sim.spawning.base import Replacing
from drivetrain.types import (
    MARGINS,
    Agents,
    Array,
    Events,
    Key,
    Observation,
    Reached,
    Segment,
    State,
    Transition,
    by_row,
    happened,
    record,
)

T = TypeVar("T")
Guide = Callable[[State, Sample, Key], Sample]
"""Of a state and what the policy sampled for each agent of it, [C]: what is done. The key is consumed."""


@record
class Considered:
    """What a driver holds for likely, the likeliest first: where each of k choices would lead one agent."""

    path: Float[Array, "*batch k h 2"]  # m, map frame; places of the box centre one step after another
    probability: Float[Array, "*batch k"]


class Driver(eqx.Module):
    """Who drives all controlled agents of a scene in an evaluation. Its arrays may change without a new compilation."""

    @abstractmethod
    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """An action of each agent, and what is remembered of the scene."""

    def considered(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> Considered | None:
        """What it holds for likely of each agent, [C], given what it is given to act; None where it shows nothing."""
        return None

    def rules(self, env: Env) -> Env:
        """The environment under which it drives: its own dynamics, where it has some."""
        return env

    def initial_memory(self, agents: int) -> Memory:
        """The memory of a scene of so many agents before its first step."""
        return ()


@record
class Carry:
    """Where a rollout of one scene stands between windows."""

    state: State
    memory: Memory  # of the policy, [C]
    fresh: Bool[Array, "*C"]  # it begins here
    gained: Float[Array, "*C"]  # sum of rewards since the episode's start
    key: Key


class Others(eqx.Module):
    """A policy that drives the last of a scene's agents while another learns; nothing is learnt of what they do.

    Each is asked about its own agents alone. Both sample from one grid of actions, and memories are of one shape.
    """

    policy: Policy
    agents: int = eqx.field(static=True)  # how many; the rest are the learner's


@record
class Figures:
    """Sums over a window of one scene and its agents (of the learner's agents alone, where others drive too)."""

    steps: Float[Array, ""]  # agent steps
    episodes: Float[Array, ""]  # agent episodes that ended
    returns: Float[Array, ""]  # of the episodes that ended, undiscounted
    reward: Float[Array, ""]
    events: Events  # steps in which a margin was negative; of the others, sums


@record
class Trajectory:
    """An evaluation drive of one scene: T steps, hence T + 1 moments."""

    agents: Agents  # [T + 1, A]
    lights: Int[Array, "moments S"]
    arc_length: Float[Array, "moments C"]  # m along the route
    speed: Float[Array, "moments C"]  # m/s, of the controlled agents
    controlled: Int[Array, "C"]  # their columns
    time: Int[Array, "moments"]  # step of the log
    events: Events  # [T, C]: of the step that led to moment t + 1
    mask: Bool[Array, "T C"]  # False: after the recording's end, or padding
    considered: Considered | None = None  # [T, C], at moment t; None where the driver shows nothing


def start(
    env: Env, bank: Bank, policy: Policy, episodes: Int[Array, "E"], key: Key, others: Others | None = None
) -> Carry:
    """Open a scene on an episode drawn from `episodes` (rows of the bank)."""
    key, draw = jax.random.split(key)
    state = env.reset(bank, jax.random.choice(draw, episodes), jax.random.fold_in(draw, 1))
    agents = state.alive.shape[0]
    return Carry(state, _nothing(policy, others, agents), jnp.ones(agents, bool), jnp.zeros(agents), key)


def open_again(
    env: Env, bank: Bank, policy: Policy, episodes: Int[Array, "E"], carry: Carry, slots: Int[Array, "n"]
) -> Carry:
    """A scene on an episode of its own draw where its recording stood in one of these slots, which were replaced."""
    each = len(bank.episodes.map) // len(bank.logs.steps)
    fresh = start(env, bank, policy, episodes, carry.key)
    over = jnp.any(carry.state.episode // each == slots)
    return jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, carry)


def _nothing(policy: Policy, others: Others | None, agents: int) -> Memory:
    """First memories of all agents [C], each its driver's."""
    if others is None:
        return first_memory(policy, agents)
    return _one_after_another(first_memory(policy, agents - others.agents), first_memory(others.policy, others.agents))


def rollout(
    env: Env,
    bank: Bank,
    policy: Policy,
    carry: Carry,
    steps: int,
    episodes: Int[Array, "E"] | None,
    others: Others | None = None,
    version: Int[Array, ""] | int = 0,
    guide: Guide | None = None,
) -> tuple[Carry, Segment, Figures]:
    """Drive a scene for `steps` steps by samples of the policy: what happened, and its sums.

    A scene whose agents have all ended goes on with an episode drawn uniformly from `episodes`, or its agents are
    replaced one by one, by the spawning rule; without any episodes, it stays as it is, masked. The window's end is no
    ending: bootstrap from `Segment.final`.

    With `others`, the last agents are driven by another policy, for good: also those that take their places.
    Transitions hold what an agent's driver sampled; those of agents that the learner does not drive are masked. A scene
    is over where the learner's have ended.

    A `guide` may put its own samples in the place of the policy's, whose log-probabilities stand nevertheless.
    """
    agents = carry.fresh.shape[0]
    mine = True if others is None else jnp.arange(agents) < agents - others.agents

    def step(now: tuple[Carry, Reached], _: None) -> tuple[tuple[Carry, Reached], tuple[Transition, Figures, Array]]:
        carry, _reached = now
        policy_key, episode_key, key = jax.random.split(carry.key, 3)
        state = carry.state
        keys = jax.random.split(policy_key, state.alive.shape[0])
        observation = env.observe(bank, state)
        sample, log_prob, value, memory = _sample_all(policy, others, observation, carry.memory, keys)
        if guide is not None:
            sample = guide(state, sample, jax.random.fold_in(episode_key, 2))
        after, events = env.step(bank, state, jax.vmap(env.dynamics.decode)(sample))
        terminated, truncated = env.endings(bank, after, events)
        reached = Reached(after, memory)
        transition = Transition(
            state=state,
            observation=observation,
            action=sample,
            log_prob=log_prob,
            value=value,
            reward=jnp.where(state.alive, env.rewards(bank, events, state.traits), 0.0),
            terminated=terminated,
            truncated=truncated,
            mask=state.alive & mine & ordinary(state),
            fresh=carry.fresh,
            reached=reached if env.ending.truncates else None,
        )
        gained = carry.gained + transition.reward
        figures = _figures(transition, events, gained)
        going = Carry(retire(after, terminated | truncated), memory, jnp.zeros_like(state.alive), gained, key)
        if episodes is not None:
            first = _nothing(policy, others, state.alive.shape[0])
            if isinstance(env.spawning, Replacing):
                going = _renew(env, bank, first, going, episode_key)
            else:
                over = ~jnp.any(going.state.alive & mine)
                going = _restart(env, bank, first, going, over, episodes, episode_key)
        return (going, reached), (transition, figures, record_of(bank, state.episode))

    first = Reached(carry.state, carry.memory)
    (after, final), (transitions, figures, records) = jax.lax.scan(step, (carry, first), None, length=steps)
    version = jnp.asarray(version, jnp.int32)
    segment = Segment(transitions, carry.memory, final, jax.random.key_data(carry.key), version, records)
    return after, segment, jax.tree.map(lambda rows: jnp.sum(rows, axis=0), figures)


def ordinary(state: State) -> Bool[Array, "C"] | bool:
    """Of whom something may be learnt: who does what its driver means it to, and sees what there is."""
    if state.traits is None or state.traits.odd is None:
        return True
    return ~(state.traits.odd.blind | state.traits.odd.brakes)


def _sample_all(
    policy: Policy, others: Others | None, observation: Observation, memory: Memory, keys: Array
) -> tuple[Sample, Array, Array, Memory]:
    """What each agent's driver samples, its log-probability and value, and what its driver remembers, [C]."""

    def ask(policy: Policy, own: slice) -> tuple[Sample, Array, Array, Memory]:
        rows = jax.tree.map(lambda leaf: leaf[own], (observation, memory, keys))
        return jax.vmap(lambda o, m, k: _sample(policy, o, m, k))(*rows)

    if others is None:
        return ask(policy, slice(None))
    first = len(keys) - others.agents
    return _one_after_another(ask(policy, slice(first)), ask(others.policy, slice(first, None)))


def _one_after_another(first: T, then: T) -> T:
    """Rows of one tree, then those of another."""
    return jax.tree.map(lambda *rows: jnp.concatenate(rows), first, then)


def _sample(policy: Policy, observation: Observation, memory: Memory, key: Key):
    forward_key, sample_key = jax.random.split(key)
    distribution, value, memory = policy(observation, memory, forward_key)
    sample = distribution.sample(sample_key)
    return sample, distribution.log_prob(sample), value, memory


def _restart(
    env: Env, bank: Bank, memory: Memory, carry: Carry, over: Bool[Array, ""], episodes: Int[Array, "E"], key: Key
) -> Carry:
    """The carry itself, or a new episode, with the first memory, where the scene is over."""
    state = env.reset(bank, jax.random.choice(key, episodes), jax.random.fold_in(key, 1))
    fresh = Carry(state, memory, jnp.ones_like(carry.fresh), jnp.zeros_like(carry.gained), carry.key)
    return jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, carry)


def _renew(env: Env, bank: Bank, memory: Memory, carry: Carry, key: Key) -> Carry:
    """The carry with others in place of agents that have ended, each with the first memory."""
    state, fresh = env.renew(bank, carry.state, key)
    return Carry(state, by_row(fresh, memory, carry.memory), fresh, jnp.where(fresh, 0.0, carry.gained), carry.key)


def _figures(transition: Transition, events: Events, gained: Float[Array, "C"]) -> Figures:
    mask = transition.mask
    ended = mask & (transition.terminated | transition.truncated)

    def total(values: Array) -> Array:
        return jnp.sum(jnp.where(mask, values, 0.0), dtype=jnp.float32)

    counted = {
        name: total(happened(getattr(events, name)) if name in MARGINS else getattr(events, name))
        for name in Events.__dataclass_fields__
        if name != "manner"
    }
    return Figures(
        steps=jnp.sum(mask, dtype=jnp.float32),
        episodes=jnp.sum(ended, dtype=jnp.float32),
        returns=jnp.sum(jnp.where(ended, gained, 0.0)),
        reward=total(transition.reward),
        events=Events(**counted, manner=jax.tree.map(total, events.manner)),
    )


def rates(sums: Figures) -> dict[str, float]:
    """Sums of rollouts as means: over the episodes that ended, and over steps."""
    ended, steps = max(float(sums.episodes), 1.0), max(float(sums.steps), 1.0)
    return {
        "episodes": float(sums.episodes),
        "returns": float(sums.returns) / ended,
        "reward_per_step": float(sums.reward) / steps,
        "progress_per_step": float(sums.events.progress) / steps,
        **{f"train_{name}_share": float(getattr(sums.events, name)) / ended for name in MARGINS},
    }


def drive(env: Env, bank: Bank, driver: Driver, episode: Int[Array, ""] | int, steps: int, key: Key) -> Trajectory:
    """Drive one episode to its end and beyond, `steps` steps in all, whatever fails on the way.

    Steps after the recording's end are masked.
    """
    env = driver.rules(env)
    first = env.reset(bank, episode, jax.random.fold_in(key, steps))

    def step(carry: tuple[State, Memory], key: Key):
        state, memory = carry
        seen = bank, state, env.observe(bank, state), memory, key
        considered, (action, memory) = driver.considered(*seen), driver(*seen)
        after, events = env.step(bank, state, action)
        mask = state.alive & (state.time < bank.episodes.last[state.episode])
        return (after, memory), (_moment(after), events, mask, considered)

    memory = driver.initial_memory(first.alive.shape[0])
    _, (moments, events, mask, considered) = jax.lax.scan(step, (first, memory), jax.random.split(key, steps))
    agents, lights, along, speed, time = jax.tree.map(
        lambda start, rest: jnp.concatenate([start[None], rest]), _moment(first), moments
    )
    return Trajectory(agents, lights, along, speed, first.controlled, time, events, mask, considered)


class Shared(Driver):
    """One driver of a scene whose agents are driven by several, under the rules of the environment."""

    drivers: tuple[Driver, ...]
    driver: Int[Array, "C"]  # agent `c` is driven by `drivers[driver[c]]`

    def initial_memory(self, agents: int) -> Memory:
        """The tuple of theirs."""
        return tuple(each.initial_memory(agents) for each in self.drivers)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """All answer actions of the same dynamics. The key is split, one for each."""
        keys = jax.random.split(key, len(self.drivers))
        asked = zip(self.drivers, memory, keys, strict=True)
        answers = [each(bank, state, observation, *rest) for each, *rest in asked]
        actions = jnp.stack([action for action, _ in answers])
        return actions[self.driver, jnp.arange(len(self.driver))], tuple(memory for _, memory in answers)


def _moment(state: State) -> tuple[Agents, Array, Array, Array, Array]:
    return state.agents, state.lights, state.arc_length, state.motion.speed, state.time
