"""Goals along a straight road: reached in the step that comes past one, then the next."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.sim.bank import GoalRow
from drivetrain.sim.building import Layout, host_bank

SPACING, DT, SPEED = 30.0, 0.2, 10.0


@pytest.fixture(scope="module")
def bank():
    drawn = scenes.straight_road(agents=(scenes.along_x(1.75, 20.0, SPEED),), steps=60)
    return jax.tree.map(jnp.asarray, host_bank([scenes.scenario(drawn)], DT, Layout(goals=SPACING)))


def test_each_goal_is_reached_once_in_the_step_that_passes_it(bank):
    env = Env()
    state = env.reset(bank, 0, jax.random.key(0))
    chain = np.asarray(bank.routes.goals)[0]
    first = int(state.errand.goal[0])
    ahead = chain[first, GoalRow.ARC] - float(state.arc_length[0])
    assert 10.0 <= ahead < 10.0 + SPACING
    step = jax.jit(lambda state: env.step(bank, state, jnp.zeros((1, 2))))
    reached, since = [], []
    for _ in range(40):
        state, events = step(state)
        reached.append(float(events.goal[0]))
        since.append(int(state.errand.since[0]))
    expected = [int(np.ceil((ahead + SPACING * number) / (SPEED * DT) - 1e-3)) - 1 for number in range(9)]
    assert np.flatnonzero(reached).tolist() == [at for at in expected if at < 40]
    assert int(state.errand.goal[0]) == first + sum(reached)
    assert since[: expected[0]] == list(range(1, expected[0] + 1)) and since[expected[0]] == 0


def test_without_goals_there_are_none_to_reach():
    bank = jax.tree.map(jnp.asarray, host_bank([scenes.scenario(scenes.straight_road())], DT, Layout()))
    state = Env().reset(bank, 0, jax.random.key(0))
    after, events = Env().step(bank, state, jnp.zeros((1, 2)))
    assert state.errand is None and after.errand is None and float(events.goal[0]) == 0.0
