"""A step on a hand-drawn road: where everyone is, how far along, and that batches, scans and padding change nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.base import Body, Pose
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.curvature import Curvature
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import Placement
from drivetrain.sim.roads import Indexing
from drivetrain.sim.simulator import reset, step
from drivetrain.sim.traffic.constant import constant_velocity
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import Motion, Scales, Traits, Weights, replace

DT = 0.2
MODEL = Bicycle()


def roll(bank, state, actions):
    def advance(state, action):
        state = step(bank, MODEL, Replay(), state, action)
        return state, state

    return jax.jit(lambda state: jax.lax.scan(advance, state, actions))(state)[1]


def test_reset_is_the_log(straight):
    state = jax.jit(lambda episode: reset(straight, MODEL, episode, jax.random.key(0)))(1)
    assert (int(state.time), int(state.controlled[0]), int(state.cursor[0])) == (5, 0, 14)
    np.testing.assert_allclose(state.agents.position[:4, 0], [28, 30, 32, 49], rtol=1e-6)
    np.testing.assert_array_equal(state.agents.valid, [True, True, True, True, False])
    np.testing.assert_allclose(state.arc_length, 28.0, rtol=1e-6)
    np.testing.assert_allclose(state.motion.speed, 8.0)
    assert bool(state.alive[0]) and not bool(jnp.any(state.stopped))


def test_others_replay_and_the_controlled_one_obeys(straight):
    states = roll(
        straight, reset(straight, MODEL, 0, jax.random.key(0)), jnp.tile(jnp.array([[[-1.0, 0.0]]]), (20, 1, 1))
    )
    time = DT * np.arange(1, 21)
    mine = 20 + 10 * time - 0.5 * time**2
    np.testing.assert_allclose(states.agents.position[:, 1, 0], mine, rtol=1e-5)
    np.testing.assert_allclose(states.agents.position[:, 2, 0], 20 + 12 * time, rtol=1e-5)
    np.testing.assert_allclose(states.arc_length[:, 0], mine, rtol=1e-5)
    np.testing.assert_array_equal(states.cursor[:, 0], np.round(mine / 2))
    np.testing.assert_array_equal(states.time, np.arange(1, 21))


def test_a_change_of_the_reference_lane_does_not_count_as_distance(straight):
    # The recorded lane steps aside by 3.5 m at station 50; the agent goes straight on at 10 m/s past it.
    states = roll(straight, reset(straight, MODEL, 0, jax.random.key(0)), jnp.zeros((39, 1, 2)))
    np.testing.assert_allclose(states.arc_length[:, 0], 20 + 2.0 * np.arange(1, 40), rtol=1e-5)


def test_along_a_bend_is_the_arc(scenario):
    bank = make_bank([scenario(0.01)], DT, indexing=Indexing(width=8))
    model = Playback()

    def follow(state, pose):
        return (state := step(bank, model, Replay(), state, pose[None])), state.arc_length[0]

    log = bank.logs.agents
    poses = jnp.concatenate([log.position[0, 1:20, 1], log.heading[0, 1:20, 1]], -1)
    along = jax.jit(lambda: jax.lax.scan(follow, reset(bank, model, 0, jax.random.key(0)), poses)[1])()
    # Stations are 2 m apart on the inner lane (radius 100 m); this one has a radius of 96.5 m.
    np.testing.assert_allclose(along, 19.3 + 2.0 * np.arange(1, 20), rtol=5e-3)


def test_a_scan_is_a_loop_and_a_batch_is_its_rows(straight):
    actions = jnp.asarray(np.random.default_rng(0).uniform(-0.3, 0.3, (6, 1, 2)), jnp.float32)
    one = jax.jit(lambda state, action: step(straight, MODEL, Replay(), state, action))
    looped = []
    for episode in (0, 1, 2):
        state = reset(straight, MODEL, episode, jax.random.key(0))
        for action in actions:
            state = one(state, action)
        looped.append(state)
    scanned = jax.tree.map(lambda leaf: leaf[-1], roll(straight, reset(straight, MODEL, 1, jax.random.key(0)), actions))
    batch = jax.vmap(lambda episode: reset(straight, MODEL, episode, jax.random.key(0)))(jnp.arange(3))
    many = jax.jit(jax.vmap(one, (0, None)))
    for action in actions:
        batch = many(batch, action)
    for left, right in zip(jax.tree.leaves(scanned), jax.tree.leaves(looped[1]), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)
    for left, *rows in zip(jax.tree.leaves(batch), *map(jax.tree.leaves, looped), strict=True):
        np.testing.assert_allclose(left, np.stack(rows), rtol=1e-5, atol=1e-5)


def test_two_agents_move_on_their_own_and_the_dead_are_gone(scenario):
    bank = make_bank([scenario()], DT, controlled=2, indexing=Indexing(width=8))
    state = reset(bank, MODEL, 0, jax.random.key(0))
    actions = jnp.tile(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), (5, 1, 1))
    states = roll(bank, state, actions)
    np.testing.assert_allclose(states.agents.position[-1, :2, 0], [28 + 8 - 0.5, 30 + 10 + 0.5], rtol=1e-5)
    assert bool(jnp.all(states.agents.valid[:, :2]))
    states = roll(bank, replace(state, alive=jnp.array([True, False])), actions)
    np.testing.assert_array_equal(states.agents.valid[-1, :2], [False, True])
    np.testing.assert_allclose(states.agents.position[-1, :2, 0], [28.0, 40.5], rtol=1e-5)


def test_an_agent_may_be_given_another_route_during_its_life(scenario):
    """The second ego's route begins 5 stations of 2 m further on."""
    given = scenario()
    routes = jax.tree.map(np.copy, given.egos.route)
    routes.stations[1] = np.concatenate([routes.stations[1, 5:], np.full((5, 4), -1)])
    routes.length[1] -= 5
    bank = make_bank([replace(given, egos=replace(given.egos, route=routes))], DT, indexing=Indexing(width=8))
    state = reset(bank, MODEL, 0, jax.random.key(0))
    other = replace(state, route=jnp.array([1], jnp.int32), cursor=state.cursor - 5)
    actions = jnp.zeros((4, 1, 2))
    own, given_other = roll(bank, state, actions), roll(bank, other, actions)
    np.testing.assert_array_equal(given_other.route, 1)
    np.testing.assert_array_equal(given_other.cursor, own.cursor - 5)
    np.testing.assert_allclose(given_other.arc_length, own.arc_length - 10.0, atol=1e-4)
    np.testing.assert_array_equal(given_other.agents.position, own.agents.position)


