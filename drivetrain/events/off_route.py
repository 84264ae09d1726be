"""Is the whole agent on the lanes of its route?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.margin import LIMIT, worst
from drivetrain.geometry import box_corners, signed_distance_to_pieces
from drivetrain.sim.bank import Bank, Index, lane_window
from drivetrain.types import Array, RouteFlag, State

REACH = 12
"""Stations before and after the agent's own whose lanes count: 24 m each way."""


def off_route(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Signed distance, m, of the worst corner to the outline of the union of permissible lanes near the agent.

    Positive inside. Borders between two permissible lanes are no outline (`RouteFlag`); nor are the cuts at the ends of
    the window.
    """
    me = after.controlled[c]
    corners = box_corners(
        after.agents.position[me], after.agents.heading[me], after.bodies.length[me], after.bodies.width[me]
    )
    lanes = lane_window(bank, after.episode, c, after.cursor[c], REACH, REACH)
    pieces = lanes.flags[:-1]  # a piece runs from its station to the next

    def has(flag: RouteFlag):
        return (pieces & flag.value != 0).reshape(-1)

    exists = has(RouteFlag.LINKED)
    distances = signed_distance_to_pieces(
        corners,
        lanes.left[:-1].reshape(-1, 2),
        lanes.right[:-1].reshape(-1, 2),
        lanes.left[1:].reshape(-1, 2),
        lanes.right[1:].reshape(-1, 2),
        exists,
        has(RouteFlag.OPEN_LEFT),
        has(RouteFlag.OPEN_RIGHT),
        has(RouteFlag.OPEN_START),
        has(RouteFlag.OPEN_END),
    )
    return worst(jnp.where(jnp.any(exists), distances, LIMIT))
