"""Driving through time: `rollout` for learning, `drive` for evaluation.

    rollout   scan over steps: observe → policy → sample → env.step → reward, ending → restart where a scene is over
    drive     scan over steps: observe → act → env.step; nothing ends, nothing restarts

`rollout` is the only place that restarts episodes. Both are written for one scene; `vmap` them over scenes.

Random keys: `start` splits its key in two: the draw of the first episode, and the carry's key. Each step of `rollout`
splits the carry's key in three: one for the policy (split again per agent, and there in two: the forward pass and the
sample), one for the draw of the next episode, one that is carried on. `drive` gives `act` one key a step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import action_at
from drivetrain.types import Agents, Array, Events, Key, Observation, State, Transition, happened, record

Memory = Any
"""A pytree of arrays; `()` where there is none."""
Policy = Callable[[Observation, Memory, Key], tuple[Any, Array, Memory]]
"""`policy(observation, memory, key) -> (distribution, value, memory)` of one agent."""
Driver = Callable[[Bank, State, Observation, Memory, Key], tuple[Array, Memory]]
"""`act(bank, state, observation [C], memory, key) -> (action [C, width], memory)` of one scene."""


@record
class Carry:
    """Where a rollout of one scene stands between windows."""

    state: State
    memory: Memory  # of the policy, [C]
    first_memory: Memory  # what memory is set to when an episode starts, [C]
    gained: Float[Array, "*C"]  # sum of rewards since the episode's start
    key: Key


@record
class Others:
    """Policies that drive some of a scene's agents while another learns; nothing is learnt of what they do.

    They sample from the same grid of actions as the learner. Every policy is asked about every agent.
    """

    policies: tuple[Policy, ...]
    driver: Int[Array, "*C"]  # of each controlled agent: 0 is the learner, k is `policies[k - 1]`


@record
class Figures:
    """Sums over a window of one scene and its agents (of the learner's agents alone, where others drive too)."""

    steps: Float[Array, ""]  # agent steps
    episodes: Float[Array, ""]  # agent episodes that ended
    returns: Float[Array, ""]  # of the episodes that ended, undiscounted
    reward: Float[Array, ""]
    progress: Float[Array, ""]  # m
    collision: Float[Array, ""]  # steps in which it held; with a training ending, episodes that it ended
    off_route: Float[Array, ""]
    off_road: Float[Array, ""]  # ends nothing
    red_light: Float[Array, ""]
    stop_line: Float[Array, ""]


@record
class Trajectory:
    """An evaluation drive of one scene: T steps, hence T + 1 moments."""

    agents: Agents  # [T + 1, A]
    lights: Int[Array, "moments S"]
    along: Float[Array, "moments C"]  # m along the route
    speed: Float[Array, "moments C"]  # m/s, of the controlled agents
    controlled: Int[Array, "C"]  # their columns
    time: Int[Array, "moments"]  # step of the log
    events: Events  # [T, C]: of the step that led to moment t + 1
    mask: Bool[Array, "T C"]  # False: after the recording's end, or padding


def start(env: Env, bank: Bank, episodes: Int[Array, "E"], key: Key, memory: Memory = ()) -> Carry:
    """Open a scene on an episode drawn from `episodes` (rows of the bank); `memory` is one agent's first memory.

    Where others drive too, `memory` is a tuple: the learner's, then theirs in order.
    """
    key, draw = jax.random.split(key)
    state = env.reset(bank, jax.random.choice(draw, episodes))
    agents = state.alive.shape[0]
    memory = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (agents, *jnp.shape(leaf))), memory)
    return Carry(state=state, memory=memory, first_memory=memory, gained=jnp.zeros(agents), key=key)


def rollout(
    env: Env,
    bank: Bank,
    policy: Policy,
    carry: Carry,
    steps: int,
    episodes: Int[Array, "E"],
    others: Others | None = None,
) -> tuple[Carry, Transition, Figures]:
    """Drive a scene for `steps` steps by samples of the policy: transitions [steps, C], and their sums.
    A transition's `state` is [steps] alone: a scene's agents share it.

    A scene whose agents have all ended goes on with an episode drawn uniformly from `episodes`. The window's end is no
    ending: bootstrap its last value from the carry's state.

    With `others`, each agent is driven by the policy that `others.driver` names. Transitions hold what its driver
    sampled; those of agents that the learner does not drive are masked. A scene is over where the learner's have ended.
    """
    mine = True if others is None else others.driver == 0

    def step(carry: Carry, _: None) -> tuple[Carry, tuple[Transition, Figures]]:
        policy_key, episode_key, key = jax.random.split(carry.key, 3)
        state = carry.state
        keys = jax.random.split(policy_key, state.alive.shape[0])
        observation = env.observe(bank, state)
        sample, log_prob, value, memory = _sample_all(policy, others, observation, carry.memory, keys)
        action = jax.vmap(lambda row: action_at(env.dynamics.grid(), row))(sample)
        after, events = env.step(bank, state, action)
        terminated, truncated = env.endings(bank, after, events)
        reward = jnp.where(state.alive, env.rewards(bank, events), 0.0)
        transition = _transition(state, sample, log_prob, value, reward, terminated, truncated, state.alive & mine)
        gained = carry.gained + reward
        figures = _figures(transition, events, gained)
        next_carry = Carry(retire(after, terminated | truncated), memory, carry.first_memory, gained, key)
        over = ~jnp.any(next_carry.state.alive & mine)
        return _restart(env, bank, next_carry, over, episodes, episode_key), (transition, figures)

    carry, (transitions, figures) = jax.lax.scan(step, carry, None, length=steps)
    return carry, transitions, jax.tree.map(lambda rows: jnp.sum(rows, axis=0), figures)


