"""Against closed forms and a fine integration in NumPy; the inverse on paths that the model did not make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.sim.dynamics.base import WHEELBASE, Body, Pose, action_at, nearest
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.reading import Placement
from drivetrain.types import AgentKind, Motion

LENGTH, DT = 4.5, 0.2
BASE = WHEELBASE * LENGTH
BODY = Body(LENGTH, AgentKind.CAR)


def moving(speed: float, steering: float = 0.0) -> Motion:
    zero = jnp.asarray(0.0)
    return Motion(speed=jnp.asarray(speed), steering=jnp.asarray(steering), acceleration=zero, lateral=zero)


def placed(heading, velocity=(0.0, 0.0), position=(0.0, 0.0), valid=True) -> Placement:
    """Recorded at one step, or at several where arrays are longer."""
    arrays = [jnp.asarray(each, jnp.float32) for each in (position, heading, velocity)]
    return Placement(*(jnp.broadcast_to(each, arrays[1].shape) for each in arrays), jnp.asarray(valid))


def roll(motion: Motion, actions, dt: float = DT):
    """Poses after each action, from the origin along x."""

    def advance(pose, action):
        pose, velocity = Bicycle().forward(pose, BODY, action, dt)
        return pose, (pose.position, pose.heading, velocity, pose.motion)

    start = Pose(jnp.zeros(2), jnp.array([1.0, 0.0]), motion)
    return jax.jit(lambda actions: jax.lax.scan(advance, start, actions)[1])(jnp.asarray(actions, jnp.float32))


def test_constant_steering_is_a_circle_about_the_point_abeam_of_the_rear_axle():
    steering = 0.25
    position, heading, velocity, motion = roll(moving(8.0, steering), np.zeros((60, 2)))
    rear = BASE / np.tan(steering)  # the rear axle's radius
    centre = np.array([-0.5 * BASE, rear])
    np.testing.assert_allclose(np.hypot(*(position - centre).T), np.hypot(rear, 0.5 * BASE), rtol=1e-5)
    angle = 8.0 * DT * np.arange(1, 61) / rear
    np.testing.assert_allclose(heading, np.stack([np.cos(angle), np.sin(angle)], -1), atol=2e-5)
    np.testing.assert_allclose(np.hypot(*velocity.T), 8.0 * np.hypot(1, 0.5 * np.tan(steering)), rtol=1e-5)
    np.testing.assert_allclose(motion.lateral, 8.0**2 / rear, rtol=1e-5)


def test_straight_on_with_acceleration_and_braking_to_standstill():
    position, _, velocity, motion = roll(moving(5.0), [[1.5, 0.0]] * 10)
    time = DT * np.arange(1, 11)
    np.testing.assert_allclose(position[:, 0], 5.0 * time + 0.75 * time**2, rtol=1e-5)
    np.testing.assert_allclose(velocity[:, 0], 5.0 + 1.5 * time, rtol=1e-5)
    np.testing.assert_allclose(motion.acceleration, 1.5, rtol=1e-4)
    position, _, velocity, motion = roll(moving(3.0), [[-4.0, 0.0]] * 10)
    np.testing.assert_allclose(position[-1, 0], 3.0**2 / (2 * 4.0), rtol=1e-5)  # v² / 2b, wherever a step ends
    assert float(velocity[-1, 0]) == 0.0
    assert float(motion.acceleration[-1]) == 0.0


def test_steps_agree_with_a_fine_integration():
    rng = np.random.default_rng(0)
    actions = np.stack([rng.uniform(-2, 2, 25), rng.uniform(-0.15, 0.15, 25)], -1)
    found, heading, _, _ = roll(moving(9.0, 0.05), actions)
    x, y, angle, speed, wheel, fine = 0.0, 0.0, 0.0, 9.0, 0.05, 400
    expected = []
    for acceleration, rate in actions:
        for _ in range(fine):
            slip = np.arctan(0.5 * np.tan(wheel))
            along = speed / np.cos(slip)
            x += along * np.cos(angle + slip) * DT / fine
            y += along * np.sin(angle + slip) * DT / fine
            angle += along * np.sin(slip) / (0.5 * BASE) * DT / fine
            speed += acceleration * DT / fine
            wheel += rate * DT / fine
        expected.append((x, y, np.cos(angle), np.sin(angle)))
    np.testing.assert_allclose(found, np.array(expected)[:, :2], atol=0.05)  # over 45 m
    np.testing.assert_allclose(heading, np.array(expected)[:, 2:], atol=5e-3)


def test_limits_hold():
    model = Bicycle()
    wild = jnp.array([50.0, -9.0])
    np.testing.assert_allclose(model.limit(wild), [3.0, -0.6])
    _, _, _, motion = roll(moving(10.0), [[50.0, 9.0]] * 10)
    np.testing.assert_allclose(motion.acceleration, 3.0, rtol=1e-4)
    np.testing.assert_allclose(motion.steering, np.minimum(0.6 * DT * np.arange(1, 11), 0.6), rtol=1e-5)
    _, heading, _, _ = roll(moving(10.0), [[0.0, 0.6]] * 300)
    np.testing.assert_allclose(np.hypot(*heading.T), 1.0, atol=1e-6)


def test_grid_covers_the_limits_and_names_the_nearest():
    grid = Bicycle().grid()
    np.testing.assert_allclose(grid[0], -4.0 + 0.1 * np.arange(71), atol=1e-5)
    assert grid[1][0] == np.float32(-0.6) and grid[1][-1] == np.float32(0.6) and grid[1][15] == 0.0
    assert np.all(np.diff(grid[1]) > 0)
    np.testing.assert_allclose(grid[1], -grid[1][::-1])
    index = nearest(grid, jnp.array([0.54, 9.0]))
    np.testing.assert_array_equal(index, [45, 30])
    np.testing.assert_allclose(action_at(grid, index), [0.5, 0.6], atol=1e-6)


def test_start_reads_speed_and_turn_from_the_record():
    steering, speed = 0.1, 12.0
    turn = speed * np.tan(steering) / BASE * DT
    east, later = (1.0, 0.0), placed((np.cos(turn), np.sin(turn)))
    motion = Bicycle().start(placed(east, (speed, 0.3)), later, BODY, DT)
    np.testing.assert_allclose([motion.speed, motion.steering], [speed, steering], rtol=1e-4)
    np.testing.assert_allclose(motion.lateral, speed**2 * np.tan(steering) / BASE, rtol=1e-3)
    still = Bicycle().start(placed(east, (0.01, 0.0)), later, BODY, DT)
    assert float(still.steering) == 0.0
    spun = Bicycle().start(placed(east, (2.0, 0.0)), placed((0.0, 1.0)), BODY, DT)
    assert float(spun.steering) == np.float32(0.6)
    last = Bicycle().start(placed(east, (speed, 0.0)), placed((0.0, 0.0), valid=False), BODY, DT)
    assert float(last.steering) == 0.0


def lane_change(speed: float, steps: int):
    """A smooth 3.5 m lane change over 5 s with changing speed, drawn in closed form; headings along the path."""
    time = DT * np.arange(steps)
    share = np.clip((time - 1.0) / 5.0, 0, 1)
    y = 3.5 * (share - np.sin(2 * np.pi * share) / (2 * np.pi))
    x = speed * time + 1.2 * np.sin(0.6 * time) / 0.6
    slope = np.gradient(y, x)
    heading = np.stack([np.ones(steps), slope], -1) / np.hypot(1, slope)[:, None]
    velocity = np.stack([np.gradient(x, time), np.gradient(y, time)], -1)
    return tuple(np.asarray(each, np.float32) for each in (np.stack([x, y], -1), heading, velocity))


@pytest.mark.parametrize("speed", [6.0, 30.0])
@pytest.mark.parametrize("quantised", [False, True])
def test_the_inverse_tracks_a_lane_change_without_drift(speed, quantised):
    steps, horizon, model = 60, 6, Bicycle()
    position, heading, velocity = (jnp.asarray(each) for each in lane_change(speed, steps + horizon))
    valid = jnp.ones(horizon, bool)

    def advance(pose, time):
        ahead = [jax.lax.dynamic_slice_in_dim(each, time + 1, horizon) for each in (position, heading)]
        action = model.inverse(pose, BODY, placed(ahead[1], position=ahead[0], valid=valid), DT)
        if quantised:
            action = action_at(model.grid(), nearest(model.grid(), action))
        pose, _ = model.forward(pose, BODY, action, DT)
        return pose, (pose.position, action)

    # Started beside the path, it comes back to it.
    motion = model.start(placed(heading[0], velocity[0]), placed(heading[1]), BODY, DT)
    start = Pose(position[0] + jnp.array([0.0, 0.3]), heading[0], motion)
    place, action = jax.jit(lambda: jax.lax.scan(advance, start, jnp.arange(steps))[1])()
    error = np.hypot(*(np.asarray(place) - np.asarray(position[1 : steps + 1])).T)
    assert np.max(error[25:]) < 0.12
    assert np.std(np.diff(np.asarray(action)[25:, 1])) < 0.03  # no swinging wheel


def test_the_inverse_without_targets_coasts_and_standing_stays():
    model, horizon = Bicycle(), 4
    no, east = jnp.zeros(horizon, bool), jnp.array([1.0, 0.0])
    nowhere = placed(jnp.zeros((horizon, 2)), valid=no)
    found = model.inverse(Pose(jnp.ones(2), east, moving(7.0)), BODY, nowhere, DT)
    np.testing.assert_allclose(found, 0.0, atol=1e-6)
    here = placed(jnp.tile(east, (horizon, 1)), position=(1.0, 1.0), valid=~no)
    found = model.inverse(Pose(jnp.ones(2), east, moving(0.0)), BODY, here, DT)
    np.testing.assert_allclose(found, 0.0, atol=1e-4)


@pytest.mark.parametrize("speed", [0.0, 0.1, 10.0])
@pytest.mark.parametrize("action", [(0.0, 0.0), (-1e-25, 0.0), (-4.0, 0.1), (9.0, -9.0)])
def test_gradients_are_finite_standing_stopping_and_at_the_limits(speed, action):
    def reach(speed, steering, action, length):
        motion = Motion(speed, steering, jnp.asarray(0.0), jnp.asarray(0.0))
        pose = Pose(jnp.zeros(2), jnp.array([1.0, 0.0]), motion)
        parts = Bicycle().forward(pose, Body(length, AgentKind.CAR), action, DT)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(parts))

    for length in (LENGTH, 0.0):  # padding has no length
        inputs = (jnp.asarray(speed), jnp.asarray(0.0), jnp.array(action), jnp.asarray(length))
        slopes = jax.jit(jax.grad(reach, argnums=(0, 1, 2, 3)))(*inputs)
        assert all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes)


def test_gradients_are_those_of_finite_differences():
    def reach(action):
        start = Pose(jnp.zeros(2), jnp.array([1.0, 0.0]), moving(8.0, 0.1))
        pose, _ = Bicycle().forward(start, BODY, action, DT)
        return 10.0 * pose.position[1] + pose.position[0] + pose.heading[1]

    action, small = np.array([0.7, 0.2], np.float32), 1e-2
    numeric = [
        (reach(action + small * axis) - reach(action - small * axis)) / (2 * small)
        for axis in np.eye(2, dtype=np.float32)
    ]
    np.testing.assert_allclose(jax.grad(reach)(jnp.asarray(action)), numeric, rtol=2e-2, atol=1e-3)
