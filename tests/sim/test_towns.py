"""A bank of an empty crossing: goals along its drives, worlds that share it, lights that go."""

import dataclasses

import numpy as np
import pytest
import scenes

from drivetrain.sim.bank import GoalRow
from drivetrain.sim.light_programmes import LightRules
from drivetrain.sim.towns import FOREVER, Town, drives_of, town_bank
from drivetrain.types import ControlKind, InputError, LightState

TOWN = Town(agents=6, programmes=3, seconds=60.0)


@pytest.fixture(scope="module")
def crossing():
    return scenes.scenario(scenes.crossing(agents=()))


@pytest.fixture(scope="module")
def bank(crossing):
    return town_bank([crossing, crossing], ["one", "two"], 0.2, TOWN, seed=0)


def test_every_map_has_its_drives_and_every_world_its_lights(bank, crossing):
    each = len(drives_of(crossing))
    assert each > 50
    assert np.asarray(bank.routes.map).tolist() == [0] * each + [1] * each
    assert np.asarray(bank.episodes.map).tolist() == [0, 0, 0, 1, 1, 1]
    assert np.asarray(bank.episodes.log).tolist() == list(range(6))
    assert (np.asarray(bank.episodes.last) == FOREVER).all() and bank.episodes.track.shape == (6, 6)
    lights = np.asarray(bank.logs.lights)
    assert lights.shape[:2] == (6, 300) and not (lights[0] == lights[1]).all()
    lit = np.asarray(bank.lines.kind) == ControlKind.LIGHT
    assert lit.any() and np.asarray(bank.lines.judged)[lit].all()  # what is shown here is how they go
    assert len({tuple(row) for row in np.asarray(bank.record)}) == 2


def test_goals_are_as_far_apart_as_was_asked_and_lie_on_the_drive(bank):
    chains = np.asarray(bank.routes.goals, float)
    for rows in chains:
        known = rows[np.isfinite(rows[:, GoalRow.ARC])]
        apart = np.diff(known[:, GoalRow.ARC])
        assert len(apart) and (apart > TOWN.nearest - 1e-3).all() and (apart < TOWN.farthest + 1e-3).all()
        straight = np.hypot(*np.diff(known[:, GoalRow.X : GoalRow.STATION], axis=0).T)
        assert (straight <= apart + 0.1).all() and (straight > 0.7 * apart).all()  # round a corner it is no less
        stations = np.diff(known[:, GoalRow.STATION])
        np.testing.assert_allclose(apart, 2.0 * stations, rtol=0.1)


def test_the_seed_draws_goals_and_lights(crossing):
    one, same, other = (town_bank([crossing], ["one"], 0.2, TOWN, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.routes.goals, same.routes.goals)
    np.testing.assert_array_equal(one.logs.lights, same.logs.lights)
    assert not np.array_equal(one.routes.goals, other.routes.goals)


def test_rules_of_lights_are_followed(crossing):
    off = dataclasses.replace(TOWN, lights=LightRules(dead_worlds=1.0))
    shown = np.asarray(town_bank([crossing], ["one"], 0.2, off, 0).logs.lights)
    assert set(np.unique(shown)) <= {LightState.OFF, LightState.UNKNOWN}


def test_a_recording_is_no_town():
    recorded = scenes.scenario(scenes.straight_road())
    with pytest.raises(InputError, match=r"^road: drives: none \(convert a map without traffic"):
        town_bank([recorded], ["road"], 0.2, TOWN, 0)
