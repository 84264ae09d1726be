"""How agents differ that one policy drives: what their rewards weigh, what their cars do, and who is odd.

Cusumano-Towner et al. 2025 (arXiv 2502.03349, sections on rewards and randomisation). Weights are factors on `Reward`,
whose terms are meant to be the largest that anybody has; a style whose ranges are points is a conditioning, for
evaluation.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from drivetrain.types import Array, Key, Odd, Scales, Traits, Weights, component

Range = tuple[float, float]
FIXED: Range = (1.0, 1.0)


@component
class Styles:
    """Ranges of what is drawn uniformly for each agent, by the names in `Weights`; then those of its car."""

    progress: Range = FIXED
    overspeed: Range = (0.0, 1.0)
    acceleration: Range = FIXED
    lateral: Range = FIXED
    collision: Range = (0.0, 1.0)
    off_route: Range = FIXED
    off_road: Range = (0.0, 1.0)
    red_light: Range = (0.0, 1.0)
    stop_line: Range = (0.0, 1.0)
    goal: Range = FIXED
    time: Range = FIXED
    alignment: Range = (0.01, 1.0)
    centre: Range = (1.0 / 30.0, 1.0)
    reverse: Range = (1.0 / 30.0, 1.0)
    comfort: Range = (0.0, 1.0)
    throttle: float = 1.25  # half of all jerk or accelerate up to so many times as much, half down to 1 / as much
    wheel: float = 1.25
    top_speed: float = 1.5
    power: float = 1.5  # of the largest acceleration
    blind: float = 0.05  # share of agents that see nobody
    brakes: float = 0.1  # share of agents that brake at random

    def draw(self, key: Key) -> Traits:
        """The traits of one agent. The key is consumed."""
        names = [field.name for field in dataclasses.fields(Weights)]
        low, high = np.array([getattr(self, name) for name in names], np.float32).T
        shares = jax.random.uniform(key, (len(names) + 6,))
        weights = low + (high - low) * shares[: len(names)]
        *car, blind, brakes = shares[len(names) :]
        return Traits(
            weights=Weights(*weights),
            scales=Scales(*map(_scaled, (self.throttle, self.wheel, self.top_speed, self.power), car)),
            odd=Odd(blind < self.blind, brakes < self.brakes, jax.random.bits(jax.random.fold_in(key, 1))),
        )


def _scaled(most: float, share: Float[Array, ""]) -> Float[Array, ""]:
    """The paper's X(a): half of it uniform from 1/a to 1, half from 1 to a."""
    low, high = 1.0 / most, most
    return jnp.where(share < 0.5, low + 2.0 * share * (1.0 - low), 1.0 + (2.0 * share - 1.0) * (high - 1.0))


def _point(collision: float, manners: float, comfort: float) -> Styles:
    """A style that everybody has, with nobody odd and all cars alike."""
    harm, way, gently = (collision, collision), (manners, manners), (comfort, comfort)
    return Styles(
        overspeed=way,
        collision=harm,
        off_road=harm,
        red_light=way,
        stop_line=way,
        alignment=way,
        centre=way,
        reverse=way,
        comfort=gently,
        throttle=1.0,
        wheel=1.0,
        top_speed=1.0,
        power=1.0,
        blind=0.0,
        brakes=0.0,
    )


CONSERVATIVE = _point(1.0, 1.0, 0.5)
"""Nothing is worth a collision: the paper's conditioning for evaluation."""
MEDIAN = _point(0.5, 0.5, 0.5)
HASTY = _point(0.1, 0.1, 0.0)
