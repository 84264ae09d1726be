"""A bicycle's driver in a world of jerks: it gets where it means to, and stands where it stops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.drivers.tracked import Tracked
from drivetrain.env import Env
from drivetrain.rollout import Driver, drive
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.jerk import Jerk

JERK = Env(dynamics=Jerk())


class Towards(Driver):
    """Comes to a speed within the second, as a bicycle does."""

    speed: jax.Array

    def __call__(self, bank, state, observation, memory, key):
        change = jnp.clip(self.speed - state.motion.speed, -3.0, 1.5)
        return jnp.stack([change, jnp.zeros_like(change)], axis=1), memory


@pytest.fixture(scope="module")
def bank():
    drawn = scenes.straight_road(agents=[scenes.along_x(1.75, 20.0)], length=400.0, steps=61)
    return make_bank([scenes.scenario(drawn)], 0.2)


@pytest.fixture(scope="module")
def speeds(bank):
    run = jax.jit(lambda driver: drive(JERK, bank, driver, 0, 60, jax.random.key(0)).speed[:, 0])
    return lambda speed: np.asarray(run(Tracked(Towards(jnp.float32(speed)), Bicycle(), JERK.dynamics)))


@pytest.mark.parametrize("wanted", [13.0, 10.0, 6.0])
def test_the_speed_that_is_meant_is_reached_and_kept(speeds, wanted):
    way = speeds(wanted)
    assert way[0] == pytest.approx(10.0, abs=1e-3)
    np.testing.assert_allclose(way[35:], wanted, atol=0.3)
    assert np.abs(np.diff(way)).max() <= 3.0 * 0.2 + 0.3  # hardly harder than the driver means to


def test_who_stops_stands(speeds):
    way = speeds(0.0)
    np.testing.assert_allclose(way[50:], 0.0, atol=0.2)
