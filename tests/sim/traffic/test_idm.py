"""The car-following law against its published equilibrium, and the driver on hand-drawn roads."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.roads import Indexing
from drivetrain.sim.simulator import reset, step
from drivetrain.sim.traffic.idm import IDM, idm_acceleration
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import LightState, replace

DT = 0.2
MODEL, DRIVER = Bicycle(), IDM()


def drive(bank, episode, steps=39):
    def advance(state, _):
        action = DRIVER(bank, state, 0, MODEL)
        return (state := step(bank, MODEL, Replay(), state, action[None])), (state, action)

    return jax.jit(lambda: jax.lax.scan(advance, reset(bank, MODEL, episode, jax.random.key(0)), length=steps)[1])()


def green(given):
    return replace(given, log=replace(given.log, lights=np.full_like(given.log.lights, LightState.GREEN)))


def test_law_has_its_equilibrium_and_its_limits():
    # Equilibrium gap of the model: (s0 + v T) / sqrt(1 − (v / v0)⁴), with no closing speed.
    speed, desired = 10.0, 15.0
    gap = (2.0 + 1.5 * speed) / np.sqrt(1 - (speed / desired) ** 4)
    np.testing.assert_allclose(idm_acceleration(speed, desired, jnp.asarray(gap), jnp.asarray(0.0)), 0.0, atol=1e-5)
    np.testing.assert_allclose(idm_acceleration(0.0, 15.0, jnp.asarray(1e6), jnp.asarray(0.0)), 1.5, rtol=1e-5)
    assert idm_acceleration(10.0, 15.0, jnp.asarray(15.0), jnp.asarray(5.0)) < -3.0
    assert np.isfinite(idm_acceleration(0.0, 0.0, jnp.asarray(-1.0), jnp.asarray(0.0)))


def test_it_keeps_its_headway_behind_a_slower_car(scenario):
    # Car 0 (12 m/s) follows car 3 (8 m/s) in the same lane, 20 m behind it.
    bank = make_bank([green(scenario(0.0, (12.0, 10.0, 12.0, 8.0)))], DT, indexing=Indexing(width=8))
    states, _ = drive(bank, 1, 33)
    gap = np.asarray(states.agents.position[:, 3, 0] - states.agents.position[:, 0, 0]) - 4.5
    assert gap.min() > 5.0
    wanted = (2.0 + 1.5 * 8.0) / np.sqrt(1 - (8.0 / 15.0) ** 4)
    np.testing.assert_allclose(gap[-1], wanted, atol=2.5)
    np.testing.assert_allclose(states.motion.speed[-1], 8.0, atol=0.7)


@pytest.mark.parametrize("bend", [0.0, 0.02])
def test_it_keeps_its_lane_and_its_speed_on_a_free_road(scenario, bend):
    bank = make_bank([green(scenario(bend))], DT, indexing=Indexing(width=8))
    states, action = drive(bank, 0)
    place = np.asarray(states.agents.position[:, 1])
    # The middle lane: y = 3.5, or a circle of radius 50 − 3.5 about (0, 50).
    offset = place[:, 1] - 3.5 if bend == 0.0 else 46.5 - np.hypot(place[:, 0], place[:, 1] - 50.0)
    assert np.abs(offset).max() < 0.25
    speed = np.asarray(states.motion.speed[:, 0])
    assert speed.max() < 15.1
    if bend:
        np.testing.assert_allclose(speed[-1], np.sqrt(2.5 * 46.5), atol=0.6)  # v² κ = 2.5 m/s²
    else:
        assert speed[-1] > 13.0  # it does not take the recorded lane's step aside for an end of its own
    assert np.std(np.asarray(action)[10:, 1]) < 0.05


def test_it_stops_before_a_red_light_only_where_it_is_judged(scenario):
    given = scenario()
    states, _ = drive(make_bank([given], DT, indexing=Indexing(width=8)), 0)
    nose, speed = float(states.agents.position[-1, 1, 0]) + 2.25, float(states.motion.speed[-1, 0])
    # The log ends while it still brakes: it will stand before the line, but not long before.
    assert 116.0 < nose + speed**2 / (2 * 4.0) < 120.0 and speed < 7.0
    modelled = replace(given, map=replace(given.map, line_judged=np.zeros(4, bool)))
    states, _ = drive(make_bank([modelled], DT, indexing=Indexing(width=8)), 0)
    assert float(states.agents.position[-1, 1, 0]) > 110.0 and float(states.motion.speed[-1, 0]) > 13.0


def test_it_changes_lane_only_where_its_own_ends(scenario):
    # The slot of lane 1 stops at station 45; the recorded lane is then lane 2 from station 50 on.
    given = green(scenario())
    route = given.egos.route
    stations, flags = route.stations.copy(), route.flags.copy()
    stations[:, 46:, 1], flags[:, 45:, 1] = -1, 0
    reference = np.where(np.arange(route.reference.shape[1]) < 40, route.reference, 2)
    cut = eqx.tree_at(
        lambda given: [given.egos.route.stations, given.egos.route.flags, given.egos.route.reference],
        given,
        [stations, flags, reference.astype(np.int32)],
    )
    states, _ = drive(make_bank([cut], DT, indexing=Indexing(width=8)), 0)
    np.testing.assert_allclose(states.agents.position[-1, 1, 1], 7.0, atol=0.3)
    before = np.asarray(states.agents.position[:, 1, 0]) < 60.0
    np.testing.assert_allclose(np.asarray(states.agents.position[:, 1, 1])[before], 3.5, atol=0.1)
