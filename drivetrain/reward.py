"""What a step is worth to the agent that drove it.

The terms are those of the Zoox paper (arXiv 2312.15122, section on rewards). It publishes no weights; these are ours.
Dense terms are paid per metre and per second, so that 5 Hz and 10 Hz pay alike, and scaled to returns of about 1 to 10:
10 s at 15 m/s earn 3, a failure costs 10. So a fifth more progress is worth the risk of one failure in 17 drives.
"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.types import Array, Events, Traits, Weights, component, happened


@component
class Reward:
    """Dense terms, weighed, minus a penalty for each failure of the step."""

    progress: float = 0.02  # per metre along the route
    top_speed: float = 40.0  # m/s; progress faster than this, either way, pays no more
    overspeed: float = 0.04  # per m/s above the limit, per second: twice what the excess earns as progress
    acceleration: float = 0.01  # per (m/s²)², per second
    lateral: float = 0.01  # per (m/s²)², per second
    collision: float = 10.0  # once, in every step in which it holds
    off_route: float = 10.0
    off_road: float = 0.0  # lanes that may be used are surface: who keeps to a route needs none
    red_light: float = 10.0
    stop_line: float = 10.0
    goal: float = 0.0  # once for each that is reached
    time: float = 0.0  # per second: waiting is not free

    def __call__(self, events: Events, traits: Traits | None, dt: Float[Array, ""] | float) -> Float[Array, ""]:
        """The reward of one step of `dt` seconds for one agent, each term by its own factor where it has traits."""
        mine = self if traits is None else self._weighed(traits.weights)
        reach = self.top_speed * dt
        dense = mine.progress * jnp.clip(events.progress, -reach, reach)
        dense -= mine.overspeed * events.overspeed * dt
        dense -= mine.acceleration * events.acceleration**2 * dt
        dense -= mine.lateral * events.lateral**2 * dt
        dense += mine.goal * events.goal - mine.time * dt
        penalties = (
            mine.collision * happened(events.collision)
            + mine.off_route * happened(events.off_route)
            + mine.off_road * happened(events.off_road)
            + mine.red_light * happened(events.red_light)
            + mine.stop_line * happened(events.stop_line)
        )
        return dense - penalties

    def _weighed(self, factors: Weights) -> Weights:
        return Weights(*(getattr(self, name) * factor for name, factor in vars(factors).items()))
