"""What a model of motion offers, and the grid by which a discrete policy addresses its actions."""

from abc import ABC, abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.geometry import Scalar, rotate
from drivetrain.sim.reading import Placement
from drivetrain.types import Array, Motion, Scales, component, record

Grid = tuple[Float[Array, "_"], ...]
"""For each column of an action, the values that it may take, ascending."""

WHEELBASE = 0.6
"""Wheelbase over the length of the body: 0.55 to 0.65 for cars and lorries alike."""

STEERING_SPEED = 1.0
"""Below this speed, m/s, a recorded turn says nothing about the wheels."""


@record
class Pose:
    """Where one agent is, and how it moves: what a step of the dynamics changes."""

    position: Float[Array, "2"]  # box centre, m
    heading: Float[Array, "2"]  # (cos, sin)
    motion: Motion


@record
class Body:
    """What a step of the dynamics does not change of one agent."""

    length: Scalar  # m; 0: padding
    kind: Int[Array, ""] | int  # AgentKind
    scales: Scales | None = None  # None: its actions do what everyone's do


Moved = tuple[Pose, Float[Array, "2"]]
"""One agent after a step, and its velocity in the map's frame, m/s."""


@component
class Dynamics(ABC):
    """One model of motion; written for one agent. Subclasses name columns, units and limits of their actions."""

    width: ClassVar[int]  # columns of an action

    @abstractmethod
    def forward(self, pose: Pose, body: Body, action: Float[Array, "width"], dt: Scalar) -> Moved:
        """Advance one agent by `dt`; an action beyond the limits is limited."""

    def ahead(
        self, pose: Pose, body: Body, action: Float[Array, "width"], dt: Scalar, steps: int
    ) -> Float[Array, "steps 2"]:
        """Where an action leads that is kept for so many steps: places after each, m."""

        def step(pose: Pose, _: None) -> tuple[Pose, Array]:
            after = self.forward(pose, body, action, dt)[0]
            return after, after.position

        return jax.lax.scan(step, pose, None, length=steps)[1]

    @abstractmethod
    def limit(self, action: Float[Array, "width"]) -> Float[Array, "width"]:
        """The nearest action within the limits."""

    def applied(self, action: Float[Array, "width"], body: Body) -> Float[Array, "width"]:
        """What an action does to this agent: within the limits, then by its own scales, longitudinal and lateral."""
        action = self.limit(action)
        return action if body.scales is None else action * _columns(body.scales)

    def asked(self, applied: Float[Array, "width"], body: Body) -> Float[Array, "width"]:
        """The action that does so to this agent, where no limit holds."""
        return applied if body.scales is None else applied / _columns(body.scales)

    @abstractmethod
    def inverse(self, pose: Pose, body: Body, targets: Placement, dt: Scalar) -> Float[Array, "width"]:
        """The action that steers an agent, from where it *is*, on to its next H places, at dt, 2 dt, … (`targets` [H]).

        Not limited: it was clipped where `limit` changes it.
        """

    @abstractmethod
    def grid(self) -> Grid:
        """The values of a discrete policy's action; empty where the model offers none."""

    def decode(self, sample: Array) -> Float[Array, "width"]:
        """The action that a policy's sample stands for: integers address the grid, floats are an action, limited."""
        if jnp.issubdtype(sample.dtype, jnp.integer):
            return action_at(self.grid(), sample)
        return self.limit(sample)

    def encode(self, action: Float[Array, "width"]) -> Int[Array, "width"]:
        """Indices of the grid's values nearest to an action."""
        return nearest(self.grid(), action)

    def start(self, now: Placement, later: Placement, body: Body, dt: Scalar) -> Motion:
        """The motion of an agent that is recorded `now`, and one step `later` if that is valid."""
        speed = jnp.maximum(now.heading[0] * now.velocity[0] + now.heading[1] * now.velocity[1], 0.0)
        yaw_rate = turned(now.heading, jnp.where(later.valid, later.heading, now.heading)) / dt
        return Motion(
            speed=speed,
            steering=steering_angle(speed, yaw_rate, body.length),
            acceleration=jnp.zeros_like(speed),
            lateral=speed * yaw_rate,
        )


def _columns(scales: Scales) -> Float[Array, "2"]:
    return jnp.stack([scales.acceleration, scales.steering])


def along_arc(pose: Pose, distance: Scalar, slope: Scalar, wheelbase: Scalar) -> tuple[Array, Array]:
    """Position and heading of a kinematic bicycle, m midway between the axles, `distance` m of its rear axle on.

    Exact at a constant steering angle, whose tangent is `slope`.
    """
    half = 0.5 * distance * slope / wheelbase  # half the turn: the chord's direction
    cos, sin = jnp.cos(half), jnp.sin(half)
    tight = jnp.abs(half) > 1e-2
    shrink = jnp.where(tight, sin / jnp.where(tight, half, 1.0), 1.0 - half**2 / 6.0)  # chord over arc
    chord = rotate(jnp.stack([jnp.ones_like(slope), 0.5 * slope]) * distance * shrink, pose.heading)
    after = rotate(pose.heading, jnp.stack([cos**2 - sin**2, 2.0 * sin * cos]))
    after = after * (1.5 - 0.5 * (after[0] ** 2 + after[1] ** 2))  # one Newton step to unit length
    return pose.position + rotate(chord, jnp.stack([cos, sin])), after


def run(speed: Scalar, acceleration: Scalar, top: Scalar, dt: Scalar) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Distance, m, and speed after a step at constant acceleration; who brakes stands still rather than reverses."""
    after = jnp.maximum(speed + acceleration * dt, 0.0)
    stops = speed + acceleration * dt < 0.0
    braking = jnp.maximum(jnp.where(stops, -acceleration, 1.0), 1e-6)  # whose square is not 0 in float32, for the slope
    moving = jnp.where(stops, speed / braking, dt)  # s until it stands
    after = jnp.minimum(after, top)
    return 0.5 * (speed + after) * moving, after


def drifting(heading: Float[Array, "2"], speed: Scalar, slope: Scalar) -> Float[Array, "2"]:
    """Velocity of the box's centre where the wheel's angle has the tangent `slope`: half of it goes aside."""
    return rotate(jnp.stack([speed, 0.5 * speed * slope]), heading)


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
