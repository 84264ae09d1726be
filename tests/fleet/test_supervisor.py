"""What becomes of groups that end, are lost, or are wrong; the keepers here begin no process of Ray's."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from drivetrain.fleet import supervisor
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.supervisor import EVENTS, Beat, Verdict, supervise
from drivetrain.types import InputError

FLEET = Fleet(groups=2, restarts=2)


class Tried:
    """A life that no keeper here begins: it counts how often one was asked to."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, place, tell, door):
        raise AssertionError("no keeper of these tests has members")

    def begun(self):
        """How often, this time among them."""
        file = Path(self.folder, "begun")
        file.write_text(file.read_text() + "x" if file.exists() else "x")
        return len(file.read_text())


def ends(fleet, life, said):
    said.send(Beat("learn", "steps", 3, 3))
    said.send(Verdict())


def is_killed_twice(fleet, life, said):
    said.send(Beat("learn", "steps", life.begun(), 3))
    if life.begun() < 6:
        os.kill(os.getpid(), signal.SIGKILL)
    said.send(Verdict())


def stands_still(fleet, life, said):
    said.send(Beat("learn", "steps", 7, 9))
    said.send(Verdict(lost=f"time {life.begun()}"))


def goes_on_to_another_stage(fleet, life, said):
    turn = life.begun()
    said.send(Beat("first", "steps", 9, 9) if turn < 3 else Beat("second", "steps", turn - 2, 9))
    said.send(Verdict(lost=f"time {turn}") if turn < 7 else Verdict())


def is_wrong(fleet, life, said):
    said.send(Verdict(wrong="loss: nan"))


def has_a_fault(fleet, life, said):
    said.send(Verdict(fault="Traceback: KeyError: 'x'"))


def is_silent(fleet, life, said):
    if life.begun() == 1:
        time.sleep(600.0)
    said.send(Verdict())


def events(folder):
    return [json.loads(line) for line in (folder / EVENTS).read_text().splitlines()]


def test_what_they_say_is_passed_on_until_they_end(tmp_path):
    heard = []
    supervise(FLEET, Tried(tmp_path), tmp_path, heard.append, ends)
    assert heard == [Beat("learn", "steps", 3, 3)]
    assert [event["event"] for event in events(tmp_path)] == ["begun", "going"]


def test_a_keeper_that_is_killed_is_followed_by_another(tmp_path):
    heard = []
    supervise(FLEET, Tried(tmp_path), tmp_path, heard.append, is_killed_twice)
    assert [beat.done for beat in heard] == [1, 3, 5]
    lost = [event for event in events(tmp_path) if event["event"] == "lost"]
    assert [event["done"] for event in lost] == [1, 3]
    assert all(event["why"] == "the process that keeps the groups is gone" for event in lost)


def test_without_an_update_between_they_are_not_begun_again_for_ever(tmp_path):
    with pytest.raises(InputError, match=r"fleet\.restarts: 2 without an update between: time 3"):
        supervise(FLEET, Tried(tmp_path), tmp_path, lambda beat: None, stands_still)


def test_a_later_stage_is_further_than_an_earlier_one_whatever_it_counts(tmp_path):
    supervise(FLEET, Tried(tmp_path), tmp_path, lambda beat: None, goes_on_to_another_stage)
    assert len([event for event in events(tmp_path) if event["event"] == "lost"]) == 6


def test_a_run_that_is_wrong_ends_with_its_words(tmp_path):
    with pytest.raises(InputError, match="loss: nan"):
        supervise(FLEET, Tried(tmp_path), tmp_path, lambda beat: None, is_wrong)
    with pytest.raises(RuntimeError, match="KeyError"):
        supervise(FLEET, Tried(tmp_path), tmp_path, lambda beat: None, has_a_fault)


@pytest.mark.long
def test_a_keeper_that_says_nothing_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "GRACE", 0.1)
    supervise(Fleet(groups=2, patience=30.0), Tried(tmp_path), tmp_path, lambda beat: None, is_silent)
    assert events(tmp_path)[1]["why"] == "the process that keeps the groups says nothing for 30.1 s"


def test_whoever_watches_may_end_it(tmp_path):
    def watch(beat):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise(FLEET, Tried(tmp_path), tmp_path, watch, ends)
