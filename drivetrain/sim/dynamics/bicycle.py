"""The kinematic bicycle: longitudinal acceleration and steering-angle rate.

Rajamani 2012, "Vehicle Dynamics and Control", section 2.2, with the reference point at the box's centre, midway between
the axles: slip angle β = atan(½ tan δ), yaw rate = u tan δ / wheelbase, where u is the speed along the heading and the
centre moves with the velocity (u, ½ u tan δ) in the body's frame.
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
class Bicycle(Dynamics):
    """Action: longitudinal acceleration, m/s² · steering-angle rate of the front wheel, rad/s.

    Limits: the acceleration to 71 values in −4 … 3 m/s² (arXiv 2312.15122), the rate to ±`rate_limit`, the steering
    angle to ±`steering_limit`; an agent does not reverse. Tyres do not slip: lateral acceleration has a price, not a
    limit. The grid of rates is finer near 0 (squares of equal steps): at 30 m/s, a thousandth of a radian of steering
    moves a car 0.2 m sideways in a second.
    """

    braking_limit: float = -4.0  # m/s²
    acceleration_limit: float = 3.0  # m/s²
    acceleration_values: int = 71
    rate_limit: float = 0.6  # rad/s
    rate_values: int = 31
    steering_limit: float = 0.6  # rad
    by_kind: bool = False  # agents are also held to what their kind can do (kinds.py)
    iterations: int = 3  # of Gauss–Newton, in `inverse`
    fade: float = 0.3  # s in which the weight of a pose falls by 1/e along the horizon
    heading_weight: float = 2.0  # m of position error that weigh like one radian of heading error
    rate_price: float = 0.02  # m that weigh like a steering rate of 1 rad/s held over the horizon

    width: ClassVar[int] = 2

    def grid(self) -> Grid:
        """Accelerations evenly spaced; steering rates spaced by squares."""
        share = np.linspace(-1.0, 1.0, self.rate_values)
        return (
            np.linspace(self.braking_limit, self.acceleration_limit, self.acceleration_values).astype(np.float32),
            (self.rate_limit * share * np.abs(share)).astype(np.float32),
        )

    def limit(self, action: Float[Array, "2"]) -> Float[Array, "2"]:
        """Clip both columns."""
        low = jnp.array([self.braking_limit, -self.rate_limit])
        return jnp.clip(action, low, jnp.array([self.acceleration_limit, self.rate_limit]))

    def start(self, now: Placement, later: Placement, body: Body, dt: Scalar) -> Motion:
        """The recorded speed and yaw rate, as far as the steering limit allows."""
        motion = super().start(now, later, body, dt)
        able = abilities(body, self.by_kind)
        limit = jnp.minimum(self.steering_limit, able.steering)
        steering = jnp.clip(motion.steering, -limit, limit)
        lateral = motion.speed**2 * jnp.tan(steering) / wheelbase_of(body, able)
        return replace(motion, steering=steering, lateral=lateral)

    def forward(self, pose: Pose, body: Body, action: Float[Array, "2"], dt: Scalar) -> Moved:
        """Advance on the exact arc of the step's mean steering angle, at constant acceleration until standstill."""
        able = abilities(body, self.by_kind)
        acceleration, rate = self.applied(action, body)
        acceleration = jnp.clip(acceleration, -able.braking, able.acceleration)
        return self._advance(pose, body, jnp.stack([acceleration, rate]), dt)

    def _advance(self, pose: Pose, body: Body, action: Float[Array, "2"], dt: Scalar) -> Moved:
        able, motion = abilities(body, self.by_kind), pose.motion
        wheelbase, limit = wheelbase_of(body, able), jnp.minimum(self.steering_limit, able.steering)
        distance, speed = run(motion.speed, action[0], able.speed, dt)
        steering = jnp.clip(motion.steering + action[1] * dt, -limit, limit)
        slope, slope_after = jnp.tan(0.5 * (motion.steering + steering)), jnp.tan(steering)
        position, heading = along_arc(pose, distance, slope, wheelbase)
        new = Motion(
            speed=speed,
            steering=steering,
            acceleration=(speed - motion.speed) / dt,
            lateral=speed**2 * slope_after / wheelbase,
        )
        return Pose(position, heading, new), drifting(heading, speed, slope_after)

    def inverse(self, pose: Pose, body: Body, targets: Placement, dt: Scalar) -> Float[Array, "2"]:
        """The constant action that keeps to the targets; held to the limit of the steering angle alone."""
        fit = ConstantActionFit((1e-3, self.rate_price), self.iterations, self.fade, self.heading_weight)
        action = fit.action(
            lambda pose, action: self._advance(pose, body, action, dt)[0], pose, targets, jnp.zeros(2), dt
        )
        return self.asked(action, body)
