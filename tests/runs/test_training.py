"""A run from dataset to report, and what is left of it after kills: the same figures, to the bit."""

import json
import shutil

import numpy as np
import pytest
from fixtures_runs import silent
from safetensors import safe_open

from drivetrain.banks.part import Part
from drivetrain.banks.streamed import Streaming
from drivetrain.evaluate.benchmark import evaluate
from drivetrain.learn.league import League
from drivetrain.policy.anchored import Anchored
from drivetrain.runs import site
from drivetrain.runs.checkpoints import finished
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.run import on_recordings
from drivetrain.runs.trained import export, load_policy
from drivetrain.runs.training import train
from drivetrain.types import InputError, replace

POLICIES = {"log", "constant", "idm", "bc", "bc_ppo"}


class Killed(Exception):
    """What a test raises where a process would have died."""


def measured(folder):
    """Everything that a run measured, but for times."""
    rows = [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in read_metrics(folder)]
    return rows, json.loads((folder / "evaluation.json").read_text())


@pytest.fixture
def whole(run, tmp_path):
    train(run, tmp_path / "whole", resume=False, progress=silent)
    return tmp_path / "whole"


def kill_at_save(monkeypatch, count, when):
    """Die at the count-th checkpoint, before or after it is written."""
    saves = []
    save = site.save_checkpoint

    def counted(*arguments):
        saves.append(arguments)
        if len(saves) == count and when == "before":
            raise Killed
        file = save(*arguments)
        if len(saves) == count:
            raise Killed
        return file

    monkeypatch.setattr(site, "save_checkpoint", counted)


def test_a_run_leaves_its_folder_as_documented_and_survives_kills(run, whole, tmp_path, monkeypatch):
    rows, evaluation = measured(whole)
    assert set(evaluation) == POLICIES
    assert evaluation["log"]["failure_rate"]["value"] == 0.0
    assert evaluation["bc_ppo"]["scenarios"] == 4
    assert set(evaluation["bc_ppo"]["against"]) == POLICIES - {"bc_ppo"}
    assert {row["stage"] for row in rows} == {"bc", "bc_ppo"}
    assert "<canvas" in (whole / "report.html").read_text()

    for number, (count, when) in enumerate([(1, "before"), (2, "after"), (5, "before")]):
        folder = tmp_path / f"killed-{number}"
        with monkeypatch.context() as patch:
            kill_at_save(patch, count, when)
            with pytest.raises(Killed):
                train(run, folder, resume=False, progress=silent)
        train(run, folder, resume=True, progress=silent)
        assert measured(folder) == (rows, evaluation)

    damaged = tmp_path / "damaged"
    shutil.copytree(tmp_path / "killed-2", damaged)
    newest = finished(damaged / "checkpoints" / "bc_ppo")[0]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(bytes(data))
    train(run, damaged, resume=True, progress=silent)
    assert measured(damaged) == (rows, evaluation)


def test_a_dataset_of_another_time_step_is_refused(run, tmp_path):
    other = replace(run, data=replace(run.data, dt=0.1))
    with pytest.raises(InputError, match="dt"):
        train(other, tmp_path / "run", resume=False, progress=silent)


@pytest.mark.parametrize(("count", "when"), [(5, "before"), pytest.param(2, "after", marks=pytest.mark.long)])
def test_a_streamed_run_survives_a_kill_to_the_bit(run, tmp_path, monkeypatch, count, when):
    streamed = replace(run, stream=Streaming(slots=2, turnover=1, episodes=2, threads=1, ahead=2))
    train(streamed, tmp_path / "whole", resume=False, progress=silent)
    rows, evaluation = measured(tmp_path / "whole")
    assert set(evaluation) == POLICIES and evaluation["bc_ppo"]["scenarios"] == 4
    assert evaluation["log"]["failure_rate"]["value"] == 0.0
    with monkeypatch.context() as patch:
        kill_at_save(patch, count, when)
        with pytest.raises(Killed):
            train(streamed, tmp_path / "killed", resume=False, progress=silent)
    train(streamed, tmp_path / "killed", resume=True, progress=silent)
    assert measured(tmp_path / "killed") == (rows, evaluation)


