"""Goals anywhere are handed out where lanes lead to them, and only then."""

import jax
import jax.numpy as jnp
import numpy as np
import worlds

from drivetrain.sim.lane_graph import UNIT, WayRow
from drivetrain.sim.placing import way_point
from drivetrain.sim.reading import item
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.chains import Chains, chain_length
from drivetrain.types import Errand


def draws(bank, position, heading, count=200, **fields):
    rule = Chains(**fields)
    keys = jax.random.split(jax.random.key(0), count)
    return jax.jit(jax.vmap(lambda key: rule.draw(bank, 0, position, heading, key)))(keys)


def handed_out(bank, x):
    """Where the goals lie that an agent gets which drives east at x."""
    errand, can = draws(bank, jnp.array([x, 0.2]), jnp.array([1.0, 0.0]), tries=1)
    goals = jax.vmap(lambda chain: item(bank.graph.chains, 0, chain, 0))(errand.chain)
    return np.asarray(goals)[np.asarray(can), : WayRow.LANE], np.asarray(can)


def test_a_goal_that_is_handed_out_can_be_reached_from_the_agents_lane():
    """From the exit of the crossing, only what lies ahead on it can; from its approach, both ways on as well."""
    _, bank = worlds.crossing()
    goals, can = handed_out(bank, 60.0)
    assert 3 < can.sum() < len(can) and (goals[:, 0] >= 69.0).all() and (np.abs(goals[:, 1]) < 0.1).all()
    goals, _ = handed_out(bank, -50.0)
    straight, turned = goals[np.abs(goals[:, 1]) < 0.1], goals[goals[:, 1] > 10.0]
    assert (straight[:, 0] >= -41.0).all() and len(straight) > 3 and len(turned) > 3
    assert (goals[:, 1] > -0.1).all()  # nothing leads back to where the other road comes from


def test_of_several_tries_the_first_that_can_be_reached_is_taken():
    _, bank = worlds.crossing()
    east, position = jnp.array([1.0, 0.0]), jnp.array([-50.0, 0.2])
    shares = [float(jnp.mean(draws(bank, position, east, tries=tries)[1])) for tries in (1, 8)]
    assert 0.1 < shares[0] < shares[1] and shares[1] > 1.0 - (1.0 - shares[0]) ** 8 - 0.1


def test_radii_and_distances_are_as_asked():
    _, bank = worlds.crossing()
    errand, can = draws(bank, jnp.array([-90.0, 0.2]), jnp.array([1.0, 0.0]), radius=(3.0, 5.0), least=30.0, most=90.0)
    assert float(errand.radius.min()) >= 3.0 and float(errand.radius.max()) <= 5.0 and float(errand.radius.std()) > 0.3
    goals = jax.vmap(lambda chain: item(bank.graph.chains, 0, chain, 0))(errand.chain)
    straight = (np.abs(np.asarray(goals[:, WayRow.Y])) < 0.1) & np.asarray(can)
    ahead = np.asarray(goals[:, WayRow.X])[straight] + 90.0
    assert straight.sum() > 10 and ahead.min() >= 30.0 - UNIT and ahead.max() <= 90.0 + UNIT


def test_everyone_who_is_placed_has_an_errand_that_can_be_done():
    _, bank = worlds.crossing(agents=6)
    rule = Anywhere(chains=Chains(tries=1), gap=1.0, headway=0.0)
    spawn = jax.jit(lambda key: rule(bank, 0, key))(jax.random.key(2))
    assert spawn.alive.any()
    goals = jax.vmap(lambda errand: way_point(bank, 0, errand))(spawn.errand)
    assert np.isfinite(np.asarray(goals)[np.asarray(spawn.alive)]).all()
    left = jax.vmap(lambda errand: chain_length(bank, 0, errand))(spawn.errand)
    np.testing.assert_allclose(left, goals[:, WayRow.REST])


def test_who_has_arrived_has_nothing_left():
    _, bank = worlds.crossing()
    errand = Errand(jnp.int32(99), jnp.int32(0), jnp.int32(0), jnp.float32(2.0))
    assert float(chain_length(bank, 0, errand)) == 0.0
