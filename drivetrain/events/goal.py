"""Does the agent reach its next goal?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.sim.bank import Bank, GoalRow
from drivetrain.sim.reading import Index, goal_at
from drivetrain.types import Array, Errand, State


def goal(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """1 in the step in which the agent comes past its next goal, along its route; 0 else, and where there are none."""
    if before.errand is None:
        return jnp.zeros(())
    place = goal_at(bank, before.route[c], before.errand.goal[c])
    return (after.arc_length[c] >= place[GoalRow.ARC]).astype(jnp.float32)


def latch_errand(bank: Bank, before: State, after: State, c: Index) -> Errand:
    """The errand of an agent that has one after the step: on to the next goal where one was reached."""
    assert before.errand is not None
    reached = goal(bank, before, after, c) > 0.0
    return Errand(
        goal=before.errand.goal[c] + reached.astype(jnp.int32),
        since=jnp.where(reached, 0, before.errand.since[c] + 1),
    )
