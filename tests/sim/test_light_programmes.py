"""Lights of an empty map: never green both ways, phases within their ranges, and what is switched off."""

import numpy as np
import pytest

from drivetrain.sim.light_programmes import LightRules, junctions, light_programme
from drivetrain.types import ControlKind, Cross, LightState, Map

ALL_ON = LightRules(dead_lights=0.0, dead_junctions=0.0, dead_worlds=0.0, always_green=0.0)
GO = (LightState.GREEN, LightState.YELLOW)


def map_of(lines, kinds):
    empty = np.zeros(0, np.int32)
    return Map(
        elements=np.zeros((0, 4), np.float32),
        element_kind=empty,
        stations=np.zeros((0, len(Cross)), np.float32),
        station_lane=empty,
        lane_first=empty,
        lane_count=empty,
        lane_successors=np.zeros((0, 4), np.int32),
        lane_neighbours=np.zeros((0, 2), np.int32),
        lines=np.asarray(lines, np.float32),
        line_kind=np.asarray(kinds, np.int32),
        line_judged=np.zeros(len(kinds), bool),
        light_position=np.zeros((len(kinds), 2), np.float32),
    )


EAST, WEST, NORTH = (-10.0, 3.0, -10.0, 0.0), (10.0, -3.0, 10.0, 0.0), (0.0, -10.0, 3.0, -10.0)
FAR = (500.0, 3.0, 500.0, 0.0)
CROSSING = map_of([EAST, WEST, NORTH, FAR, EAST], [ControlKind.LIGHT] * 4 + [ControlKind.STOP_SIGN])


def programme(rules, seed=0, steps=3000, dt=0.1):
    return light_programme(CROSSING, steps, dt, rules, np.random.default_rng(seed))


def runs(states, wanted):
    """Lengths in steps of whole stretches of a state."""
    there = np.concatenate([[0], (states == wanted).astype(int), [0]])
    begin, end = np.flatnonzero(np.diff(there) == 1), np.flatnonzero(np.diff(there) == -1)
    inner = (begin > 0) & (end < len(states))
    return (end - begin)[inner]


@pytest.mark.parametrize("seed", range(6))
def test_one_axis_goes_at_a_time_and_both_sides_of_it_together(seed):
    shown = programme(ALL_ON, seed)
    east, west, north = shown[:, 0], shown[:, 1], shown[:, 2]
    np.testing.assert_array_equal(east, west)
    assert not (np.isin(east, GO) & np.isin(north, GO)).any()
    assert set(np.unique(east)) == {LightState.GREEN, LightState.YELLOW, LightState.RED}
    assert (shown[:, 4] == LightState.UNKNOWN).all()  # a stop sign has no light
    assert 0.1 * runs(east, LightState.GREEN).min() >= 0.09 and 0.1 * runs(east, LightState.GREEN).max() <= 10.1
    assert 0.1 * runs(east, LightState.YELLOW).min() >= 1.4 and 0.1 * runs(east, LightState.YELLOW).max() <= 2.35


def test_red_lasts_as_long_as_the_other_axis_goes_and_both_are_cleared():
    fixed = LightRules(2.0, 3.0, 10.0, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), 0.0, 0.0, 0.0, 0.0)
    red = 0.1 * runs(programme(fixed)[:, 0], LightState.RED)
    np.testing.assert_allclose(red, 10.0 + 3.0 + 2.0 * 2.0, atol=0.11)


def test_what_is_near_is_one_junction():
    found = [part.tolist() for part in junctions(np.array([EAST, WEST, NORTH, FAR]))]
    assert found == [[0, 1, 2], [3]]
    assert junctions(np.zeros((0, 4))) == []


def test_dead_lights_are_off_and_some_junctions_stay_green():
    dead = LightRules(dead_lights=0.0, dead_junctions=1.0, dead_worlds=0.0)
    assert (programme(dead)[:, :4] == LightState.OFF).all()
    green = LightRules(dead_lights=0.0, dead_junctions=0.0, dead_worlds=0.0, always_green=1.0)
    assert (programme(green)[:, :4] == LightState.GREEN).all()
    worlds = [programme(LightRules(dead_lights=0.0, dead_junctions=0.0), seed, steps=5) for seed in range(400)]
    share = np.mean([(world[:, :4] == LightState.OFF).all() for world in worlds])
    assert share == pytest.approx(0.2, abs=0.06)