def traits(acceleration, steering):
    """Of as many agents."""
    ones = jnp.ones(len(acceleration))
    return Traits(
        jax.vmap(Weights)(*[ones] * len(Weights.__dataclass_fields__)),
        jax.vmap(Scales)(jnp.array(acceleration), jnp.array(steering), ones, ones),
    )


def test_what_an_action_does_is_scaled_after_its_limits(scenario):
    """Both ask for 9 m/s², of which 3 are allowed, and for 0.1 rad/s."""
    bank = make_bank([scenario()], DT, controlled=2, indexing=Indexing(width=8))
    state = reset(bank, MODEL, 0, jax.random.key(0))
    state = replace(state, traits=traits([0.5, 1.0], [1.0, 2.0]))
    states = roll(bank, state, jnp.full((1, 2, 2), jnp.array([9.0, 0.1])))
    np.testing.assert_allclose(states.motion.acceleration[0], [1.5, 3.0], rtol=1e-4)
    np.testing.assert_allclose(states.motion.steering[0] - state.motion.steering, [0.02, 0.04], atol=1e-6)
    assert states.traits is not None


@pytest.mark.parametrize("model", [Bicycle(), Curvature(), Jerk()], ids=lambda model: type(model).__name__)
def test_who_is_scaled_asks_for_the_inverse_of_it(model):
    pose = Pose(jnp.zeros(2), jnp.array([1.0, 0.0]), Motion(*(jnp.float32(x) for x in (8.0, 0.0, 0.0, 0.0))))
    body = Body(4.5, 1, Scales(*map(jnp.float32, (0.5, 1.25, 1.0, 1.0))))
    wanted, places = jnp.array([0.4, 0.02]), []
    after = pose
    for _ in range(4):
        after, _ = model.forward(after, body, wanted, DT)
        places.append((after.position, after.heading, after.motion.speed * after.heading, jnp.array(True)))
    targets = jax.vmap(Placement)(*(jnp.stack(rows) for rows in zip(*places, strict=True)))
    np.testing.assert_allclose(jax.jit(model.inverse)(pose, body, targets, DT), wanted, atol=0.05)


