from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.reward import Reward
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import logged
from drivetrain.types import ControlKind, happened, replace

LOG = Env(dynamics=Playback())
reset = jax.jit(Env.reset, static_argnums=0)
step = jax.jit(Env.step, static_argnums=0)


def bank_of(drawn, **changes):
    return make_bank([scenes.scenario(drawn)], 0.2, **changes)


@partial(jax.jit, static_argnums=1)
def log_drive(bank, steps=49):
    """Events [T, C] of the first episode, whose controlled agent follows the log."""

    def step(state, _):
        def pose(c):
            there = logged(bank, state.episode, c, state.time + 1)
            return jnp.concatenate([there.position, there.heading])

        state, events = LOG.step(bank, state, jax.vmap(pose)(jnp.arange(len(state.alive))))
        return state, (events, state.arc_length)

    return jax.lax.scan(step, LOG.reset(bank, 0, jax.random.key(0)), None, length=steps)[1]


@pytest.fixture(scope="module")
def straight():
    return bank_of(scenes.straight_road())


def test_the_log_on_a_straight_road(straight):
    """The lane lies from y = 0 to 3.5, the car from 0.75 to 2.75; the next bumper is 30 − 4.5 m away."""
    events, along = log_drive(straight)
    np.testing.assert_allclose(events.collision[:, 0], 25.5, atol=1e-3)
    np.testing.assert_allclose(events.off_route[:, 0], 0.75 + 0.5, atol=1e-3)  # the corridor beyond a painted border
    np.testing.assert_allclose(events.progress[:, 0], 2.0, atol=2e-3)
    np.testing.assert_allclose(events.acceleration[:, 0], 0.0, atol=2e-2)
    assert float(events.overspeed.max()) == 0.0
    assert {float(events.stop_line.min()), float(events.red_light.min())} == {50.0}
    assert float(along[-1, 0] - along[0, 0]) == pytest.approx(2.0 * (len(along) - 1), abs=1e-2)
    assert float(straight.episodes.log_distance[0, 0]) == pytest.approx(2.0 * len(along), abs=0.05)


def test_the_log_through_a_red_light_fails_once():
    """From x = −60 at 2 m a step, the bumper (2.25 m ahead) is at 0.25 m after step 29."""
    events, _ = log_drive(bank_of(scenes.crossing()))
    assert np.flatnonzero(np.asarray(happened(events.red_light[:, 0]))).tolist() == [28]
    assert float(events.red_light[28, 0]) == pytest.approx(-0.25, abs=1e-3)
    assert float(events.red_light[27, 0]) == pytest.approx(1.75, abs=1e-3)
    assert float(events.stop_line.min()) == 50.0


def test_the_log_through_a_modelled_red_light_does_not_fail():
    events, _ = log_drive(bank_of(scenes.crossing(recorded=False)))
    assert float(events.red_light.min()) == 50.0


def test_the_log_over_a_stop_sign_fails_once():
    events, _ = log_drive(bank_of(scenes.crossing(ControlKind.STOP_SIGN)))
    assert np.flatnonzero(np.asarray(happened(events.stop_line[:, 0]))).tolist() == [28]
    assert float(events.red_light.min()) == 50.0


def test_the_log_that_stops_at_the_sign_and_goes():
    """It stands with its bumper 1 m before the line for 2 s, then drives on."""
    slow = scenes.crossing(ControlKind.STOP_SIGN, steps=60)
    x = np.concatenate([np.linspace(-60.0, -3.25, 30), np.full(10, -3.25), np.linspace(-3.25, 40.0, 20)])
    slow.tracks.position[0, :, 0] = x
    slow.tracks.velocity[0, :, 0] = np.gradient(x, 0.2)
    events, _ = log_drive(bank_of(slow), 59)
    assert not np.asarray(happened(events.stop_line)).any()
    assert float(events.stop_line[28:].min()) == pytest.approx(1.0, abs=1e-3)


def cars():
    """Two cars, lanes apart."""
    return [scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 60.0, speed=8.0)]


