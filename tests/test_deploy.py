"""Jobs of a cluster, on this machine."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures_runs import dataset  # noqa: F401 - a fixture

from drivetrain.fleet.supervisor import EVENTS

SLURM = Path(__file__).resolve().parent.parent / "deploy" / "slurm.py"
if importlib.util.find_spec("submitit") is None:
    pytest.skip("submitit is not installed", allow_module_level=True)


@pytest.fixture
def slurm():
    found = importlib.util.spec_from_file_location("slurm_job", SLURM)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["slurm_job"] = module
    found.loader.exec_module(module)
    yield module
    del sys.modules["slurm_job"]


def test_a_job_that_is_put_into_the_queue_again_goes_on_with_what_it_has_begun(slurm, tmp_path):
    words = ("paper-2.5m", "--out", str(tmp_path / "run"), "--seed", "3")
    node = slurm.Node(words, 4, 8, 0, str(tmp_path))
    assert node.checkpoint().function.words == words
    assert node._given()[-6:] == ["--fleet.groups", "4", "--fleet.gpus", "8", "--fleet.address", "auto"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    again = node.checkpoint().function
    assert again.words == ("paper-2.5m", "--resume", str(tmp_path / "run")) and again._given() == [*again.words]


@pytest.mark.long
def test_two_nodes_of_a_job_are_a_cluster_and_learn_a_run(dataset, tmp_path):  # noqa: F811
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    small = {"policy.tokens": 8, "policy.width": 8, "stages.0.algorithm.longest": 24, "stages.1.algorithm.window": 8}
    small |= {f"stages.{stage}.{name}": 4 for stage in (0, 1) for name in ("scenes", "minibatches")}
    small |= {"stages.0.agent-steps": 384, "stages.1.agent-steps": 256}
    small |= {"data.dataset": dataset, "more.0.dataset": dataset}
    options = [word for name, value in small.items() for word in (f"--{name}", str(value))]
    job = [sys.executable, str(SLURM), "--here", "--nodes", "2", "--folder", str(tmp_path / "jobs"), "--"]
    subprocess.run([*job, "quickstart", "--out", str(tmp_path / "run"), *options], check=True, timeout=1200.0)
    events = [json.loads(line) for line in (tmp_path / "run" / EVENTS).read_text().splitlines()]
    assert events[0]["groups"] == 2 and {event["event"] for event in events} == {"begun", "going"}
    assert (tmp_path / "run" / "report.html").exists() and not list((tmp_path / "jobs").glob("*.address"))
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(os.fspath(tmp_path)) not in process.read_text()
        except OSError:
            continue
