"""The loop of a stage: patience ends it, its best is kept, and one that is over is not trained again."""

import dataclasses
import threading

import jax
import numpy as np
import pytest
from fixtures_runs import figures, same, silent

from drivetrain.banks.part import Part
from drivetrain.banks.resident import Resident
from drivetrain.fleet import group as group_module
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.table import Table
from drivetrain.runs.checkpoints import finished
from drivetrain.runs.criteria import Criterion, Validation
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.site import Site
from drivetrain.runs.stage import run_stage
from drivetrain.types import InputError, component, replace

SCORES = []
"""Outside of the criterion, so that all tests share one compiled program."""


@component
class Scripted(Criterion):
    """Scores as they are written, one after the other; then the last."""

    def open(self, env, algorithm, validation):
        left = list(SCORES)

        def judge(policy):
            score = left.pop(0) if len(left) > 1 else left[0]
            return score, {"val_score": score}

        return judge


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, "digest", silent)


@pytest.fixture
def go(run, site):
    """Run the second stage, judged by a script after each of eight updates; the updates that were made."""
    policy = run.policy.build(run.env, jax.random.key(0))
    source = Resident(Part((run.data.dataset,), "train"))

    def go(*scores, patience=2, slack=0.0, site=site):
        SCORES[:] = scores
        criterion = Scripted(patience=patience, slack=slack)
        stage = replace(run.stages[1], criterion=criterion, agent_steps=4 * 8 * 8, evaluate_every=1)
        validation = Validation((run.data.dataset,), 1.0)
        return run_stage(stage, run.env, policy, jax.random.key(5), site, 0, lambda state: source, validation)

    go.policy = policy
    return go


@pytest.fixture
def updates(monkeypatch):
    """Counts updates, and keeps the policy after each."""
    policies, update = [], group_module.update

    def counted(*arguments):
        result = update(*arguments)
        policies.append(jax.tree.map(np.array, result[0].policy))
        return result

    monkeypatch.setattr(group_module, "update", counted)
    return policies


def test_the_budget_is_spent_without_patience(go, site, updates):
    best, lines = go(0.5, 0.6, 0.7, 0.1, 0.2, patience=0)
    assert len(updates) == 8 and lines == 9
    assert same(best, updates[2])
    assert [row["step"] for row in read_metrics(site.folder)] == [32 * update for update in range(9)]


def test_the_latest_within_the_slack_of_the_lowest_is_kept(go, site, updates):
    """The lowest score so far is what counts, not that of the policy kept; patience still asks for a lower one."""
    best, _ = go(0.5, 0.30, 0.31, 0.35, 0.32, 0.34, 0.40, patience=5, slack=0.025)
    assert len(updates) == 6 and same(best, updates[3])


def test_patience_ends_a_stage_early_and_the_best_is_kept(go, site, updates):
    best, lines = go(1.0, 0.9, 0.5, 0.7, 0.6, 0.1)
    assert len(updates) == 4 and lines == 5  # judged before the first update, and after each
    assert same(best, updates[1]) and not same(best, updates[3])


def test_a_loss_that_is_no_number_ends_the_run_with_one_line_and_nothing_of_it_is_kept(go, site, monkeypatch):
    made, update = [], group_module.update

    def broken(*arguments):
        state, gathered, learnt = update(*arguments)
        made.append(state)
        loss = learnt.loss * jax.numpy.nan if len(made) == 3 else learnt.loss
        return state, gathered, replace(learnt, loss=loss)

    monkeypatch.setattr(group_module, "update", broken)
    with pytest.raises(InputError, match="bc_ppo: loss: nan after 96 agent-steps .*learning_rate"):
        go(0.5, patience=0)
    steps = [int(file.stem.rpartition("-")[2]) for file in finished(site.folder / "checkpoints" / "bc_ppo")]
    assert max(steps) == 2 and [row["step"] for row in read_metrics(site.folder)] == [0, 32, 64]


def test_what_a_stage_began_with_is_kept_where_nothing_is_better(go, updates):
    best, _ = go(0.5, 0.7)
    assert len(updates) == 2 and same(best, go.policy)


@pytest.mark.parametrize(("scores", "made"), [((1.0,), 8), ((1.0, 0.5, 0.7), 3)], ids=["budget", "patience"])
def test_a_stage_that_is_over_is_not_trained_again(go, updates, scores, made):
    best, lines = go(*scores)
    assert len(updates) == made and same(best, updates[-1 if made == 8 else 0])  # of equals the last
    again, same_lines = go(0.0)
    assert len(updates) == made and same_lines == lines and same(again, best)


def test_a_stage_whose_last_checkpoint_is_damaged_goes_on_to_the_same_end(go, site, updates, capsys):
    best, lines = go(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
    made, rows = len(updates), read_metrics(site.folder)
    newest = finished(site.folder / "checkpoints" / "bc_ppo")[0]
    newest.write_bytes(newest.read_bytes()[:-1] + b"!")
    again, same_lines = go(0.2)
    assert len(updates) == made + 1 and same_lines == lines and same(again, best)
    assert newest.name in capsys.readouterr().err
    drop = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    assert [{n: v for n, v in row.items() if n != "seconds"} for row in read_metrics(site.folder)] == drop


def interrupt(monkeypatch, count):
    """Ctrl-C while the learner waits for its count-th window."""
    take, taken = Table.take, []

    def interrupted(self, version):
        taken.append(version)
        if len(taken) == count:
            raise KeyboardInterrupt
        return take(self, version)

    monkeypatch.setattr(Table, "take", interrupted)


def test_in_step_a_group_keeps_the_same_best_and_journal_and_goes_on_after_an_interrupt_as_if_there_was_none(
    go, site, monkeypatch
):
    scores = 0.5, 0.6, 0.7, 0.1, 0.2
    fused, lines = go(*scores, patience=0)
    group = Fleet(actors=1, synchronous=True)
    apart = dataclasses.replace(site, folder=site.folder / "apart", fleet=group)
    apart.folder.mkdir()
    best, same_lines = go(*scores, patience=0, site=apart)
    assert lines == same_lines
    for one, other in zip(jax.tree.leaves(fused), jax.tree.leaves(best), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for one, other in zip(figures(site.folder), figures(apart.folder), strict=True):
        assert one.pop("stage") == other.pop("stage")
        assert other == pytest.approx(one | {name: 0.0 for name in other if name not in one}, rel=1e-4, abs=1e-5)

    killed = dataclasses.replace(apart, folder=site.folder / "killed")
    killed.folder.mkdir()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, 6)
        go(*scores, patience=0, site=killed)
    assert int(finished(killed.folder / "checkpoints" / "bc_ppo")[0].stem) == 5
    again, _ = go(0.2, patience=0, site=killed)
    assert same(again, best) and figures(killed.folder) == figures(apart.folder)


def test_a_group_that_runs_ahead_says_how_stale_it_was_and_ends_cleanly_when_interrupted(go, site, monkeypatch):
    ahead = dataclasses.replace(site, fleet=Fleet(actors=2, capacity=1))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, 10)  # of the fifth update, the second
        go(0.5, patience=0, site=ahead)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("actor-")]
    assert int(finished(site.folder / "checkpoints" / "bc_ppo")[0].stem) == 4
    go(0.5, patience=0, site=ahead)
    rows = read_metrics(site.folder)
    assert [row["step"] for row in rows] == [32 * update for update in range(9)]
    assert all(0.0 <= row["staleness_mean"] <= row["staleness_p95"] <= 5.0 for row in rows[1:])
    assert all(0.0 <= row["waiting_share_of_seconds"] <= 1.0 for row in rows[1:])
