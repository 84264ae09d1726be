"""The kinematic bicycle by longitudinal acceleration and curvature: the wheels turn at once.

The geometry is that of `Bicycle`, the reference point at the box's centre; the curvature is that of the rear axle's
path, yaw rate over the speed along the heading, and holds for the whole step. Others (Gulino et al. 2023, "Waymax",
arXiv 2310.08710, appendix) put the reference point on the path itself, where the box does not drift as it turns.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from drivetrain.geometry import Scalar
from drivetrain.sim.dynamics.base import Body, Dynamics, Grid, Moved, Pose, along_arc, drifting, run
from drivetrain.sim.dynamics.constant_action_fit import ConstantActionFit
from drivetrain.sim.dynamics.kinds import abilities, wheelbase_of
from drivetrain.sim.reading import Placement
from drivetrain.types import Array, Motion, component, replace


@component
class Curvature(Dynamics):
    """Action: longitudinal acceleration, m/s² · curvature of the rear axle's path, 1/m, positive to the left.

    Limits: the acceleration as for `Bicycle`; the curvature to ±`curvature_limit`. An agent does not reverse; neither
    the steering's rate nor lateral acceleration has a limit. The grid of curvatures is much finer near 0 (cubes of
    equal steps): its first value off 0 asks for 0.08 m/s² at 30 m/s.
    """

    braking_limit: float = -4.0  # m/s²
    acceleration_limit: float = 3.0  # m/s²
    acceleration_values: int = 71
    curvature_limit: float = 0.3  # 1/m
    curvature_values: int = 31
    by_kind: bool = False  # agents are also held to what their kind can do (kinds.py)
    curvature_price: float = 0.1  # m that weigh like a curvature of 1 / m off the last one, in `inverse`

    width: ClassVar[int] = 2

    def grid(self) -> Grid:
        """Accelerations evenly spaced; curvatures spaced by cubes."""
        share = np.linspace(-1.0, 1.0, self.curvature_values)
        return (
            np.linspace(self.braking_limit, self.acceleration_limit, self.acceleration_values).astype(np.float32),
            (self.curvature_limit * share**3).astype(np.float32),
        )

    def limit(self, action: Float[Array, "2"]) -> Float[Array, "2"]:
        """Clip both columns."""
        low = jnp.array([self.braking_limit, -self.curvature_limit])
        return jnp.clip(action, low, jnp.array([self.acceleration_limit, self.curvature_limit]))

    def start(self, now: Placement, later: Placement, body: Body, dt: Scalar) -> Motion:
        """The recorded speed and yaw rate, as far as the limits allow."""
        motion = super().start(now, later, body, dt)
        able = abilities(body, self.by_kind)
        wheelbase = wheelbase_of(body, able)
        widest = jnp.minimum(self.curvature_limit, jnp.tan(able.steering) / wheelbase)
        curvature = jnp.clip(jnp.tan(motion.steering) / wheelbase, -widest, widest)
        return replace(motion, steering=jnp.arctan(curvature * wheelbase), lateral=motion.speed**2 * curvature)

    def forward(self, pose: Pose, body: Body, action: Float[Array, "2"], dt: Scalar) -> Moved:
        """Advance on an arc at constant acceleration until standstill."""
        able = abilities(body, self.by_kind)
        widest = jnp.tan(able.steering) / wheelbase_of(body, able)
        low, high = jnp.stack([-able.braking, -widest]), jnp.stack([able.acceleration, widest])
        return self._advance(pose, body, jnp.clip(self.applied(action, body), low, high), dt)

    def _advance(self, pose: Pose, body: Body, action: Float[Array, "2"], dt: Scalar) -> Moved:
        able, before = abilities(body, self.by_kind), pose.motion.speed
        wheelbase = wheelbase_of(body, able)
        distance, speed = run(before, action[0], able.speed, dt)
        slope = action[1] * wheelbase
        position, heading = along_arc(pose, distance, slope, wheelbase)
        new = Motion(
            speed=speed,
            steering=jnp.arctan(slope),
            acceleration=(speed - before) / dt,
            lateral=speed**2 * action[1],
        )
        return Pose(position, heading, new), drifting(heading, speed, slope)

    def inverse(self, pose: Pose, body: Body, targets: Placement, dt: Scalar) -> Float[Array, "2"]:
        """The constant action that keeps to the targets; without any, on along the present arc."""
        wheelbase = wheelbase_of(body, abilities(body, self.by_kind))
        guess = jnp.stack([0.0, jnp.tan(pose.motion.steering) / wheelbase])
        fit = ConstantActionFit((1e-3, self.curvature_price))
        action = fit.action(lambda pose, action: self._advance(pose, body, action, dt)[0], pose, targets, guess, dt)
        return self.asked(action, body)
