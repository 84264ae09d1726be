"""A rule of spawning of one's own, in under 40 lines: it is reset, driven, rewarded and seen like the log's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.env import Env
from drivetrain.observe import traits
from drivetrain.observe.sight import Sight
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import Index, Placement, log_at, logged, reference_window
from drivetrain.sim.roads import Indexing
from drivetrain.sim.route_tables import PathRow
from drivetrain.sim.spawning.base import Spawn, Spawning
from drivetrain.sim.spawning.log import FromLog
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import AgentKind, Agents, Bodies, Key, Scales, Traits, Weights, component, replace

DT, COUNT = 0.2, 5


@component
class Anywhere(Spawning):
    """Cars at random stations of random routes, each at its own speed, steering as much as it likes."""

    count: int = COUNT

    def __call__(self, bank: Bank, episode: Index, key: Key) -> Spawn:
        keys = jax.random.split(key, 4)
        route = jax.random.randint(keys[0], (self.count,), 0, len(bank.routes.map))
        cursor = jax.random.randint(keys[1], (self.count,), 0, 45)
        rows, _ = jax.vmap(lambda route, cursor: reference_window(bank, route, cursor, 0, 0))(route, cursor)
        position, heading = rows[:, : PathRow.COS, 0], rows[:, PathRow.COS : PathRow.LIMIT, 0]
        velocity = jax.random.uniform(keys[2], (self.count, 1), maxval=10.0) * heading
        everyone, ones = jnp.ones(self.count, bool), jnp.ones(self.count)
        steering = jax.random.uniform(keys[3], (self.count,), minval=0.5, maxval=1.5)
        return Spawn(
            time=jnp.int32(0),
            agents=Agents(position, heading, velocity, everyone),
            bodies=Bodies(4.5 * ones, 1.8 * ones, jnp.full(self.count, AgentKind.CAR, jnp.int32)),
            controlled=jnp.arange(self.count),
            alive=everyone,
            later=jax.vmap(Placement)(position, heading, velocity, ~everyone),
            route=route,
            cursor=cursor,
            traits=Traits(
                jax.vmap(Weights)(*[ones] * len(Weights.__dataclass_fields__)),
                jax.vmap(Scales)(ones, steering, ones, ones),
            ),
        )


@pytest.fixture(scope="module")
def bank(scenario):
    return make_bank([scenario()], DT, indexing=Indexing(width=32))


ENV = Env(spawning=Anywhere(), traffic=Nobody(), observer=Sight(traits=True))


@jax.jit
def spawned(bank, keys):
    """Worlds: their first states, and what comes of one step straight on."""

    def one(key):
        state = ENV.reset(bank, 0, key)
        after, events = ENV.step(bank, state, jnp.zeros((COUNT, 2)))
        return state, after, events, ENV.rewards(bank, events, state.traits), ENV.observe(bank, after)

    return jax.vmap(one)(keys)


def test_a_rule_of_ones_own_is_reset_and_driven_in_a_batch(bank):
    keys = jax.random.split(jax.random.key(3), 6)
    state, after, events, rewards, seen = spawned(bank, keys)
    assert state.alive.shape == (6, COUNT) and bool(state.alive.all()) and bool(after.agents.valid.all())
    assert len(np.unique(state.route)) > 1 and len(np.unique(state.cursor)) > 10
    np.testing.assert_allclose(state.arc_length, 2.0 * state.cursor, atol=1e-4)  # where the rule put them on the route
    np.testing.assert_allclose(events.progress, DT * state.motion.speed, atol=1e-3)
    assert bool((events.off_route > 0.0).all()) and rewards.shape == (6, COUNT)
    assert seen.ego.shape[-1] == ENV.observer.widths.ego == Sight().widths.ego + traits.FEATURES
    place = list(Scales.__dataclass_fields__).index("steering") - len(Scales.__dataclass_fields__)
    np.testing.assert_allclose(seen.ego[..., place], state.traits.scales.steering - 1.0)
    plain = ENV.observe(bank, replace(jax.tree.map(lambda leaf: leaf[0], after), traits=None))
    np.testing.assert_array_equal(plain.ego[:, -traits.FEATURES :], 0.0)  # nobody has any: as an agent like any other
    again = spawned(bank, keys)[0]
    np.testing.assert_array_equal(again.agents.position, state.agents.position)


def test_from_the_log_is_where_the_log_has_them(bank):
    spawn, other = (FromLog()(bank, 1, jax.random.key(seed)) for seed in (0, 1))
    now = log_at(bank, 1, 5)
    for leaf, here in zip(jax.tree.leaves(spawn.agents), jax.tree.leaves(now), strict=True):
        np.testing.assert_array_equal(leaf, here)
    np.testing.assert_array_equal(spawn.later.position[0], logged(bank, 1, 0, 6).position)
    assert int(spawn.time) == 5 and spawn.controlled.tolist() == [0] and spawn.traits is None
    for leaf, same in zip(jax.tree.leaves(spawn), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(leaf, same)
