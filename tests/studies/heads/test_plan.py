"""What the study of heads trains, from data to page."""

import json

import numpy as np
import pytest
from fixtures_runs import silent

from drivetrain.cli import main
from drivetrain.policy.categorical import CategoricalHead
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.joint import JointHead
from drivetrain.policy.vocabulary import VocabularyHead
from drivetrain.runs.run import Data
from drivetrain.studies.heads import comparing, running
from drivetrain.studies.heads.page import heads_page
from drivetrain.studies.heads.plan import Budget, Plan, title
from drivetrain.types import InputError

BUDGET = Budget(agent_steps=160, first=0.5, seeds=2, scenes=2, longest=8, window=8, judgements=2)


@pytest.fixture
def plan(dataset):
    return Plan(Data(dataset=str(dataset)), (2, 3), BUDGET, DeepSetsSizes(tokens=8, width=8))


def test_every_head_is_given_the_same(plan, tmp_path):
    cells = plan.cells(tmp_path)
    heads = ["columns", "joint", "motions-2"]
    assert [cell.rule for cell in cells] == [*heads, *heads, "motions-3"]
    assert [cell.seed for cell in cells] == [0, 0, 0, 1, 1, 1, 0]
    kinds = {cell.rule: type(cell.run.policy.head) for cell in cells}
    assert [kinds[head] for head in (*heads, "motions-3")] == [
        CategoricalHead,
        JointHead,
        VocabularyHead,
        VocabularyHead,
    ]
    for cell in cells:
        assert [stage.agent_steps for stage in cell.run.stages] == [80, 80]
        assert [stage.scenes for stage in cell.run.stages] == [2, 4] and cell.run.stages[0].criterion.patience == 0
        assert cell.run.stages[1].optimiser.steps == 3 * 4 * 2  # updates, passes, minibatches
    assert {len(cell.run.env.dynamics.grid()[0]) for cell in cells if cell.rule == "motions-3"} == {3}
    assert [title(head) for head in plan.heads()] == ["Columns apart", "Joint grid", "2 motions", "3 motions"]


def test_another_plan_is_not_mixed_in(plan, tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(InputError, match="another plan's study"):
        running.heads(plan, tmp_path, silent)


def test_the_command_names_what_is_wrong(dataset, tmp_path, capsys):
    assert main(["study", "heads", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "manifest.json" in capsys.readouterr().err
    assert main(["study", "heads", "--data", str(dataset), "--out", str(tmp_path), "--entries", "100000"]) == 1
    assert "entries: 100000" in capsys.readouterr().err


def test_a_page_of_nothing_but_the_budget():
    page = heads_page({"agent_steps": 600_000, "cloned": 180_000, "slack": 0.02, "seeds": {"joint": 3}})
    assert "600,000 agent-steps" in page and "180,000" in page


@pytest.mark.long
def test_from_data_to_page(plan, tmp_path, monkeypatch):
    """All heads, tested, their memory asked for; a second run trains nothing."""
    monkeypatch.setattr(comparing, "SAMPLES", 2)
    monkeypatch.setattr(comparing, "SIZES", (8, 64))
    page = running.heads(plan, tmp_path, silent)
    results = json.loads((tmp_path / "results.json").read_text())
    heads = {"columns", "joint", "motions-2", "motions-3"}
    assert set(results["tables"]["bc"]) == set(results["tables"]["bc_ppo"]) == set(results["choices"]) == heads
    assert set(results["tables"]["bc"]["joint"]["against"]) == {"columns"}
    assert "against" not in results["tables"]["bc"]["motions-3"] and "against" in results["one_seed"]["bc"]["motions-3"]
    assert results["choices"]["motions-2"]["uniform"] == pytest.approx(5.0 * np.log(2.0))
    assert all(set(of) == heads and np.isfinite(of["joint"]["value"]) for of in results["places"].values())
    assert {row["stage"] for row in results["left_out"]["motions-2"]} == {"bc", "bc_ppo"}
    memory = results["memory"]
    assert memory["motions-34"]["entries"] == 64 and memory["joint"]["entries"] == 2201
    assert memory["motions-34"]["bc"]["held"] > memory["motions-8"]["bc"]["held"]
    assert memory["joint"]["bc"]["logits"] == 4.0 * 2201 * 2 * 8 / 10
    text = page.read_text()
    assert all(words in text for words in ("Joint grid", "3 motions", "How likely recorded driving is", "Memory"))
    before = [(file, file.stat().st_mtime_ns) for file in sorted(tmp_path.rglob("*.jsonl"))]
    running.heads(plan, tmp_path, silent)
    assert before == [(file, file.stat().st_mtime_ns) for file in sorted(tmp_path.rglob("*.jsonl"))]
