"""Places on an empty crossing: clear of everybody, on their lanes, with a goal ahead; and who takes another's place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.ending import Lives, retire
from drivetrain.env import Env
from drivetrain.sim.bank import GoalRow
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.towns import Town, town_bank
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import replace

RULE = Anywhere()
ENV = Env(traffic=Nobody(), spawning=RULE, ending=Lives())
COUNT = 30


@pytest.fixture(scope="module")
def bank():
    return town_bank(
        [scenes.scenario(scenes.crossing(agents=()))], ["one"], 0.2, Town(agents=COUNT, programmes=2, seconds=4.0), 0
    )


@pytest.fixture(scope="module")
def states(bank):
    keys = jax.random.split(jax.random.key(0), 20)
    return jax.jit(jax.vmap(lambda key: ENV.reset(bank, 1, key)))(keys)


def clearances(position, length, speed):
    """Distance of everyone to everyone, less what the rule asks for; infinity on the diagonal."""
    away = np.hypot(*np.moveaxis(position[:, None] - position[None], -1, 0))
    room = 0.5 * (length[:, None] + length) + RULE.gap + RULE.headway * np.maximum(speed[:, None], speed)
    return away - room + np.where(np.eye(len(length)) > 0, np.inf, 0.0)


def test_everyone_there_is_clear_of_everyone_else(states):
    alive = np.asarray(states.alive)
    assert alive.sum() > 0.4 * alive.size and not alive.all()  # not all of thirty find room with such headways
    np.testing.assert_array_equal(states.agents.valid, states.alive)
    for row in range(len(alive)):
        there = alive[row]
        position = np.asarray(states.agents.position)[row, there]
        sizes, speed = np.asarray(states.bodies.length)[row, there], np.asarray(states.motion.speed)[row, there]
        assert (clearances(position, sizes, speed) > -1e-3).all()
        assert (sizes >= RULE.length[0]).all() and (sizes <= RULE.length[1]).all()


def test_bodies_of_all_sizes_are_never_wider_than_long(bank):
    rule = replace(RULE, length=(0.8, 7.0), width=(0.8, 3.0))
    spawn = jax.jit(jax.vmap(lambda key: rule(bank, 0, key)))(jax.random.split(jax.random.key(0), 20))
    length, width = np.asarray(spawn.bodies.length), np.asarray(spawn.bodies.width)
    assert (width <= length).all() and (width == length).any()  # some were drawn wider
    assert length.min() < 1.2 and length.max() > 6.6 and width.max() > 2.8


def test_everyone_is_on_a_drive_and_has_a_goal_ahead(bank, states):
    alive = np.asarray(states.alive)
    after, events = jax.jit(jax.vmap(lambda state: ENV.step(bank, state, jnp.zeros((COUNT, 2)))))(states)
    assert (np.asarray(events.off_route)[alive] > -0.5).all()  # the box of a car set askew at a border
    assert (np.asarray(events.off_route)[alive] > 0.0).mean() > 0.9
    goals = np.asarray(bank.routes.goals)[np.asarray(states.route), np.asarray(states.errand.goal), GoalRow.ARC]
    ahead = (goals - np.asarray(states.arc_length))[alive]
    assert (ahead > 0.0).all() and (ahead[np.isfinite(ahead)] < 40.0 + RULE.least + 3.0).all()
    assert not np.asarray(states.errand.since).any()


def test_only_who_is_gone_is_replaced_in_a_clear_place_and_with_nothing_of_who_was_there(bank, states):
    state = jax.tree.map(lambda leaf: leaf[0], states)
    state = replace(
        state, stopped=jnp.ones_like(state.stopped), errand=replace(state.errand, since=state.errand.since + 9)
    )
    gone = jnp.arange(COUNT) < 5
    left = retire(state, gone)
    renewed = jax.jit(jax.vmap(lambda key: ENV.renew(bank, left, key)))(jax.random.split(jax.random.key(5), 60))
    after, fresh = jax.tree.map(np.asarray, renewed)
    assert fresh.any() and not fresh[:, np.asarray(left.alive)].any()
    np.testing.assert_array_equal(after.alive, fresh | np.asarray(left.alive))
    np.testing.assert_array_equal(after.agents.valid, after.alive)
    kept = ~fresh
    for name in ("position", "heading", "velocity"):
        before = np.broadcast_to(np.asarray(getattr(left.agents, name)), getattr(after.agents, name).shape)
        np.testing.assert_array_equal(getattr(after.agents, name)[kept], before[kept])
    assert not after.stopped[fresh].any() and after.stopped[kept].all()
    assert not after.errand.since[fresh].any() and (after.errand.since[kept] == 9).all()
    for row in range(60):
        there = after.alive[row]
        away = clearances(
            after.agents.position[row, there], after.bodies.length[row, there], after.motion.speed[row, there]
        )
        new = fresh[row, there]
        assert (away[new] > -1e-3).all()


def test_lights_begin_again_when_they_have_come_to_their_end(bank, states):
    state = jax.tree.map(lambda leaf: leaf[0], states)
    late = replace(state, time=jnp.int32(19))  # 4 s at 5 Hz
    assert int(RULE.again(bank, late, jax.random.key(0)).time) == 0
    assert int(RULE.again(bank, replace(state, time=jnp.int32(7)), jax.random.key(0)).time) == 7
