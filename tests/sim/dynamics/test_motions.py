"""Motions as actions: what a model can follow is followed, and the nearest is found whatever the step of the log."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.data.store.motions import as_points
from drivetrain.data.store.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from drivetrain.sim.dynamics.base import Body, Pose
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.motions import Motions
from drivetrain.sim.reading import Placement
from drivetrain.types import AgentKind, InputError, Motion, replace

DT, STEPS = 0.2, 5
CAR, TRUCK = Body(4.5, AgentKind.CAR), Body(10.0, AgentKind.TRUCK)


def drawn(count, seed):
    """Motions at constant speeds and turns, as arcs of the box's centre."""
    draw = np.random.default_rng(seed)
    speed, turn = draw.uniform(2.0, 20.0, (count, 1)), draw.uniform(-0.3, 0.3, (count, 1))
    angle = turn * DT * np.arange(1, STEPS + 1)
    x, y = speed / turn * np.sin(angle), speed / turn * (1.0 - np.cos(angle))
    return np.stack([x, y, np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """300 motions of all kinds, and others of cars."""
    motions = np.stack([drawn(300, 0), drawn(300, 1)])
    table = np.zeros(len(AgentKind), np.int32)
    table[AgentKind.CAR] = 1
    file = tmp_path_factory.mktemp("motions") / "vocabulary.safetensors"
    write_vocabulary(file, Vocabulary(motions, table, DT, 0, ("",), "train", ()))
    return Motions(str(file), read_vocabulary(file).digest)


def at(speed: float, heading=(0.6, 0.8), position=(30.0, -7.0)) -> Pose:
    return Pose(
        jnp.array(position), jnp.array(heading), Motion(*(jnp.asarray(each) for each in (speed, 0.0, 0.0, 0.0)))
    )


def rows(model, body):
    vocabulary = model.vocabulary()
    return vocabulary.motions[vocabulary.table[body.kind]]


@pytest.mark.parametrize("body", [CAR, TRUCK], ids=["car", "truck"])
def test_a_motion_is_laid_where_the_agent_is(model, body):
    pose = at(10.0)
    targets = model.targets(pose, body, jnp.int32(7))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    motion = rows(model, body)[7]
    np.testing.assert_allclose(targets.position, motion[:, :2] @ turn.T + [30.0, -7.0], atol=1e-4)
    np.testing.assert_allclose(targets.heading, motion[:, 2:] @ turn.T, atol=1e-5)
    chords = np.diff(np.asarray(targets.position), axis=0, prepend=[[30.0, -7.0]]) / DT
    np.testing.assert_allclose(targets.velocity, chords, atol=1e-3)


def test_ahead_is_the_motion_itself_and_of_a_model_its_action_kept(model):
    pose = at(10.0)
    shown = model.ahead(pose, CAR, jnp.array([7.0]), 0.2, 3)
    np.testing.assert_allclose(shown, model.targets(pose, CAR, jnp.int32(7)).position)
    braking = model.model.ahead(pose, CAR, jnp.array([-4.0, 0.0]), 0.5, 6)
    far = [4.5, 8.0, 10.5, 12.0, 12.5, 12.5]  # 10 t − 2 t² until it stands
    np.testing.assert_allclose(braking, np.array([30.0, -7.0]) + np.outer(far, [0.6, 0.8]), atol=1e-4)


def test_a_step_is_that_of_the_model_that_keeps_to_the_motion(model):
    """Also of another length than the motion's own steps."""
    pose = at(10.0)

    @jax.jit
    def both(dt):
        action = Bicycle().inverse(pose, CAR, model.targets(pose, CAR, jnp.int32(12)), DT)
        expected = Bicycle().forward(pose, CAR, Bicycle().limit(action), dt)
        return model.forward(pose, CAR, jnp.array([12.0]), dt), expected

    for dt in (0.1, 0.2):
        for one, other in zip(*(jax.tree.leaves(each) for each in both(dt)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def nearest(model, body, wanted, counted):
    """By the definition, in float64."""
    points = as_points(rows(model, body)).reshape(300, STEPS, 4)
    return int(np.argmin((((points - as_points(wanted[None]).reshape(1, STEPS, 4)) ** 2).sum(-1) * counted).sum(-1)))


def log(pose, motion, valid=None):
    """A motion as recorded places."""
    laid = lambda vectors: vectors @ np.array([[0.6, 0.8], [-0.8, 0.6]])  # noqa: E731
    position = jnp.asarray(laid(motion[:, :2]), jnp.float32) + pose.position
    heading = jnp.asarray(laid(motion[:, 2:]), jnp.float32)
    return Placement(position, heading, heading, jnp.ones(len(motion), bool) if valid is None else jnp.asarray(valid))


@pytest.mark.parametrize("body", [CAR, TRUCK], ids=["car", "truck"])
def test_the_nearest_motion_is_found(model, body):
    pose = at(10.0)
    found = jax.jit(lambda targets: model.inverse(pose, body, targets, DT))
    for row in range(8):
        wanted = drawn(8, 9)[row]
        assert int(found(log(pose, wanted))[0]) == nearest(model, body, wanted, np.ones(STEPS))
        assert int(found(log(pose, rows(model, body)[row]))[0]) == row
        valid = np.arange(STEPS) < 3
        assert int(found(log(pose, wanted, valid))[0]) == nearest(model, body, wanted, valid)


def test_the_log_may_have_another_step(model):
    """At 0.1 s every second place counts; at 0.5 s those between are on the line; what is beyond counts nothing."""
    pose, wanted = at(10.0), drawn(8, 9)[3]
    found = jax.jit(lambda targets, dt: model.inverse(pose, CAR, targets, dt))
    at_once = nearest(model, CAR, wanted, np.ones(STEPS))
    before = np.concatenate([[[0.0, 0.0, 1.0, 0.0]], wanted])
    fine = np.stack([0.5 * (before[:-1] + before[1:]), wanted], axis=1).reshape(-1, 4)
    assert int(found(log(pose, fine), 0.1)[0]) == at_once
    assert int(found(log(pose, np.concatenate([wanted, 99.0 + wanted])), DT)[0]) == at_once
    short = found(log(pose, wanted[:3]), DT)
    assert int(short[0]) == nearest(model, CAR, wanted, np.arange(STEPS) < 3)
    straight = np.array([[5.0, 0.0, 1.0, 0.0], [10.0, 0.0, 1.0, 0.0]])
    every = np.stack([2.0 * np.arange(1, 6), *np.zeros((3, 5))], axis=1) + [0.0, 0.0, 1.0, 0.0]
    assert int(found(log(pose, straight), 0.5)[0]) == nearest(model, CAR, every, np.ones(STEPS))
    nothing = found(log(pose, wanted, np.zeros(STEPS, bool)), DT)
    assert 0 <= int(nothing[0]) < 300


def test_numbers_are_a_grid_of_one_column(model):
    (numbers,) = model.grid()
    np.testing.assert_array_equal(numbers, np.arange(300))
    assert model.encode(jnp.array([7.0])).tolist() == [7] and model.decode(jnp.array([7])).tolist() == [7.0]
    assert model.limit(jnp.array([-3.0])).tolist() == [0.0] and model.encode(jnp.array([1e6])).tolist() == [299]


def test_a_file_that_is_another_is_refused(model, tmp_path):
    with pytest.raises(InputError, match="digest"):
        replace(model, digest="0" * 64).grid()
    with pytest.raises(InputError, match="nowhere"):
        Motions(str(tmp_path / "nowhere")).grid()
