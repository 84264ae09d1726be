"""What the study of scaling trains, from data to page."""

import json
import math
from pathlib import Path

import pytest
from fixtures_runs import silent

from drivetrain.cli import main
from drivetrain.env import Env
from drivetrain.learn.ppo import Ppo
from drivetrain.observe.sight import PAPER
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.presets import P0_75M
from drivetrain.recipes.paper import paper
from drivetrain.recipes.quickstart import quickstart
from drivetrain.runs.run import Data
from drivetrain.studies import cells as training
from drivetrain.studies.cells import judged
from drivetrain.studies.scaling import plan as planning
from drivetrain.studies.scaling.page import scaling_page
from drivetrain.studies.scaling.plan import Budget, Plan, name_of
from drivetrain.studies.scaling.running import scaling
from drivetrain.types import InputError, replace

WHOLE = math.inf
BUDGET = Budget(steps=(32, 64), cloning=96, scenes=2, judgements=2)


@pytest.fixture
def plan(dataset, run, monkeypatch):
    """One set of one recording, and all two; two models, and the larger one without pre-training too."""
    for name, width in (("tiny", 8), ("0.75M", 16)):
        monkeypatch.setitem(planning.MODELS, name, DeepSetsSizes(tokens=8, width=width))
    return Plan(Data(dataset=str(dataset)), run, ("tiny", "0.75M"), (0.001, WHOLE), BUDGET)


def test_every_cell_is_the_recipe_but_for_its_model_and_its_set(plan, tmp_path):
    cells = plan.cells(tmp_path)
    names = ["tiny-0.001h", "0.75M-0.001h", "tiny-infh", "0.75M-infh", "0.75M-infh-scratch"]
    assert [cell.rule for cell in cells] == names
    assert [cell.run.policy.width for cell in cells] == [8, 16, 8, 16, 16]
    own, whole = str(tmp_path / "data" / "0.001h"), plan.data.dataset
    assert [cell.run.data.dataset for cell in cells] == [own, own, whole, whole, whole]
    assert [[stage.name for stage in cell.run.stages] for cell in cells] == 4 * [["bc", "bc_ppo"]] + [["bc_ppo"]]
    assert len({cell.run.stages[-1] for cell in cells}) == 1 and len({cell.run.stages[0] for cell in cells[:4]}) == 1
    cloning, improvement = cells[0].run.stages
    assert (cloning.agent_steps, improvement.agent_steps) == (96, 64) and (cloning.scenes, improvement.scenes) == (1, 2)
    every, none = (replace_ablation(plan, word).names() for word in ("every", "none"))
    assert sum(scratch for *_, scratch in every) == 4 and not any(scratch for *_, scratch in none)


def replace_ablation(plan, word):
    return Plan(plan.data, plan.recipe, plan.models, plan.hours, plan.budget, word)


def test_the_recipes_learn_at_a_constant_rate_and_are_judged_often_enough():
    for recipe in (quickstart(), paper("paper", P0_75M)):
        plan = Plan(Data(), recipe, ("tiny",), budget=Budget(steps=(1_000_000, 50_000_000), cloning=2_000_000))
        cloning, improvement = plan.run("tiny", WHOLE, False, 0, Path("out")).stages
        assert improvement.optimiser.steps == 0 and improvement.agent_steps == 50_000_000
        assert improvement.optimiser.learning_rate == recipe.stages[-1].optimiser.learning_rate
        steps = improvement.evaluate_every * improvement.scenes * improvement.algorithm.steps()
        assert steps <= 5_000_000 and isinstance(improvement.algorithm, Ppo)
        assert cloning.evaluate_every <= recipe.stages[0].evaluate_every and cloning.keep_judged


def test_a_model_takes_the_points_of_a_lane_by_what_is_seen():
    small, whole = (
        Plan(Data(), replace(paper("p", P0_75M), env=env), ("tiny", "0.75M")) for env in (Env(), Env(observer=PAPER))
    )
    assert [small.architecture(name).chunk for name in small.models] == [11, 11]
    assert [whole.architecture(name).chunk for name in whole.models] == [16, 4]
    assert whole.architecture("tiny").dtype == "bfloat16"
    assert Plan(Data(), quickstart(), ("0.75M",)).architecture("0.75M").dtype == "float32"


