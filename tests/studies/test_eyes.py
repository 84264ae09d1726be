"""The study of driving by pictures, with a network that has learnt nothing."""

import json

import jax
import numpy as np
import pytest
from fixtures_runs import silent

from drivetrain.camera.pinhole import of_field
from drivetrain.learn.ppo import Ppo
from drivetrain.observe.camera import CameraSight
from drivetrain.perception.fitting import read_errors
from drivetrain.perception.network import Small
from drivetrain.runs.checkpoints import save_checkpoint
from drivetrain.runs.run import open_run
from drivetrain.runs.stage import Best
from drivetrain.studies.eyes import Look, eyes, spread_over
from drivetrain.types import InputError, replace


def kept(run, folder, seed):
    """A run's folder with a policy that has learnt nothing."""
    policy = jax.jit(lambda key: run.policy.build(run.env, key))(jax.random.key(seed))
    open_run(run, folder, resume=False)
    save_checkpoint(folder / "checkpoints" / run.stages[-1].name, 1, Best(policy), {"done": True})
    return str(folder)


@pytest.mark.long
def test_all_arms_drive_the_same_drives(run, tmp_path):
    sight = CameraSight(vehicles=3, camera=of_field(64, 48, 60.0))
    camera = replace(run, env=replace(run.env, observer=sight), stages=(replace(run.stages[1], algorithm=Ppo()),))
    place, teacher = kept(camera, tmp_path / "camera", 0), kept(run, tmp_path / "teacher", 1)
    network = Small(widths=(4, 4, 8, 8), blocks=(1, 1, 1), head=4).build(jax.random.key(0))
    file = eyes(Look(place, teacher, drives=2, watched=2), network, tmp_path / "study", silent)
    results = json.loads(file.read_text())
    assert list(results["arms"]) == ["privileged", "perfect", "trained", "fitted", "labels", "pictures"]
    assert all(arm["scenarios"] == 2 and len(results["failed"][name]) == 2 for name, arm in results["arms"].items())
    assert {"fitted − pictures", "pictures − privileged"} <= set(results["differences"])
    model = read_errors(tmp_path / "study" / "errors.json")
    assert model.delay == sight.errors.delay and list(results["errors"]["found"]) == list(model.found)
    assert results["told"]["detector"]["pictures"] == results["told"]["model"]["pictures"] == 24
    with pytest.raises(InputError, match="env.observer: Sight"):
        eyes(Look(teacher), None, tmp_path / "other", silent)


def test_drives_are_spread_evenly():
    rows = np.arange(10, 110)
    assert spread_over(rows, 3).tolist() == [10, 60, 109] and len(spread_over(rows, 500)) == 100
