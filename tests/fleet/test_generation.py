"""Members on Ray, on this machine: where they stand, and what is said of those that die, are stuck or are wrong."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from drivetrain.fleet.generation import LOOPBACK, keep
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.supervisor import EVENTS, Beat, supervise
from drivetrain.types import InputError

ROOT = Path(__file__).resolve().parents[2]
MARK = "DRIVETRAIN_TEST"
if importlib.util.find_spec("ray") is None:  # it is not imported here: a keeper says first how
    pytest.skip("Ray is not installed", allow_module_level=True)


class Sent:
    """A life that is sent to Ray's processes, which have this file on their path; what it did is in a folder."""

    def __init__(self, folder, kind):
        self.folder, self.kind = str(folder), kind

    def __call__(self, place, tell, door):
        folder = Path(self.folder)
        if place.role != "learner":
            self.assist(folder, place, door)
            return
        (folder / f"{self.kind}-{place.rank}-{os.getpid()}.json").write_text(
            json.dumps({**vars(place), "runs_on": sorted(os.sched_getaffinity(0)), "listening": listening()})
        )
        tell(Beat("count", "times", place.rank, 2))
        if self.kind == "wrong" and place.rank == 1:
            raise InputError("loss: nan")
        if self.kind == "faulty" and place.rank == 1:
            raise KeyError("nobody knows it")
        if self.kind == "dying" and place.rank == 1 and len(list(folder.glob("dying-1-*"))) == 1:
            while not list(folder.glob("dying-0-*")) or len(list(folder.glob("assistant-*"))) < 2:
                time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "stuck" and place.rank == 1 and len(list(folder.glob("stuck-1-*"))) == 1:
            time.sleep(600.0)
        if self.kind == "long":
            time.sleep(600.0)

    def assist(self, folder, place, door):
        """As an assistant: die the first time, and in the place of who died help until the run is over."""
        mine = f"assistant-{place.role}-{place.number}"
        (folder / f"{mine}-{os.getpid()}.json").write_text("{}")
        if len(list(folder.glob(f"{mine}-*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        while not door.over(0.2):
            continue
        (folder / f"over-{place.role}").write_text("")


def listening():
    """Addresses at which processes with this one's mark listen, as hexadecimal digits."""
    hosts = sockets()
    wanted, own = {f"socket:[{node}]" for node in hosts}, set()
    for process in marked():
        for handle in Path(f"/proc/{process}/fd").glob("*"):
            try:
                own.add(os.readlink(handle))
            except OSError:
                continue
    return sorted({hosts[name[8:-1]] for name in own & wanted})


def sockets():
    """Address by the number of a socket that listens."""
    found = {}
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A":
                found[fields[9]] = fields[1].split(":")[0]
    return found


def marked():
    """Processes that a test has begun, and those that these have."""
    mark, found = f"{MARK}={os.environ.get(MARK)}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def left_after(seconds=30.0):
    """Whoever is still running then, or none before it."""
    until = time.monotonic() + seconds
    while (left := running()) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def running():
    """Those of them that are not dead already; multiprocessing's tracker lives as long as who runs the tests."""
    left = []
    for process in marked():
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{process}/cmdline").read_text()
        except OSError:
            continue
        left += [command] if state != "Z" and "resource_tracker" not in command else []
    return left


@pytest.fixture
def marked_environment(monkeypatch):
    monkeypatch.setenv(MARK, uuid.uuid4().hex)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))


def told(folder, kind):
    return [json.loads(file.read_text()) for file in sorted(folder.glob(f"{kind}-*"))]


def test_learners_are_begun_again_together_and_assistants_alone_and_nothing_listens_to_other_machines(
    tmp_path, marked_environment
):
    heard = []
    supervise(Fleet(groups=2, evaluator=True), Sent(tmp_path, "dying"), tmp_path, heard.append, keep)
    places = told(tmp_path, "dying")
    assert sorted(place["rank"] for place in places) == [0, 0, 1, 1] and {place["count"] for place in places} == {2}
    assert len({place["address"] for place in places}) == 2  # a new port for the second time
    assert all(place["address"].startswith(LOOPBACK) for place in places)
    assert all(place["runs_on"] == place["cores"] for place in places if place["cores"])
    lines = [json.loads(line) for line in (tmp_path / EVENTS).read_text().splitlines()]
    kinds = [line["event"] for line in lines if line["event"] not in ("going", "replaced")]
    assert kinds == ["begun", "lost", "begun"] and lines[-1]["event"] == "going"
    replaced = [line["who"] for line in lines if line["event"] == "replaced"]
    assert set(replaced) == {"the evaluator"} and (tmp_path / "over-evaluator").exists()
    assert heard and heard[-1].title == "count"
    hosts = {host for place in places for host in place["listening"]}
    assert hosts and hosts <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert left_after() == []


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("wrong", InputError, "loss: nan"),
        pytest.param("faulty", RuntimeError, "nobody knows it", marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_wrong_is_not_begun_again(tmp_path, marked_environment, kind, error, words):
    with pytest.raises(error, match=words):
        supervise(Fleet(groups=2), Sent(tmp_path, kind), tmp_path, lambda beat: None, keep)
    assert 1 <= len(told(tmp_path, kind)) <= 2 and left_after() == []


@pytest.mark.long
def test_one_that_is_stuck_is_ended_and_all_begin_again(tmp_path, marked_environment):
    fleet = Fleet(groups=2, patience=20.0)
    supervise(fleet, Sent(tmp_path, "stuck"), tmp_path, lambda beat: None, keep)
    lines = [json.loads(line) for line in (tmp_path / EVENTS).read_text().splitlines()]
    assert [line["why"] for line in lines if line["event"] == "lost"] == ["no update for 20 s"] and len(
        told(tmp_path, "stuck")
    ) == 4


PROGRAM = """
import sys
from pathlib import Path
from test_generation import Sent
from drivetrain.fleet.generation import keep
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.supervisor import supervise

if __name__ == "__main__":
    supervise(Fleet(groups=2), Sent(sys.argv[1], "long"), Path(sys.argv[1]), lambda beat: None, keep)
"""


def test_nobody_outlives_whoever_began_them(tmp_path, marked_environment):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, str(program), str(tmp_path)])
    until = time.monotonic() + 120.0
    while len(told_of_long(tmp_path)) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    assert len(told_of_long(tmp_path)) == 2 and len(running()) > 3
    process.kill()
    process.wait()
    assert left_after() == []


