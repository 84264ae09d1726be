"""Kill -9 at any moment of a run: `--resume` ends with the figures of a run that nobody disturbed, to the bit."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

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


def words(options):
    """Of a command line."""
    return [word for name, value in options.items() for word in (f"--{name}", *([] if value is True else [str(value)]))]


def drive(folder, data, resume, more, environment, seconds=3600.0):
    """Run the command, with SIGKILL when its time is over (`subprocess.run` sends it); whether it got to the end."""
    here = ["--data.dataset", str(data), "--more.0.dataset", str(data)]
    where = ["--resume", str(folder)] if resume else ["--out", str(folder), *here]
    where += [] if resume else words(SMALL | more)
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


TOGETHER = {
    "stages.1.agent-steps": 32 * 400,
    "stages.1.evaluate-every": 100,
    "stages.1.checkpoint-every": 10,
    "fleet.groups": 2,
    "fleet.actors": 1,
    "fleet.synchronous": True,  # so that figures repeat
    "fleet.away": True,
    "fleet.evaluator": True,
    "fleet.restarts": 50,
}
KINDS = {
    "a learner": "ray::Learner",
    "an actor": "ray::Actor",
    "the evaluator": "ray::Evaluator",
    "Ray on the machine": "/raylet ",
    "Ray's head": "/gcs_server ",
    "the keeper": "spawn_main",
}
MARK = "DRIVETRAIN_TEST"
KILLS = 20


def processes(mark):
    """Command lines of whatever a run has begun, and of the run, by their numbers."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def begin_together(folder, data, environment):
    """The run, or what continues it."""
    resume = (folder / "config.json").exists()
    here = ["--data.dataset", str(data), "--more.0.dataset", str(data)]
    where = ["--resume", str(folder)] if resume else ["--out", str(folder), *here, *words(SMALL | TOGETHER)]
    return subprocess.Popen([sys.executable, "-m", "drivetrain", "train", "quickstart", *where], env=environment)


@pytest.mark.long
def test_groups_of_which_anything_is_killed_again_and_again_end_like_those_that_were_left_alone(
    dataset,  # noqa: F811
    tmp_path,
    compiled,
):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    whole, killed, mark = tmp_path / "whole", tmp_path / "killed", uuid.uuid4().hex
    environment = {**compiled, MARK: mark}
    assert begin_together(whole, dataset, environment).wait(1800.0) == 0
    moments, hit, run = random.Random(0), [], begin_together(killed, dataset, environment)
    while len(hit) < KILLS and not (killed / "report.html").exists():
        time.sleep(moments.uniform(2.0, 25.0))
        kind = moments.choice([*KINDS, "the run itself"])
        those = [process for process, command in processes(mark).items() if KINDS.get(kind, "nobody") in command]
        if kind == "the run itself":
            run.kill()
            run.wait(60.0)
        elif those:
            with_luck = moments.choice(sorted(those))
            try:
                os.kill(with_luck, signal.SIGKILL)
            except ProcessLookupError:
                continue
        else:
            continue
        hit.append(kind)
        if run.poll() is not None:
            run = begin_together(killed, dataset, environment)
    assert run.wait(1800.0) == 0
    print(f"killed: {hit}")
    assert len(hit) > KILLS // 4 and measured(killed) == measured(whole)
    assert not [file.name for file in killed.rglob("*") if file.name.startswith(".") or file.name.endswith(".part")]
    time.sleep(30.0)
    assert not [command for command in processes(mark).values() if "ray" in command]
