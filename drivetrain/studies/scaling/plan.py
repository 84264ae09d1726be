"""What the study of scaling trains: a recipe's BC, then its PPO, of every model on every data set; and PPO alone.

A cell is trained to the most steps, its rate constant after the warm-up, and judged on its way, so that one run answers
for every budget below its own. Batches, rates and all else are the recipe's, the same for every cell.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drivetrain.learn.bc import Bc
from drivetrain.policy.base import Architecture
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.perceiver import PerceiverSizes
from drivetrain.policy.presets import P0_75M, P2_5M, P25M, POOLED, TINY
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.studies.cells import Cell
from drivetrain.studies.scaling.sets import set_of
from drivetrain.types import InputError, component, replace

MODELS: dict[str, Architecture] = {
    "pooled-0.04M": DeepSetsSizes(tokens=32, width=64),
    "pooled-0.15M": POOLED,
    "pooled-0.5M": DeepSetsSizes(tokens=128, width=256),
    "tiny": TINY,
    "0.75M": P0_75M,
    "2.5M": P2_5M,
    "25M": P25M,
}
"""By the names that the command takes: pooled sets that grow through their widths, for CPUs, and Perceivers that grow
through their attention dimensions, as the paper's."""

SCRATCH = "-scratch"
"""Ends the names of cells without pre-training."""
Ablation = Literal["largest", "every", "none"]


@component
class Budget:
    """What every cell is given. 0: as the recipe has it."""

    steps: tuple[int, ...] = (500_000,)  # agent-steps of PPO: what is compared; a cell goes on to the most of them
    cloning: int = 0  # agent-steps of BC before it, at most
    scenes: int = 0  # of PPO; BC takes half as many
    rate: float = 0.0  # learning rate of PPO
    seeds: int = 1
    judgements: int = 10  # of each stage, at least

    def __post_init__(self):
        if not self.steps or min(self.steps) <= 0:
            raise InputError(f"steps: {' '.join(map(str, self.steps)) or 'none'} (give agent-steps above 0)")
        for name, least in (("cloning", 0), ("scenes", 0), ("rate", 0), ("seeds", 1), ("judgements", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}: {getattr(self, name)} (at least {least})")


@dataclass(frozen=True)
class Plan:
    """What is to be run on which data."""

    data: Data
    recipe: Run  # its last stage improves, those before it pre-train
    models: tuple[str, ...]  # of `MODELS`, the smallest first
    hours: tuple[float, ...] = (float("inf"),)  # of training recordings; inf: all of them
    budget: Budget = Budget()
    ablation: Ablation = "largest"  # which cells are also trained without pre-training

    def __post_init__(self):
        for name in self.models:
            if name not in MODELS:
                raise InputError(f"models: {name}: no such model (use some of {', '.join(MODELS)})")
        for name, given in (("models", self.models), ("hours", self.hours)):
            if not given or len(set(given)) < len(given):
                raise InputError(f"{name}: {' '.join(map(str, given)) or 'none'} (give each once)")
        if not all(hours > 0.0 for hours in self.hours):
            raise InputError(f"hours: {' '.join(f'{each:g}' for each in self.hours)} (give hours above 0)")

    def names(self) -> list[tuple[str, float, bool]]:
        """Model, hours and whether it begins from scratch, of every cell."""
        pairs = [(model, hours) for hours in sorted(self.hours) for model in self.models]
        alone = {"every": pairs, "largest": pairs[-1:], "none": []}[self.ablation]
        return [(*pair, False) for pair in pairs] + [(*pair, True) for pair in alone]

    def cells(self, out: Path) -> list[Cell]:
        """A seed of every cell after another."""
        seeds = range(self.budget.seeds)
        return [Cell(name_of(*each), seed, self.run(*each, seed, out)) for seed in seeds for each in self.names()]

    def run(self, model: str, hours: float, scratch: bool, seed: int, out: Path) -> Run:
        """The whole configuration of one cell."""
        *before, last = self.recipe.stages
        stages = tuple(self._cloning(stage) for stage in before if not scratch)
        return replace(
            self.recipe,
            name=name_of(model, hours, scratch),
            data=set_of(self.data, hours, out),
            more=(),
            policy=self.architecture(model),
            stages=(*stages, self._improvement(last)),
            seed=seed,
        )

    def architecture(self, model: str) -> Architecture:
        """The model for what the recipe's policies see: its tokens of a lane's points, its precision."""
        sizes, like = MODELS[model], self.recipe.policy
        if not isinstance(sizes, PerceiverSizes):
            return sizes
        points = self.recipe.env.observer.widths.points
        chunk = next((each for each in range(sizes.chunk, points) if points % each == 0), points)
        dtype = like.dtype if isinstance(like, PerceiverSizes) else sizes.dtype
        return replace(sizes, chunk=chunk, dtype=dtype)

    def _cloning(self, stage: Stage) -> Stage:
        if not isinstance(stage.algorithm, Bc):
            raise InputError(f"recipe: stage {stage.name}: {type(stage.algorithm).__name__} (pre-train by BC alone)")
        scenes = max(self.budget.scenes // 2, 1) if self.budget.scenes else stage.scenes
        return self._judged(replace(stage, scenes=scenes), self.budget.cloning or stage.agent_steps)

    def _improvement(self, stage: Stage) -> Stage:
        """Its rate is constant, as the paper's: no budget is another one's."""
        rate = self.budget.rate or stage.optimiser.learning_rate
        optimiser = replace(stage.optimiser, learning_rate=rate, steps=0)
        stage = replace(stage, optimiser=optimiser, scenes=self.budget.scenes or stage.scenes)
        stage = self._judged(stage, max(self.budget.steps))
        if stage.averaging:
            updates = max(_updates(stage), 1)
            stage = replace(stage, averaging=min(stage.averaging, max(1.0 - 5.0 / updates, 0.0)))
        return stage

    def _judged(self, stage: Stage, agent_steps: int) -> Stage:
        """The same at a budget, judged so many times or more often, and kept as often as it is judged."""
        stage = replace(stage, agent_steps=agent_steps, keep_judged=True)
        every = max(min(stage.evaluate_every, _updates(stage) // self.budget.judgements), 1)
        return replace(stage, evaluate_every=every, checkpoint_every=min(stage.checkpoint_every, every))


def _updates(stage: Stage) -> int:
    return -(-stage.agent_steps // (stage.scenes * stage.algorithm.steps()))


def name_of(model: str, hours: float, scratch: bool) -> str:
    """Of a cell."""
    return f"{model}-{hours:g}h{SCRATCH if scratch else ''}"


def identity(plan: Plan) -> tuple[object, ...]:
    """All that tells one plan from another: its fields, for the file in the study's folder."""
    return tuple(getattr(plan, field.name) for field in dataclasses.fields(plan))
