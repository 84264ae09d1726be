"""Jerk control: a driver who changes accelerations, with wheels that turn no faster than they can.

Cusumano-Towner et al. 2025, "Robust Autonomy Emerges from Self-Play" (arXiv 2502.03349), the vehicle model: jerks
change the accelerations, accelerations the speed (trapezoidal) and the wanted curvature a / v², which the wheel's angle
follows at a limited rate. Accelerations and speed that would change their sign stop at exactly 0. Ours differs in that
the box's centre drifts as on `Bicycle` (the paper moves it along the arc), that lateral acceleration is what the wheels
allowed, and in `top_speed` (the paper's towns: 20 m/s).
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from drivetrain.geometry import Scalar
from drivetrain.sim.dynamics.base import Body, Dynamics, Grid, Moved, Pose, along_arc, drifting
from drivetrain.sim.dynamics.constant_action_fit import ConstantActionFit
from drivetrain.sim.dynamics.kinds import abilities, wheelbase_of
from drivetrain.sim.reading import Placement
from drivetrain.types import Array, Motion, component, replace


@component
class Jerk(Dynamics):
    """Action: longitudinal jerk, m/s³ · lateral jerk, m/s³, positive to the left.

    Limits: of jerks, accelerations, speed (backwards too), the wheel's rate and angle, all below; the grid is the
    paper's twelve actions.
    """

    jerks: tuple[float, ...] = (-15.0, -4.0, 0.0, 4.0)  # m/s³, ascending; the first and the last are the limits
    lateral_jerks: tuple[float, ...] = (-4.0, 0.0, 4.0)  # m/s³
    braking_limit: float = -5.0  # m/s²
    acceleration_limit: float = 2.5  # m/s²
    lateral_limit: float = 4.0  # m/s²
    reverse_limit: float = -2.0  # m/s
    top_speed: float = 40.0  # m/s
    rate_limit: float = 0.6  # rad/s
    steering_limit: float = 0.55  # rad
    least_square: float = 1e-5  # m²/s²: v² that a curvature is divided by, at least
    by_kind: bool = False  # agents are also held to what their kind can do (kinds.py)
    fade: float = 0.5  # s in which the weight of a pose falls by 1/e along the horizon, in `inverse`
    speed_weight: float = 0.2  # m of position error that weigh like one m/s of speed error
    price: float = 0.01  # m that weigh like a jerk of 1 m/s³

    width: ClassVar[int] = 2

    def grid(self) -> Grid:
        """The jerks, as they are listed."""
        return np.asarray(self.jerks, np.float32), np.asarray(self.lateral_jerks, np.float32)

    def limit(self, action: Float[Array, "2"]) -> Float[Array, "2"]:
        """Clip both columns."""
        low, high = [self.jerks[0], self.lateral_jerks[0]], [self.jerks[-1], self.lateral_jerks[-1]]
        return jnp.clip(action, jnp.array(low), jnp.array(high))

    def start(self, now: Placement, later: Placement, body: Body, dt: Scalar) -> Motion:
        """The recorded speed, acceleration and yaw rate, as far as the limits allow."""
        motion, able = super().start(now, later, body, dt), abilities(body, self.by_kind)
        speed = jnp.minimum(motion.speed, jnp.minimum(self.top_speed, able.speed))
        after = later.heading[0] * later.velocity[0] + later.heading[1] * later.velocity[1]
        acceleration = jnp.where(later.valid, (after - speed) / dt, 0.0)
        limit = jnp.minimum(self.steering_limit, able.steering)
        steering = jnp.clip(motion.steering, -limit, limit)
        lateral = speed**2 * jnp.tan(steering) / wheelbase_of(body, able)
        acceleration = jnp.clip(acceleration, self.braking_limit, self.acceleration_limit)
        return replace(motion, speed=speed, steering=steering, acceleration=acceleration, lateral=lateral)

    def forward(self, pose: Pose, body: Body, action: Float[Array, "2"], dt: Scalar) -> Moved:
        """Change the accelerations, then the speed, then the wheels, and go on along the arc."""
        return self._advance(pose, body, self.applied(action, body), dt, until_zero)

    def _advance(self, pose: Pose, body: Body, action: Float[Array, "2"], dt: Scalar, change) -> Moved:
        able, motion = abilities(body, self.by_kind), pose.motion
        wheelbase = wheelbase_of(body, able)
        braking = jnp.maximum(self.braking_limit, -able.braking)
        pull = jnp.clip(
            change(motion.acceleration, action[0] * dt),
            braking,
            jnp.minimum(self._most(body), able.acceleration),
        )
        aside = jnp.clip(change(motion.lateral, action[1] * dt), -self.lateral_limit, self.lateral_limit)
        speed = change(motion.speed, 0.5 * (motion.acceleration + pull) * dt)
        speed = jnp.clip(speed, self.reverse_limit, jnp.minimum(self._top(body), able.speed))

        limit, rate = jnp.minimum(self.steering_limit, able.steering), self.rate_limit * dt
        wanted = jnp.arctan(aside / jnp.maximum(speed**2, self.least_square) * wheelbase)
        steering = jnp.clip(motion.steering + jnp.clip(wanted - motion.steering, -rate, rate), -limit, limit)
        slope = jnp.tan(steering)
        position, heading = along_arc(pose, 0.5 * (motion.speed + speed) * dt, slope, wheelbase)
        new = Motion(speed=speed, steering=steering, acceleration=pull, lateral=speed**2 * slope / wheelbase)
        return Pose(position, heading, new), drifting(heading, speed, slope)

    def _top(self, body: Body) -> Scalar:
        return self.top_speed if body.scales is None else self.top_speed * body.scales.speed

    def _most(self, body: Body) -> Scalar:
        return self.acceleration_limit if body.scales is None else self.acceleration_limit * body.scales.power

    def inverse(self, pose: Pose, body: Body, targets: Placement, dt: Scalar) -> Float[Array, "2"]:
        """The constant jerks that keep to the targets; found without the stop at 0, which no slope leads out of."""
        fit = ConstantActionFit((self.price, self.price), fade=self.fade, speed_weight=self.speed_weight)

        def advance(pose: Pose, action: Float[Array, "2"]) -> Pose:
            return self._advance(pose, body, action, dt, jnp.add)[0]

        return self.asked(fit.action(advance, pose, targets, jnp.zeros(2), dt), body)


def until_zero(value: Scalar, change: Scalar) -> Float[Array, ""]:
    """The value after a change that ends at 0 where it would pass it."""
    after = value + change
    return jnp.where(value * after < 0.0, 0.0, after)
