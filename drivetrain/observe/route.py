"""The route: border points of the lanes that may be used, from behind the agent to well ahead of it."""

import jax.numpy as jnp
from jaxtyping import Int

from drivetrain.observe.scales import SPEED, compress
from drivetrain.sim.bank import Bank, lane_window
from drivetrain.types import Array, RouteFlag, State, Tokens, component

POINT_FEATURES = 12
"""left x, y · right x, y · heading cos, sin · speed limit · recorded lane · left, right border open · exists · where
the point is along the window, 0 to 1."""


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
    window = lane_window(bank, state.episode, c, state.cursor[c], view.behind, view.ahead, view.stride)
    points, lanes = window.exists.shape
    if lanes > view.lanes:
        raise ValueError(f"routes have {lanes} lanes, the observer sees {view.lanes}: raise RouteView.lanes")

    def local(x: Array, y: Array) -> tuple[Array, Array]:
        return x * cos + y * sin, y * cos - x * sin

    borders = (*local(window.left[0] - x, window.left[1] - y), *local(window.right[0] - x, window.right[1] - y))
    opens = [(window.flags & int(flag)) != 0 for flag in (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_RIGHT)]
    along = jnp.broadcast_to(jnp.arange(points)[:, None] / max(points - 1, 1), (points, lanes))
    rows = [*[compress(border) for border in borders], *local(*window.heading), window.limit / SPEED]
    rows += [window.recorded, *opens, window.exists, along]
    features = jnp.stack([row.astype(jnp.float32) for row in rows])
    features = jnp.where(window.exists, features, 0.0)
    more = ((0, 0), (0, view.lanes - lanes))
    return Tokens(
        features=jnp.pad(features, ((0, 0), *more)).reshape(POINT_FEATURES, -1),
        mask=jnp.pad(window.exists, more).reshape(-1),
    )
