"""The next goal in the agent's frame, against hand-computed numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.observe.errand import CHAIN, FEATURES, METRES, SECONDS, chain_left, observe_errand
from drivetrain.observe.scales import compress
from drivetrain.observe.sight import Sight
from drivetrain.sim.bank import GoalRow
from drivetrain.sim.building import Layout, host_bank
from drivetrain.types import replace

DT = 0.2


def banked(goals):
    drawn = scenes.straight_road(agents=(scenes.along_x(1.75, 20.0, 10.0),))
    return jax.tree.map(jnp.asarray, host_bank([scenes.scenario(drawn)], DT, Layout(goals=goals)))


@pytest.fixture(scope="module")
def scene():
    bank = banked(30.0)
    return bank, Env().reset(bank, 0, jax.random.key(0))


def test_the_goal_as_the_agent_sees_it(scene):
    bank, state = scene
    state = replace(state, errand=replace(state.errand, since=jnp.array([7])))
    seen = np.asarray(observe_errand(bank, state, 0))
    place = np.asarray(bank.routes.goals)[0, int(state.errand.goal[0])]
    away = place[GoalRow.X] - 20.0  # the road runs along x, and so does the car, at x = 20
    np.testing.assert_allclose(away, place[GoalRow.ARC] - float(state.arc_length[0]), atol=1e-3)
    expected = [METRES * np.log1p(away), float(compress(jnp.float32(away))), 0.0, SECONDS * 7 * DT]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_who_has_arrived_or_has_no_goals_sees_zeros(scene):
    bank, state = scene
    beyond = replace(state.errand, goal=jnp.array([bank.routes.goals.shape[1] - 1]))
    np.testing.assert_array_equal(observe_errand(bank, replace(state, errand=beyond), 0), np.zeros(FEATURES))
    np.testing.assert_array_equal(observe_errand(bank, replace(state, errand=None), 0), np.zeros(FEATURES))


def test_it_stands_at_the_end_of_the_ego_and_the_critic_sees_the_chain(scene):
    bank, state = scene
    sight = Sight(errand=True)
    seen = sight(bank, state, 0)
    assert len(seen.ego) == sight.widths.ego == Sight().widths.ego + FEATURES
    np.testing.assert_array_equal(seen.ego[-FEATURES:], observe_errand(bank, state, 0))
    last = np.asarray(bank.routes.goals)[0, :, GoalRow.ARC]
    left = last[np.isfinite(last)].max() - float(state.arc_length[0])
    assert float(seen.remaining) == pytest.approx(left / CHAIN, abs=1e-5) == float(chain_left(bank, state, 0))
