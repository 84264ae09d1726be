"""Kill -9 at any moment of a run: `--resume` ends with the figures of a run that nobody disturbed, to the bit."""

import json
import os
import random
import subprocess
import sys
import time

import pytest
from fixtures_runs import dataset  # noqa: F401 - a fixture

from drivetrain.runs.journal import read_metrics

SMALL = {
    "policy.tokens": 8,
    "policy.width": 8,
    "stages.0.algorithm.longest": 24,
    "stages.0.scenes": 4,
    "stages.0.minibatches": 4,
    "stages.0.agent-steps": 384,
    "stages.0.evaluate-every": 1,
    "stages.0.checkpoint-every": 1,
    "stages.1.algorithm.window": 8,
    "stages.1.scenes": 4,
    "stages.1.minibatches": 2,
    "stages.1.agent-steps": 256,
    "stages.1.evaluate-every": 2,
    "stages.1.checkpoint-every": 1,
}


STREAM = {"stream.slots": 2, "stream.turnover": 1, "stream.episodes": 2, "stream.threads": 1}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The environment of runs that compile a program once for all of them: kills fall within the run, not before it."""
    folder = str(tmp_path_factory.mktemp("compiled"))
    least = {f"JAX_PERSISTENT_CACHE_MIN_{what}": "0" for what in ("COMPILE_TIME_SECS", "ENTRY_SIZE_BYTES")}
    return least | {"JAX_COMPILATION_CACHE_DIR": folder} | os.environ


def drive(folder, data, resume, more, environment, seconds=3600.0):
    """Run the command, with SIGKILL when its time is over (`subprocess.run` sends it); whether it got to the end."""
    here = ["--data.dataset", str(data), "--more.0.dataset", str(data)]
    where = ["--resume", str(folder)] if resume else ["--out", str(folder), *here]
    where += [] if resume else [word for name, value in (SMALL | more).items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "drivetrain", "train", "quickstart", *where]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment)
    except subprocess.TimeoutExpired:
        return False
    assert finished.returncode == 0, finished.stderr
    return True


def measured(folder):
    rows = [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in read_metrics(folder)]
    return rows, json.loads((folder / "evaluation.json").read_text())


@pytest.mark.long
@pytest.mark.parametrize(("seed", "more"), [(0, {}), (1, STREAM)], ids=["resident", "streamed"])
def test_a_run_killed_again_and_again_ends_like_one_that_was_not(dataset, tmp_path, compiled, seed, more):  # noqa: F811
    whole, again, killed = tmp_path / "whole", tmp_path / "again", tmp_path / "killed"
    assert drive(whole, dataset, False, more, compiled)
    began = time.monotonic()
    assert drive(again, dataset, False, more, compiled)
    length = time.monotonic() - began
    assert measured(again) == measured(whole)

    moments, kills = random.Random(seed), 0
    for _ in range(6):
        seconds = moments.uniform(0.1, 0.7) * length
        kills += not drive(killed, dataset, (killed / "config.json").exists(), more, compiled, seconds)
    assert drive(killed, dataset, (killed / "config.json").exists(), more, compiled)
    assert kills > 1 and measured(killed) == measured(whole)
    assert not [file.name for file in killed.rglob("*") if file.name.startswith(".") or file.name.endswith(".part")]
