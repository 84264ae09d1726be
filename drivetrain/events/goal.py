"""Does the agent reach its next goal?"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.sim.bank import Bank, GoalRow
from drivetrain.sim.placing import way_point, within
from drivetrain.sim.reading import Index, goal_at
from drivetrain.types import Array, Errand, State, replace


def goal(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """1 in the step in which the agent comes past its next goal, along its route, or near it, if it goes anywhere.

    0 else, and where there are none.
    """
    if before.errand is None:
        return jnp.zeros(())
    if before.errand.chain is not None:
        errand = jax.tree.map(lambda leaf: leaf[c], before.errand)
        place = way_point(bank, bank.episodes.map[before.episode], errand)
        return within(place, errand, after.agents.position[after.controlled[c]]).astype(jnp.float32)
    place = goal_at(bank, before.route[c], before.errand.goal[c])
    return (after.arc_length[c] >= place[GoalRow.ARC]).astype(jnp.float32)


def latch_errand(bank: Bank, before: State, after: State, c: Index) -> Errand:
    """The errand of an agent that has one after the step: on to the next goal where one was reached."""
    assert before.errand is not None
    reached = goal(bank, before, after, c) > 0.0
    return replace(
        jax.tree.map(lambda leaf: leaf[c], before.errand),
        goal=before.errand.goal[c] + reached.astype(jnp.int32),
        since=jnp.where(reached, 0, before.errand.since[c] + 1),
    )
