"""Everything around, without choosing: the whole road block of the agent's cell, and every other agent of the scene.

For many controlled agents in small worlds, where choosing the nearest costs more than looking at all (self-play).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.observe import ego
from drivetrain.observe.base import Observer, Widths
from drivetrain.observe.ego import observe_ego
from drivetrain.observe.scales import BEND, SPEED, compress
from drivetrain.observe.turning import turn_rows
from drivetrain.sim.bank import Bank
from drivetrain.sim.levels import STEEPEST, on_level
from drivetrain.sim.reading import road_rows
from drivetrain.types import OBSERVED, Array, Observation, State, Tokens, component

FEATURES = 5
"""Of an element: start x, y · end x, y · kind, as a share. Of an agent: x, y · heading cos, sin · speed.

Elements are near by choice, so that their coordinates are in proportion: compressing 800 numbers would cost as many
divisions, which take longer than all else that is done to them.
"""
_SCALES = np.array([1.0 / BEND] * 4 + [1.0 / (1 + len(OBSERVED)), 1.0], np.float32)


@component
class Surroundings(Observer):
    """State → Observation of one controlled agent: the block and all others; no route, no time left."""

    @property
    def widths(self) -> Widths:
        """Features of each modality."""
        return Widths(ego.FEATURES, FEATURES, FEATURES, FEATURES, lanes=1, points=1)

    def __call__(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> Observation:
        """What controlled agent `c` sees, in its frame."""
        own = jnp.maximum(state.controlled[c], 0)
        (x, y), (cos, sin) = state.agents.position[own], state.agents.heading[own]

        def local(at_x: Array, at_y: Array) -> tuple[Array, Array]:
            return compress((at_x - x) * cos + (at_y - y) * sin), compress((at_y - y) * cos - (at_x - x) * sin)

        height = None if state.agents.height is None else state.agents.height[own]
        block = road_rows(bank, state.episode, state.agents.position[own], height, STEEPEST)
        there = block[4] > 0.0
        road = turn_rows(block, (x, y, cos, sin), 4, 0, there.astype(jnp.float32))
        road = (road * _SCALES[:, None])[:FEATURES]

        agents = state.agents
        heading, velocity = agents.heading.T, agents.velocity.T
        turned = heading[0] * cos + heading[1] * sin, heading[1] * cos - heading[0] * sin
        speed = (velocity[0] * heading[0] + velocity[1] * heading[1]) / SPEED
        others = agents.valid & (jnp.arange(agents.valid.shape[0]) != own)
        if agents.height is not None:
            away = jnp.sum((agents.position - agents.position[own]) ** 2, axis=-1)
            others &= on_level(agents.height, agents.height[own], away)
        crowd = jnp.stack([*local(*agents.position.T), *turned, speed])
        return Observation(
            ego=observe_ego(bank, state, c),
            agents=Tokens(jnp.where(others, crowd, 0.0), others),
            road=Tokens(road, there),
            route=Tokens(jnp.zeros((FEATURES, 1)), jnp.zeros(1, bool)),
            remaining=jnp.zeros(()),
        )
