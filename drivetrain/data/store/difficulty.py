"""How difficult an ego's recorded drive is, from the compiled scenario alone: one number a measure, larger is harder.

dense     other road users within 30 m, the mean over its steps
turning   the largest change of its heading between any two of its steps, rad
near      the largest inverse time to collision with anyone, 1/s: both keep their velocity, bodies are three discs each
          of their width (front, middle, rear); at most 10
signals   stop lines of lights on its route between its first and its last place, and up to 30 m ahead of that
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.recording import LEVELS_APART
from drivetrain.data.routes.arc_length import arc_lengths, place_on_route
from drivetrain.types import Agents, ControlKind, Scenario

NEAR = 30.0  # m
LEAST_TIME = 0.1  # s; the inverse of a shorter time says nothing

Measure = Callable[[Scenario, int], float]
"""`measure(scenario, row of its egos)`."""


def dense(scenario: Scenario, ego: int) -> float:
    """Other road users within 30 m: the mean over the ego's steps."""
    agents, track = _window(scenario, ego)
    distance = np.linalg.norm(agents.position - agents.position[:, track, None], axis=-1)
    near = (distance <= NEAR) & agents.valid
    near[:, track] = False
    return float(near.sum(axis=1).mean())


def turning(scenario: Scenario, ego: int) -> float:
    """The largest change of the ego's heading between any two of its steps, rad."""
    agents, track = _window(scenario, ego)
    cosine, sine = np.asarray(agents.heading[:, track], np.float64).T
    return float(np.ptp(np.unwrap(np.arctan2(sine, cosine))))


def near(scenario: Scenario, ego: int) -> float:
    """The largest inverse time to collision with anyone, 1/s, under constant velocities."""
    agents, track = _window(scenario, ego)
    others = np.delete(np.arange(agents.valid.shape[1]), track)
    discs, radius = _discs(scenario, agents)
    apart = discs[:, others, None, :] - discs[:, track, None, :, None]  # [T, others, 3 of the ego, 3 of the other, 2]
    speed = (agents.velocity[:, others] - agents.velocity[:, track, None])[:, :, None, None]
    touch = (radius[others] + radius[track])[None, :, None, None]
    closing = (apart * speed).sum(-1)
    square = np.maximum((speed**2).sum(-1), 1e-12)
    gap = (apart**2).sum(-1) - touch**2
    root = closing**2 - square * gap
    meets = (gap > 0.0) & (closing < 0.0) & (root >= 0.0)
    time = np.where(meets, (-closing - np.sqrt(np.maximum(root, 0.0))) / square, np.inf)
    time = np.where(gap <= 0.0, 0.0, time)
    there = agents.valid[:, others]
    if agents.height is not None:  # what crosses above is never met
        there = there & (np.abs(agents.height[:, others] - agents.height[:, track, None]) <= LEVELS_APART)
    time = np.where(there[:, :, None, None], time, np.inf)
    return 1.0 / max(float(time.min(initial=np.inf)), LEAST_TIME)


def signals(scenario: Scenario, ego: int) -> float:
    """Stop lines of lights on the ego's route between its first and last place, and up to 30 m ahead of that."""
    arc, egos = arc_lengths(scenario, ego), scenario.egos
    first = int(egos.cursor[ego])
    last, _ = place_on_route(scenario, ego, arc, int(egos.last[ego]), first)
    lines, station = np.asarray(egos.route.lines[ego]), np.asarray(egos.route.line_station[ego])
    lights = (lines >= 0) & (np.asarray(scenario.map.line_kind)[lines] == ControlKind.LIGHT)
    place = np.interp(station, np.arange(len(arc)), arc)
    return float((lights & (place >= arc[first]) & (place <= arc[last] + NEAR)).sum())


MEASURES: dict[str, Measure] = {"dense": dense, "turning": turning, "near": near, "signals": signals}


def _window(scenario: Scenario, ego: int) -> tuple[Agents, int]:
    """Everybody during an ego's steps, and the ego's column."""
    agents, egos = scenario.log.agents, scenario.egos
    steps = slice(int(egos.first[ego]), int(egos.last[ego]) + 1)
    return agents_during(agents, steps), int(egos.track[ego])


def agents_during(agents: Agents, steps: slice) -> Agents:
    """A log's agents during some of its steps."""
    return Agents(
        position=np.asarray(agents.position)[steps],
        heading=np.asarray(agents.heading)[steps],
        velocity=np.asarray(agents.velocity)[steps],
        valid=np.asarray(agents.valid)[steps],
        height=None if agents.height is None else np.asarray(agents.height)[steps],
    )


def _discs(scenario: Scenario, agents: Agents) -> tuple[Float[np.ndarray, "T A 3 2"], Float[np.ndarray, "A"]]:
    """Centres of three discs a body, and their radius: they reach its front, its rear and its sides."""
    length, width = np.asarray(scenario.log.bodies.length), np.asarray(scenario.log.bodies.width)
    reach = np.maximum(length - width, 0.0) / 2.0
    shift = reach[:, None, None] * np.array([-1.0, 0.0, 1.0])[:, None]
    return np.asarray(agents.position)[:, :, None] + np.asarray(agents.heading)[:, :, None] * shift, width / 2.0
