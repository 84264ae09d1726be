"""A stage's teacher is the policy of another run, read when the stage begins; what does not fit is named."""

import jax
import numpy as np
import pytest

from drivetrain.commands import train as command
from drivetrain.learn.dagger import Dagger
from drivetrain.observe.camera import CameraSight
from drivetrain.perception.errors import ErrorModel
from drivetrain.perception.fitting import write_errors
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.taught import Taught
from drivetrain.recipes.camera import camera_driver
from drivetrain.runs.checkpoints import save_checkpoint
from drivetrain.runs.run import open_run
from drivetrain.runs.stage import Best
from drivetrain.runs.teaching import beside_teacher, with_teacher
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.types import InputError, replace


@pytest.fixture
def teacher(run, tmp_path):
    """The folder of a privileged run as training leaves it, and its policy."""
    folder = tmp_path / "teacher"
    policy = jax.jit(lambda key: run.policy.build(run.env, key))(jax.random.key(3))
    open_run(run, folder, resume=False)
    save_checkpoint(folder / "checkpoints" / "bc_ppo", 1, Best(policy), {"done": True})
    return str(folder), policy


def test_a_recipes_lessons_are_the_policys_of_another_run(run, teacher):
    place, policy = teacher
    taught = with_teacher(camera_driver(), place)
    lessons, practice = taught.stages
    assert lessons.algorithm.teacher == place and lessons.algorithm.built == run.policy
    assert lessons.algorithm.taught_in == run.env and practice == camera_driver().stages[1]
    learner = jax.jit(lambda key: DeepSetsSizes(tokens=8, width=8).build(taught.env, key))(jax.random.key(0))
    begun = lessons.algorithm.begin(beside_teacher(lessons, learner))
    assert isinstance(begun, Taught) and begun.policy is learner
    jax.tree.map(np.testing.assert_array_equal, begun.teacher, policy)
    assert beside_teacher(practice, learner) is learner


def test_what_does_not_fit_is_named(run, teacher):
    place, policy = teacher
    with pytest.raises(InputError, match="teacher: none"):
        beside_teacher(camera_driver().stages[0], policy)
    with pytest.raises(InputError, match="quick: teacher: no stage has one"):
        with_teacher(replace(run, name="quick"), place)
    moving = replace(camera_driver(), env=replace(camera_driver().env, dynamics=Jerk()))
    with pytest.raises(InputError, match="drives by other dynamics than camera-driver"):
        with_teacher(moving, place)
    (lessons, _) = with_teacher(camera_driver(), place).stages
    other = replace(lessons, algorithm=replace(lessons.algorithm, built=DeepSetsSizes(tokens=4)))
    with pytest.raises(InputError, match="sees or is built otherwise"):
        beside_teacher(other, policy)


def test_teacher_and_errors_are_options_of_the_command_line(teacher, tmp_path, monkeypatch):
    runs, file = [], tmp_path / "errors.json"
    monkeypatch.setattr(command, "train", lambda run, *_, **__: runs.append(run))
    write_errors(file, ErrorModel(alarms=0.25))
    command.run(["camera-driver", "--teacher", teacher[0], "--errors", str(file)])
    (asked,) = runs
    assert isinstance(asked.stages[0].algorithm, Dagger) and asked.stages[0].algorithm.teacher == teacher[0]
    assert isinstance(asked.env.observer, CameraSight) and asked.env.observer.errors == ErrorModel(alarms=0.25)
    with pytest.raises(InputError, match="quickstart: errors: nobody drives by a camera"):
        command.run(["quickstart", "--errors", str(file)])
