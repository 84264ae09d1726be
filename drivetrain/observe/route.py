"""The route: border points of the lanes that may be used, from behind the agent to well ahead of it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.observe.scales import BEND, SLOPE, SPEED
from drivetrain.observe.turning import scale_rows, turn_rows
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import lane_rows
from drivetrain.sim.route_tables import SEEN, Row
from drivetrain.types import Array, State, Tokens, component

POINT_FEATURES = 12
"""left x, y · right x, y · heading cos, sin · speed limit · recorded lane · left, right border open · exists · where
the point is along the window, 0 to 1."""
BORDERS, DIRECTIONS, LIMIT, EXISTS, ALONG = 4, 2, 6, 10, 11  # rows of points, of directions; then places of rows
_ROW = np.arange(POINT_FEATURES)
_SCALES = np.where(_ROW < BORDERS, SLOPE, np.where(_ROW == LIMIT, 1.0 / SPEED, 1.0)).astype(np.float32)
_BENDS = np.where(_ROW < BORDERS, 1.0 / BEND, 0.0).astype(np.float32)


@component
class RouteView:
    """Which stations of a route are seen; a policy takes `chunk` points of one lane together as a token."""

    lanes: int = 8
    behind: int = 10  # stations of 2 m
    ahead: int = 53
    stride: int = 1  # stations from one point to the next
    chunk: int = 4  # points of one token; divides `points`

    def __post_init__(self):
        if (self.behind + self.ahead) % self.stride or self.points % self.chunk:
            raise ValueError("RouteView: stride must divide behind + ahead, and chunk the points that this gives")

    @property
    def points(self) -> int:
        """Points of one lane."""
        return (self.behind + self.ahead) // self.stride + 1


def observe_route(bank: Bank, state: State, c: Int[Array, ""] | int, view: RouteView) -> Tokens:
    """The lanes of controlled agent `c`'s route around its cursor, in its frame, station by station of all lanes.

    Raises ValueError where routes have more lanes than the view.
    """
    own = jnp.maximum(state.controlled[c], 0)
    (x, y), (cos, sin) = state.agents.position[own], state.agents.heading[own]
    window, shown = (view.behind, view.ahead), (SEEN[0], Row(SEEN[1] + 1))
    rows = lane_rows(bank, state.route[c], state.cursor[c], window, shown, view.stride)
    _, points, lanes = rows.shape
    if lanes > view.lanes:
        raise ValueError(f"routes have {lanes} lanes, the observer sees {view.lanes}: raise RouteView.lanes")

    exists = rows[EXISTS]
    features = scale_rows(turn_rows(rows, (x, y, cos, sin), BORDERS, DIRECTIONS, exists), _SCALES, _BENDS)
    along = exists * (jnp.arange(points) / max(points - 1, 1))[:, None]
    features = jnp.where((_ROW == ALONG)[:, None, None], along, features)
    more = ((0, 0), (0, view.lanes - lanes))
    return Tokens(
        features=jnp.pad(features, ((0, 0), *more)).reshape(POINT_FEATURES, -1),
        mask=jnp.pad(exists > 0.0, more).reshape(-1),
    )
