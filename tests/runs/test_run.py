"""A run's folder: its configuration comes back, and nobody else's folder is taken."""

import json

import pytest

from drivetrain.recipes import RECIPES
from drivetrain.runs.run import Run, Stage, load_run, open_run
from drivetrain.types import InputError


@pytest.mark.parametrize("name", RECIPES)
def test_the_configuration_comes_back(tmp_path, name):
    run = RECIPES[name]()
    assert open_run(run, tmp_path / "run", resume=False) == run
    assert load_run(tmp_path / "run") == run
    assert open_run(Run(name="other"), tmp_path / "run", resume=True) == run
    assert {"jax", "python", "drivetrain"} <= set(
        json.loads((tmp_path / "run" / "config.json").read_text())["versions"]
    )


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        open_run(Run(name="small", stages=(Stage(),)), tmp_path, resume=False)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        open_run(Run(name="small"), tmp_path, resume=True)
    (tmp_path / "config.json").write_text('{"run": {"class": "drivetrain.reward.Reward"}}')
    with pytest.raises(InputError, match="not a run's configuration"):
        load_run(tmp_path)


def test_a_run_without_stages_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="stages: none"):
        open_run(Run(name="small"), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()
