"""What every model of motion owes: it follows a record, keeps its limits, moves with the map, and has slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.geometry import rotate
from drivetrain.sim.dynamics.base import Body, Pose, action_at, nearest
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.curvature import Curvature
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import Placement
from drivetrain.types import AgentKind, Motion

DT, STEPS, HORIZON = 0.2, 50, 6
MODELS = (Bicycle(), Curvature(), Jerk(), Playback())
BY_KIND = (Bicycle(by_kind=True), Curvature(by_kind=True), Jerk(by_kind=True))
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
also_by_kind = pytest.mark.parametrize("model", MODELS + BY_KIND, ids=lambda model: type(model).__name__)
CAR = Body(4.5, AgentKind.CAR)


def at(speed: float = 8.0, steering: float = 0.0, acceleration: float = 0.0, lateral: float = 0.0) -> Pose:
    motion = Motion(*(jnp.asarray(each) for each in (speed, steering, acceleration, lateral)))
    return Pose(jnp.zeros(2), jnp.array([1.0, 0.0]), motion)


def record(speed: float = 8.0) -> Placement:
    """A smooth lane change at changing speed, in closed form; a car's box keeps along its path."""
    time = DT * np.arange(STEPS + HORIZON)
    share = np.clip((time - 1.0) / 5.0, 0, 1)
    y = 3.5 * (share - np.sin(2 * np.pi * share) / (2 * np.pi))
    x = speed * time + 1.2 * np.sin(0.6 * time) / 0.6
    velocity = np.stack([np.gradient(x, time), np.gradient(y, time)], -1)
    heading = velocity / np.hypot(*velocity.T)[:, None]
    arrays = [jnp.asarray(each, jnp.float32) for each in (np.stack([x, y], -1), heading, velocity)]
    return Placement(*arrays, jnp.ones(len(time), bool))


