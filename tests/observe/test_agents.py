import jax
import jax.numpy as jnp
import numpy as np
import shapely
import shapely.affinity

from drivetrain.observe.agents import FEATURES, observe_agents
from drivetrain.types import AgentKind, Agents, Bodies, Motion, State, replace

OWN = 3
observe = jax.jit(observe_agents, static_argnums=2)


def crowd(seed: int = 0, count: int = 12) -> State:
    draw = np.random.default_rng(seed)
    angle = draw.uniform(-np.pi, np.pi, count)
    agents = Agents(
        position=jnp.asarray(draw.uniform(-30.0, 30.0, (count, 2)), jnp.float32),
        heading=jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], 1), jnp.float32),
        velocity=jnp.asarray(draw.normal(0.0, 5.0, (count, 2)), jnp.float32),
        valid=jnp.asarray(np.arange(count) != 5),
    )
    bodies = Bodies(
        length=jnp.asarray(draw.uniform(1.0, 12.0, count), jnp.float32),
        width=jnp.asarray(draw.uniform(0.5, 2.5, count), jnp.float32),
        kind=jnp.asarray(draw.integers(1, 8, count), jnp.int32),
    )
    row = jnp.zeros((), jnp.int32)
    return State(
        episode=row,
        time=row,
        agents=agents,
        bodies=bodies,
        lights=jnp.zeros(1, jnp.int32),
        controlled=jnp.array([OWN]),
        alive=jnp.ones(1, bool),
        motion=jax.vmap(lambda x: Motion(x, x, x, x))(jnp.zeros(1)),
        route=jnp.zeros(1, jnp.int32),
        cursor=jnp.zeros(1, jnp.int32),
        arc_length=jnp.zeros(1),
        stopped=jnp.zeros((1, 1), bool),
    )


def metres(feature):
    return feature / (0.2 - np.sign(feature) * feature / 20.0)


def box(state: State, row: int) -> shapely.Polygon:
    length, width = float(state.bodies.length[row]), float(state.bodies.width[row])
    x, y = np.asarray(state.agents.position[row], float)
    turned = shapely.affinity.rotate(
        shapely.box(-length / 2, -width / 2, length / 2, width / 2),
        float(np.arctan2(*np.asarray(state.agents.heading[row])[::-1])),
        origin=(0, 0),
        use_radians=True,
    )
    return shapely.affinity.translate(turned, x, y)


def test_pose_velocity_and_clearance_of_the_nearest():
    state = crowd()
    tokens = observe(state, 0, 6)
    assert tokens.features.shape == (FEATURES, 6) and bool(tokens.mask.all())

    position = np.asarray(state.agents.position, float)
    radius = np.hypot(state.bodies.length, state.bodies.width) / 2
    gap = np.hypot(*(position - position[OWN]).T) - radius
    gap[[OWN, 5]] = np.inf
    chosen = np.argsort(gap)[:6]

    angle = np.arctan2(*np.asarray(state.agents.heading[OWN], float)[::-1])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = []
    for row in chosen:
        velocity = np.asarray(state.agents.velocity[row] - state.agents.velocity[OWN], float)
        one_hot = np.eye(8)[int(state.bodies.kind[row])][1:]
        length, width = float(state.bodies.length[row]), float(state.bodies.width[row])
        distance = box(state, OWN).distance(box(state, int(row)))
        pose = np.concatenate([turn @ (position[row] - position[OWN]), turn @ np.asarray(state.agents.heading[row])])
        expected.append(np.concatenate([pose, turn @ velocity, [length, width, distance], one_hot]))
    expected = np.array(expected)

    seen = np.array(tokens.features, float).T
    seen[:, [0, 1, 8]] = metres(seen[:, [0, 1, 8]])
    seen[:, 4:6] *= 10.0
    seen[:, 6:8] *= [5.0, 2.0]
    apart = expected[:, 8] > 0.0  # shapely's distance is 0 for boxes that overlap
    order, expected_order = np.argsort(seen[:, 0]), np.argsort(expected[:, 0])
    seen, expected, apart = seen[order], expected[expected_order], apart[expected_order]
    assert apart.sum() >= 4
    np.testing.assert_allclose(seen[:, :8], expected[:, :8], atol=2e-3)
    np.testing.assert_allclose(seen[apart, 8], expected[apart, 8], atol=2e-3)
    assert (seen[~apart, 8] <= 1e-4).all()
    np.testing.assert_array_equal(seen[:, 9:], expected[:, 9:])


def test_rigid_motion_of_the_scene_changes_nothing():
    state = crowd(1)
    cos, sin = np.cos(0.7), np.sin(0.7)
    turn = jnp.array([[cos, sin], [-sin, cos]], jnp.float32)
    agents = state.agents
    position = agents.position @ turn + jnp.array([40.0, -25.0])
    moved = replace(
        state,
        agents=Agents(
            position,
            agents.heading @ turn,
            agents.velocity @ turn,
            agents.valid,
        ),
    )
    np.testing.assert_allclose(observe(state, 0, 8).features, observe(moved, 0, 8).features, atol=1e-4)


def test_alone_everything_is_masked_and_zero():
    state = crowd()
    alone = replace(state, agents=replace(state.agents, valid=jnp.arange(12) == OWN))
    tokens = observe(alone, 0, 4)
    assert not tokens.mask.any() and not tokens.features.any()


def test_gradient_is_finite_where_boxes_coincide():
    state = crowd()
    centre = state.agents.position[OWN]

    def total(position):
        agents = replace(state.agents, position=jnp.broadcast_to(position, state.agents.position.shape))
        return observe(replace(state, agents=agents), 0, 6).features.sum()

    assert np.isfinite(jax.jit(jax.grad(total))(centre)).all()


def test_kind_is_one_hot():
    state = crowd()
    state = replace(state, bodies=replace(state.bodies, kind=jnp.full(12, int(AgentKind.PEDESTRIAN), jnp.int32)))
    kinds = np.asarray(observe(state, 0, 3).features)[9:].T
    assert (kinds == np.eye(7)[AgentKind.PEDESTRIAN - 1]).all()