def told_of_long(folder):
    return list(folder.glob("long-*.json"))


class Waiting:
    """A life that waits for the end of its node the first time, and ends the second time."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, place, tell, door):
        import ray

        folder = Path(self.folder)
        tell(Beat("wait", "times", 1, 1))
        (folder / f"node-{place.rank}-{uuid.uuid4().hex}").write_text(ray.get_runtime_context().get_node_id())
        while len(list(folder.glob(f"node-{place.rank}-*"))) < 2:
            time.sleep(0.1)


@pytest.mark.long
def test_a_machine_of_a_cluster_that_is_gone_is_replaced_by_one_that_is_left(tmp_path, marked_environment):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = {node.node_id: node for node in (cluster.add_node(num_cpus=1) for _ in range(3))}
    removed = []

    def remove(beat):
        begun = list(tmp_path.glob("node-1-*"))
        if begun and not removed:
            removed.append(begun[0].read_text())
            cluster.remove_node(nodes[removed[0]], allow_graceful=False)

    try:
        supervise(Fleet(groups=2, address=cluster.address, patience=120.0), Waiting(tmp_path), tmp_path, remove, keep)
    finally:
        cluster.shutdown()
    lines = [json.loads(line) for line in (tmp_path / EVENTS).read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] != "going"] == ["begun", "lost", "begun"]
    assert len(removed) == 1 and len(list(tmp_path.glob("node-1-*"))) == 2
    latest = max(tmp_path.glob("node-1-*"), key=lambda file: file.stat().st_mtime)
    assert latest.read_text() in set(nodes) - set(removed)
