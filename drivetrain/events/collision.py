"""Does the agent's box touch another's?"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.margin import LIMIT, worst
from drivetrain.geometry import box_clearance
from drivetrain.sim.bank import Bank, Index
from drivetrain.types import Array, State


def collision(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Least clearance, m, to any other agent that is present after the step, other controlled agents included.

    Positive: Euclidean distance between the boxes. Negative: minus the least translation that parts them. Agents that
    have ended are gone (`retire` clears their `valid`). Boxes are compared at steps, not between them.
    """
    me = after.controlled[c]
    agents, bodies = after.agents, after.bodies

    def clearance(position, heading, length, width):
        mine = agents.position[me], agents.heading[me], bodies.length[me], bodies.width[me]
        return box_clearance(*mine, position, heading, length, width)

    margins = jax.vmap(clearance)(agents.position, agents.heading, bodies.length, bodies.width)
    other = agents.valid & (jnp.arange(agents.valid.shape[0]) != me)
    return worst(jnp.where(other, margins, LIMIT))
