"""How an agent drives, seen from its lane, what that is worth, by hand; goals and progress off a route."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.events import detect, latch
from drivetrain.reward import Reward
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.lane_graph import WayRow
from drivetrain.sim.placing import gone_on, way_point
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.chains import Chains
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import replace

ENV = Env(dynamics=Jerk(), traffic=Nobody(), spawning=Anywhere(chains=Chains()), ending=Lives())
ANGLE = 0.3


@pytest.fixture(scope="module")
def bank():
    return worlds.crossing()[1]


def put(bank, state, x, y, angle, speed=5.0, chain=None):
    """Agent 0 at a pose, as if it had just come there, with another chain if one is given."""
    agents, heading = state.agents, jnp.array([np.cos(angle), np.sin(angle)], jnp.float32)
    agents = replace(
        agents,
        position=agents.position.at[0].set(jnp.array([x, y])),
        heading=agents.heading.at[0].set(heading),
        velocity=agents.velocity.at[0].set(speed * heading),
    )
    if chain is not None:
        new = state.errand.chain.at[0].set(chain), state.errand.goal.at[0].set(0)
        state = eqx.tree_at(lambda state: (state.errand.chain, state.errand.goal), state, new)
    state = eqx.tree_at(lambda state: state.motion.speed, state, state.motion.speed.at[0].set(speed))
    state = replace(state, agents=agents, alive=state.alive.at[0].set(True))
    return replace(state, place=gone_on(bank, state, agents.position, agents.heading))


@pytest.fixture(scope="module")
def state(bank):
    state = jax.jit(lambda key: ENV.reset(bank, 0, key))(jax.random.key(0))
    return eqx.tree_at(lambda state: state.errand.radius, state, jnp.full_like(state.errand.radius, 3.0))


def chain_whose_first(bank, wanted):
    chains = np.asarray(bank.graph.chains)[0]
    return int(np.flatnonzero([wanted(*row[0]) and np.isfinite(row[1, 0]) for row in chains])[0])


@pytest.fixture(scope="module")
def east(bank):
    """A chain whose first goal is on the exit to the east, and where that is."""
    chain = chain_whose_first(bank, lambda x, y, *_: 40.0 < x < 100.0 and abs(y) < 0.1)
    return chain, float(bank.graph.chains[0, chain, 0, WayRow.X])


def happened(bank, before, after):
    return jax.jit(lambda before, after: jax.tree.map(lambda leaf: leaf[0], detect(bank, before, after)))(before, after)


def test_facts_are_those_of_the_nearest_lane(bank, state):
    events = happened(bank, state, put(bank, state, -50.0, 0.6, ANGLE, 4.0))
    np.testing.assert_allclose(events.manner.alignment, np.cos(ANGLE), rtol=1e-4)
    np.testing.assert_allclose([events.manner.aside, events.manner.speed], [0.6, 4.0], rtol=1e-3)
    before = put(bank, state, -50.0, 0.0, 0.0)
    jerked = eqx.tree_at(lambda state: state.motion.acceleration, before, before.motion.acceleration + 0.7)
    np.testing.assert_allclose(happened(bank, before, jerked).manner.jerk, 0.7 / 0.2, rtol=1e-4)


def test_a_lane_driven_against_is_paid_for(bank, state):
    """3 m/s against a lane: 1 s and half of 3 m, by the second."""
    events = happened(bank, state, put(bank, state, -50.0, 0.0, np.pi, 3.0))
    reward = Reward(progress=0.0, overspeed=0.0, acceleration=0.0, lateral=0.0, collision=0.0, red_light=0.0)
    reward = replace(reward, off_route=0.0, stop_line=0.0)
    worth = float(replace(reward, alignment=0.5)(events, None, 0.2))
    np.testing.assert_allclose(worth, 0.5 * (-1.0 - 0.5 * 3.0) * 0.2, rtol=1e-4)
    assert float(replace(reward, moving=1.0)(events, None, 0.2)) == 0.0


def test_every_other_term_in_closed_form(bank, state):
    events = happened(bank, state, put(bank, state, -50.0, 0.6, 0.0, -1.0))
    nothing = Reward(**dict.fromkeys(("progress", "overspeed", "acceleration", "lateral"), 0.0))
    nothing = replace(nothing, **dict.fromkeys(("collision", "off_route", "off_road", "red_light", "stop_line"), 0.0))
    harsh = replace(events, acceleration=jnp.float32(-3.5), lateral=jnp.float32(3.5))
    harsh = replace(harsh, manner=replace(events.manner, jerk=jnp.float32(5.5)))
    hit = replace(events, collision=jnp.float32(-0.1))
    fast = replace(events, manner=replace(events.manner, speed=jnp.float32(3.0)))
    for reward, facts, worth in (
        (replace(nothing, centre=2.0), events, -2.0 * 0.6 * 0.2),
        (replace(nothing, reverse=2.0), events, -2.0 * 0.2),
        (replace(nothing, reverse=2.0), fast, 0.0),
        (replace(nothing, comfort=2.0), harsh, -3.0 * 2.0 * 0.2),
        (replace(nothing, comfort=2.0), replace(events, manner=replace(events.manner, jerk=jnp.float32(0.0))), 0.0),
        (replace(nothing, impact=2.0), hit, -2.0 * 1.0),
        (replace(nothing, moving=2.0), fast, 2.0 * 0.2),
    ):
        np.testing.assert_allclose(float(reward(facts, None, 0.2)), worth, rtol=1e-3, atol=1e-7)


def test_progress_is_by_how_much_the_way_became_shorter(bank, state, east):
    chain, goal = east
    before = put(bank, state, -50.0, 0.1, 0.0, chain=chain)
    for x, gained in ((-48.5, 1.5), (-52.0, -2.0)):
        events = happened(bank, before, put(bank, before, x, 0.3, 0.0))
        np.testing.assert_allclose(events.progress, gained, atol=1e-3)
    turned = happened(bank, before, put(bank, before, 10.0, 60.0, np.pi / 2))  # from where no lane leads there
    assert float(turned.progress) == 0.0 and float(turned.goal) == 0.0


def test_a_goal_is_reached_within_its_radius_from_any_side_and_the_next_one_follows(bank, state, east):
    chain, goal = east
    before = put(bank, state, goal - 4.0, 0.0, 0.0, chain=chain)
    near, far = put(bank, before, goal - 2.0, -2.0, 1.0), put(bank, before, goal - 2.3, -2.0, 1.0)
    assert float(happened(bank, before, near).goal) == 1.0 and float(happened(bank, before, far).goal) == 0.0
    latched = latch(bank, before, near)
    assert (int(latched.errand.goal[0]), int(latched.errand.since[0])) == (1, 0)
    again = latch(bank, before, far)
    assert int(again.errand.goal[0]) == 0 and int(again.errand.since[0]) == int(before.errand.since[0]) + 1
    np.testing.assert_array_equal(latched.errand.chain, before.errand.chain)
    np.testing.assert_allclose(
        happened(bank, before, near).progress, np.hypot(2.0, 2.0), rtol=1e-3
    )  # as far as it went


def test_off_its_route_an_agent_fails_nothing_and_at_its_last_goal_it_has_arrived(bank, state, east):
    chain, goal = east
    before = put(bank, state, -50.0, 0.1, 0.0, chain=chain)
    events = detect(bank, before, put(bank, before, 10.0, 60.0, np.pi / 2))
    assert float(events.off_route[0]) == 50.0
    last = eqx.tree_at(lambda state: state.errand.goal, before, before.errand.goal.at[0].set(4))
    assert not np.isfinite(way_point(bank, 0, jax.tree.map(lambda leaf: leaf[0], last.errand))).any()
    safe = jax.tree.map(lambda leaf: jnp.where(leaf < 0, 50.0, leaf), events)
    assert bool(ENV.endings(bank, last, safe)[0][0]) and not bool(ENV.endings(bank, before, safe)[0][0])


def test_a_red_light_is_met_whatever_the_route(bank, state):
    before = put(bank, state, -3.0, 0.0, 0.0)
    for route in (0, 1, 2):
        moved = replace(before, route=before.route.at[0].set(route))
        red = replace(moved, lights=jnp.full_like(moved.lights, 3))
        assert float(happened(bank, red, put(bank, red, 1.0, 0.0, 0.0)).red_light) < 0.0
        assert float(happened(bank, red, put(bank, red, -2.8, 0.0, 0.0)).red_light) > 0.0


def test_the_limit_is_that_of_the_lane_that_is_followed(bank, state):
    fast = put(bank, state, -50.0, 0.0, 0.0, speed=18.0)
    np.testing.assert_allclose(happened(bank, state, fast).overspeed, 3.0, rtol=1e-4)  # lanes allow 15 m/s
