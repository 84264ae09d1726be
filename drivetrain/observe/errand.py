"""Where the agent is to go next: its goal, in its own frame, and how long it has been on the way."""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.geometry import unrotate
from drivetrain.observe.scales import compress
from drivetrain.sim.bank import Bank, GoalRow
from drivetrain.sim.reading import Index, goal_at, goals_of
from drivetrain.types import Array, State

FEATURES = 4
"""Metres along the lanes to the goal, as a logarithm: no distance saturates · its x, y · time since the one before."""
METRES, SECONDS = 0.25, 0.05
"""Of the logarithm's unit, and of a second."""
CHAIN = 600.0
"""m of a chain of goals that count as one, to the critic."""


def observe_errand(bank: Bank, state: State, c: Index) -> Float[Array, "f"]:
    """The next goal of controlled agent `c`; zeros where it has none, or has arrived."""
    if state.errand is None:
        return jnp.zeros(FEATURES)
    own, errand = jnp.maximum(state.controlled[c], 0), state.errand
    place = goal_at(bank, state.route[c], errand.goal[c])
    there = jnp.isfinite(place[GoalRow.ARC])
    place = jnp.where(there, place, 0.0)
    left = jnp.maximum(place[GoalRow.ARC] - state.arc_length[c], 0.0)
    x, y = unrotate(place[GoalRow.X : GoalRow.STATION] - state.agents.position[own], state.agents.heading[own])
    seen = [METRES * jnp.log1p(left), compress(x), compress(y), SECONDS * errand.since[c] * bank.dt]
    return jnp.where(there, jnp.stack(seen), 0.0)


def chain_left(bank: Bank, state: State, c: Index) -> Float[Array, ""]:
    """How much of its chain of goals is left to controlled agent `c`, in `CHAIN`s, at most 1: for the critic alone."""
    arcs = goals_of(bank, state.route[c])[:, GoalRow.ARC]
    last = jnp.max(jnp.where(jnp.isfinite(arcs), arcs, 0.0))
    return jnp.clip((last - state.arc_length[c]) / CHAIN, 0.0, 1.0)