def test_two_controlled_agents_equal_two_drives_of_one():
    drawn = scenes.straight_road(agents=cars())
    both, apart = bank_of(drawn, controlled=2), bank_of(drawn)
    actions = jnp.array([[0.5, 0.01], [-1.0, -0.01]])
    env = Env()

    @jax.jit
    def drive(bank, episode, action):
        def step(state, _):
            state, events = env.step(bank, state, action)
            return state, (state.agents.position[state.controlled], events)

        return jax.lax.scan(step, env.reset(bank, episode, jax.random.key(0)), None, length=10)[1]

    order = np.asarray(both.episodes.ego[0])
    positions, events = drive(both, 0, actions[order])
    for column, ego in enumerate(order):
        alone, facts = drive(apart, int(ego), actions[ego : ego + 1])
        np.testing.assert_allclose(positions[:, column], alone[:, 0], atol=1e-4)
        for name in ("off_route", "progress", "overspeed", "acceleration", "lateral"):
            np.testing.assert_allclose(getattr(events, name)[:, column], getattr(facts, name)[:, 0], atol=1e-3)


def test_step_is_a_function_of_its_arguments_and_batches(straight):
    env = Env()
    actions = jnp.array([[[1.0, 0.0]], [[-2.0, 0.05]], [[0.0, -0.1]]])
    state = reset(env, straight, 0, jax.random.key(0))
    batched = jax.jit(jax.vmap(env.step, (None, None, 0)))(straight, state, actions)
    for row, action in enumerate(actions):
        single = step(env, straight, state, action)
        for one, many in zip(jax.tree.leaves(single), jax.tree.leaves(batched), strict=True):
            np.testing.assert_allclose(one, many[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("speed", [0.0, 10.0])
@pytest.mark.parametrize("gap", [4.5, 0.0, 300.0])
def test_gradients_through_a_step_are_finite(speed, gap):
    """Standing and driving; touching the next car, coincident with it, alone."""
    aside = 1.1 if gap == 4.5 else 0.0  # straight behind the other it would be its trailer
    cars = [scenes.along_x(1.2, 20.0), scenes.along_x(1.2 + aside, 20.0 + gap)]
    drawn = scenes.straight_road(agents=cars, length=400.0)
    slopes = slopes_of_step(bank_of(drawn), jnp.zeros((1, 2)), jnp.array([speed]))
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in slopes)


@jax.jit
def slopes_of_step(bank, action, speed):
    env = Env()
    state = env.reset(bank, 0, jax.random.key(0))

    def total(action, speed):
        after, events = env.step(bank, at_speed(state, speed), action)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves((events, after.agents.position, after.motion)))

    return jax.grad(total, (0, 1))(action, speed)


def at_speed(state, speed):
    motion = jax.vmap(type(state.motion))(speed, state.motion.steering, state.motion.acceleration, state.motion.lateral)
    return replace(state, motion=motion)


def test_accelerating_earns_progress(straight):
    """One step of 0.2 s: the distance grows by ½ dt² per m/s²."""
    env = Env()

    def progress(action, bank, state):
        return jnp.sum(env.step(bank, state, action)[1].progress)

    slope = jax.jit(jax.grad(progress))(jnp.zeros((1, 2)), straight, reset(env, straight, 0, jax.random.key(0)))
    assert float(slope[0, 0]) == pytest.approx(0.5 * 0.2**2, abs=1e-4)


def test_rewards_are_those_of_each_agent():
    bank, env = bank_of(scenes.straight_road(agents=cars()), controlled=2), Env()
    _, events = step(env, bank, reset(env, bank, 0, jax.random.key(0)), jnp.zeros((2, 2)))
    expected = 0.02 * np.asarray(events.progress) - 0.2 * 0.01 * np.asarray(events.lateral) ** 2
    np.testing.assert_allclose(jax.jit(env.rewards)(bank, events, None), expected, atol=1e-5)
    np.testing.assert_allclose(np.sort(events.progress), [1.6, 2.0], atol=1e-3)


def test_observation_of_each_agent():
    bank, env = bank_of(scenes.straight_road(agents=cars()), controlled=2), Env()
    seen = jax.jit(env.observe)(bank, reset(env, bank, 0, jax.random.key(0)))
    widths = env.observer.widths
    assert seen.ego.shape == (2, widths.ego)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(seen))
    assert not np.array_equal(seen.ego[0], seen.ego[1])  # 10 and 8 m/s


def test_a_configuration_is_hashable_and_comparable():
    assert hash(Env()) == hash(Env(reward=Reward()))
    assert Env() != Env(reward=Reward(collision=1.0))
