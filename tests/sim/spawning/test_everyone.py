"""Whole lives of agents that go anywhere, each in its own way: what a rollout hands to learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.observe.blur import Blur
from drivetrain.observe.lanes import LaneView
from drivetrain.observe.sight import ANYWHERE, Sight
from drivetrain.policy.base import count_parameters
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.presets import WIDE
from drivetrain.rollout import rollout, start
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.placing import way_left, way_point
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.chains import Chains
from drivetrain.sim.spawning.styles import Styles
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import replace

AGENTS, STEPS = 8, 120
SPAWNING = Anywhere(chains=Chains(), styles=Styles(blind=0.3, brakes=0.3), gap=1.0, headway=0.2)
SIGHT = Sight(agents=3, road=6, route=LaneView(8), errand=True, traits=True, blur=Blur())
ENV = Env(dynamics=Jerk(), traffic=Nobody(), spawning=SPAWNING, ending=Lives(), observer=SIGHT, swept=True)


@pytest.fixture(scope="module")
def lives():
    """The bank, and a window of steps [T] of one world."""
    _, bank = worlds.crossing(agents=AGENTS)
    policy = DeepSetsSizes(tokens=4, width=4).build(ENV, jax.random.key(0))
    episodes = jnp.arange(len(bank.episodes.map))
    carry = start(ENV, bank, policy, episodes, jax.random.key(1))
    _, segment, figures = jax.jit(lambda carry: rollout(ENV, bank, policy, carry, STEPS, episodes))(carry)
    return bank, segment.steps, figures


def test_nothing_is_learnt_of_the_blind_and_of_those_who_brake_at_random(lives):
    _, steps, figures = lives
    odd = np.asarray(steps.state.traits.odd.blind | steps.state.traits.odd.brakes)
    alive, mask = np.asarray(steps.state.alive), np.asarray(steps.mask)
    np.testing.assert_array_equal(mask, alive & ~odd)
    assert (alive & odd).any() and mask.any() and float(figures.steps) == mask.sum()


def test_all_that_is_seen_and_paid_is_a_number(lives):
    _, steps, figures = lives
    alive = np.asarray(steps.state.alive)
    for leaf in (*jax.tree.leaves(steps.observation), steps.reward, steps.value):
        assert np.isfinite(np.asarray(leaf)[alive]).all()
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(figures))


def test_who_begins_is_on_a_lane_with_a_goal_that_lanes_lead_to_and_keeps_its_traits_for_life(lives):
    bank, steps, _ = lives
    fresh = np.asarray(steps.fresh & steps.state.alive)
    assert fresh.sum() > AGENTS  # some were replaced
    errand, place = steps.state.errand, steps.state.place

    def left(errand, place):
        return way_left(bank, 0, way_point(bank, 0, errand), place)

    metres = np.asarray(jax.vmap(jax.vmap(left))(errand, place))
    assert (
        np.isfinite(metres[fresh]).all() and metres[fresh].min() >= 9.0 and (np.asarray(place.lane)[fresh] >= 0).all()
    )
    going = np.asarray(steps.state.alive)[1:] & np.asarray(steps.state.alive)[:-1] & ~np.asarray(steps.fresh)[1:]
    for leaf in jax.tree.leaves((steps.state.traits, errand.chain, errand.radius)):
        rows = np.asarray(leaf)
        assert (rows[1:] == rows[:-1])[going].all()
    assert len(np.unique(np.asarray(steps.state.traits.odd.seed)[fresh])) == fresh.sum()


def test_goals_pass_one_by_one_and_time_starts_anew(lives):
    _, steps, _ = lives
    goal, since = np.asarray(steps.state.errand.goal), np.asarray(steps.state.errand.since)
    going = np.asarray(steps.state.alive)[1:] & ~np.asarray(steps.fresh)[1:] & np.asarray(steps.state.alive)[:-1]
    gained = (goal[1:] - goal[:-1])[going]
    assert set(gained.tolist()) <= {0, 1}
    np.testing.assert_array_equal(since[1:][going], np.where(gained > 0, 0, since[:-1][going] + 1))


def test_sizes_of_the_wide_pair():
    pair = jax.eval_shape(lambda: WIDE.build(replace(ENV, observer=ANYWHERE), jax.random.key(0)))
    assert count_parameters(pair.actor) == pytest.approx(2.4e6, rel=0.05)
    assert count_parameters(pair.critic) == pytest.approx(3.4e6, rel=0.05)
