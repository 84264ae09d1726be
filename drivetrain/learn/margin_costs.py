"""Soft costs of the events' margins, and their slopes: of clearance, route, road and lines, for gradient methods."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.collision import collision
from drivetrain.events.off_road import off_road
from drivetrain.events.off_route import off_route
from drivetrain.events.red_light import red_light
from drivetrain.events.stop_line import stop_line
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State, component, record, replace

FACTS: tuple[Callable[..., Array], ...] = (collision, off_route, off_road, red_light, stop_line)
"""The margins that cost something, by the names of their prices."""


@record
class Slope:
    """How the cost of an agent's state rises with its pose."""

    position: Float[Array, "*batch 2"]  # per m
    heading: Float[Array, "*batch 2"]  # per unit of (cos, sin)


@component
class MarginCosts:
    """A margin costs nothing from `near` metres on, and less than that its shortfall: squared at first, then linear.

    Prices are of a metre short, in metres of distance to the log.
    """

    near: float = 1.0  # m
    collision: float = 2.0
    off_route: float = 1.0
    off_road: float = 0.0
    red_light: float = 1.0
    stop_line: float = 1.0

    def __call__(self, bank: Bank, before: State, after: State) -> tuple[Float[Array, "C"], Slope]:
        """The cost of the step that led to `after`, and its slope by each controlled agent's own pose there, [C]."""

        def of_agent(c: Array) -> tuple[Array, Slope]:
            me = after.controlled[c]
            pose = Slope(after.agents.position[me], after.agents.heading[me])
            return jax.value_and_grad(lambda pose: self._cost(bank, before, after, c, pose))(pose)

        return jax.vmap(of_agent)(jnp.arange(after.alive.shape[0]))

    def _cost(self, bank: Bank, before: State, after: State, c: Index, pose: Slope) -> Float[Array, ""]:
        agents, me = after.agents, after.controlled[c]
        position = jnp.asarray(agents.position).at[me].set(pose.position)
        heading = jnp.asarray(agents.heading).at[me].set(pose.heading)
        moved = replace(after, agents=replace(agents, position=position, heading=heading))
        cost = jnp.zeros(())
        for fact in FACTS:
            price = getattr(self, fact.__name__)
            if price:
                short = jnp.maximum(self.near - fact(bank, before, moved, c), 0.0)
                bent = jnp.minimum(short, self.near)
                cost += price * (bent * (short - 0.5 * bent) / self.near)
        return cost
