"""Playback: an agent is put where the action says, for logs, traces and baselines that need no model."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.geometry import Scalar, norm
from drivetrain.sim.dynamics.base import Dynamics, Grid, Placed, steering_angle, turned
from drivetrain.types import Array, Motion, component


@component
class Playback(Dynamics):
    """Action: x, y, m, of the box's centre · cos, sin of its heading, after the step. No limits, no grid.

    Speed, acceleration and lateral acceleration are differences of what was asked for; an action that holds no heading
    keeps the old one.
    """

    width: ClassVar[int] = 4

    def grid(self) -> Grid:
        """None: a pose is not chosen from a list."""
        return ()

    def limit(self, action: Float[Array, "4"]) -> Float[Array, "4"]:
        """Any pose will do."""
        return action

    def forward(
        self,
        position: Float[Array, "2"],
        heading: Float[Array, "2"],
        motion: Motion,
        body_length: Scalar,
        action: Float[Array, "4"],
        dt: Scalar,
    ) -> Placed:
        """Take the pose; its velocity is the difference of positions."""
        size = norm(action[2:])
        faced = size > 1e-6
        after = jnp.where(faced, action[2:] / jnp.where(faced, size, 1.0), heading)
        velocity = (action[:2] - position) / dt
        speed = velocity[0] * after[0] + velocity[1] * after[1]
        yaw_rate = turned(heading, after) / dt
        new = Motion(
            speed=speed,
            steering=steering_angle(speed, yaw_rate, body_length),
            acceleration=(speed - motion.speed) / dt,
            lateral=speed * yaw_rate,
        )
        return action[:2], after, velocity, new

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
    ) -> Float[Array, "4"]:
        """The next pose itself; where it is not known, straight on at the present speed."""
        onward = jnp.concatenate([position + heading * motion.speed * dt, heading])
        return jnp.where(target_valid[0], jnp.concatenate([target_position[0], target_heading[0]]), onward)
