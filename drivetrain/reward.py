"""What a step is worth to the agent that drove it.

The terms are those of the Zoox paper (arXiv 2312.15122, section on rewards). It publishes no weights; these are ours.
Dense terms are paid per metre and per second, so that 5 Hz and 10 Hz pay alike, and scaled to returns of about 1 to 10:
10 s at 15 m/s earn 3, a failure costs 10. So a fifth more progress is worth the risk of one failure in 17 drives.
"""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.types import Array, Events, Manner, Traits, Weights, component, happened


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
    impact: float = 0.0  # per m/s, in every step in which a collision holds
    alignment: float = 0.0  # of driving against the nearest lane: per second, and `against` times as much per metre
    against: float = 0.5
    centre: float = 0.0  # per metre from the middle of the nearest lane, per second, while driving along it
    reverse: float = 0.0  # per second of driving backwards
    comfort: float = 0.0  # per second for each of: more than 3 m/s² along, or aside, a jerk of more than 5 m/s³
    moving: float = 0.0  # paid per second of driving along the lane, faster than 2.5 m/s

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
            + mine.red_light * happened(events.red_light)
            + mine.stop_line * happened(events.stop_line)
        )
        if events.manner is not None:
            dense += self._of_manner(mine, events, events.manner) * dt
            penalties += self.impact * jnp.abs(events.manner.speed) * happened(events.collision)
        if self.off_road:  # the edges are looked at only where they have a price
            penalties += mine.off_road * happened(events.off_road)
        return dense - penalties

    def _of_manner(self, mine: "Reward | Weights", events: Events, manner: Manner) -> Float[Array, ""]:
        """Per second: as in Cusumano-Towner et al. 2025 (arXiv 2502.03349), less what they pay for standing."""
        along, speed = manner.alignment, manner.speed
        worth = mine.alignment * (jnp.minimum(along, 0.0) + self.against * jnp.minimum(along * speed, 0.0))
        worth -= mine.centre * jnp.where(along > 0.5, jnp.abs(manner.aside), 0.0)
        worth -= mine.reverse * (speed < 0.0)
        harsh = (jnp.abs(events.acceleration) > 3.0).astype(jnp.float32) + (jnp.abs(events.lateral) > 3.0)
        worth -= mine.comfort * (harsh + (manner.jerk > 5.0))
        return worth + self.moving * jnp.maximum(along, 0.0) * (jnp.abs(speed) > 2.5)

    def _weighed(self, factors: Weights) -> Weights:
        return Weights(*(getattr(self, name) * factor for name, factor in vars(factors).items()))
