"""What each kind of road user can do: limits beside those of a model of motion, and the wheelbase of each.

They bound what is possible on a dry road and are chosen, not measured: habits are a policy's, and IDM's are its own.
Brakes: cars and motorcycles reach 9 m/s², lorries and buses must reach 5 (UN Regulation 13). Top speeds: lorries and
buses are governed. Steering: a car turns on a circle of radius 4 m, a lorry of 12 m on one of 9 m, both at the rear
axle; a pedestrian turns on the spot, nearly.
"""

import jax
import numpy as np
from jaxtyping import Float

from drivetrain.geometry import Scalar
from drivetrain.sim.dynamics.base import WHEELBASE, Body
from drivetrain.types import Array, record, replace


@record
class Abilities:
    """Limits of one agent, or of every `AgentKind` in turn (*kinds = 8)."""

    wheelbase: Float[Array, "*kinds"] | float  # over the length of the body
    braking: Float[Array, "*kinds"] | float  # m/s², positive
    acceleration: Float[Array, "*kinds"] | float  # m/s²
    speed: Float[Array, "*kinds"] | float  # m/s
    steering: Float[Array, "*kinds"] | float  # rad


def _column(*of_kinds: float) -> Float[np.ndarray, "8"]:
    return np.asarray(of_kinds, np.float32)


#            none   car  truck   bus  motorcycle  bicycle  pedestrian  other
ABILITIES = Abilities(
    wheelbase=_column(0.6, 0.60, 0.60, 0.60, 0.65, 0.60, 0.30, 0.60),
    braking=_column(9.0, 9.0, 6.0, 6.0, 9.0, 5.0, 5.0, 9.0),
    acceleration=_column(4.0, 4.0, 1.5, 1.5, 5.0, 1.5, 3.0, 5.0),
    speed=_column(70.0, 70.0, 30.0, 30.0, 70.0, 15.0, 5.0, 70.0),
    steering=_column(0.6, 0.60, 0.70, 0.70, 0.60, 0.80, 1.20, 1.20),
)
"""By `AgentKind`."""

ANY = Abilities(wheelbase=WHEELBASE, braking=1e9, acceleration=1e9, speed=1e9, steering=1.5)
"""Everyone can do what the model of motion can, on a wheelbase of `WHEELBASE`."""


def abilities(body: Body, by_kind: bool) -> Abilities:
    """What one agent can do; `ANY` where kinds do not count."""
    able = jax.tree.map(lambda column: jax.numpy.asarray(column)[body.kind], ABILITIES) if by_kind else ANY
    if body.scales is None:
        return able
    own = body.scales
    return replace(able, speed=able.speed * own.speed, acceleration=able.acceleration * own.power)


def wheelbase_of(body: Body, able: Abilities) -> Scalar:
    """Metres between the axles; padding, which has no body, counts as 0.1 m long."""
    return able.wheelbase * jax.numpy.maximum(body.length, 0.1)
