"""Whole training of a recipe: its own scenes, and a floor in closed form. Speeds themselves are no tests."""

import dataclasses

import pytest
from fixtures_runs import dataset, errands, run, towns  # noqa: F401 - fixtures

from drivetrain.bench.recipes import measure_recipe, recipe_line


@pytest.mark.long
def test_the_floor_is_the_arithmetic_of_what_is_driven_and_learnt(errands):  # noqa: F811
    row = measure_recipe(errands, 0.0)
    assert row.train.agent_steps == 2 * 4 * 8 and row.agents == 4 and row.train.scenes == 2
    assert row.train.rate == pytest.approx(64 / (row.train.milliseconds / 1e3))
    assert row.forward_flops > 2 * row.parameters * 0.5  # most weights are used once at least
    passes = 1.0 + 3.0 * 0.5
    assert row.floor_seconds == pytest.approx(64 * row.forward_flops * passes / row.peak_flops)
    assert row.above_floor == pytest.approx(1e-3 * row.train.milliseconds / row.floor_seconds)
    assert "agent-steps/s of whole training" in recipe_line(row)


def test_recordings_are_measured_as_they_are_learnt_from(run):  # noqa: F811
    small = dataclasses.replace(run, stages=run.stages[1:])
    assert measure_recipe(small, 0.0).train.agent_steps == 4 * 8
