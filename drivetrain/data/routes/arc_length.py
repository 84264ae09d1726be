"""Metres along a compiled route: its recorded lane, station by station, and where on it an agent was."""

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.types import Cross, Scenario


def reference_stations(scenario: Scenario, ego: int) -> Int[np.ndarray, "P"]:
    """The recorded lane's row of the map's stations at each station of an ego's route; −1 beyond its end."""
    slot = np.asarray(scenario.egos.route.reference[ego])
    return np.asarray(scenario.egos.route.stations[ego])[np.arange(len(slot)), slot]


def reference_heights(scenario: Scenario, ego: int) -> Float[np.ndarray, "P"] | None:
    """The height of the recorded lane at each station of an ego's route, m; None where there are no levels."""
    if scenario.map.station_height is None:
        return None
    station = reference_stations(scenario, ego)
    return np.where(station >= 0, np.asarray(scenario.map.station_height)[station], 0.0).astype(np.float32)


def reference_centres(scenario: Scenario, ego: int) -> tuple[Float[np.ndarray, "P 2"], Float[np.ndarray, "P 2"]]:
    """Centre and heading of the recorded lane at each station of an ego's route; zeros beyond its end."""
    station = reference_stations(scenario, ego)
    sections = np.where(station[:, None] >= 0, np.asarray(scenario.map.stations)[station], 0.0)
    return sections[:, Cross.CENTRE_X : Cross.COS], sections[:, Cross.COS : Cross.LIMIT]


def arc_lengths(scenario: Scenario, ego: int) -> Float[np.ndarray, "P"]:
    """Metres along an ego's route at each station; beyond the end it stays. See `route_arc_lengths`."""
    route, centre = scenario.egos.route, np.asarray(scenario.map.stations)[:, Cross.CENTRE_X : Cross.COS]
    arc = route_arc_lengths(np.asarray(route.stations[ego]), np.asarray(route.reference[ego]), centre)
    return arc.astype(np.float32)


def route_arc_lengths(
    stations: Int[np.ndarray, "P L"], reference: Int[np.ndarray, "P"], centre: Float[np.ndarray, "Q 2"]
) -> Float[np.ndarray, "P"]:
    """Metres along a route at each station, along the centre line of the recorded lane.

    The sideways step of a lane change does not count.
    """
    steps = np.zeros(len(reference))
    row = np.arange(len(reference) - 1)
    for lane in (reference[row + 1], reference[row]):  # the lane left behind, where it goes on, has the last word
        here, there = stations[row, lane], stations[row + 1, lane]
        known = (here >= 0) & (there >= 0)
        steps[row + 1] = np.where(known, np.hypot(*(centre[there] - centre[here]).T), steps[row + 1])
    return np.cumsum(steps)


def place_on_route(
    scenario: Scenario, ego: int, arc: Float[np.ndarray, "P"], time: int, near: int
) -> tuple[int, float]:
    """Station nearest to the logged position of an ego, searched from station `near` on, and metres along the route."""
    centre, heading = reference_centres(scenario, ego)
    position = np.asarray(scenario.log.agents.position)[time, int(scenario.egos.track[ego])]
    length = int(scenario.egos.route.length[ego])
    distance = np.hypot(*(centre[:length] - position).T)
    distance[: max(near, 0)] = np.inf
    route, own = reference_heights(scenario, ego), scenario.log.agents.height
    if route is not None and own is not None:  # a route may pass above itself
        height = np.asarray(own)[time, int(scenario.egos.track[ego])]
        distance += 1e6 * (np.abs(route[:length] - height) > LEVELS_APART)
    cursor = int(np.argmin(distance))
    return cursor, float(arc[cursor] + (position - centre[cursor]) @ heading[cursor])
