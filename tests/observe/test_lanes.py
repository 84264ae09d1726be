"""What an agent that goes anywhere sees of lanes and goals, against distances taken by hand; what it overlooks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.observe.blur import Blur
from drivetrain.observe.errand import METRES
from drivetrain.observe.lanes import LaneView
from drivetrain.observe.sight import Sight
from drivetrain.observe.way import observe_way
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.lane_graph import WayRow
from drivetrain.sim.placing import gone_on
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.chains import Chains
from drivetrain.sim.spawning.styles import Styles
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import replace

SIGHT = Sight(agents=3, road=8, route=LaneView(16), errand=True, traits=True)
SPAWNING = Anywhere(chains=Chains(), styles=Styles())
ENV = Env(dynamics=Jerk(), traffic=Nobody(), spawning=SPAWNING, ending=Lives(), observer=SIGHT)
EXIT_END = 60.0


def far_on_the_exit(chains):
    """Chains of two goals or more whose first is on the exit to the east, 40 m beyond the crossing at least."""
    return np.flatnonzero((chains[:, 0, 0] > 60.0) & (np.abs(chains[:, 0, 1]) < 0.1) & np.isfinite(chains[:, 1, 0]))


@pytest.fixture(scope="module")
def scene():
    """Agent 0 at (−30, 0.5), eastwards, with a goal on the exit: the bank, the state, and where the goal is."""
    _, bank = worlds.crossing()
    chain = int(far_on_the_exit(np.asarray(bank.graph.chains)[0])[0])
    state = jax.jit(lambda key: ENV.reset(bank, 0, key))(jax.random.key(0))
    agents = replace(
        state.agents,
        position=state.agents.position.at[0].set(jnp.array([-30.0, 0.5])),
        heading=state.agents.heading.at[0].set(jnp.array([1.0, 0.0])),
    )
    new = state.errand.chain.at[0].set(chain), jnp.zeros_like(state.errand.goal), state.alive.at[0].set(True)
    state = eqx.tree_at(lambda state: (state.errand.chain, state.errand.goal, state.alive), state, new)
    state = replace(state, agents=agents)
    state = replace(state, place=gone_on(bank, state, agents.position, agents.heading))
    return bank, state, float(bank.graph.chains[0, chain, 0, WayRow.X])


def seen(bank, state, sight=SIGHT):
    return jax.jit(lambda state: sight(bank, state, 0))(state)


def metres(compressed):
    """The inverse of `compress`."""
    return compressed / (0.2 - np.abs(compressed) / 20.0)


@pytest.mark.parametrize("onward", [True, False])
def test_stretches_lie_where_the_lanes_do_and_say_how_far_it_is_to_the_goal(scene, onward):
    bank, state, goal = scene
    tokens = seen(bank, state, replace(SIGHT, route=LaneView(16, onward=onward))).route
    rows, mask = np.asarray(tokens.features), np.asarray(tokens.mask)
    assert mask.sum() == 16 and rows.shape == (SIGHT.widths.route, 16)
    x, y = metres(rows[0]) - 30.0, metres(rows[1]) + 0.5
    straight = (np.abs(y) < 0.1) & (rows[2] > 0.99) & (rows[6] > 0.0)
    assert straight.sum() >= 5
    left = np.expm1(rows[4][straight] / METRES)
    np.testing.assert_allclose(left, goal - x[straight], atol=0.4)
    np.testing.assert_allclose(rows[5][straight], np.clip(0.02 * (x[straight] + 30.0), -2.0, 2.0), atol=0.01)
    turned = (y > 5.0) & (rows[6] > 0.0)
    assert not turned.any()  # from the road to the north none leads there


def test_stretches_on_the_way_come_before_nearer_ones_that_are_not(scene):
    """Eastwards of the agent, in order; of what lies behind it, only what is within half as much."""
    bank, state, _ = scene
    tokens = seen(bank, state, replace(SIGHT, route=LaneView(8))).route
    x = metres(np.asarray(tokens.features)[0])
    nearest = seen(bank, state, replace(SIGHT, route=LaneView(8, onward=False))).route
    assert x.max() > metres(np.asarray(nearest.features)[0]).max() + 3.0 and (x > 0.0).sum() >= 5


def test_the_goal_and_the_one_after_it_are_seen(scene):
    bank, state, goal = scene
    row = np.asarray(jax.jit(lambda state: observe_way(bank, state, 0))(state))
    np.testing.assert_allclose(np.expm1(row[0] / METRES), goal + 30.0, atol=0.3)
    np.testing.assert_allclose([metres(row[2]), metres(row[3])], [goal + 30.0, -0.5], rtol=2e-3)
    after = np.asarray(bank.graph.chains)[0, int(state.errand.chain[0]), 1]
    assert row[1] == 1.0 and row[5] == 1.0
    np.testing.assert_allclose([metres(row[6]), metres(row[7])], [after[0] + 30.0, after[1] - 0.5], rtol=5e-3)
    arrived = eqx.tree_at(lambda state: state.errand.goal, state, jnp.full_like(state.errand.goal, 4))
    assert not np.asarray(observe_way(bank, arrived, 0)).any()


def test_the_critic_sees_how_much_of_the_chain_is_left(scene):
    bank, state, goal = scene
    rest = float(bank.graph.chains[0, int(state.errand.chain[0]), 0, WayRow.REST])
    np.testing.assert_allclose(float(seen(bank, state).remaining), (goal + 30.0 + rest) / 600.0, atol=1e-3)


def test_lanes_are_not_seen_along_routes():
    _, bank = worlds.crossing(graph=False)
    env = replace(ENV, spawning=Anywhere())
    state = env.reset(bank, 0, jax.random.key(0))
    with pytest.raises(ValueError, match="graph"):
        SIGHT(bank, state, 0)


def test_what_is_overlooked_changes_by_the_step_and_is_the_same_again(scene):
    bank, state, _ = scene
    blurred = replace(SIGHT, blur=Blur(road=0.4, lanes=0.5, agents=0.05))
    times = jnp.arange(400)
    both = jax.jit(
        jax.vmap(lambda t: (blurred(bank, replace(state, time=t), 0), SIGHT(bank, replace(state, time=t), 0)))
    )
    dim, clear = both(times)
    for name, share in (("road", 0.4), ("route", 0.5)):
        there, kept = np.asarray(getattr(clear, name).mask), np.asarray(getattr(dim, name).mask)
        assert (there | ~kept).all()
        lost = 1.0 - kept.sum() / there.sum()
        assert abs(lost - share) < 4.0 * np.sqrt(share * (1.0 - share) / there.sum())
        np.testing.assert_array_equal(
            np.asarray(getattr(dim, name).features),
            np.where(kept[:, None], np.asarray(getattr(clear, name).features), 0.0),
        )
        assert (kept[0] != kept[1]).any()
    again, _ = both(times)
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(*map(jax.tree.leaves, (dim, again)), strict=True))
    np.testing.assert_array_equal(dim.ego, clear.ego)
    error = (np.asarray(dim.agents.features) - np.asarray(clear.agents.features))[:, :6]
    there = np.broadcast_to(np.asarray(clear.agents.mask)[:, None], error.shape)
    assert abs(error[there].std() / 0.05 - 1.0) < 0.1 and abs(error[there].mean()) < 0.003 and not error[~there].any()


def test_the_blind_see_nobody(scene):
    bank, state, _ = scene
    blind = eqx.tree_at(lambda state: state.traits.odd.blind, state, jnp.array([True, False, False, False]))
    assert np.asarray(
        seen(bank, eqx.tree_at(lambda s: s.traits.odd.blind, state, jnp.zeros(4, bool))).agents.mask
    ).any()
    assert not np.asarray(seen(bank, blind).agents.mask).any()
