"""`drivetrain study`: many runs of one question, and a page that answers it."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from drivetrain.data.store.shards import read_manifest
from drivetrain.perception.generic import Teaching
from drivetrain.policy.presets import P0_75M
from drivetrain.progress import progress
from drivetrain.recipes.paper import paper
from drivetrain.recipes.quickstart import quickstart, quickstart_gpu
from drivetrain.runs.learning import datasets
from drivetrain.runs.perceiving import restored
from drivetrain.runs.run import Data
from drivetrain.studies.cross_play import Across, cross_play
from drivetrain.studies.eyes import Look, eyes
from drivetrain.studies.heads.plan import Budget as HeadsBudget
from drivetrain.studies.heads.plan import Plan as HeadsPlan
from drivetrain.studies.heads.running import heads
from drivetrain.studies.learning_rules import GPU, Budget, Plan
from drivetrain.studies.running import learning_rules
from drivetrain.studies.scaling.plan import Ablation
from drivetrain.studies.scaling.plan import Budget as ScalingBudget
from drivetrain.studies.scaling.plan import Plan as ScalingPlan
from drivetrain.studies.scaling.running import scaling
from drivetrain.studies.staleness.plan import Budget as StalenessBudget
from drivetrain.studies.staleness.plan import Plan as StalenessPlan
from drivetrain.studies.staleness.running import staleness
from drivetrain.studies.things.comparing import Things, things
from drivetrain.types import replace

PRESETS = {"cpu": Budget(), "gpu": GPU}
RECIPES = {"quickstart": quickstart, "quickstart-gpu": quickstart_gpu, "paper": partial(paper, "paper", P0_75M)}
"""Of the study of scaling, which brings models of its own."""


def run(words: list[str]) -> None:
    """Run a study, or go on with one."""
    commands = {"learning-rules": compare_rules, "heads": compare_heads, "cross-play": play_across}
    commands |= {"staleness": learn_stale, "scaling": scale, "eyes": see, "things": find_things}
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
    own = _own(data)
    given = {name: value for name, value in (("agent_steps", agent_steps), ("seeds", seeds)) if value}
    plan = HeadsPlan(own, entries, HeadsBudget(**vars(HeadsBudget()) | given))
    print(f"study: {heads(plan, Path(out), progress)}")


def learn_stale(
    data: str | None = None,
    out: str = "studies/staleness",
    delays: Annotated[tuple[int, ...], tyro.conf.arg(metavar="K…")] = (0, 1, 4, 16, 64),
    agent_steps: int | None = None,
    seeds: int | None = None,
    kept: float | None = None,
    epochs: int | None = None,
) -> None:
    """PPO from windows that policies of K updates ago drove, corrected by V-trace and not, at one budget.

    A study that was interrupted goes on where it stood when it is started again with the same options; a cell that was
    killed half-way goes on with its saved policy as the oldest.

    Args:
        data: folder of a dataset; by default the quickstart's own, converted where it is not yet
        out: folder of the study: its cells, results.json and report.html
        delays: updates that the actor's policies are old; 0: none are
        agent_steps: of every cell, instead of the budget's
        seeds: of every cell, instead of the budget's
        kept: share of a window that is learnt from, instead of the quickstart's
        epochs: passes over it, instead of the quickstart's
    """
    told = {"agent_steps": agent_steps, "seeds": seeds, "kept": kept, "epochs": epochs}
    given = {name: value for name, value in told.items() if value}
    plan = StalenessPlan(_own(data), delays, StalenessBudget(**vars(StalenessBudget()) | given))
    print(f"study: {staleness(plan, Path(out), progress)}")


def scale(
    data: str | None = None,
    out: str = "studies/scaling",
    recipe: Literal["quickstart", "quickstart-gpu", "paper"] = "quickstart",
    models: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODEL…")] = ("tiny", "0.75M"),
    hours: Annotated[tuple[float, ...], tyro.conf.arg(metavar="HOURS…")] = (float("inf"),),
    steps: Annotated[tuple[int, ...], tyro.conf.arg(metavar="STEPS…")] = (500_000,),
    cloning: int = 0,
    scenes: int = 0,
    rate: float = 0.0,
    seeds: int = 1,
    judgements: int = 10,
    ablation: Ablation = "largest",
    slots: int = 0,
) -> None:
    """Size of the model × hours of data × steps: BC, then PPO, in every cell, and PPO without pre-training.

    A study that was interrupted goes on where it stood when it is started again with the same options. Fewer hours are
    a part of more, drawn among the training recordings; all cells are judged and tested on the same drives.

    Args:
        data: folder of a dataset; by default the quickstart's own, converted where it is not yet
        out: folder of the study: its data sets, its cells, results.json and report.html
        recipe: what a policy sees and how it learns: batches, rates, losses, stages
        models: pooled-0.04M, pooled-0.15M, pooled-0.5M, tiny, 0.75M, 2.5M or 25M, the smallest first
        hours: of training recordings; inf: all of them
        steps: agent-steps of PPO at which all are compared; every cell goes on to the most of them
        cloning: agent-steps of BC before it, at most; 0: the recipe's
        scenes: gathered from at once by PPO, and half as many by BC; 0: the recipe's
        rate: learning rate of PPO, constant; 0: the recipe's
        seeds: of every cell
        judgements: on validation, of each stage, at least
        ablation: the cells that are trained without pre-training too: the largest model with most hours, every, none
        slots: recordings to learn from that are on the device at once, renewed while a cell is trained; 0: all of them
    """
    base = RECIPES[recipe]()
    base = replace(base, stream=replace(base.stream, slots=slots))
    budget = ScalingBudget(steps, cloning, scenes, rate, seeds, judgements)
    plan = ScalingPlan(_own(data), base, models, hours, budget, ablation)
    print(f"study: {scaling(plan, Path(out), progress)}")


def see(
    run: Annotated[str, tyro.conf.Positional],
    detector: str | None = None,
    teacher: str | None = None,
    out: str = "studies/eyes",
    drives: int = 36,
    watched: int = 16,
    seed: int = 0,
) -> None:
    """A driver by camera on drawn pictures, beside a model of the detector's errors that is fitted to it.

    Args:
        run: folder of a run of camera-driver
        detector: folder of a run of `drivetrain perception train`; without one, the labels of pictures stand for it
        teacher: the privileged run that it is held against; by default its teacher
        out: folder of results.json and errors.json
        drives: of the test part, spread evenly
        watched: drives of the validation part, half of which fit the model
        seed: of the bootstrap, and of how pictures look
    """
    network = None if detector is None else restored(Path(detector))
    print(f"study: {eyes(Look(run, teacher or '', drives, watched, seed), network, Path(out), progress)}")


def find_things(
    train: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SET…")],
    test: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SET…")],
    out: str = "studies/things",
    seeds: int = 3,
    teaching: Teaching = Teaching(),  # noqa: B008 - frozen
) -> None:
    """Whether things are found whose kind never had a box, and whether boxes help to tell kinds apart.

    A study that was interrupted goes on with the first seed that it has not measured.

    Args:
        train: sets of labelled pictures to learn from (data render --strewn makes some)
        test: sets of other pictures
        out: folder of the study: a file a seed, results.json and report.html
        seeds: of the comparison; under each another share of the kinds has no boxes
        teaching: the network, and how it is taught
    """
    print(f"study: {things(Things(train, test, seeds, teaching), Path(out), progress)}")


def _own(data: str | None) -> Data:
    """A dataset's folder, or the quickstart's own."""
    return quickstart().data if data is None else Data(dataset=data, dt=read_manifest(data).dt)
