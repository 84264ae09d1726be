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


EVERY = tuple(range(-10, 54))
"""Stations of 2 m from 20 m behind to 106 m ahead (arXiv 2312.15122, figure 7)."""
SPARSE = (-8, -4, 0, 4, 8, 12, 16, 24, 32, 40, 52)
"""Every 8 m around the agent, farther apart from 32 m on: a sixth of the numbers."""


@component
class RouteView:
    """Which stations of a route are seen, counted from the agent's own, ascending."""

    lanes: int = 8
    stations: tuple[int, ...] = EVERY

    def __post_init__(self):
        if list(self.stations) != sorted(set(self.stations)) or not self.stations:
            raise ValueError("RouteView: stations must ascend, and be one at least")

    @property
    def points(self) -> int:
        """Points of one lane."""
        return len(self.stations)

    def runs(self) -> list[slice]:
        """The stations as slices of the window that covers them: evenly spaced runs, so that none is gathered."""
        places = [station - self.stations[0] for station in self.stations]
        runs, first = [], 0
        while first < len(places):
            last = first + 1
            step = places[last] - places[first] if last < len(places) else 1
            while last < len(places) and places[last] - places[last - 1] == step:
                last += 1
            runs.append(slice(places[first], places[last - 1] + 1, step))
            first = last
        return runs


def observe_route(bank: Bank, state: State, c: Int[Array, ""] | int, view: RouteView) -> Tokens:
    """The lanes of controlled agent `c`'s route around its cursor, in its frame, station by station of all lanes.

    Raises ValueError where routes have more lanes than the view.
    """
    own = jnp.maximum(state.controlled[c], 0)
    (x, y), (cos, sin) = state.agents.position[own], state.agents.heading[own]
    window, shown = (max(-view.stations[0], 0), max(view.stations[-1], 0)), (SEEN[0], Row(SEEN[1] + 1))
    whole = lane_rows(bank, state.route[c], state.cursor[c], window, shown)[:, max(view.stations[0], 0) :]
    rows = jnp.concatenate([whole[:, run] for run in view.runs()], axis=1)
    lanes = rows.shape[2]
    if lanes > view.lanes:
        raise ValueError(f"routes have {lanes} lanes, the observer sees {view.lanes}: raise RouteView.lanes")

    exists = rows[EXISTS]
    features = scale_rows(turn_rows(rows, (x, y, cos, sin), BORDERS, DIRECTIONS, exists), _SCALES, _BENDS)
    place = (np.asarray(view.stations, np.float32) - view.stations[0]) / max(view.stations[-1] - view.stations[0], 1)
    along = exists * place[:, None]
    features = jnp.where((_ROW == ALONG)[:, None, None], along, features)
    more = ((0, 0), (0, view.lanes - lanes))
    return Tokens(
        features=jnp.pad(features, ((0, 0), *more)).reshape(POINT_FEATURES, -1),
        mask=jnp.pad(exists > 0.0, more).reshape(-1),
    )
