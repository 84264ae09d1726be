"""Every example runs, on hand-drawn data, and stays short."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest
import scenes

from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import write_dataset
from drivetrain.sim import simulator
from drivetrain.sim.dynamics.bicycle import Bicycle

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    scenario = scenes.scenario(scenes.straight_road())
    tracks = [int(track) for track in scenario.egos.track if track >= 0]
    egos = tuple(EgoEntry(100 + track, 1, 0, 49) for track in tracks)
    entry = Entry("scene", "scene.py", "scene", "train", "hand-drawn", "", 50, {"car": 2}, {}, {}, egos)
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_dataset(folder, [(entry, scenario)], 0.2)
    return str(folder)


def finite(tree):
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", ["rollout", "own_policy"])
def test_rollouts(name, dataset, capsys):
    steps = example(name).main(dataset)
    assert steps.reward.shape == (32, 1)
    assert finite((steps.reward, steps.value, steps.log_prob))
    assert "32 steps" in capsys.readouterr().out


def test_own_reward(dataset):
    """Nobody comes within 5 m: 0.02 a metre, at 10 m/s and 5 Hz."""
    np.testing.assert_allclose(example("own_reward").main(dataset), 0.04, atol=1e-3)


def test_own_dataset(tmp_path):
    rows = [(car, step, 10.0 + 30.0 * car + 2.0 * step, 0.0, 0.0) for car in range(2) for step in range(30)]
    file = tmp_path / "tracks.csv"
    np.savetxt(file, rows, delimiter=",")
    bank = example("own_dataset").main(str(file))
    assert bank.episodes.first.shape == (2,)
    state = simulator.reset(bank, Bicycle(), 1, jax.random.key(0))
    np.testing.assert_allclose(state.agents.position[1], [40.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(state.motion.speed, 10.0, atol=1e-3)


def test_examples_are_short():
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) < 40, file
