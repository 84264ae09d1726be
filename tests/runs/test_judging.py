"""Policies judged beside: the best and the journal of a run that judges at once, whoever was interrupted."""

import threading

import jax
import pytest
from fixtures_runs import figures, same, silent

from drivetrain.fleet import group as group_module
from drivetrain.fleet.desk import Desk
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.table import Stuck
from drivetrain.runs import judging
from drivetrain.runs.checkpoints import save_checkpoint
from drivetrain.runs.judging import Handed, folder_of, follow, judgement
from drivetrain.runs.learning import judge_of, run_stages, shapes_of
from drivetrain.runs.site import Site

BESIDE = Fleet(groups=1, evaluator=True, patience=60.0)


@pytest.fixture
def followed(run):
    """Have evaluators follow a folder, one after the other: each ends at a judgement that a list says, the last not."""

    def begin(folder, ends=()):
        desk, left = Desk(), list(ends)

        class Ends(Exception):
            """Of an evaluator."""

        def open_judge(stage):
            judge = judge_of(run, stage)

            def mortal(policy):
                if left:
                    left[0] -= 1
                    if left[0] == 0:
                        left.pop(0)
                        raise Ends
                return judge(policy)

            return mortal, shapes_of(run, stage)

        def live():
            while not desk.over(0.0):
                try:
                    follow(run, folder, open_judge, desk)
                except Ends:
                    continue

        evaluator = threading.Thread(target=live)
        evaluator.start()
        return desk, evaluator, left

    begun = []
    yield lambda *given: begun.append(begin(*given)) or begun[-1]
    for desk, evaluator, _ in begun:
        desk.end()
        evaluator.join(60.0)
        assert not evaluator.is_alive()


def test_what_is_judged_beside_ends_as_what_is_judged_at_once(run, tmp_path, followed, monkeypatch):
    """To the bit, also where evaluators die, and where the learner is interrupted in the middle of both stages."""
    once, beside = tmp_path / "once", tmp_path / "beside"
    for folder in (once, beside):
        folder.mkdir()
    expected = run_stages(run, Site(once, "digest", silent))
    desk, _, left = followed(beside, (2, 3))
    site, update, made = Site(beside, "digest", silent, fleet=BESIDE, desk=desk), group_module.update, []

    def interrupted(*given):
        made.append(0)
        if len(made) in (3, 6):
            raise KeyboardInterrupt
        return update(*given)

    monkeypatch.setattr(group_module, "update", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_stages(run, site)
    best = run_stages(run, site)
    assert all(same(best[name], expected[name]) for name in expected)
    assert figures(beside) == figures(once) and not left
    assert not [file for file in (beside / "judged").rglob("*") if file.is_file()]


def test_a_judgement_of_other_weights_does_not_count(run, tmp_path, followed):
    stage = run.stages[0]
    policy = run.policy.build(run.env, jax.random.key(0))
    file = save_checkpoint(folder_of(tmp_path, stage.name), 7, Handed(policy), {})
    assert judgement(file) is None
    followed(tmp_path)
    until = threading.Event()
    while (answer := judgement(file)) is None:
        until.wait(0.05)
    assert answer["score"] == pytest.approx(judge_of(run, stage)(policy)[0])
    other = run.policy.build(run.env, jax.random.key(1))
    save_checkpoint(folder_of(tmp_path, stage.name), 7, Handed(other), {})
    while (again := judgement(file)) is None:
        until.wait(0.05)
    assert again["score"] != answer["score"]


def test_without_an_evaluator_a_learner_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "EVERY", 0.01)
    with pytest.raises(
        Stuck, match=r"judged/bc/000000000\.safetensors: not judged \(is there an evaluator\?\) for 0\.5 s"
    ):
        run_stages(run, Site(tmp_path, "digest", silent, fleet=Fleet(groups=1, evaluator=True, patience=0.5)))


def test_a_full_disk_is_waited_for(run, tmp_path, followed, monkeypatch, capsys):
    save, tries = judging.save_checkpoint, []

    def full_at_first(*given, **more):
        tries.append(0)
        if len(tries) in (2, 3):
            raise OSError(28, "No space left on device", "policy")
        return save(*given, **more)

    monkeypatch.setattr(judging, "save_checkpoint", full_at_first)
    desk, *_ = followed(tmp_path)
    run_stages(run, Site(tmp_path, "digest", silent, fleet=BESIDE, desk=desk))
    assert capsys.readouterr().err.count("policy: No space left on device (make room)") == 2
