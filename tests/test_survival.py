"""Kill -9 at any moment of a run: `--resume` ends with the figures of a run that nobody disturbed, to the bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from fleet.conftest import dataset  # noqa: F401 - a fixture

from drivetrain.fleet.journal import read_metrics

SMALL = {
    "policy.width": 8,
    "policy.heads": 2,
    "policy.latents": 1,
    "cloning.batch": 16,
    "cloning.epochs": 3,
    "improvement.scenes": 4,
    "improvement.window": 8,
    "improvement.agent-steps": 256,
    "improvement.minibatches": 2,
    "improvement.evaluate-every": 2,
    "improvement.checkpoint-every": 1,
}


def start(folder, data, resume):
    where = ["--resume", str(folder)] if resume else ["--out", str(folder), "--data.dataset", str(data)]
    where += [] if resume else [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "drivetrain", "train", "quickstart", *where]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def measured(folder):
    rows = [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in read_metrics(folder)]
    return rows, json.loads((folder / "evaluation.json").read_text())


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_again_and_again_ends_like_one_that_was_not(dataset, tmp_path, seed):  # noqa: F811
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    process = start(whole, dataset, resume=False)
    assert process.wait(900) == 0, process.stderr.read()
    length = time.monotonic() - began

    moments = random.Random(seed)
    process = start(killed, dataset, resume=False)
    for _ in range(6):
        try:
            process.wait(moments.uniform(0.1, 0.7) * length)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        process = start(killed, dataset, resume=(killed / "config.json").exists())
    assert process.wait(900) == 0, process.stderr.read()
    assert measured(killed) == measured(whole)
    assert not [file.name for file in killed.rglob("*") if file.name.startswith(".") or file.name.endswith(".part")]
