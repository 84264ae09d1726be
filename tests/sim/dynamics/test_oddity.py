"""Who brakes at random does so for a tenth of the time, as hard as it can, and nobody else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.dynamics.oddity import SECONDS, SHARE, braking_at_random
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.chains import Chains
from drivetrain.sim.spawning.styles import Styles
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import replace

COUNT = 4


def state_of(brakes):
    _, bank = worlds.crossing(agents=COUNT)
    env = Env(traffic=Nobody(), spawning=Anywhere(chains=Chains(), styles=Styles()), ending=Lives())
    state = env.reset(bank, 0, jax.random.key(0))
    new = jnp.asarray(brakes), jnp.arange(COUNT, dtype=jnp.uint32)
    return bank, eqx.tree_at(lambda state: (state.traits.odd.brakes, state.traits.odd.seed), state, new)


@pytest.mark.parametrize("dynamics", [Jerk(), Bicycle()])
def test_now_and_then_the_action_is_the_hardest_braking(dynamics):
    bank, state = state_of([True, True, False, True])
    action = jnp.full((COUNT, 2), 0.25)
    steps = jnp.arange(20000)
    acted = jax.jit(jax.vmap(lambda t: braking_at_random(dynamics, bank.dt, replace(state, time=t), action)))(steps)
    hardest = np.asarray(dynamics.limit(jnp.array([-1e6, 0.0])))
    now = (np.asarray(acted) == hardest).all(-1)
    assert hardest[0] <= -4.0 and hardest[1] == 0.0
    assert not now[:, 2].any() and (np.asarray(acted)[~now] == 0.25).all()
    windows = len(steps) * 0.2 / SECONDS
    assert (np.abs(now[:, [0, 1, 3]].mean(0) - SHARE) < 4.0 * np.sqrt(SHARE / windows)).all()
    changes = np.diff(now[:, 0].astype(int))
    runs = np.flatnonzero(changes == -1)[:50] - np.flatnonzero(changes == 1)[:50]
    assert (runs[runs > 0] >= round(SECONDS / 0.2)).all()


def test_without_odd_agents_nothing_changes():
    bank, state = state_of([True] * COUNT)
    action = jnp.zeros((COUNT, 2))
    plain = eqx.tree_at(lambda state: state.traits.odd, state, None)
    assert braking_at_random(Jerk(), bank.dt, plain, action) is action
    assert braking_at_random(Jerk(), bank.dt, replace(state, traits=None), action) is action
