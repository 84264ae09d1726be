"""Every case of the benchmark runs and adds up. Speeds themselves are no tests."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
import scenes
from bench.conftest import FACTS, facts_in
from fixtures_runs import dataset  # noqa: F401 - a fixture

from drivetrain.bench.learning import CASES, Bench, describe
from drivetrain.bench.measuring import Case
from drivetrain.fleet.local import begin, update
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Learning
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.sim.building import make_bank
from drivetrain.types import replace


@pytest.fixture(scope="module")
def bank():
    return jax.device_put(make_bank([scenes.scenario(scenes.straight_road())], 0.2))


BENCH = Bench(policy=DeepSetsSizes(tokens=8, width=8), learning=Learning(Ppo(window=2), minibatches=1), seconds=0.0)


@pytest.mark.parametrize(("case", "agent_steps"), [("sim", 6), ("observe", 3)])
def test_a_case_counts_its_agent_steps(case, agent_steps, bank):
    row = getattr(BENCH, case)(bank, 3)
    assert (row.case, row.scenes, row.agent_steps) == (case, 3, agent_steps)
    assert row.rate == pytest.approx(agent_steps / (row.milliseconds / 1e3))
    assert row.compile_seconds > 0.0 and row.peak_mb > 1.0


class Reading(Bench):
    """Looks for the events in the programs instead of running them."""

    def measure(self, name, scenes, agent_steps, function, *arguments):
        assert facts_in(jax.jit(function).lower(*arguments).compile()) == FACTS, name
        return Case(name, scenes, 1.0, agent_steps, 1.0, 0.0, 0.0)


def test_all_events_are_in_a_step_a_window_and_an_update(bank, named):
    reading, episodes = Reading(**vars(BENCH)), jnp.arange(2)
    assert [reading.sim(bank, 2).case, reading.rollout(bank, 2).case]
    learning = replace(BENCH.learning, scenes=2)
    keys = jax.random.key(0), jax.random.key(1)
    train = begin(BENCH.env, learning, BENCH.policy.build(BENCH.env, keys[0]), bank, episodes, keys)
    assert facts_in(update.lower(BENCH.env, learning, bank, episodes, train).compile()) == FACTS


@pytest.mark.long
def test_shares_of_a_training_step_add_up(bank):
    row = BENCH.train(bank, 3)
    assert set(row.shares) == {"simulation", "inference", "learning"}
    assert sum(row.shares.values()) == pytest.approx(1.0, abs=0.01)


def test_loading_counts_recordings_and_bytes(dataset):  # noqa: F811
    row = BENCH.load(dataset, 2)
    assert (row.case, row.scenes, row.agent_steps) == ("load", 2, 5)
    assert row.rate == pytest.approx(5 / (row.milliseconds / 1e3)) and row.decoded_mb > 0.0


@pytest.mark.long
def test_training_on_fresh_recordings_is_measured_against_resident_ones(dataset):  # noqa: F811
    rows = dataclasses.replace(BENCH, seconds=0.0).fresh(dataset, 4)
    assert [row.case for row in rows] == ["resident", "fresh"] * 2 and "of the resident rate" in rows[1].note
    assert all(row.rate > 0.0 and len(row.memory_mb) == 10 for row in rows)


def test_figures_name_the_device():
    assert describe(BENCH)["device"].startswith("cpu")
    assert len(CASES) == 6
