"""A group and the fused program are measured on the same scenes. Speeds themselves are no tests."""

import importlib.util

import jax
import pytest
import scenes

from drivetrain.bench.groups import HEADING, group_line, measure_group, measure_together
from drivetrain.bench.learning import Bench
from drivetrain.fleet.group import Fleet
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Learning
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.sim.building import make_bank

BENCH = Bench(policy=DeepSetsSizes(tokens=8, width=8), learning=Learning(Ppo(window=2), minibatches=1), seconds=0.0)


@pytest.mark.parametrize("fleet", [Fleet(), Fleet(actors=2)], ids=["fused", "apart"])
def test_a_kind_counts_its_agent_steps_and_says_how_stale_it_was(fleet):
    bank = jax.device_put(make_bank([scenes.scenario(scenes.straight_road())], 0.2))
    row = measure_group(BENCH, bank, 2, fleet)
    assert row.kind == ("2 actors" if fleet else "fused")
    assert row.rate == pytest.approx(2 * 2 / (row.milliseconds / 1e3))  # two scenes, two steps
    assert row.cpu_microseconds > 0.0 and 0.0 <= row.waiting <= 1.0
    assert 0.0 <= row.staleness_mean <= row.staleness_p95 and (fleet or row.staleness_p95 == 0.0)
    assert len(group_line(row)) == len(HEADING)


@pytest.mark.long
def test_groups_as_processes_are_measured_together():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    row = measure_together(BENCH, 2, Fleet(groups=2, cores=1))
    assert row.kind == "2 groups" and row.rate == pytest.approx(2 * 2 / (row.milliseconds / 1e3))
    leaves = jax.tree.leaves(jax.eval_shape(lambda key: BENCH.policy.build(BENCH.env, key), jax.random.key(0)))
    assert row.gradient_bytes == 4 * sum(leaf.size for leaf in leaves) and len(group_line(row)) == len(HEADING)
