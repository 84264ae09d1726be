"""Playback puts agents where it is told, and measures what that takes."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.sim.dynamics.base import Body, Pose
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import Placement
from drivetrain.types import AgentKind, Motion


def still(speed: float = 0.0) -> Motion:
    return Motion(
        speed=jnp.asarray(speed), steering=jnp.asarray(0.0), acceleration=jnp.asarray(0.0), lateral=jnp.asarray(0.0)
    )


def test_the_pose_is_taken_and_motion_is_its_difference():
    turn = 0.05
    action = jnp.array([3.0, 4.0, np.cos(turn), np.sin(turn)], jnp.float32)
    pose = Pose(jnp.array([1.0, 4.0]), jnp.array([1.0, 0.0]), still(8.0))
    pose, velocity = Playback().forward(pose, Body(5.0, AgentKind.CAR), action, 0.2)
    position, heading, motion = pose.position, pose.heading, pose.motion
    np.testing.assert_allclose(position, [3.0, 4.0])
    np.testing.assert_allclose(heading, action[2:], rtol=1e-6)
    np.testing.assert_allclose(velocity, [10.0, 0.0], rtol=1e-5)
    speed = 10.0 * np.cos(turn)
    np.testing.assert_allclose(motion.speed, speed, rtol=1e-5)
    np.testing.assert_allclose(motion.acceleration, (speed - 8.0) / 0.2, rtol=1e-4)
    np.testing.assert_allclose(motion.lateral, speed * turn / 0.2, rtol=1e-4)
    np.testing.assert_allclose(motion.steering, np.arctan(turn / 0.2 * 3.0 / speed), rtol=1e-4)


def test_the_inverse_is_the_next_pose_or_straight_on():
    pose, body = Pose(jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0]), still(5.0)), Body(4.0, AgentKind.CAR)
    place, heading = jnp.array([[7.0, 8.0]]), jnp.array([[1.0, 0.0]])
    found = Playback().inverse(pose, body, Placement(place, heading, place, jnp.array([True])), 0.2)
    np.testing.assert_allclose(found, [7, 8, 1, 0])
    found = Playback().inverse(pose, body, Placement(place, heading, place, jnp.array([False])), 0.2)
    np.testing.assert_allclose(found, [1, 3, 0, 1], atol=1e-6)


def test_gradients_are_finite_without_a_heading_and_without_motion():
    def reach(position, action):
        pose = Pose(position, jnp.array([1.0, 0.0]), still())
        parts = Playback().forward(pose, Body(4.0, AgentKind.CAR), action, 0.2)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(parts))

    for action in (jnp.zeros(4), jnp.array([0.0, 0.0, 1.0, 0.0])):
        slopes = jax.jit(jax.grad(reach, argnums=(0, 1)))(jnp.zeros(2), action)
        assert all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes)
