"""The route: border points of the lanes that may be used, from behind the agent to well ahead of it."""

import jax.numpy as jnp
from jaxtyping import Int

from drivetrain.geometry import to_frame, unrotate
from drivetrain.observe.scales import SPEED, compress
from drivetrain.sim.bank import Bank, lane_window
from drivetrain.types import Array, RouteFlag, State, Tokens, component

POINT_FEATURES = 11
"""left x, y · right x, y · heading cos, sin · speed limit · reference lane · left, right border open · exists."""


@component
class RouteView:
    """Which stations of a route are seen, and how they are dealt to tokens: `chunk` points of one lane each."""

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

    @property
    def tokens(self) -> int:
        """Tokens of all lanes."""
        return self.lanes * self.points // self.chunk

    @property
    def features(self) -> int:
        """Width of one token: its points, then where its first point is along the window."""
        return POINT_FEATURES * self.chunk + 1


def observe_route(bank: Bank, state: State, c: Int[Array, ""] | int, view: RouteView) -> Tokens:
    """The lanes of controlled agent `c`'s route around its cursor, in its frame.

    A token is masked where none of its points exists. Raises ValueError where routes have more lanes than the view.
    """
    own = jnp.maximum(state.controlled[c], 0)
    position, heading = state.agents.position[own], state.agents.heading[own]
    window = lane_window(bank, state.episode, c, state.cursor[c], view.behind, view.ahead, view.stride)
    points, lanes = window.exists.shape
    if lanes > view.lanes:
        raise ValueError(f"routes have {lanes} lanes, the observer sees {view.lanes}: raise RouteView.lanes")

    def bit(flag: RouteFlag) -> Array:
        return (window.flags & int(flag)) != 0

    reference = window.reference[:, None] == jnp.arange(lanes)
    columns = [window.limit / SPEED, reference, bit(RouteFlag.OPEN_LEFT), bit(RouteFlag.OPEN_RIGHT), window.exists]
    features = jnp.concatenate(
        [
            compress(to_frame(window.left, position, heading)),
            compress(to_frame(window.right, position, heading)),
            unrotate(window.heading, heading),
            jnp.stack([column.astype(jnp.float32) for column in columns], axis=-1),
        ],
        axis=-1,
    )
    features = jnp.where(window.exists[..., None], features, 0.0)
    features = jnp.pad(jnp.swapaxes(features, 0, 1), ((0, view.lanes - lanes), (0, 0), (0, 0)))
    exists = jnp.pad(window.exists.T, ((0, view.lanes - lanes), (0, 0))).reshape(view.tokens, view.chunk).any(axis=-1)
    first = jnp.arange(0, points, view.chunk) * (view.stride / (view.behind + view.ahead))
    tokens = jnp.concatenate(
        [features.reshape(view.tokens, view.features - 1), jnp.tile(first, view.lanes)[:, None]], axis=-1
    )
    return Tokens(features=jnp.where(exists[:, None], tokens, 0.0), mask=exists)
