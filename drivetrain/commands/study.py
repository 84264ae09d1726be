"""`drivetrain study`: many runs of one question, and a page that answers it."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from drivetrain.data.store.shards import read_manifest
from drivetrain.progress import progress
from drivetrain.recipes.quickstart import quickstart
from drivetrain.runs.learning import datasets
from drivetrain.runs.run import Data
from drivetrain.studies.cross_play import Across, cross_play
from drivetrain.studies.heads.plan import Budget as HeadsBudget
from drivetrain.studies.heads.plan import Plan as HeadsPlan
from drivetrain.studies.heads.running import heads
from drivetrain.studies.learning_rules import GPU, Budget, Plan
from drivetrain.studies.running import learning_rules

PRESETS = {"cpu": Budget(), "gpu": GPU}


def run(words: list[str]) -> None:
    """Run a study, or go on with one."""
    commands = {"learning-rules": compare_rules, "heads": compare_heads, "cross-play": play_across}
    tyro.extras.subcommand_cli_from_dict(commands, prog="drivetrain study", args=words)


def compare_rules(
    data: tuple[str, ...] = (),
    out: str = "studies/learning-rules",
    preset: Literal["cpu", "gpu"] = "cpu",
    agent_steps: int | None = None,
    seeds: int | None = None,
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RULE…")] = (),
) -> None:
    """BC, BC + PPO, APG, APG with reward gradients, APG + PPO and LOOP on the same scenes, policy and events.

    A study that was interrupted goes on where it stood when it is started again with the same options.

    Args:
        data: folders of datasets, the study's own first; by default the quickstart's, converted where they are not yet
        out: folder of the study: its cells, results.json and report.html
        preset: the budget of a CPU or of a GPU
        agent_steps: what all rules are compared at, instead of the preset's
        seeds: of the comparison, instead of the preset's
        only: train the cells of these rules alone, and write no page
    """
    budget = PRESETS[preset]
    budget = Budget(**vars(budget) | {k: v for k, v in (("agent_steps", agent_steps), ("seeds", seeds)) if v})
    sets = tuple(Data(dataset=folder, dt=read_manifest(folder).dt) for folder in data) or datasets(quickstart())
    print(f"study: {learning_rules(Plan(sets, budget), Path(out), only, progress)}")


def play_across(
    run: Annotated[str, tyro.conf.Positional],
    data: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
    out: str = "studies/cross-play",
    worlds: int = 4,
    seconds: float = 600.0,
) -> None:
    """A policy of self-play outside its own world: among other policies, in long dense worlds, on recordings.

    Args:
        run: folder of a run of self-play
        data: folders of datasets of recordings, to drive on as the ego
        beside: runs whose policies drive there too; those of self-play are met
        out: folder of results.json and report.html
        worlds: of each kind
        seconds: of a dense world, at 15 Hz with 50 agents
    """
    print(f"study: {cross_play(Across(run, data, beside, worlds, seconds), Path(out), progress)}")


def compare_heads(
    data: str | None = None,
    out: str = "studies/heads",
    agent_steps: int | None = None,
    seeds: int | None = None,
    entries: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N…")] = (1024, 8192),
) -> None:
    """Columns apart, the joint grid and vocabularies of motions: BC, then PPO, at one budget of agent-steps.

    A study that was interrupted goes on where it stood when it is started again with the same options.

    Args:
        data: folder of a dataset; by default the quickstart's own, converted where it is not yet
        out: folder of the study: its vocabularies, its cells, results.json and report.html
        agent_steps: of every head, instead of the budget's
        seeds: of the grid's heads and of the first vocabulary
        entries: of the vocabularies of motions; of those after the first, one seed
    """
    own = quickstart().data if data is None else Data(dataset=data, dt=read_manifest(data).dt)
    given = {name: value for name, value in (("agent_steps", agent_steps), ("seeds", seeds)) if value}
    plan = HeadsPlan(own, entries, HeadsBudget(**vars(HeadsBudget()) | given))
    print(f"study: {heads(plan, Path(out), progress)}")
