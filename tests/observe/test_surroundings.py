"""Everything around an agent, against the scene itself in NumPy."""

import jax
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.observe.surroundings import FEATURES, Surroundings
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import road_block


@pytest.fixture(scope="module")
def seen():
    bank = jax.device_put(make_bank([scenes.scenario(scenes.straight_road(lanes=2))], 0.2, controlled=2))
    env = Env(observer=Surroundings())
    state = env.reset(bank, 0, jax.random.key(0))
    return bank, state, jax.jit(lambda state: env.observe(bank, state))(state)


def metres(feature):
    """What `compress` came from."""
    return feature / (0.2 - np.abs(feature) / 20.0)


def test_every_other_agent_is_there(seen):
    bank, state, observation = seen
    position = np.asarray(state.agents.position, float)
    for c in range(2):
        own = int(state.controlled[c])
        features, mask = np.asarray(observation.agents.features)[c], np.asarray(observation.agents.mask)[c]
        assert features.shape == (FEATURES, len(position))
        assert mask.tolist() == [row != own and bool(state.agents.valid[row]) for row in range(len(position))]
        cos, sin = np.asarray(state.agents.heading[own], float)
        apart = (position - position[own]) @ np.array([[cos, -sin], [sin, cos]])
        np.testing.assert_allclose(metres(features[:2]).T[mask], apart[mask], atol=1e-2)
        speed = np.linalg.norm(np.asarray(state.agents.velocity), axis=1)
        np.testing.assert_allclose(10.0 * features[4][mask], speed[mask], atol=1e-3)


def test_the_whole_block_is_there(seen):
    bank, state, observation = seen
    own = int(state.controlled[0])
    segments, kind = (np.asarray(x) for x in road_block(bank, 0, state.agents.position[own]))
    features, mask = np.asarray(observation.road.features)[0], np.asarray(observation.road.mask)[0]
    np.testing.assert_array_equal(mask, kind > 0)
    length = np.hypot(*(segments[:, 2:] - segments[:, :2]).T)
    points = 20.0 * features[:4]
    np.testing.assert_allclose(np.hypot(points[2] - points[0], points[3] - points[1])[mask], length[mask], atol=0.1)
    assert not features[:, ~mask].any()
