"""The study of learning rules: what is chosen within a budget, what is kept, and a page that says it."""

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures_runs import silent

from drivetrain.cli import main
from drivetrain.commands.study import PRESETS
from drivetrain.evaluate.benchmark import Evaluation
from drivetrain.evaluate.metrics import RATES, Outcome
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.mixture import MixtureHead
from drivetrain.runs.run import Data
from drivetrain.studies import running
from drivetrain.studies.cells import Judged, choose, judged, load_judged, read_outcomes, save_outcomes, train_cell
from drivetrain.studies.learning_rules import LADDER, RULES, THROUGH, TITLES, Budget, Plan
from drivetrain.studies.page import study_page
from drivetrain.studies.testing import least_ade
from drivetrain.types import InputError

BUDGET = Budget(agent_steps=64, seeds=2, scenes=2, longest=8, judgements=2, further=2.0)


@pytest.fixture
def plan(dataset):
    return Plan((Data(dataset=str(dataset)),), BUDGET, DeepSetsSizes(tokens=8, width=8, head=MixtureHead()))


def point(steps, seconds, score, progress=1.0):
    return Judged(Path("none"), steps, seconds, {"val_score": score, "val_progress_ratio": progress})


def test_the_latest_within_the_slack_of_the_lowest_that_the_budget_allows():
    points = [point(0, 0.0, 0.9), point(10, 1.0, 0.2), point(20, 2.0, 0.21), point(30, 3.0, 0.3), point(40, 9.0, 0.1)]
    assert choose(points, 0.02, steps=30).steps == 20
    assert choose(points, 0.0, steps=30).steps == 10
    assert choose(points, 0.02).steps == 40 and choose(points, 0.02, seconds=8.0).steps == 20
    assert choose(points, 0.02, steps=-1).steps == 0  # the first where nothing is within it
    assert choose([point(10, 1.0, 0.5), point(20, 2.0, 0.0, progress=0.5)], 0.02).steps == 10  # standing still is safe


def test_every_cell_has_a_title_and_a_run_of_its_own(plan):
    cells = plan.cells()
    assert {cell.rule for cell in cells} == set(TITLES) == {*RULES, *LADDER, *THROUGH}
    assert sum(cell.rule == "bc" for cell in cells) == 2 and sum(cell.rule == "grpo" for cell in cells) == 1
    assert len({json.dumps(str(cell.run)) for cell in cells}) == len(cells)
    spent = {cell.rule: sum(stage.agent_steps for stage in cell.run.stages) for cell in cells}
    assert {spent[rule] for rule in ("bc", "apg", "apg_margins", "apg_half")} == {64}
    assert {spent[rule] for rule in ("bc_ppo", "apg_ppo", "bc_loop", *LADDER)} == {128}
    with pytest.raises(InputError, match="sarsa: no rule of the study"):
        plan.cells(("sarsa",))


def test_a_cell_is_trained_once_and_gives_every_policy_that_was_judged(plan, tmp_path):
    cell = plan.cells(("apg",))[0]
    train_cell(cell, tmp_path, "digest", silent)
    before = (cell.folder(tmp_path) / "metrics.jsonl").read_bytes()
    train_cell(cell, tmp_path, "digest", silent)
    assert (cell.folder(tmp_path) / "metrics.jsonl").read_bytes() == before
    points = judged(cell, tmp_path)
    assert [each.steps for each in points] == [0, 32, 64] and points[-1].seconds > points[1].seconds > 0.0
    first, last = (load_judged(cell, each) for each in (points[0], points[-1]))
    assert np.any(np.asarray(first.head.layer.bias) != np.asarray(last.head.layer.bias))
    other = Plan(plan.data, Budget(**vars(BUDGET) | {"scenes": 4}), plan.policy).cells(("apg",))[0]
    with pytest.raises(InputError, match="trained with other options"):
        train_cell(other, tmp_path, "digest", silent)


def evaluation(ade, episodes):
    count = len(ade)
    zeros = np.zeros((count, 1), np.float32)
    happened = dict.fromkeys(RATES, zeros > 0.0)
    outcome = Outcome(zeros == 0.0, happened, zeros, zeros, np.array(ade, np.float32)[:, None], zeros, zeros, zeros)
    return Evaluation(np.array(episodes), np.array(episodes), outcome, None)


def test_outcomes_are_read_as_they_were_kept_by_dataset(tmp_path):
    file = tmp_path / "some" / "kept.safetensors"
    save_outcomes(file, evaluation([1.0, 2.0, 3.0], [0, 1, 2]), np.array([0, 1, 0]))
    own = read_outcomes(file, 0)
    np.testing.assert_array_equal(own.outcome.ade[:, 0], [1.0, 3.0])
    np.testing.assert_array_equal(own.episode, [0, 2])
    assert set(own.outcome.happened) == set(RATES)
    file.write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a test's outcomes"):
        read_outcomes(file, 0)


def test_the_least_of_each_egos_samples_counts():
    """Three drives of two egos, one after another."""
    least, cluster = least_ade(evaluation([3.0, 1.0, 2.0, 4.0, 9.0, 0.5], [0, 1, 0, 1, 0, 1]))
    np.testing.assert_allclose(least, [2.0, 0.5])
    np.testing.assert_array_equal(cluster, [0, 1])


def test_another_plan_is_not_mixed_in(plan, tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(InputError, match="another plan's study"):
        running.learning_rules(plan, tmp_path, ("bc",), silent)


def test_a_page_of_nothing_but_the_budget():
    page = study_page({"agent_steps": 1e6, "seconds": 60.0, "seeds": 3, "slack": 0.02})
    assert "1,000,000 agent-steps" in page and "<script" in page


def test_the_command_names_what_is_wrong(dataset, tmp_path, capsys):
    assert main(["study", "learning-rules", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "manifest.json" in capsys.readouterr().err
    assert main(["study", "learning-rules", "--data", str(dataset), "--out", str(tmp_path), "--only", "sarsa"]) == 1
    assert "sarsa: no rule of the study" in capsys.readouterr().err
    assert PRESETS["gpu"].agent_steps > PRESETS["cpu"].agent_steps


@pytest.mark.long
def test_from_data_to_page(plan, tmp_path, monkeypatch):
    """Two rules of the comparison and one of the others, measured in every way."""
    monkeypatch.setattr(running, "OVERFIT_UPDATES", 3)
    monkeypatch.setattr(running, "LENGTHS", (1, 4))
    monkeypatch.setattr(running, "CROWDS", (3, 6))
    monkeypatch.setattr(running, "CROWD_UPDATES", 2)
    running.learning_rules(plan, tmp_path, ("bc", "apg", "apg_one"), silent)
    digest = running.digest_of(plan.data, silent)
    page = running.measure(plan, tmp_path, digest, silent)
    results = json.loads((tmp_path / "results.json").read_text())
    (tables,) = results["tables"].values()
    assert set(tables["steps"]) == {"bc", "apg"} and set(tables["others"]) == {"apg", "apg_one"}
    assert set(tables["steps"]["apg"]["against"]) == {"bc"}
    assert len(tables["noise"]["apg"]["start"]) == 3 and tables["least_ade"]["apg"]["value"] > 0.0
    assert results["memory"]["LOOP"]["held"] < results["memory"]["PPO, a critic of its own"]["held"]
    assert np.isfinite(results["gradients"]["untrained"]["sighted"]).all()
    assert results["crowds"]["agents"] == [3, 6] and np.isfinite(results["crowds"]["ade"]).all()
    text = page.read_text()
    assert all(title in text for title in ("APG", "One trajectory by heart", "Gradients over the horizon", "Memory"))