def test_options_are_checked(plan):
    with pytest.raises(InputError, match="models: huge: no such model"):
        Plan(plan.data, plan.recipe, ("tiny", "huge"))
    with pytest.raises(InputError, match="models: tiny tiny"):
        Plan(plan.data, plan.recipe, ("tiny", "tiny"))
    with pytest.raises(InputError, match="hours: 0 "):
        Plan(plan.data, plan.recipe, ("tiny",), (0.0, 1.0))
    with pytest.raises(InputError, match="hours: nan"):
        Plan(plan.data, plan.recipe, ("tiny",), (math.nan,))
    for given in ({"steps": ()}, {"steps": (0,)}, {"seeds": 0}, {"judgements": 0}, {"rate": -1.0}):
        with pytest.raises(InputError, match=next(iter(given))):
            Budget(**vars(Budget()) | given)


def test_the_command_names_what_is_wrong(dataset, tmp_path, capsys):
    assert main(["study", "scaling", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "manifest.json" in capsys.readouterr().err
    command = ["study", "scaling", "--data", str(dataset), "--out", str(tmp_path / "out")]
    assert main([*command, "--models", "huge"]) == 1
    assert "models: huge: no such model" in capsys.readouterr().err
    assert main([*command, "--hours", "3"]) == 1
    told = capsys.readouterr().err
    assert "hours: 3" in told and len(told.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_page_of_nothing_but_what_is_published():
    page = scaling_page({"recipe": "paper", "data": "drawn", "steps": [1_000_000], "seeds": 2, "slack": 0.02})
    assert "1,000,000" in page and "0.88 %" in page and "18,476" in page and "arXiv 2312.15122" in page


def test_a_killed_study_goes_on_and_no_cell_is_trained_twice(plan, tmp_path, monkeypatch):
    """It dies after one of two cells; the next call trains the other, and one more call nothing."""
    budget = Budget(**vars(BUDGET) | {"seeds": 2})
    recipe = replace(plan.recipe, stages=plan.recipe.stages[1:])
    plan = Plan(plan.data, recipe, ("tiny",), (0.001,), budget, "none")
    trained, train_cell = [], training.train_cell

    def once(cell, *rest):
        if trained:
            raise KeyboardInterrupt
        trained.append(cell.rule)
        train_cell(cell, *rest)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, "train_cell", once)
        scaling(plan, tmp_path, silent)
    before = stamps(tmp_path)
    page = scaling(plan, tmp_path, silent).read_text()
    after = stamps(tmp_path)
    assert len(before) == 1 and len(after) == 2 and before.items() <= after.items()
    results = json.loads((tmp_path / "results.json").read_text())
    check(results, plan, tmp_path)
    rate = results["tables"]["64"]["tiny-0.001h"]["failure_rate"]
    assert f"{100 * rate['value']:.1f} % (" in page and rate["n"] == 2 * results["sets"]["0.001"]["test_egos"]
    scaling(plan, tmp_path, silent)
    assert stamps(tmp_path) == after
    with pytest.raises(InputError, match="another plan's study"):
        scaling(Plan(plan.data, plan.recipe, plan.models, plan.hours, BUDGET, "none"), tmp_path, silent)


@pytest.mark.long
def test_every_kind_of_cell_from_data_to_page(plan, tmp_path):
    """Two models, two sets, and the larger one without pre-training."""
    page = scaling(plan, tmp_path, silent).read_text()
    results = json.loads((tmp_path / "results.json").read_text())
    check(results, plan, tmp_path)
    assert set(results["tables"]["64"]["tiny-infh"]["against"]) == {"tiny-0.001h"}
    assert set(results["tables"]["64"]["0.75M-infh-scratch"]["against"]) == {"0.75M-infh"}
    assert set(results["by_model"]["0.75M-infh"]["against"]) == {"tiny-infh"}
    assert results["sets"]["0.001"]["recordings"] == 1 and results["sets"]["inf"]["recordings"] == 2
    assert results["models"]["0.75M"] > results["models"]["tiny"]
    assert "Without pre-training" in page and "Theirs (figure 5a)" in page


def stamps(out):
    return {str(file): file.stat().st_mtime_ns for file in out.rglob("metrics.jsonl")}


def check(results, plan, out):
    names = {name_of(*each) for each in plan.names()}
    assert set(results["cells"]) == set(results["curves"]) == set(results["spent"]) == names
    assert set(results["tables"]) == {"0", "32", "64"} and set(results["tables"]["64"]) == names
    assert set(results["tables"]["0"]) == {name for name in names if not name.endswith("scratch")}
    for name, curve in results["curves"].items():
        assert curve["steps"][0] == 0 and curve["steps"][-1] == 64
        assert results["spent"][name]["improved"] == 64 and results["spent"][name]["devices"] >= 1
        cloned = len(plan.recipe.stages) > 1 and not name.endswith("scratch")
        assert (results["spent"][name]["cloned"] > 0) == cloned
    cell, more = plan.cells(out)[0], len(plan.recipe.stages) - 1
    assert len(judged(cell, out, begun=True)) == len(judged(cell, out)) + more
