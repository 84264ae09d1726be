"""A run's folder: its configuration comes back, and nobody else's folder is taken."""

import json

import pytest

from drivetrain.banks.streamed import Streaming
from drivetrain.ending import TRAINING
from drivetrain.fleet.group import Fleet
from drivetrain.learn.loop import Loop
from drivetrain.recipes import RECIPES
from drivetrain.runs.run import Run, Stage, env_of, load_run, open_run
from drivetrain.sim.spawning.log import FromLog
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import InputError, replace


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


def refused(run, tmp_path, words):
    with pytest.raises(InputError, match=words):
        open_run(run, tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_cloning_on_a_run_of_maps_wants_recordings(tmp_path):
    run = RECIPES["self-play-anchored"]()
    refused(replace(run, more=()), tmp_path, "more: none .*stage bc")


def test_a_group_that_cannot_learn_is_refused_before_anything_is_begun(tmp_path):
    run = replace(RECIPES["quickstart"](), fleet=Fleet(actors=2))
    refused(replace(run, stream=Streaming(slots=8)), tmp_path, "fleet.actors: 2 on a stream")
    refused(replace(run, stages=(replace(run.stages[1], scenes=3),)), tmp_path, "fleet.actors: 2 for 3 scenes")
    refused(replace(run, stages=(replace(run.stages[0], algorithm=Loop()),)), tmp_path, "fleet: Loop learns from")
    assert open_run(run, tmp_path / "run", resume=False) == load_run(tmp_path / "run") == run


def test_nothing_is_held_near_a_policy_that_learnt_nothing(tmp_path):
    run = RECIPES["self-play-anchored"]()
    refused(replace(run, stages=run.stages[1:]), tmp_path, "anchor: 0.075 .*no stage comes before")


def test_a_recorded_stage_learns_among_recorded_traffic_in_the_cars_and_by_the_eyes_of_its_run():
    run = RECIPES["self-play-anchored"]()
    cloning, improvement = (env_of(run, stage) for stage in run.stages)
    assert improvement == run.env
    assert isinstance(cloning.traffic, Replay) and isinstance(cloning.spawning, FromLog)
    assert (cloning.dynamics, cloning.observer, cloning.reward) == (run.env.dynamics, run.env.observer, run.env.reward)
    assert cloning.ending == TRAINING


def test_a_run_without_stages_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="stages: none"):
        open_run(Run(name="small"), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()
