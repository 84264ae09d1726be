"""Gymnasium's own checker is content, and a step through it is a step of a rollout."""

import jax
import numpy as np
import pytest
import scenes

pytest.importorskip("gymnasium", reason="gymnasium is not installed")

from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from drivetrain.adapters.gymnasium import DriveEnv, DriveVector
from drivetrain.env import Env
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.types import InputError
from drivetrain.view.style import colour

ENV, STEPS = Env(), 24


@pytest.fixture(scope="module")
def bank():
    """Two cars in one lane, 30 m apart: an episode each, of 24 steps."""
    return make_bank([scenes.scenario(scenes.straight_road(steps=STEPS + 1))], 0.2)


@pytest.mark.filterwarnings("ignore:.*(infinity|symmetric|render modes)")
def test_the_checker_of_gymnasium_is_content(bank):
    check_env(DriveEnv(bank, discrete=False, flat=True))


@jax.jit
def by_hand(bank, state, sample):
    """A step by the environment's own functions: what it leads to, what is seen there, what it is worth, who ends."""
    after, events = ENV.step(bank, state, jax.vmap(ENV.dynamics.decode)(sample))
    ended, cut = ENV.endings(bank, after, events)
    return after, ENV.observe(bank, after), ENV.rewards(bank, events, state.traits), ended | cut


def test_a_step_is_the_environments_and_after_the_end_the_scene_begins_anew(bank):
    """Two scenes, each with actions of its own, do not disturb each other."""
    vector = DriveVector(bank, ENV, scenes=2)
    assert vector.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    start, facts = vector.reset(seed=3, options={"episode": [1, 0]})
    assert facts["row"].tolist() == [1, 0] and vector.observation_space.contains(start)
    actions = np.array([[[40, 15]], [[60, 25]]])  # gently on · faster and to the left, off its route
    states = [jax.jit(ENV.reset)(bank, row, jax.random.key(0)) for row in (1, 0)]
    lasted = None
    for t in range(STEPS):
        seen, reward, ended, cut, facts = vector.step(actions[:, 0])
        for c in (0, 1) if lasted is None else (0,):
            states[c], there, worth, over = by_hand(bank, states[c], actions[c])
            np.testing.assert_allclose(seen["ego"][c], there.ego[0], atol=1e-6)
            np.testing.assert_allclose(seen["agents"][c], there.agents.features[0], atol=1e-6)
            np.testing.assert_array_equal(seen["road_mask"][c], there.road.mask[0])
            assert reward[c] == pytest.approx(float(worth[0]), abs=1e-6) and ended[c] == bool(over[0])
            assert facts["_collision"][c] and not cut[c]
        if lasted == t - 1:
            assert reward[1] == 0.0 and not ended[1] and not facts["_collision"][1]
            np.testing.assert_allclose(seen["ego"][1], start["ego"][1 - facts["row"][1]], atol=1e-6)
        if lasted is None and ended[1]:
            lasted = t
    assert ended[0] and lasted is not None and 0 < lasted < STEPS - 2


def test_the_whole_of_the_log_is_gained(bank):
    """A car that keeps its 10 m/s makes the log's 48 m, and its episode terminates with the recording."""
    one = DriveEnv(bank, discrete=False, flat=True)
    seen, _ = one.reset(options={"episode": 1})
    remaining, metres, ended = [seen[-1]], 0.0, False
    for _ in range(STEPS):
        assert not ended
        seen, _, ended, cut, facts = one.step(np.zeros(2, np.float32))
        remaining.append(seen[-1])
        metres += facts["progress"]
    assert ended and not cut and metres == pytest.approx(48.0, abs=0.05)
    np.testing.assert_allclose(np.diff(remaining), -0.2 / 30.0, atol=1e-6)


def test_the_seed_decides(bank):
    def start(seed):
        vector = DriveVector(bank, scenes=2)
        vector.reset(seed=seed)
        actions = np.full((2, 2), 40)
        return np.stack([vector.step(actions)[4]["row"] for _ in range(3)])

    assert np.array_equal(start(1), start(1)) and not np.array_equal(start(1), start(2))
    assert set(np.unique(start(1))) == {0, 1}


def test_it_is_rendered_as_it_stands(bank):
    pytest.importorskip("PIL", reason="pillow is not installed")
    map = scenes.scenario(scenes.straight_road(steps=STEPS + 1)).map
    one = DriveEnv(bank, discrete=False, flat=True, maps=[map])
    assert one.render_mode == "rgb_array" and one.metadata["render_fps"] == 5
    one.reset(options={"episode": 0})
    for _ in range(2):
        picture = one.render()
        height, width, _ = picture.shape
        assert tuple(picture[height // 2, width // 2 - 7]) == colour("accent")
        assert tuple(picture[height // 2, width // 2 + 7 * 29]) == colour("car")  # the one that drives 30 m ahead
        one.step(np.zeros(2, np.float32))
    with pytest.raises(InputError, match="maps: 2 for a bank of 1"):
        DriveEnv(bank, maps=[map, map])
    assert DriveEnv(bank).render() is None


def test_what_cannot_be_is_said(bank):
    with pytest.raises(InputError, match=r"0 to 1"):
        DriveVector(bank, scenes=1, episodes=[2])
    with pytest.raises(InputError, match=r"name one, or one a scene"):
        DriveVector(bank, scenes=3).reset(options={"episode": [0, 1]})
    with pytest.raises(InputError, match="call reset first"):
        DriveVector(bank, scenes=1).step(np.zeros((1, 2)))
    with pytest.raises(InputError, match=r"shape \(2,\) \(give \(1, 2\)\)"):
        one = DriveVector(bank, scenes=1, discrete=False, flat=True)
        one.reset()
        one.step(np.zeros(2))
    with pytest.raises(InputError, match="discrete=False"):
        DriveVector(bank, Env(dynamics=Playback()), scenes=1)
    with pytest.raises(InputError, match="controlled=1"):
        DriveEnv(make_bank([scenes.scenario(scenes.straight_road())], 0.2, controlled=2))
