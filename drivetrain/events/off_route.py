"""Is the whole agent on the lanes of its route?"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.margin import LIMIT, worst
from drivetrain.geometry import Pieces, box, box_corners, signed_distance_to_pieces
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, lane_rows, route_outline
from drivetrain.sim.route_tables import PIECES, REACH, Row
from drivetrain.types import Array, RouteFlag, State


def off_route(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Signed distance, m, of the worst corner to the outline of the union of permissible lanes near the agent.

    Positive inside. Borders between two permissible lanes are no outline (`RouteFlag`); nor are the cuts where what is
    looked at ends, 24 m from the agent at least. +50 m where agents go anywhere: they may leave their routes.
    """
    if bank.graph is not None:
        return jnp.asarray(LIMIT)
    me = after.controlled[c]
    agents, bodies = after.agents, after.bodies
    corners = box_corners(box(agents.position[me], agents.heading[me], bodies.length[me], bodies.width[me]))
    rows = lane_rows(bank, after.route[c], after.cursor[c], (REACH, REACH), PIECES)
    flags = rows[Row.FLAGS, :-1].reshape(-1).astype(jnp.int32)  # a piece runs from its station to the next

    def has(flag: RouteFlag) -> Array:
        return (flags & flag.value) != 0

    def start(row: Row) -> Array:
        return rows[row, :-1].reshape(-1)

    def end(row: Row) -> Array:
        return rows[row, 1:].reshape(-1)

    pieces = Pieces(
        left0=(start(Row.LEFT_X), start(Row.LEFT_Y)),
        right0=(start(Row.RIGHT_X), start(Row.RIGHT_Y)),
        left1=(end(Row.LEFT_X), end(Row.LEFT_Y)),
        right1=(end(Row.RIGHT_X), end(Row.RIGHT_Y)),
        exists=has(RouteFlag.LINKED),
        opens=(has(RouteFlag.OPEN_LEFT), has(RouteFlag.OPEN_RIGHT), has(RouteFlag.OPEN_START), has(RouteFlag.OPEN_END)),
    )
    x, y = (jnp.stack(rows) for rows in zip(*corners, strict=True))
    outline = route_outline(bank, after.route[c], after.cursor[c])
    distances = signed_distance_to_pieces(x, y, pieces, outline)
    return worst(jnp.where(jnp.any(pieces.exists), distances, LIMIT))
