"""A driver that is told how to drive: what it sees of that is what it was told, and nothing else changes."""

import dataclasses

import jax
import numpy as np
import worlds

from drivetrain.drivers.styled import Styled
from drivetrain.env import Env
from drivetrain.observe.sight import Sight
from drivetrain.rollout import Driver
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.styles import CONSERVATIVE, HASTY
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.traits import Weights

ENV = Env(Jerk(), Nobody(), Anywhere(styles=CONSERVATIVE), observer=Sight(agents=2, road=2, errand=True, traits=True))
KEY = jax.random.key(0)


class Looks(Driver):
    """Its action is what it sees of itself; it remembers what agents are."""

    def __call__(self, bank, state, observation, memory, key):
        return observation.ego, state.traits.weights


def test_the_features_of_the_weights_are_those_that_are_given():
    _, bank = worlds.crossing(agents=4, graph=False)
    state = ENV.reset(bank, 0, KEY)
    weights = jax.vmap(HASTY.draw)(jax.random.split(KEY, 4)).weights
    seen = ENV.observe(bank, state)
    shown, told = Styled(Looks(), weights, ENV)(bank, state, seen, (), KEY)
    assert told is weights
    names = [field.name for field in dataclasses.fields(Weights)]
    change = np.array([getattr(HASTY, name)[0] - getattr(CONSERVATIVE, name)[0] for name in names])
    assert (change < 0.0).sum() > 5
    for row in np.asarray(shown - seen.ego):
        np.testing.assert_allclose(row[row != 0.0], change[change != 0.0], atol=1e-6)
