"""Groups on SLURM, by submitit: a job's nodes become a Ray cluster, and the first of them starts the run on it.

    python deploy/slurm.py --nodes 4 --gpus 8 --partition gpu -- paper-2.5m --out runs/2.5m --data.dataset build/drives
    python deploy/slurm.py --nodes 4 --gpus 8 --partition gpu -- paper-2.5m --resume runs/2.5m
    python deploy/slurm.py --here --nodes 2 -- quickstart --out runs/quickstart --data.dataset build/ngsim

A node's GPUs are a group. All nodes must see this folder, the dataset and the run's folder under the same paths. A job
that is preempted, or out of time, is put into the queue again and goes on from the run's newest checkpoint. `--here` is
this machine without SLURM, as so many nodes: to try it. It takes `pip install 'drivetrain[fleet]'`, on all nodes.
"""

import argparse
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import submitit

BIN = Path(sys.executable).parent
WAITS = 300.0
"""Seconds that nodes wait for each other."""


@dataclass(frozen=True)
class Node:
    """What each node of the job does."""

    words: tuple[str, ...]  # of `drivetrain train`
    nodes: int
    gpus: int  # of each
    cores: int  # of each; 0: all that Ray finds
    folder: str  # that all nodes see

    def __call__(self) -> int:
        """The first: Ray's head, then the run; the others: a node of Ray's, until the head is gone. The exit status."""
        place = submitit.JobEnvironment()
        told = Path(self.folder, f"{place.job_id}.address")
        shared = [f"--num-gpus={self.gpus}", *([f"--num-cpus={self.cores}"] if self.cores else []), "--block"]
        if place.global_rank > 0:
            return self._ray([f"--address={self._wait(told)}", *shared]).wait()
        host = socket.gethostbyname(place.hostname) if len(set(place.hostnames)) > 1 else "127.0.0.1"
        port = 20000 + int.from_bytes(place.job_id.encode()[-4:], "big") % 20000
        head = self._ray(
            ["--head", f"--node-ip-address={host}", f"--port={port}", "--include-dashboard=false", *shared]
        )
        try:
            told.write_text(f"{host}:{port}")
            where = dict(os.environ, RAY_ADDRESS=f"{host}:{port}")
            return subprocess.run([str(BIN / "drivetrain"), "train", *self._given()], env=where).returncode
        finally:
            told.unlink(missing_ok=True)
            head.terminate()
            head.wait()

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """By submitit, before the job is put into the queue again."""
        return submitit.helpers.DelayedSubmission(replace(self, words=_resumed(self.words)))

    def _given(self) -> list[str]:
        """A run that goes on keeps its own groups; its address is that of this job (`auto` reads RAY_ADDRESS)."""
        if "--resume" in self.words:
            return [*self.words]
        groups = ["--fleet.groups", str(self.nodes), "--fleet.gpus", str(self.gpus), "--fleet.address", "auto"]
        return [*self.words, *groups]

    def _ray(self, options: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([str(BIN / "ray"), "start", *options])

    def _wait(self, told: Path) -> str:
        until = time.monotonic() + WAITS
        while not told.exists() or not (address := told.read_text()):
            if time.monotonic() > until:
                raise SystemExit(f"{told}: the first node does not say where it is")
            time.sleep(1.0)
        return address


def _resumed(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words that go on with what these have begun, if they have got so far."""
    if "--out" not in words:
        return words
    folder = words[words.index("--out") + 1]
    return (words[0], "--resume", folder) if Path(folder, "config.json").exists() else words


def main() -> None:
    """Submit the job, and say where its words are; `--here`: run it, and end as it does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=0, help="of each node")
    parser.add_argument("--cores", type=int, default=0, help="of each node; 0: what SLURM gives")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--partition")
    parser.add_argument("--folder", default="runs/slurm", help="what the jobs write")
    parser.add_argument("--here", action="store_true", help="this machine, without SLURM")
    parser.add_argument("words", nargs="+", help="of `drivetrain train`, after --")
    given = parser.parse_args()
    # Who has the token may run anything on the cluster's machines; Ray asks for it on every connection.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.environ.get("RAY_AUTH_TOKEN", secrets.token_hex(32))}
    executor = submitit.AutoExecutor(given.folder, cluster="local" if given.here else "slurm")
    where = {"nodes": 1, "tasks_per_node": given.nodes} if given.here else {"nodes": given.nodes, "tasks_per_node": 1}
    executor.update_parameters(
        name="drivetrain", timeout_min=round(60 * given.hours), gpus_per_node=given.gpus, **where
    )
    if given.cores:
        executor.update_parameters(cpus_per_task=given.cores)
    if not given.here:
        executor.update_parameters(slurm_additional_parameters={"exclusive": ""})
    if given.partition:
        executor.update_parameters(slurm_partition=given.partition)
    cores = given.cores or (1 if given.here else 0)
    job = executor.submit(Node(tuple(given.words), given.nodes, given.gpus, cores, str(Path(given.folder).resolve())))
    print(f"job {job.job_id}: {job.paths.stdout}")
    if given.here:
        raise SystemExit(job.task(0).result())


if __name__ == "__main__":
    main()
