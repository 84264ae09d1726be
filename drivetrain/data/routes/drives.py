"""Drives that nobody recorded: random walks along the lanes of a map without traffic, each with its route.

They are what a driver is asked to do on an empty map: where an agent begins, and which way it is to go.
"""

import numpy as np

from drivetrain.data.roads.lanes import Lanes
from drivetrain.data.routes.map_matching import Match
from drivetrain.data.routes.routing import Path, route_along

DRIVES = 256
"""Drives that a map without traffic offers."""
LENGTH = 600.0
"""A drive goes on for so many metres, where the lanes do."""
LEAST = 60.0
"""Shorter ones, m, are not offered: there is no room for a goal."""
TRIES = 4
"""Walks begun for every drive that is wanted, at most."""


def drives(lanes: Lanes, count: int = DRIVES, seed: int = 0) -> list[Path]:
    """At most `count` routes along walks through the lane graph, the same for the same lanes and seed.

    A walk begins where a lane begins that something leads to, the longer the lane the more often, and takes any
    successor. Fewer are returned where the lanes lead nowhere; none on a map without lanes.
    """
    random, found = np.random.default_rng(seed), []
    starts = np.array([lane for lane, before in enumerate(lanes.predecessors) if before], int)
    if not len(starts):
        return []
    weight = lanes.count[starts] / lanes.count[starts].sum()
    for _ in range(TRIES * count):
        walked = _walk(lanes, int(random.choice(starts, p=weight)), random)
        if sum(_metres(lanes, lane) for lane in walked) >= LEAST:
            found.append(_routed(lanes, walked))
        if len(found) == count:
            break
    return found


def _walk(lanes: Lanes, lane: int, random: np.random.Generator) -> list[int]:
    walked, metres = [lane], _metres(lanes, lane)
    while metres < LENGTH and lanes.successors[walked[-1]]:
        walked.append(int(random.choice(lanes.successors[walked[-1]])))
        metres += _metres(lanes, walked[-1])
    return walked


def _metres(lanes: Lanes, lane: int) -> float:
    centre = lanes.centre[lanes.stations(lane)]
    return float(np.linalg.norm(np.diff(centre, axis=0), axis=1).sum())


def _routed(lanes: Lanes, walked: list[int]) -> Path:
    stations = np.concatenate([lanes.first[lane] + np.arange(lanes.count[lane]) for lane in walked])
    matched = Match(tuple(walked), (0,) * len(walked))
    height = None if lanes.height is None else lanes.height[stations]
    return route_along(lanes, matched, lanes.centre[stations], height)
