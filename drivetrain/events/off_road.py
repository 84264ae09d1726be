"""Is the whole agent on the drivable surface?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.margin import LIMIT, worst
from drivetrain.geometry import box_corners, signed_distance_to_edges
from drivetrain.sim.bank import Bank, Index, road_block
from drivetrain.types import Array, ElementKind, State


def off_road(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Signed distance, m, of the worst corner to the nearest edge of the drivable surface.

    Positive on the edge's left, where the drivable side is. +50 m where the road block holds no edge.
    """
    me = after.controlled[c]
    corners = box_corners(
        after.agents.position[me], after.agents.heading[me], after.bodies.length[me], after.bodies.width[me]
    )
    segments, kind = road_block(bank, after.episode, after.agents.position[me])
    edges = kind == ElementKind.ROAD_EDGE
    distances = signed_distance_to_edges(corners, segments, edges)
    return worst(jnp.where(jnp.any(edges), distances, LIMIT))
