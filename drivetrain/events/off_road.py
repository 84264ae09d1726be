"""Is the whole agent on the drivable surface?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.margin import worst
from drivetrain.geometry import box, box_corners, signed_distance_to_edges
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, road_lines, road_rows
from drivetrain.types import Array, ElementKind, State


def off_road(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Signed distance, m, of the worst corner to the nearest edge of the drivable surface.

    Positive on the edge's left, where the drivable side is. +50 m where the road block holds no edge of its level.
    """
    me = after.controlled[c]
    agents, bodies = after.agents, after.bodies
    corners = box_corners(box(agents.position[me], agents.heading[me], bodies.length[me], bodies.width[me]))
    height = None if agents.height is None else agents.height[me]
    block = road_rows(bank, after.episode, agents.position[me], height)
    edges = block[4] == ElementKind.ROAD_EDGE
    x, y = (jnp.stack(rows) for rows in zip(*corners, strict=True))
    distances = signed_distance_to_edges(x, y, road_lines(block), edges)
    return worst(distances)
