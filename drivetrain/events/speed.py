"""Does the agent drive faster than allowed?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, speed_limit
from drivetrain.types import Array, State


def overspeed(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Speed, m/s, above the limit of the route's recorded lane at the agent's station; of the lane that it follows, if
    it goes anywhere.

    0 where the limit is unknown (0 in the map). Reversing counts by its magnitude.
    """
    follows = after.place
    limit = speed_limit(bank, after.route[c], after.cursor[c]) if follows is None else follows.limit[c]
    return jnp.where(limit > 0.0, jnp.maximum(jnp.abs(after.motion.speed[c]) - limit, 0.0), 0.0)
