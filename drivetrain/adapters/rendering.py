"""A scene as it stands, as an array of pixels: what `render` of an adapter returns."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from drivetrain.sim.bank import Bank
from drivetrain.types import InputError, Map, State
from drivetrain.view.canvas import Canvas, Road, pillow, road_of
from drivetrain.view.film import follow
from drivetrain.view.style import colour

MODE = "rgb_array"


class Renderer:
    """Pictures of a bank's scenes, on the maps of its recordings: the controlled stand out, the first is followed."""

    def __init__(self, bank: Bank, maps: Sequence[Map]):
        pillow()
        if len(maps) != len(bank.logs.steps):
            raise InputError(f"maps: {len(maps)} for a bank of {len(bank.logs.steps)} recordings (give one of each)")
        self.row = np.asarray(bank.episodes.map)
        self.road = cache(lambda row: road_of(maps[row]))

    def __call__(self, state: State) -> UInt8[np.ndarray, "height width 3"]:
        """One scene."""
        state = jax.tree.map(np.asarray, state)
        road: Road = self.road(int(self.row[state.episode]))
        agents, bodies = state.agents, state.bodies
        poses = np.concatenate([agents.position, agents.heading], axis=-1)
        sizes = np.stack([bodies.length, bodies.width], axis=-1)
        mine = state.controlled[state.alive]
        others = np.setdiff1d(np.flatnonzero(agents.valid), mine)
        canvas = Canvas(follow(poses[max(int(state.controlled[0]), 0)]))
        canvas.road(road, state.lights)
        canvas.users(poses[others], sizes[others], bodies.kind[others])
        for column in mine:
            canvas.agent(poses[column], sizes[column], colour("accent"), colour("panel"))
        canvas.bar()
        return np.asarray(canvas.done())


def described(bank: Bank, maps: Sequence[Map] | None, metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata of an adapter that renders where it has maps, once a step."""
    rate = round(1.0 / float(bank.dt))
    return metadata | ({"render_modes": [MODE], "render_fps": rate} if maps is not None else {})
