"""What a camera's driver is told, on a hand-drawn road where all of it can be worked out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.camera.pinhole import Camera
from drivetrain.env import Env
from drivetrain.observe.camera import IN_LANE, CameraSight, linked
from drivetrain.observe.sight import SMALL
from drivetrain.perception.errors import ALARMS, PERFECT, ErrorModel
from drivetrain.perception.report import STATIONS, nothing
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

DT, SPEED = 0.2, 10.0
CARS = (
    scenes.along_x(5.25, 40.0, SPEED),  # the camera's
    scenes.along_x(5.25, 60.0, 12.0),
    scenes.along_x(8.75, 80.0, 8.0),
    scenes.along_x(5.25, 20.0, SPEED),  # behind
    scenes.along_x(5.25, 95.0, 12.0),  # behind another that it follows
)
NOW = replace(PERFECT, delay=0)


@pytest.fixture(scope="module")
def bank():
    return make_bank([scenes.scenario(scenes.straight_road(length=300.0, agents=CARS))], DT)


@pytest.fixture(scope="module")
def state(bank):
    """Episode 0 after a few idle steps: the first car's."""
    env = Env()

    @jax.jit
    def driven():
        state = env.reset(bank, 0, jax.random.key(0))
        for _ in range(4):
            state, _ = env.step(bank, state, jnp.zeros((1, env.dynamics.width)))
        return state

    state = driven()
    assert int(state.controlled[0]) == 0
    return state


def look(bank, state, sight):
    return jax.jit(lambda state: sight(bank, state, 0))(state)


def metres(feature):
    return feature / (0.2 - np.abs(feature) / 20.0)


def test_vehicles_ahead_are_told_with_their_velocities(bank, state):
    seen = look(bank, state, CameraSight(errors=NOW, off=0.0)).agents
    rows = np.asarray(seen.features)[:, np.asarray(seen.mask)]
    rows = rows[:, np.argsort(rows[0])]
    assert rows.shape[1] == 2  # neither the one behind nor the one that is hidden
    time, own, mount = 4 * DT, 40.0 + SPEED * 4 * DT, Camera().mount.x
    length, width = float(state.bodies.length[1]), float(state.bodies.width[1])
    near = 60.0 + 12.0 * time - length / 2 - own
    assert metres(rows[0, 0]) == pytest.approx(near, abs=0.05) and abs(metres(rows[1, 0])) < 0.05
    assert 2.0 * rows[2, 0] == pytest.approx(width, abs=0.05)
    np.testing.assert_allclose(rows[3], 1.0)
    np.testing.assert_allclose(10.0 * rows[4], [2.0, -2.0], atol=0.1)
    far = 80.0 + 8.0 * time - length / 2 - own
    assert metres(rows[0, 1]) == pytest.approx(far, abs=0.05)
    half = float(state.bodies.width[2]) / 2
    # The middle of its columns: from the near face's outer edge to the inner edge of the far one.
    middle = 0.5 * ((3.5 + half) / (far - mount) + (3.5 - half) / (far + length - mount)) * (far - mount)
    assert metres(rows[1, 1]) == pytest.approx(middle, abs=0.05)


def test_lines_are_those_of_the_own_lane(bank, state):
    road = look(bank, state, CameraSight(errors=NOW, off=0.0)).road
    features = np.asarray(road.features)
    assert road.mask.all() and features.shape == (2 + 2 * len(STATIONS), 2)
    np.testing.assert_array_equal(features[:2], np.eye(2))
    np.testing.assert_allclose(metres(features[2 : 2 + len(STATIONS)]), [[1.75, -1.75]] * len(STATIONS), atol=1e-2)
    np.testing.assert_array_equal(features[2 + len(STATIONS) :], 1.0)


def test_its_own_motion_and_the_way_are_those_of_sight(bank, state):
    told, all_seen = look(bank, state, CameraSight(off=0.0)), look(bank, state, SMALL)
    kept = np.ones(len(told.ego), bool)
    kept[IN_LANE] = False
    np.testing.assert_array_equal(told.ego[kept], all_seen.ego[kept])
    assert not told.ego[IN_LANE].any() and all_seen.ego[IN_LANE].any()
    np.testing.assert_array_equal(told.route.features, all_seen.route.features)
    assert float(told.remaining) == float(all_seen.remaining)
    lost = look(bank, state, CameraSight(off=0.5))
    there = np.asarray(lost.route.mask)
    off = [metres(np.asarray(seen.route.features)[0:2][:, there]) for seen in (lost, told)]
    moved = np.asarray(off[0] - off[1])
    assert np.ptp(moved, axis=1).max() < 1e-2 and 0.02 < np.abs(moved).max() < 1.5  # one way for all of it
    np.testing.assert_array_equal(lost.agents.features, told.agents.features)


def test_a_report_is_as_old_as_its_delay(bank, state):
    late = look(bank, state, CameraSight(errors=replace(PERFECT, delay=1), off=0.0)).agents
    fresh = look(bank, state, CameraSight(errors=NOW, off=0.0)).agents
    shift = [metres(np.sort(np.asarray(seen.features)[0, np.asarray(seen.mask)])) for seen in (fresh, late)]
    np.testing.assert_allclose(shift[0] - shift[1], [12.0 * DT, 8.0 * DT], atol=0.05)


def test_the_same_state_is_told_alike_and_another_seed_otherwise(bank, state):
    sight = CameraSight(errors=ErrorModel(alarms=1.0))
    first, again = look(bank, state, sight), look(bank, state, sight)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    other = look(bank, state, replace(sight, errors=ErrorModel(alarms=1.0, seed=1)))
    assert first.agents.features.shape == (6, sight.vehicles + ALARMS)
    assert np.abs(np.asarray(first.agents.features - other.agents.features)).max() > 1e-3


def test_alone_everything_is_masked_and_zero(bank, state):
    alone = replace(state, agents=replace(state.agents, valid=jnp.arange(len(state.agents.valid)) == 0))
    seen = look(bank, alone, CameraSight(errors=NOW)).agents
    assert not seen.mask.any() and not seen.features.any()


def test_widths_are_those_of_the_tokens(bank, state):
    sight = CameraSight()
    seen, widths = look(bank, state, sight), sight.widths
    assert (len(seen.ego), *(len(each.features) for each in (seen.agents, seen.road, seen.route))) == (
        widths.ego,
        widths.agents,
        widths.road,
        widths.route,
    )
    assert seen.route.features.shape[1] == widths.lanes * widths.points


def report(*rows):
    """Depth and middle of vehicles a tenth of a slope wide; None: none."""
    depth = jnp.array([0.0 if row is None else row[0] for row in rows])
    middle = jnp.array([0.0 if row is None else row[1] for row in rows])
    seen = jnp.array([row is not None for row in rows])
    return replace(nothing(len(rows)), depth=depth, left=middle + 0.05, right=middle - 0.05, seen=seen)


def test_vehicles_are_linked_with_the_nearest_that_is_near_enough():
    newer = report((10.0, 0.0), (30.0, 0.1), (50.0, -0.3), None)
    earlier = report((31.0, 0.12), (10.5, 0.01), (12.0, 0.03), (50.0, 0.2))
    assert linked(newer, earlier).tolist() == [1, 0, -1, -1]
    two = linked(report((10.0, 0.0), (10.4, 0.01)), report((10.0, 0.0)))
    assert two.tolist() == [0, -1]  # each is linked once
