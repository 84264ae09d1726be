"""The kinematic bicycle: longitudinal acceleration and steering-angle rate.

Rajamani 2012, "Vehicle Dynamics and Control", section 2.2, with the reference point at the box's centre, midway between
the axles: slip angle β = atan(½ tan δ), yaw rate = u tan δ / wheelbase, where u is the speed along the heading and the
centre moves with the velocity (u, ½ u tan δ) in the body's frame.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from drivetrain.geometry import Scalar, cross, rotate
from drivetrain.sim.dynamics.base import WHEELBASE, Dynamics, Grid, Placed
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

    def start(
        self,
        heading: Float[Array, "2"],
        velocity: Float[Array, "2"],
        next_heading: Float[Array, "2"],
        body_length: Scalar,
        dt: Scalar,
    ) -> Motion:
        """The recorded speed and yaw rate, as far as the steering limit allows."""
        motion = super().start(heading, velocity, next_heading, body_length, dt)
        steering = jnp.clip(motion.steering, -self.steering_limit, self.steering_limit)
        lateral = motion.speed**2 * jnp.tan(steering) / (WHEELBASE * jnp.maximum(body_length, 0.1))
        return replace(motion, steering=steering, lateral=lateral)

    def forward(
        self,
        position: Float[Array, "2"],
        heading: Float[Array, "2"],
        motion: Motion,
        body_length: Scalar,
        action: Float[Array, "2"],
        dt: Scalar,
    ) -> Placed:
        """Advance on the exact arc of the step's mean steering angle, at constant acceleration until standstill."""
        return self._advance(position, heading, motion, body_length, self.limit(action), dt)

    def _advance(self, position, heading, motion, body_length, action, dt) -> Placed:
        wheelbase = WHEELBASE * jnp.maximum(body_length, 0.1)  # padding has no body
        speed = jnp.maximum(motion.speed + action[0] * dt, 0.0)
        steering = jnp.clip(motion.steering + action[1] * dt, -self.steering_limit, self.steering_limit)

        stops = motion.speed + action[0] * dt < 0.0
        moving = jnp.where(stops, motion.speed / jnp.where(stops, -action[0], 1.0), dt)  # s until it stands
        distance = 0.5 * (motion.speed + speed) * moving
        slope = jnp.tan(0.5 * (motion.steering + steering))

        half = 0.5 * distance * slope / wheelbase  # half the turn: the chord's direction
        cos, sin = jnp.cos(half), jnp.sin(half)
        tight = jnp.abs(half) > 1e-2
        shrink = jnp.where(tight, sin / jnp.where(tight, half, 1.0), 1.0 - half**2 / 6.0)  # chord over arc
        chord = rotate(jnp.stack([jnp.ones_like(slope), 0.5 * slope]) * distance * shrink, heading)
        after = rotate(heading, jnp.stack([cos**2 - sin**2, 2.0 * sin * cos]))
        after = after * (1.5 - 0.5 * (after[0] ** 2 + after[1] ** 2))  # one Newton step to unit length

        slope_after = jnp.tan(steering)
        return (
            position + rotate(chord, jnp.stack([cos, sin])),
            after,
            rotate(jnp.stack([speed, 0.5 * speed * slope_after]), after),
            Motion(
                speed=speed,
                steering=steering,
                acceleration=(speed - motion.speed) / dt,
                lateral=speed**2 * slope_after / wheelbase,
            ),
        )

    def inverse(
        self,
        position: Float[Array, "2"],
        heading: Float[Array, "2"],
        motion: Motion,
        body_length: Scalar,
        target_position: Float[Array, "H 2"],
        target_heading: Float[Array, "H 2"],
        target_valid: Bool[Array, "H"],
        dt: Scalar,
    ) -> Float[Array, "2"]:
        """Least squares over the horizon for one constant action, by Gauss–Newton through `forward`.

        Inverting step by step would swing ever wider, as the wheel's angle is integrated twice before the position
        shows it; a constant action over a whole horizon would lag. So later poses count, and count less (`fade`).
        """
        weight = target_valid * jnp.exp(-dt / self.fade * jnp.arange(len(target_valid)))

        def residual(action: Array) -> Array:
            def onward(carry: tuple, target: tuple) -> tuple[tuple, Array]:
                place, face, now = carry
                place, face, _, now = self._advance(place, face, now, body_length, action, dt)
                wanted, wanted_heading, importance = target
                turn = self.heading_weight * cross(wanted_heading, face)
                return (place, face, now), importance * jnp.append(place - wanted, turn)

            _, rows = jax.lax.scan(onward, (position, heading, motion), (target_position, target_heading, weight))
            price = jnp.stack([1e-3 * action[0], self.rate_price * action[1]])
            return jnp.concatenate([rows.reshape(-1), price])

        def iterate(action: Array, _) -> tuple[Array, None]:
            errors = residual(action)
            slopes = jax.jacfwd(residual)(action)
            normal, downhill = slopes.T @ slopes, slopes.T @ errors
            determinant = normal[0, 0] * normal[1, 1] - normal[0, 1] ** 2
            inverse = jnp.array([[normal[1, 1], -normal[0, 1]], [-normal[0, 1], normal[0, 0]]])
            return action - inverse @ downhill / jnp.maximum(determinant, 1e-12), None

        action, _ = jax.lax.scan(iterate, jnp.zeros(2), length=self.iterations)
        return action
