"""PettingZoo's own checks are content, and agents leave the scene when they have ended."""

import numpy as np
import pytest
import scenes

pytest.importorskip("pettingzoo", reason="pettingzoo is not installed")

from pettingzoo.test import parallel_api_test, parallel_seed_test

from drivetrain.adapters.pettingzoo import DriveParallel
from drivetrain.sim.building import make_bank
from drivetrain.types import InputError
from drivetrain.view.style import colour

STEPS = 25


@pytest.fixture(scope="module")
def bank():
    """Two cars in one lane, the second 30 m ahead of the first, controlled together."""
    return make_bank([scenes.scenario(scenes.straight_road(steps=STEPS + 1))], 0.2, controlled=2)


def test_the_checks_of_pettingzoo_are_content(bank):
    parallel_api_test(DriveParallel(bank, discrete=False), num_cycles=30)
    parallel_seed_test(lambda: DriveParallel(bank, discrete=False), num_cycles=5)


def test_everyone_drives_to_the_end(bank):
    scene = DriveParallel(bank, discrete=False)
    assert scene.agents == []
    seen, facts = scene.reset(seed=0)
    assert list(seen) == scene.agents == ["agent_0", "agent_1"] and facts["agent_0"] == {"row": 0}
    for t in range(STEPS):
        seen, _, ended, cut, facts = scene.step({agent: np.zeros(2) for agent in scene.agents})
        assert scene.observation_space("agent_0").contains(seen["agent_0"]) and not any(cut.values())
        assert set(ended.values()) == {t == STEPS - 1}
        assert facts["agent_1"]["collision"] == pytest.approx(25.5, abs=1e-2)
    assert scene.agents == [] and scene.step({}) == ({}, {}, {}, {}, {})


def test_who_has_ended_is_gone_and_hits_nobody(bank):
    """The one ahead swerves off its road; the one behind drives on through where it was."""
    scene = DriveParallel(bank, discrete=False)
    scene.reset(seed=0)
    left = None
    for t in range(STEPS):
        actions = {agent: np.array([0.0, 0.6 if agent == "agent_1" else 0.0]) for agent in scene.agents}
        seen, reward, ended, _, facts = scene.step(actions)
        assert set(seen) == set(reward) == set(ended) == set(actions)
        if left is None and "agent_1" not in scene.agents:
            left = t
            assert ended["agent_1"] and facts["agent_1"]["off_route"] < 0.0
        elif left is not None:
            assert set(seen) == {"agent_0"} and facts["agent_0"]["collision"] == 50.0
    assert left is not None and left < STEPS - 1


def test_it_is_rendered_as_it_stands(bank):
    pytest.importorskip("PIL", reason="pillow is not installed")
    scene = DriveParallel(bank, discrete=False, maps=[scenes.scenario(scenes.straight_road(steps=STEPS + 1)).map])
    assert scene.render() is None
    scene.reset(seed=0)
    picture = scene.render()
    height, width, _ = picture.shape
    blue = [tuple(picture[height // 2, width // 2 + 7 * metres]) == colour("accent") for metres in (-1, 29, 15)]
    assert blue == [True, True, False]  # both, and nobody between them


def test_what_is_missing_is_said(bank):
    scene = DriveParallel(bank)
    with pytest.raises(InputError, match="call reset first"):
        scene.step({})
    scene.reset()
    with pytest.raises(InputError, match="agent_1: no action"):
        scene.step({"agent_0": np.zeros(2, int)})
