"""Every example runs, and is trained where it is a recipe, on hand-drawn data; and it stays short."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from fixtures_runs import dataset  # noqa: F401 - a fixture

from drivetrain.cli import main
from drivetrain.data.readers import READERS
from drivetrain.data.store.converting import Settings, convert
from drivetrain.data.store.shards import read_manifest
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.run import load_run

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TINY = {"scenes": 4, "minibatches": 2, "agent-steps": 64, "evaluate-every": 1, "algorithm.window": 8}
SMALL = ["--policy.tokens", "8", "--policy.width", "8"]


def trained(name, folder, *options):
    """The run of an example's recipe, trained by the command with a tiny budget: its figures and its journal."""
    tiny = [word for option, value in TINY.items() for word in (f"--stages.0.{option}", str(value))]
    assert main(["train", f"{EXAMPLES / name}.py:mine", "--out", str(folder), *tiny, *options]) == 0
    figures, rows = json.loads((folder / "evaluation.json").read_text()), read_metrics(folder)
    stage = load_run(folder).stages[0].name
    assert rows[-1]["stage"] == stage and rows[-1]["step"] == 64 and np.isfinite(rows[-1]["loss"])
    assert figures[stage]["scenarios"] > 0 and (folder / "report.html").is_file()
    return figures[stage], rows


def loaded(name):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_example", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rollout(dataset, capsys):  # noqa: F811
    steps = loaded("rollout").main(str(dataset))
    assert steps.reward.shape == (32, 1)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((steps.reward, steps.value, steps.log_prob)))
    assert "32 steps" in capsys.readouterr().out


def test_gymnasium_loop(dataset, capsys):  # noqa: F811
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    assert np.isfinite(loaded("gymnasium_loop").main(str(dataset), scenes=2, steps=60))
    assert "steps/s" in capsys.readouterr().out


def test_own_policy_is_trained_continued_and_evaluated(dataset, tmp_path, capsys):  # noqa: F811
    run, word, data = tmp_path / "run", f"{EXAMPLES / 'own_policy'}.py:mine", str(dataset)
    trained("own_policy", run, "--data.dataset", data, "--policy.scale", "0.5")
    before = (run / "evaluation.json").read_text()
    assert main(["train", word, "--resume", str(run)]) == 0
    assert (run / "evaluation.json").read_text() == before
    assert main(["evaluate", str(run), "--data", data, "--recipe", word, "--json", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["progress_ratio"] == json.loads(before)["ppo"]["progress_ratio"]


def test_own_reward(dataset, tmp_path):  # noqa: F811
    _, rows = trained(
        "own_reward", tmp_path / "run", "--data.dataset", str(dataset), "--env.reward.weight", "50", *SMALL
    )
    assert load_run(tmp_path / "run").env.reward.weight == 50.0
    # Two cars abreast or 20 m apart: nobody comes within 5 m of another, but those side by side.
    assert np.isfinite(rows[-1]["reward_per_step"])


def test_own_algorithm(dataset, tmp_path):  # noqa: F811
    _, rows = trained("own_algorithm", tmp_path / "run", "--data.dataset", str(dataset), *SMALL)
    assert rows[-1]["loss"] != 0.0 and "clipped" not in rows[-1]  # nothing of PPO's loss


def test_own_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr("drivetrain.data.readers.READERS", READERS)  # put back what the example adds
    monkeypatch.setitem(READERS, "one-lane", READERS["recording"])
    (tmp_path / "tracks").mkdir()
    for drive in range(12):
        cars = [(car, step, 10.0 + 40.0 * car + (2.0 + 0.02 * drive) * step) for car in range(2) for step in range(30)]
        rows = [(car, step, x, 0.0, 0.0) for car, step, x in cars]
        np.savetxt(tmp_path / "tracks" / f"{drive}.csv", rows, delimiter=",")
    data = loaded("own_dataset").mine().data
    convert(data.format, (str(tmp_path / "tracks"),), str(tmp_path / "data"), Settings(data.dt, data.workers))
    assert len(read_manifest(str(tmp_path / "data")).recordings) == 12


def test_examples_are_short():
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) < 40, file
