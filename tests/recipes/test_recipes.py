"""Recipes are whole: each builds its policy at the size that it promises, and its update lowers for GPUs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
import scenes

from drivetrain.fleet.local import Learner, improve, make_policy, open_scenes
from drivetrain.learn.update import begin
from drivetrain.policy.perceiver import count_parameters
from drivetrain.recipes import RECIPES
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

PARAMETERS = {"paper-750k": 0.75e6, "paper-2.5m": 2.5e6, "paper-25m": 25e6}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_papers_sizes(name):
    run = RECIPES[name]()
    shapes = eqx.filter_eval_shape(lambda: make_policy(run, jax.random.key(0)))
    assert abs(count_parameters(shapes) / PARAMETERS[name] - 1.0) < 0.05


@pytest.mark.parametrize("name", RECIPES)
def test_an_update_lowers_for_gpus(name):
    run = RECIPES[name]()
    settings = replace(run.improvement, scenes=2, window=2, minibatches=1)
    bank, episodes = make_bank([scenes.scenario(scenes.straight_road())], run.data.dt), jnp.arange(1)

    def learner() -> Learner:
        key = jax.random.key(0)
        return Learner(
            begin(settings.optimiser, make_policy(run, key), key), open_scenes(run.env, bank, 2, episodes, key)
        )

    traced = improve.trace(run.env, settings, bank, jax.eval_shape(learner), episodes)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo.while" in text
    assert ("bf16" in text) == (run.policy.dtype == "bfloat16")
