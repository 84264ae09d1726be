"""Where an agent that goes anywhere is to go next: its goal and the one after it, in its own frame, and how far."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.geometry import unrotate
from drivetrain.observe.errand import CHAIN, METRES, SECONDS
from drivetrain.observe.scales import LENGTH, compress
from drivetrain.sim.bank import Bank
from drivetrain.sim.lane_graph import WayRow
from drivetrain.sim.placing import way_left, way_point
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State

FEATURES = 9
"""Metres along the lanes to the goal, as a logarithm, and whether any lead there · its x, y · how near it is to be come
· whether a goal comes after it · that one's x, y · time since the one before."""


def observe_way(bank: Bank, state: State, c: Index) -> Float[Array, "f"]:
    """The next goals of controlled agent `c`; zeros where it has none, or has arrived."""
    if state.errand is None or state.errand.chain is None or state.place is None:
        return jnp.zeros(FEATURES)
    map_, own = bank.episodes.map[state.episode], jnp.maximum(state.controlled[c], 0)
    errand, place = (jax.tree.map(lambda leaf: leaf[c], each) for each in (state.errand, state.place))
    goal, after = way_point(bank, map_, errand), way_point(bank, map_, errand, 1)
    left = way_left(bank, map_, goal, place)
    there, more, reachable = (jnp.isfinite(each) for each in (goal[WayRow.X], after[WayRow.X], left))

    def seen(way: Array, exists: Array) -> tuple[Array, Array]:
        point = jnp.where(exists, way[: WayRow.LANE], 0.0)
        x, y = unrotate(point - state.agents.position[own], state.agents.heading[own])
        return jnp.where(exists, compress(x), 0.0), jnp.where(exists, compress(y), 0.0)

    metres = jnp.where(reachable, METRES * jnp.log1p(jnp.maximum(jnp.where(reachable, left, 0.0), 0.0)), 0.0)
    row = [metres, reachable, *seen(goal, there), errand.radius / LENGTH, more, *seen(after, more)]
    row.append(SECONDS * errand.since * bank.dt)
    return jnp.where(there, jnp.stack([jnp.asarray(value, jnp.float32) for value in row]), 0.0)


def way_share(bank: Bank, state: State, c: Index) -> Float[Array, ""]:
    """How much of its chain of goals is left to controlled agent `c`, in `CHAIN`s, at most 1: for the critic alone."""
    assert state.errand is not None and state.place is not None
    map_ = bank.episodes.map[state.episode]
    errand, place = (jax.tree.map(lambda leaf: leaf[c], each) for each in (state.errand, state.place))
    goal = way_point(bank, map_, errand)
    metres = goal[WayRow.REST] + way_left(bank, map_, goal, place)
    return jnp.where(
        jnp.isfinite(metres), jnp.clip(metres / CHAIN, 0.0, 1.0), jnp.where(jnp.isfinite(goal[0]), 1.0, 0.0)
    )
