"""Does the agent's box touch another's?"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.margin import LIMIT
from drivetrain.geometry import box, clearance_square, root
from drivetrain.sim.bank import Bank
from drivetrain.sim.levels import on_level
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State


def collision(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Least clearance, m, to any other agent that is present after the step, other controlled agents included.

    Positive: Euclidean distance between the boxes. Negative: minus the least translation that parts them. Agents that
    have ended are gone (`retire` clears their `valid`), and who is on another level is not met. Boxes are compared at
    steps, not between them.
    """
    me = after.controlled[c]
    all_ = box(after.agents.position, after.agents.heading, after.bodies.length, after.bodies.width)
    squares = clearance_square(jax.tree.map(lambda row: row[me], all_), all_)
    other = after.agents.valid & (jnp.arange(after.agents.valid.shape[0]) != me)
    if after.agents.height is not None:
        other &= on_level(after.agents.height, after.agents.height[me])
    least = jnp.min(jnp.where(other, squares, LIMIT**2), initial=LIMIT**2)
    return jnp.maximum(jnp.where(least < 0.0, -1.0, 1.0) * root(jnp.abs(least)), -LIMIT)
