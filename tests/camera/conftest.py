"""A hand-drawn road in front of a small camera, and plain formulas that share nothing with the package."""

import jax
import jax.numpy as jnp
import pytest
import scenes

from drivetrain.camera.appearance import PLAIN
from drivetrain.camera.beside import Laying
from drivetrain.camera.ground import lay_ground, stack_grounds
from drivetrain.camera.pinhole import of_field
from drivetrain.camera.render import Renderer, labelled, view_from
from drivetrain.camera.things import Moment
from drivetrain.camera.tiles import Tiling

BARE = Laying(buildings=0.0, trees=0.0)


class Road:
    """Three lanes along x, the camera's car in the middle one, others ahead."""

    def __init__(self, width=64, height=40, things=4, laying=BARE):
        self.agents = (
            scenes.along_x(5.25, 40.0),
            scenes.along_x(5.25, 55.0),
            scenes.along_x(1.75, 60.0, kind=scenes.AgentKind.TRUCK, length=8.0, width=2.4),
            scenes.along_x(8.75, 75.0),
            scenes.along_x(5.25, 90.0),
        )
        self.scenario = scenes.scenario(scenes.straight_road(agents=self.agents))
        log = self.scenario.log
        self.moment = Moment(
            jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), log.agents),
            jax.tree.map(jnp.asarray, log.bodies),
            jnp.asarray(log.lights[0]),
        )
        self.grounds = jax.tree.map(jnp.asarray, stack_grounds([lay_ground(self.scenario.map, laying)]))
        self.renderer = Renderer(of_field(width, height, 60.0), Tiling(things=things))
        self.look = PLAIN(jax.random.key(3))
        self.draw = jax.jit(self._draw)

    def _draw(self, moment, look):
        row = jnp.int32(0)
        view = view_from(self.renderer, self.grounds, row, moment, jnp.int32(0), look)
        drawn, labels = labelled(self.renderer, self.grounds, row, view, look)
        return view, drawn, labels


@pytest.fixture(scope="session")
def road():
    return Road()


@pytest.fixture(scope="session")
def drawn(road):
    return road.draw(road.moment, road.look)
