"""What a model of motion offers, and the grid by which a discrete policy addresses its actions."""

from abc import ABC, abstractmethod
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.geometry import Scalar
from drivetrain.types import Array, Motion, component

Placed = tuple[Float[Array, "2"], Float[Array, "2"], Float[Array, "2"], Motion]
"""Position, heading, velocity and motion of one agent."""

Grid = tuple[Float[Array, "_"], ...]
"""For each column of an action, the values that it may take, ascending."""

WHEELBASE = 0.6
"""Wheelbase over the length of the body: 0.55 to 0.65 for cars and lorries alike."""

STEERING_SPEED = 1.0
"""Below this speed, m/s, a recorded turn says nothing about the wheels."""


@component
class Dynamics(ABC):
    """One model of motion; written for one agent. Subclasses name columns, units and limits of their actions."""

    width: ClassVar[int]  # columns of an action

    @abstractmethod
    def forward(
        self,
        position: Float[Array, "2"],
        heading: Float[Array, "2"],
        motion: Motion,
        body_length: Scalar,
        action: Float[Array, "width"],
        dt: Scalar,
    ) -> Placed:
        """Advance one agent by `dt`; an action beyond the limits is limited."""

    @abstractmethod
    def limit(self, action: Float[Array, "width"]) -> Float[Array, "width"]:
        """The nearest action within the limits."""

    @abstractmethod
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
    ) -> Float[Array, "width"]:
        """The action that steers an agent, from where it *is*, on to its next H poses, at dt, 2 dt, ….

        Not limited: it was clipped where `limit` changes it.
        """

    @abstractmethod
    def grid(self) -> Grid:
        """The values of a discrete policy's action; empty where the model offers none."""

    def start(
        self,
        heading: Float[Array, "2"],
        velocity: Float[Array, "2"],
        next_heading: Float[Array, "2"],
        body_length: Scalar,
        dt: Scalar,
    ) -> Motion:
        """The motion of an agent that is recorded with a velocity, and with another heading one step later."""
        speed = jnp.maximum(heading[0] * velocity[0] + heading[1] * velocity[1], 0.0)
        yaw_rate = turned(heading, next_heading) / dt
        return Motion(
            speed=speed,
            steering=steering_angle(speed, yaw_rate, body_length),
            acceleration=jnp.zeros_like(speed),
            lateral=speed * yaw_rate,
        )


def turned(heading: Float[Array, "2"], next_heading: Float[Array, "2"]) -> Float[Array, ""]:
    """The angle from one heading to another, rad, in (−π, π]; 0 where one of them is no heading."""
    sin = heading[0] * next_heading[1] - heading[1] * next_heading[0]
    cos = heading[0] * next_heading[0] + heading[1] * next_heading[1]
    known = (sin != 0.0) | (cos != 0.0)
    return jnp.arctan2(jnp.where(known, sin, 0.0), jnp.where(known, cos, 1.0))


def steering_angle(speed: Scalar, yaw_rate: Scalar, body_length: Scalar) -> Float[Array, ""]:
    """The front wheel's angle, rad, at which a kinematic bicycle turns so; 0 for an agent that hardly moves."""
    moving = speed > STEERING_SPEED
    return jnp.where(moving, jnp.arctan(yaw_rate * WHEELBASE * body_length / jnp.where(moving, speed, 1.0)), 0.0)


def nearest(grid: Grid, action: Float[Array, "width"]) -> Int[Array, "width"]:
    """Indices of the grid's values nearest to an action."""
    return jnp.stack([jnp.argmin(jnp.abs(values - action[row])) for row, values in enumerate(grid)])


def action_at(grid: Grid, index: Int[Array, "width"]) -> Float[Array, "width"]:
    """The action at indices of the grid."""
    return jnp.stack([jnp.asarray(values)[index[row]] for row, values in enumerate(grid)])
