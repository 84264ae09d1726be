"""Many scenes as an adapter steps them: written for one, batched with `vmap`, compiled once an environment and a size.

    begin     rows of the bank → worlds, and what is seen there
    advance   actions → worlds a step on, what is seen, and what the step was worth

A scene whose agents have all ended begins another episode at the *next* step, whose action does nothing: what was
reached is seen before. Random keys: `advance` splits a world's key in two, the draw of the next episode and the key
that is carried on. What an episode is drawn with, folded with 1, is the key of where its agents begin.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Events, InputError, Key, Observation, State, Tokens, record

Seen = dict[str, Array] | Array
"""An observation by the names of its parts, or as one row of numbers."""


@record
class World:
    """Where one scene stands between steps."""

    state: State
    over: Bool[Array, ""]  # all have ended: the next step begins an episode
    key: Key


@record
class Outcome:
    """What a step of one scene led to, by controlled agent [C]."""

    reward: Float[Array, "*C"]
    terminated: Bool[Array, "*C"]
    truncated: Bool[Array, "*C"]
    events: Events
    acted: Bool[Array, "*C"]  # False: it had ended before, is padding, or the episode began with this step
    row: Int[Array, ""]  # the bank's episode


@partial(jax.jit, static_argnames=("env", "flat"))
def begin(env: Env, flat: bool, bank: Bank, rows: Int[Array, "N"], keys: Key) -> tuple[World, Seen]:
    """Open a world on each of these episodes."""

    def one(row: Int[Array, ""], key: Key) -> tuple[World, Seen]:
        state = env.reset(bank, row, jax.random.fold_in(key, 1))
        return World(state, jnp.asarray(False), key), _seen(env.observe(bank, state), flat)

    return jax.vmap(one)(rows, keys)


@partial(jax.jit, static_argnames=("env", "flat"), donate_argnames=("worlds",))
def advance(
    env: Env, flat: bool, bank: Bank, episodes: Int[Array, "E"], worlds: World, samples: Array
) -> tuple[World, Seen, Outcome]:
    """One step of every world by what `dynamics.decode` makes of its samples [N, C, width]."""

    def one(world: World, sample: Array) -> tuple[World, Seen, Outcome]:
        draw, key = jax.random.split(world.key)
        state, over = world.state, world.over
        after, events = env.step(bank, state, jax.vmap(env.dynamics.decode)(sample))
        terminated, truncated = env.endings(bank, after, events)
        acted = state.alive & ~over
        going = retire(after, terminated | truncated)
        fresh = env.reset(bank, jax.random.choice(draw, episodes), jax.random.fold_in(draw, 1))
        now = jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, going)
        outcome = Outcome(
            reward=jnp.where(acted, env.rewards(bank, events, state.traits), 0.0),
            terminated=terminated & acted,
            truncated=truncated & acted,
            events=events,
            acted=acted,
            row=now.episode,
        )
        return World(now, ~jnp.any(now.alive), key), _seen(env.observe(bank, now), flat), outcome

    return jax.vmap(one)(worlds, samples)


def parts_of(observation: Observation) -> dict[str, Array]:
    """The parts of an observation by name: a set's features, a row a feature, and its mask beside them."""
    parts: dict[str, Array] = {"ego": observation.ego}
    for name in ("agents", "road", "route"):
        tokens: Tokens = getattr(observation, name)
        parts |= {name: tokens.features, f"{name}_mask": tokens.mask.astype(jnp.int8)}
    return parts | {"remaining": observation.remaining[None]}


def _seen(observation: Observation, flat: bool) -> Seen:
    """What each agent sees, [C]."""

    def one(observation: Observation) -> Seen:
        parts = parts_of(observation)
        return jnp.concatenate([part.ravel().astype(jnp.float32) for part in parts.values()]) if flat else parts

    return jax.vmap(one)(observation)


def rows_of(bank: Bank, chosen: Sequence[int] | np.ndarray | int | None) -> Int[np.ndarray, "E"]:
    """Rows of the bank's episodes as they were named; None: all. Raises `InputError` where there is no such row."""
    count = len(bank.episodes.map)
    rows = np.arange(count) if chosen is None else np.atleast_1d(np.asarray(chosen))
    if rows.size == 0 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= count:
        raise InputError(f"episodes: {chosen!r} (name rows of the bank, 0 to {count - 1})")
    return rows.astype(np.int32)