@pytest.mark.parametrize("by_kind", [False, True])
def test_a_stronger_car_accelerates_as_much_more(by_kind):
    model, drive = Jerk(by_kind=by_kind), jnp.array([4.0, 0.0])
    for power in (0.7, 1.0, 1.4):
        pose = Pose(jnp.zeros(2), jnp.array([1.0, 0.0]), Motion(*map(jnp.float32, (5.0, 0.0, 0.0, 0.0))))
        for _ in range(6):
            pose, _ = model.forward(pose, Body(4.5, 1, Scales(*map(jnp.float32, (1.0, 1.0, 1.0, power)))), drive, DT)
        np.testing.assert_allclose(pose.motion.acceleration, 2.5 * power, rtol=1e-5)


def test_padding_of_the_controlled_changes_nothing(straight):
    state = reset(straight, MODEL, 0, jax.random.key(0))
    episodes = straight.episodes
    fields = ("track", "route", "cursor")

    def widened(name: str):
        value = -1 if name == "track" else 0
        return jax.tree.map(
            lambda leaf: jnp.concatenate([leaf, jnp.full_like(leaf, value)], 1), getattr(episodes, name)
        )

    wide = eqx.tree_at(
        lambda bank: [getattr(bank.episodes, name) for name in fields], straight, [widened(name) for name in fields]
    )
    padded = reset(wide, MODEL, 0, jax.random.key(0))
    np.testing.assert_array_equal(padded.alive, [True, False])
    actions = jnp.full((4, 2, 2), 0.1).at[:, 1].set(0.7)
    narrow, both = roll(straight, state, actions[:, :1]), roll(wide, padded, actions)
    np.testing.assert_allclose(both.agents.position, narrow.agents.position, atol=1e-5)
    np.testing.assert_array_equal(both.agents.valid, narrow.agents.valid)
    np.testing.assert_allclose(both.arc_length[:, :1], narrow.arc_length)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(both))


def test_constant_velocity_goes_straight_on(straight):
    model = Playback()
    state = reset(straight, model, 0, jax.random.key(0))
    for _ in range(3):
        state = step(straight, model, Replay(), state, constant_velocity(straight, state, 0)[None])
    np.testing.assert_allclose(state.agents.position[1], [26.0, 3.5], rtol=1e-5)
    np.testing.assert_allclose(state.motion.speed, 10.0, rtol=1e-4)


@pytest.mark.parametrize("speed", [10.0, 0.0])
def test_gradients_through_steps_are_finite(straight, speed):
    state = reset(straight, MODEL, 0, jax.random.key(0))
    state = eqx.tree_at(lambda state: state.motion.speed, state, jnp.array([speed]))

    def reach(actions):
        states = roll(straight, state, actions)
        return jnp.sum(states.arc_length) + jnp.sum(states.agents.position) + jnp.sum(states.motion.lateral)

    slope = jax.grad(reach)(jnp.zeros((3, 1, 2)))
    assert bool(jnp.all(jnp.isfinite(slope)))
    assert float(slope[0, 0, 0]) > 0.0 or speed == 0.0
