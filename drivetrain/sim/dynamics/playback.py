"""Playback: an agent is put where the action says, for logs, traces and baselines that need no model."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.geometry import Scalar, norm
from drivetrain.sim.dynamics.base import Body, Dynamics, Grid, Moved, Pose, steering_angle, turned
from drivetrain.sim.reading import Placement
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

    def forward(self, pose: Pose, body: Body, action: Float[Array, "4"], dt: Scalar) -> Moved:
        """Take the pose; its velocity is the difference of positions."""
        size = norm(action[2:])
        faced = size > 1e-6
        after = jnp.where(faced, action[2:] / jnp.where(faced, size, 1.0), pose.heading)
        velocity = (action[:2] - pose.position) / dt
        speed = velocity[0] * after[0] + velocity[1] * after[1]
        yaw_rate = turned(pose.heading, after) / dt
        new = Motion(
            speed=speed,
            steering=steering_angle(speed, yaw_rate, body.length),
            acceleration=(speed - pose.motion.speed) / dt,
            lateral=speed * yaw_rate,
        )
        return Pose(action[:2], after, new), velocity

    def inverse(self, pose: Pose, body: Body, targets: Placement, dt: Scalar) -> Float[Array, "4"]:
        """The next place itself; where it is not known, straight on at the present speed."""
        onward = jnp.concatenate([pose.position + pose.heading * pose.motion.speed * dt, pose.heading])
        return jnp.where(targets.valid[0], jnp.concatenate([targets.position[0], targets.heading[0]]), onward)