def test_self_play_leaves_a_run_that_is_judged_in_worlds_and_among_recordings(errands, dataset, tmp_path, monkeypatch):
    kill_at_save(monkeypatch, 1, "after")
    with pytest.raises(Killed):
        train(errands, tmp_path / "run", resume=False, progress=silent)
    monkeypatch.undo()
    train(errands, tmp_path / "run", resume=True, progress=silent)
    rows, figures = measured(tmp_path / "run")
    assert [row["step"] for row in rows] == [0, 64, 128]  # two worlds of four agents, eight steps at once
    assert all(0.0 <= row["val_goals_reached"] <= 1.0 for row in rows if "val_goals_reached" in row)
    assert {name: entry["maps"] for name, entry in figures.items()} == {
        "self_play": ["ring"],
        "self_play_crossing": ["crossing"],
    }
    assert figures["self_play"]["worlds"] == 2 and figures["self_play"]["agent_km"] > 0.0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "ring, learnt on" in page and "crossing, never seen" in page and "One of these worlds" in page
    trained = load_policy(tmp_path / "run")
    assert "| Figure | ring, learnt on | crossing, never seen |" in trained.card and "None" not in trained.card
    assert "No recording. The maps ring; judged on crossing too." in trained.card
    env, goals = on_recordings(trained.run)
    (lot,) = Part((str(dataset),), "test", goals=goals)
    outcome = evaluate(env, lot.bank, trained.driver).outcome
    assert outcome.exists.all() and np.isfinite(outcome.progress).all()


def test_self_play_is_held_near_a_clone_of_recorded_drivers(run, errands, tmp_path):
    cloning, (learning,) = replace(run.stages[0], recorded=True), errands.stages
    holding = replace(learning, algorithm=replace(learning.algorithm, anchor=0.075))
    held = replace(errands, more=(run.data,), stages=(cloning, holding))
    train(held, tmp_path / "run", resume=False, progress=silent)
    rows, figures = measured(tmp_path / "run")
    assert {row["stage"] for row in rows} == {"bc", "self_play"} and set(figures) == {"self_play", "self_play_crossing"}
    strayed = [row["strayed"] for row in rows if "strayed" in row]
    assert len(strayed) == 2 and 0.0 <= strayed[0] < strayed[1]  # it begins as its clone
    apart = json.loads((tmp_path / "run" / "evaluation-drawn.json").read_text())
    assert set(apart) == {"log", "constant", "idm", "bc", "self_play"} and apart["log"]["scenarios"] == 4
    assert "On drawn, apart" in (tmp_path / "run" / "report.html").read_text()
    trained, other = load_policy(tmp_path / "run"), export(tmp_path / "run", tmp_path / "alone")
    assert isinstance(trained.policy, type(load_policy(other).policy)) and not isinstance(trained.policy, Anchored)
    assert (
        "The maps ring; judged on crossing too." in trained.card and "drawn: 4 drives of 2 recordings" in trained.card
    )


@pytest.mark.long
@pytest.mark.parametrize(("count", "when"), [(2, "before"), (3, "after")])
def test_a_league_survives_a_kill_to_the_bit(errands, tmp_path, monkeypatch, count, when):
    """The last checkpoint holds the ring, into which three of four updates have written, and is the same file."""
    (stage,) = errands.stages
    league, steps = League(size=2, share=0.25, every=1), 4 * 2 * 4 * 8
    run = replace(errands, stages=(replace(stage, league=league, agent_steps=steps, evaluate_every=2),))
    train(run, tmp_path / "whole", resume=False, progress=silent)
    with monkeypatch.context() as patch:
        kill_at_save(patch, count, when)
        with pytest.raises(Killed):
            train(run, tmp_path / "killed", resume=False, progress=silent)
    train(run, tmp_path / "killed", resume=True, progress=silent)
    assert measured(tmp_path / "killed") == measured(tmp_path / "whole")
    files = [finished(tmp_path / name / "checkpoints" / "self_play")[0] for name in ("whole", "killed")]
    assert files[0].name == "000000004.safetensors" and files[0].read_bytes() == files[1].read_bytes()
    with safe_open(files[0], framework="numpy") as stored:
        kept = [stored.get_tensor(name) for name in sorted(stored.keys()) if name.startswith(".past.")]
        now = [stored.get_tensor(name) for name in sorted(stored.keys()) if name.startswith(".policy.")]
    assert len(kept) == len(now) > 0
    for ring, leaf in zip(kept, now, strict=True):
        np.testing.assert_array_equal(ring[1], leaf)  # the fourth update's
    assert any(not np.array_equal(ring[0], leaf) for ring, leaf in zip(kept, now, strict=True))


def test_a_policy_of_recordings_is_judged_in_the_environment_that_it_learnt_in(run):
    assert on_recordings(run) == (run.env, 0.0)
