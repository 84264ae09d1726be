"""Driving by pictures: what is told by their labels is what a perfect model tells, and as old as it is to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.camera.beside import Laying
from drivetrain.camera.ground import lay_ground, stack_grounds
from drivetrain.camera.pinhole import of_field
from drivetrain.camera.render import Renderer
from drivetrain.camera.tiles import Tiling
from drivetrain.drivers.seeing import MOST, ByLabels, ByPicture, Seeing, nearest_first
from drivetrain.env import Env
from drivetrain.observe.camera import CameraSight
from drivetrain.perception.detector import Detector
from drivetrain.perception.errors import PERFECT
from drivetrain.perception.report import Report, nothing
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.rollout import drive
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

KEY = jax.random.key(0)
CAMERA = of_field(192, 144, 60.0)
SIGHT = CameraSight(vehicles=4, camera=CAMERA, errors=PERFECT, before=1, off=0.0)
ENV = Env(observer=SIGHT)
CARS = (
    scenes.along_x(5.25, 40.0, 10.0),  # the camera's
    scenes.along_x(5.25, 60.0, 12.0),
    scenes.along_x(8.75, 65.0, 9.0),
    scenes.along_x(1.75, 70.0, 8.0),
)
RENDERER = Renderer(CAMERA, Tiling(things=8), users=8, beside=4)


@pytest.fixture(scope="module")
def scenario():
    return scenes.scenario(scenes.straight_road(length=300.0, agents=CARS))


@pytest.fixture(scope="module")
def bank(scenario):
    return make_bank([scenario], 0.2)


@pytest.fixture(scope="module")
def grounds(scenario):
    return jax.tree.map(jnp.asarray, stack_grounds([lay_ground(scenario.map, Laying(buildings=0.0, trees=0.0))]))


@pytest.fixture(scope="module")
def policy():
    return jax.jit(lambda key: DeepSetsSizes(tokens=8, width=8).build(ENV, key))(KEY)


def seeing(policy, grounds, eyes):
    return Seeing(policy, eyes, grounds, SIGHT, ENV.dynamics, RENDERER)


class Brightness(Detector):
    """Reports one vehicle as far as the picture is bright."""

    def __call__(self, picture):
        dark = nothing(2)
        bright = jnp.mean(picture.astype(jnp.float32))
        return replace(dark, depth=jnp.stack([bright, 0.0]), seen=jnp.array([True, False]))


def test_labels_of_pictures_say_what_geometry_says(bank, grounds, policy):
    driver = seeing(policy, grounds, ByLabels())

    @jax.jit
    def looked():
        state, kept = ENV.reset(bank, 0, KEY), jax.tree.map(lambda leaf: leaf[0], driver.initial_memory(1))
        for _ in range(3):
            kept = driver.looked(bank, state, 0, kept)
            last = state
            state, _ = ENV.step(bank, state, jnp.zeros((1, ENV.dynamics.width)))
        seen = jax.tree.map(lambda leaf: leaf[0], ENV.observe(bank, last))
        return seen, driver.told(bank, last, 0, seen, kept)

    model, told = looked()
    rows = []
    for seen in (model, told):
        features = np.asarray(seen.agents.features)[:, np.asarray(seen.agents.mask)]
        rows.append(features[:, np.argsort(features[0])])
    assert rows[0].shape[1] == rows[1].shape[1] == 3
    metres = [row[:2] / (0.2 - np.abs(row[:2]) / 20.0) for row in rows]
    np.testing.assert_allclose(metres[0][0], metres[1][0], atol=0.25)  # depth, to what a ray meets of a shaped car
    np.testing.assert_allclose(metres[0][1], metres[1][1], atol=0.2)
    np.testing.assert_allclose(rows[0][2], rows[1][2], atol=0.25)  # to a pixel and a half
    np.testing.assert_array_equal(rows[0][3], rows[1][3])
    np.testing.assert_allclose(10.0 * rows[0][4], 10.0 * rows[1][4], atol=1.0)  # m/s
    lines = [np.asarray(seen.road.features) for seen in (model, told)]
    both = (lines[0] != 0.0) & (lines[1] != 0.0)
    assert both[:, :2].sum() >= 12
    np.testing.assert_allclose(lines[0][both], lines[1][both], atol=0.02)
    np.testing.assert_array_equal(model.ego, told.ego)
    np.testing.assert_array_equal(model.route.features, told.route.features)


def test_it_drives_and_remembers_what_it_saw(bank, grounds, policy):
    driver = seeing(policy, grounds, ByPicture(Brightness()))
    memory = driver.initial_memory(1)
    assert memory.reports.depth.shape == (1, SIGHT.errors.delay + SIGHT.before + 1, MOST)
    trajectory = jax.jit(lambda driver: drive(ENV, bank, driver, 0, 4, KEY))(driver)
    assert np.isfinite(trajectory.speed).all()

    @jax.jit
    def twice():
        state, kept = ENV.reset(bank, 0, KEY), jax.tree.map(lambda leaf: leaf[0], memory)
        first = driver.looked(bank, state, 0, kept)
        state, _ = ENV.step(bank, state, jnp.zeros((1, ENV.dynamics.width)))
        return first, driver.looked(bank, state, 0, first)

    first, second = twice()
    assert first.reports.depth[0, 0] > 1.0 and not first.reports.seen[1:].any()
    for row in ("reports", "place", "heading"):
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[1]), getattr(first, row), getattr(second, row))
    assert np.linalg.norm(second.place[0] - second.place[1]) == pytest.approx(2.0, abs=0.05)


def report(*rows):
    """Depth and middle of vehicles a tenth of a slope wide; None: none."""
    depth = jnp.array([0.0 if row is None else row[0] for row in rows])
    middle = jnp.array([0.0 if row is None else row[1] for row in rows])
    seen = jnp.array([row is not None for row in rows])
    return replace(nothing(len(rows)), depth=depth, left=middle + 0.05, right=middle - 0.05, seen=seen)


def test_the_nearest_come_first_and_padding_last():
    told = nearest_first(report((30.0, 0.0), None, (10.0, 0.1), (20.0, 0.0)), 2)
    assert told.depth.tolist() == [10.0, 20.0] and told.seen.all()
    more = nearest_first(report((30.0, 0.0), None), 4)
    assert more.seen.tolist() == [True, False, False, False] and isinstance(more, Report)
