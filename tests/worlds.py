"""A hand-drawn map without traffic as a bank: the crossing of `scenes.py`, whose lanes lead anywhere."""

import functools

import scenes

from drivetrain.sim.lane_graph import Graphing
from drivetrain.sim.towns import Town, town_bank

GRAPHING = Graphing(chains=64, nearest=15.0, farthest=40.0)


@functools.cache
def crossing(agents: int = 4, graph: bool = True, dt: float = 0.2):
    """The scenario, and a bank of worlds of so many agents on it."""
    scenario = scenes.scenario(scenes.crossing(agents=()))
    town = Town(agents=agents, programmes=2, seconds=20.0, graph=GRAPHING if graph else None)
    return scenario, town_bank([scenario], ["crossing"], dt, town, 0)
