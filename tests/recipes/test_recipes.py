"""Recipes are whole: each builds its policy at the size that it promises, and its updates lower for GPUs."""

import jax
import jax.numpy as jnp
import pytest
import scenes

from drivetrain.commands import train as command
from drivetrain.fleet.local import begin, update
from drivetrain.learn.league import League
from drivetrain.learn.threshold import Threshold
from drivetrain.policy.base import count_parameters
from drivetrain.recipes import RECIPES
from drivetrain.runs.configuration import from_json, to_json
from drivetrain.runs.run import env_of, on_recordings
from drivetrain.sim.building import Layout, host_bank
from drivetrain.sim.towns import town_bank
from drivetrain.types import replace

PARAMETERS = {"paper-750k": 0.75e6, "paper-2.5m": 2.5e6, "paper-25m": 25e6}
STAGES = [(name, number) for name, recipe in RECIPES.items() for number in range(len(recipe().stages))]


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_papers_sizes(name):
    run = RECIPES[name]()
    shapes = jax.eval_shape(lambda: run.policy.build(run.env, jax.random.key(0)))
    assert abs(count_parameters(shapes) / PARAMETERS[name] - 1.0) < 0.05


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_by_its_name_and_survives_its_file(name):
    run = RECIPES[name]()
    assert run.name == name and len({stage.name for stage in run.stages}) == len(run.stages) > 0
    assert from_json(to_json(run), "config.json") == run


def test_a_league_is_an_option_of_the_command_line(monkeypatch):
    runs = []
    monkeypatch.setattr(command, "train", lambda run, *_, **__: runs.append(run))
    command.run(["self-play", "--stages.0.league.size", "4", "--stages.0.league.share", "0.25"])
    (stage,), (plain,) = runs[0].stages, RECIPES["self-play"]().stages
    assert stage == replace(plain, league=League(size=4, share=0.25)) and not plain.league


def test_what_is_learnt_from_and_held_are_options_of_the_command_line(monkeypatch):
    runs = []
    monkeypatch.setattr(command, "train", lambda run, *_, **__: runs.append(run))
    words = ["--stages.0.kept", "1", "--stages.0.threshold.share", "0.01", "--stages.0.rebuilt"]
    command.run(["self-play", *words])
    (stage,), (plain,) = runs[0].stages, RECIPES["self-play"]().stages
    assert stage == replace(plain, kept=1.0, threshold=Threshold(share=0.01), rebuilt=True)


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_an_update_of_every_stage_lowers_for_gpus(name, number):
    run = RECIPES[name]()
    stage = run.stages[number]
    length = {"longest": 2} if "longest" in type(stage.algorithm).__dataclass_fields__ else {"window": 2}
    stage = replace(stage, scenes=2, minibatches=1, algorithm=replace(stage.algorithm, **length))
    env, goals = env_of(run, stage), on_recordings(run)[1] if stage.recorded else 0.0
    layout = Layout(goals=goals)
    bank = jax.tree.map(jnp.asarray, host_bank([scenes.scenario(scenes.straight_road())], run.data.dt, layout))
    episodes = jnp.arange(1)
    if run.asked and not stage.recorded:
        town = replace(run.asked.town, agents=3, programmes=1, seconds=2.0)
        bank = town_bank([scenes.scenario(scenes.crossing(agents=()))], ["crossing"], run.data.dt, town, 0)

    def begun():
        policy = stage.algorithm.begin(run.policy.build(env, jax.random.key(0)))
        return begin(env, stage, policy, bank, episodes, (jax.random.key(1), jax.random.key(2)))

    traced = update.trace(env, stage, bank, episodes, jax.eval_shape(begun))
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo.while" in text
    assert ("bf16" in text) == (run.policy.dtype == "bfloat16")