def random_agents(model, count: int, seed: int = 0):
    """Poses, bodies of every kind (padding too), and wild actions."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-np.pi, np.pi, count)
    speed = np.where(rng.random(count) < 0.2, 0.0, rng.uniform(0, 30, count))
    columns = [speed, *rng.uniform(-0.3, 0.3, (1, count)), *rng.uniform(-3, 3, (2, count))]
    motion = jax.vmap(Motion)(*(jnp.asarray(each, jnp.float32) for each in columns))
    heading = jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], -1), jnp.float32)
    poses = jax.vmap(Pose)(jnp.asarray(rng.normal(0, 50, (count, 2)), jnp.float32), heading, motion)
    length = jnp.asarray(np.where(rng.random(count) < 0.1, 0.0, rng.uniform(0.5, 18, count)), jnp.float32)
    bodies = jax.vmap(Body)(length, jnp.asarray(rng.integers(0, len(AgentKind), count)))
    return poses, bodies, jnp.asarray(rng.normal(0, 10, (count, model.width)), jnp.float32)


def forward(model):
    return jax.jit(jax.vmap(lambda pose, body, action: model.forward(pose, body, action, DT)))


@every_model
@pytest.mark.parametrize("on_grid", [False, True])
def test_it_follows_a_record_that_it_did_not_make(model, on_grid):
    log = record()
    first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], log) for i in (0, 1))

    def advance(pose, time):
        targets = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, time + 1, HORIZON), log)
        action = model.inverse(pose, CAR, targets, DT)
        if on_grid and model.grid():
            action = action_at(model.grid(), nearest(model.grid(), action))
        pose, _ = model.forward(pose, CAR, action, DT)
        return pose, jnp.append(pose.position - targets.position[0], pose.heading @ targets.heading[0])

    start = Pose(first.position, first.heading, model.start(first, second, CAR, DT))
    error = np.asarray(jax.jit(lambda: jax.lax.scan(advance, start, jnp.arange(STEPS - 1))[1])())
    coarse = on_grid and isinstance(model, Jerk)  # twelve actions
    assert np.hypot(*error[:, :2].T).max() < (0.8 if coarse else 0.12)
    assert np.degrees(np.arccos(np.clip(error[:, 2], -1, 1))).max() < (8.0 if coarse else 2.0)


@also_by_kind
def test_an_action_beyond_the_limits_is_the_limit_and_states_stay_within(model):
    poses, bodies, wild = random_agents(model, 500)
    after, velocity = forward(model)(poses, bodies, wild)
    clipped, _ = forward(model)(poses, bodies, jax.vmap(model.limit)(wild))
    for left, right in zip(jax.tree.leaves(after), jax.tree.leaves(clipped), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*np.asarray(after.heading).T), 1.0, atol=1e-5)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((after, velocity)))
    if isinstance(model, Playback):
        return
    motion = jax.tree.map(np.asarray, after.motion)
    gained = np.asarray(motion.speed - poses.motion.speed) / DT
    low, high = model.braking_limit, model.acceleration_limit
    if isinstance(model, Jerk):
        low, high = min(low, -3.0), max(high, 3.0)  # where it starts from, the mean of two accelerations
        assert motion.acceleration.min() >= model.braking_limit and motion.acceleration.max() <= high
        assert motion.speed.min() >= model.reverse_limit and motion.speed.max() <= model.top_speed
        assert np.abs(motion.steering - np.asarray(poses.motion.steering)).max() <= model.rate_limit * DT + 1e-5
    else:
        assert motion.speed.min() >= 0.0
    assert gained.max() <= high + 1e-3
    assert gained[np.asarray(bodies.kind) == AgentKind.CAR].min() >= low - 1e-3
    if not isinstance(model, Curvature):
        assert np.abs(motion.steering).max() <= model.steering_limit + 1e-6
    else:
        base = 0.6 * np.maximum(np.asarray(bodies.length), 0.1)
        assert (np.abs(np.tan(motion.steering)) / base).max() <= model.curvature_limit * 2.0 + 1e-4


def test_kinds_bound_what_a_body_can_do():
    def fastest(model, kind, length, action):
        pose, body = at(4.0), Body(length, kind)
        return jax.lax.scan(
            lambda pose, _: (model.forward(pose, body, jnp.array(action), DT)[0], None), pose, length=60
        )[0]

    model = Bicycle(by_kind=True)
    after = jax.jit(lambda kind: model.forward(at(10.0), Body(12.0, kind), jnp.array([3.0, 0.0]), DT)[0].motion)
    assert float(after(AgentKind.TRUCK).acceleration) == pytest.approx(1.5, rel=1e-4)
    assert float(after(AgentKind.CAR).acceleration) == pytest.approx(3.0, rel=1e-4)
    walker = fastest(model, AgentKind.PEDESTRIAN, 0.6, [3.0, 0.6])
    assert float(walker.motion.speed) == pytest.approx(5.0)
    rider = fastest(Curvature(by_kind=True), AgentKind.BICYCLE, 1.8, [3.0, 0.0])
    assert float(rider.motion.speed) == pytest.approx(15.0)


@every_model
def test_the_grid_lies_within_the_limits(model):
    grid = model.grid()
    assert len(grid) in (0, model.width)
    for values in grid:
        assert np.all(np.diff(values) > 0)
    for pick in (np.min, np.max):
        if grid:
            corner = jnp.asarray([pick(values) for values in grid])
            np.testing.assert_allclose(model.limit(corner), corner)


@every_model
def test_a_batch_is_its_rows_and_the_map_may_be_turned(model):
    poses, bodies, action = random_agents(model, 2, seed=1)  # C = 2
    if isinstance(model, Playback):
        action = jnp.concatenate([poses.position + 1.0, poses.heading], -1)
    after, velocity = forward(model)(poses, bodies, action)
    turn, shift = jnp.array([0.6, 0.8]), jnp.array([30.0, -20.0])
    one = jax.jit(lambda pose, body, action: model.forward(pose, body, action, DT))
    for row in range(2):
        pose, body = (jax.tree.map(lambda leaf, row=row: leaf[row], each) for each in (poses, bodies))
        alone, speed = one(pose, body, action[row])
        np.testing.assert_allclose(alone.position, after.position[row], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(alone.heading, after.heading[row], atol=1e-6)
        moved = Pose(rotate(pose.position, turn) + shift, rotate(pose.heading, turn), pose.motion)
        act = action[row]
        if isinstance(model, Playback):
            act = jnp.concatenate([rotate(act[:2], turn) + shift, rotate(act[2:], turn)])
        other, faster = one(moved, body, act)
        np.testing.assert_allclose(other.position, rotate(alone.position, turn) + shift, atol=1e-4)
        np.testing.assert_allclose(other.heading, rotate(alone.heading, turn), atol=1e-5)
        np.testing.assert_allclose(faster, rotate(speed, turn), atol=1e-3)
        for left, right in zip(jax.tree.leaves(other.motion), jax.tree.leaves(alone.motion), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-3)


@also_by_kind
def test_slopes_are_finite_standing_braking_at_the_limits_and_for_padding(model):
    edges = [at(0.0), at(0.0, 0.3, -1.0, 1.0), at(0.3, -0.6, -4.0, 0.0), at(10.0), at(40.0, 0.6, 3.0, 4.0)]
    poses = jax.tree.map(lambda *rows: jnp.stack(rows), *edges)
    corners = [jnp.zeros(model.width), jnp.full(model.width, -9.0), jnp.full(model.width, 99.0)]

    def reach(pose, length, action):
        parts = model.forward(pose, Body(length, AgentKind.NONE), action, DT)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(parts))

    slope = jax.jit(jax.vmap(jax.grad(reach, argnums=(0, 1, 2)), (0, None, None)))
    for length in (0.0, 4.5):
        for action in corners:
            assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope(poses, length, action)))


@every_model
def test_the_inverse_is_finite_and_has_slopes_without_targets_and_without_motion(model):
    nowhere = Placement(*(jnp.zeros((HORIZON, 2)) for _ in range(3)), jnp.zeros(HORIZON, bool))
    here = Placement(
        jnp.zeros((HORIZON, 2)),
        jnp.tile(jnp.array([1.0, 0.0]), (HORIZON, 1)),
        jnp.zeros((HORIZON, 2)),
        jnp.ones(HORIZON, bool),
    )

    def found(pose, length, targets):
        return model.inverse(pose, Body(length, AgentKind.CAR), targets, DT)

    both = jax.jit(lambda *inputs: (found(*inputs), jax.jacfwd(found, argnums=(0, 1))(*inputs)))
    for pose in (at(0.0), at(7.0), at(7.0, 0.1)):
        for targets in (nowhere, here):
            for length in (0.0, 4.5):
                assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(both(pose, length, targets)))
    coasting = both(at(7.0), 4.5, nowhere)[0]
    after, _ = model.forward(at(7.0), CAR, coasting, DT)
    np.testing.assert_allclose(after.position, [7.0 * DT, 0.0], atol=1e-4)
