"""Is the whole agent on the drivable surface?"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.events.margin import LIMIT, worst
from drivetrain.geometry import box, box_corners, signed_distance_to_edges
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, road_lines, road_rows
from drivetrain.types import Array, ElementKind, State

UNKNOWN = LIMIT
"""The margin, m, where nobody knows."""


def off_road(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Signed distance, m, of the worst corner to the nearest edge of the drivable surface.

    Positive on the edge's left, where the drivable side is. It is unknown, and +50 m, where no corner is known to be
    off the road and some corner may be: there is no edge of its level, or the nearest one breaks off there.
    """
    me = after.controlled[c]
    agents, bodies = after.agents, after.bodies
    corners = box_corners(box(agents.position[me], agents.heading[me], bodies.length[me], bodies.width[me]))
    height = None if agents.height is None else agents.height[me]
    block = road_rows(bank, after.episode, agents.position[me], height)
    edges, marks = (block[4] == kind for kind in (ElementKind.ROAD_EDGE, ElementKind.NO_EDGE))
    x, y = (jnp.stack(rows) for rows in zip(*corners, strict=True))
    distances, known = signed_distance_to_edges(x, y, road_lines(block), edges, marks)
    margin = worst(distances)
    return jnp.where(jnp.all(known) | (margin < 0.0), margin, UNKNOWN)


def is_unknown(margin: Float[Array, "*n"]) -> Bool[Array, "*n"]:
    """Whether nothing is known of the surface below an agent; also 50 m from any edge."""
    return margin >= UNKNOWN