def _sample_all(
    policy: Policy, others: Others | None, observation: Observation, memory: Memory, keys: Array
) -> tuple[Array, Array, Array, Memory]:
    """What each agent's driver samples, its log-probability and value, [C]; and the memories of all drivers."""

    def ask(policy: Policy, memory: Memory) -> tuple[Array, Array, Array, Memory]:
        return jax.vmap(lambda o, m, k: _sample(policy, o, m, k))(observation, memory, keys)

    if others is None:
        return ask(policy, memory)
    answers = [ask(each, own) for each, own in zip((policy, *others.policies), memory, strict=True)]
    rows = jnp.arange(len(others.driver))
    taken = [jnp.stack(parts)[others.driver, rows] for parts in zip(*(answer[:3] for answer in answers), strict=True)]
    return taken[0], taken[1], taken[2], tuple(answer[3] for answer in answers)


def _sample(policy: Policy, observation: Observation, memory: Memory, key: Key):
    forward_key, sample_key = jax.random.split(key)
    distribution, value, memory = policy(observation, memory, forward_key)
    sample = distribution.sample(sample_key)
    return sample, distribution.log_prob(sample), value, memory


def _transition(state: State, *of_agents: Array) -> Transition:
    """One `Transition` whose fields are [C], but for the scene's state, which it holds once."""
    first = Transition(state, *(rows[0] for rows in of_agents))
    return jax.tree.unflatten(jax.tree.structure(first), jax.tree.leaves((state, of_agents)))


def _restart(env: Env, bank: Bank, carry: Carry, over: Bool[Array, ""], episodes: Int[Array, "E"], key: Key) -> Carry:
    """The carry itself, or a new episode where the scene is over."""
    fresh = Carry(
        state=env.reset(bank, jax.random.choice(key, episodes)),
        memory=carry.first_memory,
        first_memory=carry.first_memory,
        gained=jnp.zeros_like(carry.gained),
        key=carry.key,
    )
    return jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, carry)


def _figures(transition: Transition, events: Events, gained: Float[Array, "C"]) -> Figures:
    mask = transition.mask
    ended = mask & (transition.terminated | transition.truncated)

    def total(values: Array) -> Array:
        return jnp.sum(jnp.where(mask, values, 0.0), dtype=jnp.float32)

    return Figures(
        steps=jnp.sum(mask, dtype=jnp.float32),
        episodes=jnp.sum(ended, dtype=jnp.float32),
        returns=jnp.sum(jnp.where(ended, gained, 0.0)),
        reward=total(transition.reward),
        progress=total(events.progress),
        collision=total(happened(events.collision)),
        off_route=total(happened(events.off_route)),
        off_road=total(happened(events.off_road)),
        red_light=total(happened(events.red_light)),
        stop_line=total(happened(events.stop_line)),
    )


def drive(
    env: Env, bank: Bank, act: Driver, episode: Int[Array, ""] | int, steps: int, key: Key, memory: Memory = ()
) -> Trajectory:
    """Drive one episode to its end and beyond, `steps` steps in all, whatever fails on the way.

    `memory` is the driver's own first memory. Steps after the recording's end are masked.
    """
    first = env.reset(bank, episode)

    def step(carry: tuple[State, Memory], key: Key):
        state, memory = carry
        action, memory = act(bank, state, env.observe(bank, state), memory, key)
        after, events = env.step(bank, state, action)
        mask = state.alive & (state.time < bank.episodes.last[state.episode])
        return (after, memory), (_moment(after), events, mask)

    _, (moments, events, mask) = jax.lax.scan(step, (first, memory), jax.random.split(key, steps))
    agents, lights, along, speed, time = jax.tree.map(
        lambda start, rest: jnp.concatenate([start[None], rest]), _moment(first), moments
    )
    return Trajectory(agents, lights, along, speed, first.controlled, time, events, mask)


def shared(drivers: Sequence[Driver], driver: Int[Array, "C"]) -> Driver:
    """One driver of a scene whose agents are driven by several: agent `c` by `drivers[driver[c]]`.

    All answer actions of the same dynamics. The memory is the tuple of theirs; the key is split, one for each.
    """

    def act(bank: Bank, state: State, observation: Observation, memory: Memory, key: Key) -> tuple[Array, Memory]:
        keys = jax.random.split(key, len(drivers))
        answers = [each(bank, state, observation, *rest) for each, *rest in zip(drivers, memory, keys, strict=True)]
        actions = jnp.stack([action for action, _ in answers])
        return actions[driver, jnp.arange(len(driver))], tuple(memory for _, memory in answers)

    return act


def _moment(state: State) -> tuple[Agents, Array, Array, Array, Array]:
    return state.agents, state.lights, state.along, state.motion.speed, state.time
