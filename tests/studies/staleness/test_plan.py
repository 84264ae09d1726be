"""What the study of staleness trains, from data to page."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures_runs import silent

from drivetrain.banks.part import Part
from drivetrain.cli import main
from drivetrain.learn.ppo import Ppo
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.runs.run import Data
from drivetrain.studies.staleness import running
from drivetrain.studies.staleness.page import staleness_page
from drivetrain.studies.staleness.plan import Budget, Plan, Revalued, Uncorrected, parts_of, title
from drivetrain.types import InputError

BUDGET = Budget(agent_steps=96, seeds=2, scenes=2, window=8, longest=8, judgements=2)


@pytest.fixture
def plan(dataset):
    return Plan(Data(dataset=str(dataset)), (0, 2), BUDGET, DeepSetsSizes(tokens=8, width=8))


def test_every_cell_differs_by_its_delay_and_its_correction_alone(plan):
    cells = plan.cells()
    assert [cell.rule for cell in cells] == 2 * ["delay0", "delay2-corrected", "delay2-values", "delay2-uncorrected"]
    assert [cell.seed for cell in cells] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [cell.run.fleet.delay for cell in cells[:4]] == [0, 2, 2, 2] and all(
        cell.run.fleet.synchronous for cell in cells
    )
    learnt = [cell.run.fleet.rules(cell.run.stages[0].algorithm) for cell in cells[:4]]
    assert [rules.lagging for rules in learnt] == [False, True, True, False]
    settings = [{**vars(rules), "lagging": None} for rules in learnt]
    assert settings[0] == settings[1] == settings[2] == settings[3]
    assert [title(cells[row].rule) for row in (1, 3)] == ["2 updates old, V-trace", "2 updates old, no correction"]
    assert parts_of("delay0") == (0, "corrected") and parts_of("delay16-uncorrected") == (16, "uncorrected")


def test_without_correction_a_window_is_learnt_from_as_if_it_were_ones_own(plan, dataset):
    """Advantages of another policy's window: those of the stored values, or of the learner's own once it is lagging."""
    run = plan.run("delay2-uncorrected", 0)
    lot, keys = Part((str(dataset),), "train", seconds=1.6).whole, jax.random.split(jax.random.key(0), 2)
    drove, learns = (run.policy.build(run.env, key) for key in keys)
    rows, plain = jnp.arange(2), run.stages[0].algorithm

    @jax.jit
    def driven(policy):
        carry = plain.open(run.env, policy, lot.bank, rows, keys[0])
        return plain.gather(run.env, policy, lot.bank, rows, carry, jnp.zeros((), jnp.int32))[1]

    segment = driven(drove)

    def batch(algorithm, policy, given=segment):
        prepare = jax.jit(lambda policy, given: algorithm.prepare(run.env, policy, lot.bank, given, keys[0]))
        return prepare(policy, given)

    def advantage(algorithm, policy):
        return np.asarray(batch(algorithm, policy).advantage)

    as_own = advantage(Ppo(window=8), learns)
    np.testing.assert_array_equal(advantage(Uncorrected(window=8).behind(), learns), as_own)
    assert not np.allclose(advantage(Ppo(window=8).behind(), learns), as_own, atol=1e-4)
    np.testing.assert_allclose(advantage(Ppo(window=8).behind(), drove), advantage(Ppo(window=8), drove), atol=1e-4)
    valued = batch(Revalued(window=8).behind(), learns)
    np.testing.assert_array_equal(valued.log_prob, batch(Ppo(window=8), learns).log_prob)
    mine = eqx.tree_at(lambda of: of.steps.value, segment, values_of(learns, segment))
    np.testing.assert_allclose(valued.advantage, batch(Ppo(window=8), learns, mine).advantage, atol=1e-3)
    assert not np.allclose(valued.advantage, advantage(Ppo(window=8).behind(), learns), atol=1e-4)


def values_of(policy, segment):
    """What a policy that remembers nothing says of each step of a window."""
    key = jax.random.key(0)
    return jax.vmap(jax.vmap(lambda seen: policy(seen, (), key)[1]))(segment.steps.observation)


@pytest.mark.parametrize("delays", [(), (-1,), (4, 4)])
def test_delays_are_checked(plan, delays):
    with pytest.raises(InputError, match="delays: "):
        Plan(plan.data, delays)


def test_the_command_names_what_is_wrong(dataset, tmp_path, capsys):
    assert main(["study", "staleness", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "manifest.json" in capsys.readouterr().err
    assert main(["study", "staleness", "--data", str(dataset), "--out", str(tmp_path), "--delays", "-2"]) == 1
    assert "delays: -2" in capsys.readouterr().err


def test_a_page_of_nothing_but_the_budget():
    page = staleness_page({"agent_steps": 600_000, "of_update": 2048, "seeds": 3, "slack": 0.02})
    assert "600,000 agent-steps" in page and "2,048 an update" in page


@pytest.mark.long
def test_from_data_to_page_and_no_cell_twice(plan, tmp_path):
    plan = Plan(plan.data, (2,), Budget(**vars(BUDGET) | {"seeds": 1}), plan.policy)
    page = running.staleness(plan, tmp_path, silent)
    results = json.loads((tmp_path / "results.json").read_text())
    names = {"delay2-corrected", "delay2-values", "delay2-uncorrected"}
    assert set(results["tables"]["last"]) == set(results["tables"]["chosen"]) == set(results["curves"]) == names
    assert set(results["tables"]["last"]["delay2-uncorrected"]["against"]) == {"delay2-corrected"}
    assert results["stale"]["delay2-corrected"]["staleness_mean"] == 2.0
    text = page.read_text()
    assert all(words in text for words in ("2 updates old, V-trace", "Failure rate, policies 2 updates old", "Cell by"))
    rate = results["tables"]["last"]["delay2-corrected"]["failure_rate"]["value"]
    assert f"{100 * rate:.1f} %" in text
    before = [(file, file.stat().st_mtime_ns) for file in sorted(tmp_path.rglob("*.jsonl"))]
    running.staleness(plan, tmp_path, silent)
    assert before == [(file, file.stat().st_mtime_ns) for file in sorted(tmp_path.rglob("*.jsonl"))]
