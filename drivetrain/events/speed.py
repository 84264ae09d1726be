"""Does the agent drive faster than allowed?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.sim.bank import Along, Bank, Index, reference_window
from drivetrain.types import Array, State


def overspeed(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Speed, m/s, above the limit of the route's recorded lane at the agent's station.

    0 where the limit is unknown (0 in the map). Reversing counts by its magnitude.
    """
    limit = reference_window(bank, after.episode, c, after.cursor[c], 0, 0)[0][Along.LIMIT, 0]
    return jnp.where(limit > 0.0, jnp.maximum(jnp.abs(after.motion.speed[c]) - limit, 0.0), 0.0)
