"""A drive under a bridge, from the recording to events and observations, and what the bridge's own traffic meets."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.env import Env
from drivetrain.observe.sight import SMALL
from drivetrain.observe.surroundings import Surroundings
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.levels import STEEPEST, on_level
from drivetrain.sim.reading import logged, road_rows
from drivetrain.sim.traffic.follow import Follow
from drivetrain.sim.traffic.idm import IDM
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import ElementKind, LightState, happened, replace

BENEATH = 30  # the step at which the ego is in the middle of the bridge, and the other car above it


def bank_of(drawn, **changes):
    return make_bank([compile_recording(drawn)[0]], 0.2, **changes)


@partial(jax.jit, static_argnums=(1, 2))
def log_drive(bank, traffic=Replay(), steps=49):  # noqa: B008 - frozen
    """States and events [T] of the first episode, whose controlled agent follows the log."""
    env = Env(dynamics=Playback(), traffic=traffic)

    def step(state, _):
        def pose(c):
            there = logged(bank, state.episode, c, state.time + 1)
            return jnp.concatenate([there.position, there.heading])

        state, events = env.step(bank, state, jax.vmap(pose)(jnp.arange(len(state.alive))))
        return state, (state, events)

    return jax.lax.scan(step, env.reset(bank, 0, jax.random.key(0)), None, length=steps)[1]


@pytest.fixture(scope="module")
def banks():
    """With heights, with those of the map alone, and with none."""
    return {
        name: bank_of(drawn)
        for name, drawn in {
            "measured": scenes.bridge(),
            "matched": scenes.bridge(measured=False),
            "none": scenes.bridge(heights=False),
        }.items()
    }


def test_without_heights_the_bridge_is_in_the_way(banks):
    """The car on the bridge is hit: what heights are for. Its edges lead across a lane, and are opened there."""
    _, events = log_drive(banks["none"])
    assert bool(happened(events.collision[:, 0]).any()) and not bool(happened(events.off_road[:, 0]).any())


@pytest.mark.parametrize("known", ["measured", "matched"])
def test_with_heights_the_drive_beneath_is_clean(banks, known):
    """The nearest edge is 0.75 m from the side of the box all along; the only other car is never met."""
    _, events = log_drive(banks[known])
    np.testing.assert_allclose(events.off_road[:, 0], 0.75, atol=1e-3)
    assert set(np.asarray(events.collision[:, 0]).tolist()) == {50.0}
    assert not bool(happened(events.off_route[:, 0]).any())


def test_the_drive_on_the_bridge_is_clean_as_well(banks):
    """The second episode: the other car is the ego."""
    bank = banks["measured"]
    second = replace(bank, episodes=jax.tree.map(lambda leaf: leaf[1:], bank.episodes))
    states, events = log_drive(second)
    np.testing.assert_allclose(events.off_road[:, 0], 0.75, atol=1e-3)
    assert set(np.asarray(events.collision[:, 0]).tolist()) == {50.0}
    np.testing.assert_array_equal(states.agents.height, np.tile([0.0, 6.0], (49, 1)))


def test_what_lies_above_is_not_observed(banks):
    """Beneath the bridge: its car and its parapets are seen without heights, and not with them."""
    for name, seen in (("measured", False), ("none", True)):
        states, _ = log_drive(banks[name])
        now = jax.tree.map(lambda leaf: leaf[BENEATH - 1], states)
        for observer in (SMALL, Surroundings()):
            view = jax.jit(observer)(banks[name], now, 0)
            assert bool(view.agents.mask.any()) == seen, (name, observer)
        rows = road_rows(banks[name], 0, now.agents.position[0], None if seen else now.agents.height[0], STEEPEST)
        edges = rows[4] == ElementKind.ROAD_EDGE
        across = edges & (jnp.abs(rows[0]) < 2.0) & (jnp.abs(rows[1]) < 20.0) & (jnp.abs(rows[3]) < 20.0)
        across &= rows[0] == rows[2]
        assert bool(across.any()) == seen
        assert int((edges & ~across).sum()) >= 20  # its own


def test_a_climb_is_driven_at_the_height_of_the_route():
    """A ramp from 0 to 12 m over 200 m passes above the road; on it a controlled car is as high as its station."""
    lanes = [
        scenes.sloped_lane(scenes.LOW, (-100, 0), (100, 0)),
        scenes.sloped_lane(scenes.HIGH, (0, -100), (0, 100), (0.0, 12.0)),
    ]
    bank = bank_of(scenes.recording(lanes, (scenes.OVER, scenes.UNDER)))
    states, events = log_drive(bank)
    y = np.asarray(states.agents.position[:, 0, 1])
    np.testing.assert_allclose(states.agents.height[:, 0], 6.0 + 0.06 * y, atol=0.07)
    assert not bool(happened(events.off_road[:, 0]).any() | happened(events.collision[:, 0]).any())


def test_traffic_that_reacts_does_not_brake_for_what_crosses_above(banks):
    """Follow: the other car keeps its 10 m/s over the bridge while the ego is beneath. IDM: no leader above."""
    drawn = scenes.bridge()
    for name, held in (("measured", False), ("none", True)):
        bank = bank_of(drawn if name == "measured" else scenes.bridge(heights=False), paths=True)
        states, _ = log_drive(bank, Follow())
        slowest = float(states.traffic.speed[:45, 1].min())
        assert (slowest < 8.0) == held, (name, slowest)

        state = jax.tree.map(lambda leaf: leaf[BENEATH - 4], log_drive(bank)[0])
        parked = replace(state.agents, position=state.agents.position.at[1].set(jnp.array([5.0, 0.0])))
        driver = IDM()
        gap, _ = driver.leader(replace(state, agents=parked), 0, driver.path(bank, state, 0))
        assert (float(gap) < 50.0) == held, (name, gap)


def test_a_red_light_below_does_not_stop_a_path_above():
    """The line of the road below lies where the bridge runs, seen in its direction: only its height differs."""
    lights = {}
    for heights in (True, False):
        drawn = scenes.bridge(heights)
        line = scenes.ControlLine(np.array([[-1.7, 5.0], [1.7, 5.0]]), scenes.LOW, scenes.ControlKind.LIGHT, 7)
        red = scenes.Light(7, np.full(50, LightState.RED), True)
        drawn = dataclasses.replace(drawn, control_lines=(line,), lights=(red,))
        lights[heights] = np.asarray(bank_of(drawn, paths=True).paths.line[0, 1]).max()
    assert lights == {True: -1, False: 0}


def test_all_heights_zero_change_no_bit():
    """The gate itself: zeros everywhere give the events of a scene without heights, bit for bit."""
    flat, _ = compile_recording(scenes.bridge(heights=False))
    zero = replace(
        flat,
        map=replace(
            flat.map,
            element_height=np.zeros(len(flat.map.elements), np.float32),
            station_height=np.zeros(len(flat.map.stations), np.float32),
            line_height=np.zeros(len(flat.map.lines), np.float32),
        ),
        log=replace(
            flat.log, agents=replace(flat.log.agents, height=np.zeros(flat.log.agents.valid.shape, np.float32))
        ),
    )
    banks = [make_bank([each], 0.2) for each in (flat, zero)]
    (one, without), (other, given) = (log_drive(bank) for bank in banks)
    for a, b in zip(jax.tree.leaves(without), jax.tree.leaves(given), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert np.asarray(one.arc_length).tobytes() == np.asarray(other.arc_length).tobytes()
    views = [
        jax.jit(SMALL)(bank, jax.tree.map(lambda leaf: leaf[20], state), 0)
        for bank, state in zip(banks, (one, other), strict=True)
    ]
    for a, b in zip(*map(jax.tree.leaves, views), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_program_of_a_flat_map_has_no_height(banks):
    """Nothing of heights is traced where there are none: the state has no such leaf, the block no such row."""
    bank = banks["none"]
    state = Env(dynamics=Playback()).reset(bank, 0, jax.random.key(0))
    assert state.agents.height is None and bank.routes.height is None and bank.roads.block.shape[-2] == 6
    assert banks["measured"].roads.block.shape[-2] == 7


def test_a_level_is_two_and_a_half_metres_and_more_further_off():
    assert on_level(jnp.array([2.5, 2.6, -2.6]), jnp.zeros(())).tolist() == [True, False, False]
    away = jnp.array([10.0, 40.0]) ** 2
    assert on_level(jnp.array([6.0, 6.0]), jnp.zeros(()), away).tolist() == [False, True]
    assert on_level(jnp.array([6.0, 6.0]), jnp.zeros(()), away, 0.0).tolist() == [False, False]
