"""Groups as processes: placed, watched, ended and begun again together.

    the process that was started: `supervise`
      │ begins ▼                      ▲ beats, and a verdict at last (a pipe)
    its keeper: a process that talks to Ray (`fleet/generation.py`)
      │ places ▼                      ▲ beats
    learners, one a group: the same updates, each of its share of the scenes; the first writes journal and checkpoints
      ◀── the mean gradient, and nothing else, goes between them (`parallel.join`) ──▶
    assistants, where they are asked for: actors that are away (`away.py`), an evaluator (`runs/judging.py`)

    a learner dies, or raises         what is left of them waits in a collective that raises, or never ends:
    no update for `patience` seconds  the keeper ends them all and says why, and another begins with new ones, which go
    Ray dies, or the keeper           on from the newest good checkpoint
    an assistant dies                 the keeper says so and begins another in its place: learners do not notice
    a member says: the run is wrong   the keeper says it, and `supervise` raises its words
    `supervise` dies                  the keeper's watch (a thread) ends the keeper, and with it Ray and the members

    learners wait     for each other, in every gradient; for windows; for a judgement that takes more than a period
    the keeper waits  for whoever ends first, a moment at most; then it asks how far they are
    `supervise` waits for the keeper's next word, `patience` seconds and a grace at most

A stuck member cannot be told by signs of life: its process answers while a collective hangs. So it is the updates that
are watched. Nothing is kept but what is in the run's folder, which all machines must share.
"""

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from drivetrain.fleet.desk import Door
from drivetrain.fleet.group import Fleet
from drivetrain.types import InputError

GRACE = 60.0
"""Seconds beyond the members' patience that a keeper may be silent, and that it has to end its members."""
EVENTS = "fleet.jsonl"
"""In a run's folder: when groups were begun, how far they had come, and why they were begun again."""

LOG = "fleet.log"
"""There too: what members print."""
Role = Literal["learner", "actor", "evaluator"]


@dataclass(frozen=True)
class Place:
    """What a member is told of where it stands."""

    rank: int  # of the group
    count: int  # of groups
    address: str  # of the first learner, for `parallel.join`
    cores: tuple[int, ...] = ()  # of its machine, that it runs on; none: all
    role: Role = "learner"
    number: int = 0  # of an actor in its group

    def __str__(self) -> str:
        """As people speak of it."""
        of = f" of group {self.rank}" if self.count > 1 and self.role != "evaluator" else ""
        return {"learner": f"learner{of}", "actor": f"actor {self.number}{of}", "evaluator": "the evaluator"}[self.role]


@dataclass(frozen=True)
class Beat:
    """How far a member is."""

    title: str = ""  # of what it does; empty: it has not begun
    unit: str = ""
    done: int = 0
    total: int = 0
    note: str = ""


@dataclass(frozen=True)
class Replaced:
    """An assistant has ended, and another is in its place."""

    who: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """How members have ended."""

    lost: str = ""  # why they must be begun again
    wrong: str = ""  # what is wrong with the run
    fault: str = ""  # a traceback, of what would only come again


Life = Callable[[Place, Callable[[Beat], None], Door], None]
"""What a member does, how it says how far it is, and its learner's desk. It is sent to another process."""
Watch = Callable[[Beat], None]
"""Told the first learner's beats."""
Keeper = Callable[[Fleet, Life, Connection], None]
"""Has members live, in a process of its own; sends beats and a verdict."""


def supervise(fleet: Fleet, life: Life, folder: Path, watch: Watch, keeper: Keeper) -> None:
    """Have groups live to their end, whatever becomes of single ones.

    Raises `InputError` where the run itself is wrong, or where groups were begun again more than `fleet.restarts` times
    without an update between; `RuntimeError` with a member's traceback.
    """
    tries, furthest, titles = 0, (-1, -1), []
    while True:
        _note(folder, event="begun", groups=fleet.groups)
        heard: list[Beat] = []

        def hear(beat: Beat | Replaced, heard: list[Beat] = heard) -> None:
            if isinstance(beat, Replaced):
                _note(folder, event="replaced", who=beat.who, why=beat.why)
                return
            if beat.title and not heard:
                _note(folder, event="going", done=beat.done)
            heard += [beat] if beat.title else []
            del heard[1:-1]
            watch(beat)

        verdict = _kept(fleet, life, hear, keeper, folder / LOG)
        if verdict.wrong:
            raise InputError(verdict.wrong)
        if verdict.fault:
            raise RuntimeError(f"in a member:\n{verdict.fault}")
        if not verdict.lost:
            return
        last = heard[-1] if heard else Beat()
        titles += [last.title] if heard and last.title not in titles else []
        reached = (titles.index(last.title) if heard else -1, last.done)  # titles follow each other
        tries = tries + 1 if reached <= furthest else 1
        furthest = max(furthest, reached)
        _note(folder, event="lost", why=verdict.lost, done=last.done)
        if tries > fleet.restarts:
            raise InputError(
                f"{folder}: fleet.restarts: {fleet.restarts} without an update between: {verdict.lost} "
                "(go on with --resume)"
            )


def _kept(fleet: Fleet, life: Life, hear: Callable[[Any], None], keeper: Keeper, log: Path) -> Verdict:
    """How the members of one keeper ended."""
    with _process(keeper, fleet, life, log) as said:
        while True:
            try:
                if not said.poll(fleet.patience + GRACE):
                    seconds = f"{fleet.patience + GRACE:g} s"
                    return Verdict(lost=f"the process that keeps the groups says nothing for {seconds}")
                word = said.recv()
            except (EOFError, OSError):
                return Verdict(lost="the process that keeps the groups is gone")
            if isinstance(word, Verdict):
                return word
            hear(word)


@contextlib.contextmanager
def _process(keeper: Keeper, fleet: Fleet, life: Life, log: Path) -> Iterator[Connection]:
    """A keeper in a process of its own, and what it says; it ends with the context, if need be by force."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with JAX's threads may never run
    ours, its = context.Pipe()
    process = context.Process(target=_keeping, args=(keeper, fleet, life, its, log), name="keeper")
    process.start()
    its.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(GRACE)
        if process.is_alive():
            process.kill()
            process.join()


def _keeping(keeper: Keeper, fleet: Fleet, life: Life, said: Connection, log: Path) -> None:
    """A keeper's process: what it and its members print goes to a file."""
    with open(log, "ab") as stream:
        for handle in (1, 2):
            os.dup2(stream.fileno(), handle)
    keeper(fleet, life, said)


def _note(folder: Path, **what: Any) -> None:
    """A line of `EVENTS`."""
    with open(folder / EVENTS, "a") as stream:
        stream.write(json.dumps({"time": round(time.time(), 3), **what}) + "\n")
