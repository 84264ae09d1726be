"""Weights & Biases gets what the journal gets, under one id however often a run goes on; or one clear line is given."""

import sys
from types import ModuleType

import pytest

from drivetrain.cli import main
from drivetrain.runs.journal import Journal, read_metrics
from drivetrain.runs.wandb import Wandb, open_sinks
from drivetrain.types import InputError

ASKED = Wandb("driving", mode="offline")


class Handle:
    """A run of a client that keeps what it is given."""

    def __init__(self):
        self.axes, self.rows, self.summary, self.finished = {}, [], {}, 0

    def define_metric(self, name, step_metric):
        self.axes[name] = step_metric

    def log(self, row):
        self.rows.append(row)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finished += 1


def install(monkeypatch, init):
    """A client in place of the real one, where there is one."""
    module = ModuleType("wandb")
    module.init, module.Error = init, RuntimeError
    monkeypatch.setitem(sys.modules, "wandb", module)


@pytest.fixture
def client(monkeypatch):
    """Every call of a client's `init`, and the run that it returned."""
    opened = []

    def init(**options):
        opened.append((options, Handle()))
        return opened[-1][1]

    install(monkeypatch, init)
    return opened


def test_it_gets_what_the_journal_gets_over_the_steps_of_each_stage(client, tmp_path):
    with open_sinks(ASKED, tmp_path, "mine", ["bc", "ppo"], {"seed": 3}) as sinks:
        journal = Journal(tmp_path, sinks=sinks)
        journal.write("bc", 64, {"loss": 0.5})
        journal.write("ppo", 0, {"loss": 0.25, "returns": 1.0})
        journal.close()
        sinks[0].conclude({"ppo": {"failure_rate": {"value": 0.1, "low": 0.0}, "seed": 0, "against": {"bc": {}}}})
    ((options, handle),) = client
    assert options["project"] == "driving" and options["mode"] == "offline" and options["entity"] is None
    assert options["name"] == "mine" and options["config"] == {"seed": 3} and options["dir"] == str(tmp_path)
    assert handle.axes == {"bc/*": "bc/agent_steps", "ppo/*": "ppo/agent_steps"}
    assert handle.rows == [
        {"bc/agent_steps": 64, "bc/loss": 0.5},
        {"ppo/agent_steps": 0, "ppo/loss": 0.25, "ppo/returns": 1.0},
    ]
    assert handle.summary == {"test/ppo/failure_rate": 0.1} and handle.finished == 1
    assert [row["loss"] for row in read_metrics(tmp_path)] == [0.5, 0.25]


def test_a_run_that_is_continued_keeps_its_id(client, tmp_path):
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path, tmp_path / "other"):
        with open_sinks(ASKED, folder, "mine", [], {}):
            pass
    first, again, other = (options["id"] for options, _ in client)
    assert first == again != other and all(options["resume"] == "allow" for options, _ in client)


def test_without_a_project_nothing_is_imported(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with open_sinks(Wandb(), tmp_path, "mine", [], {}) as sinks:
        assert sinks == ()
    assert not list(tmp_path.iterdir())


def test_what_is_not_installed_or_refused_is_said_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["train", "quickstart", "--wandb.project", "driving"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "drivetrain[wandb]" in said
    assert not list(tmp_path.iterdir())

    def refuse(**_):
        raise RuntimeError("no API key")

    install(monkeypatch, refuse)
    with pytest.raises(InputError, match="no API key .*offline"), open_sinks(ASKED, tmp_path, "mine", [], {}):
        pass
