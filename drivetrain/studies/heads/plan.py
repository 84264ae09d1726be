"""What the study of heads trains: BC, then PPO, as the quickstart does it, each head at one budget of agent-steps."""

from dataclasses import dataclass
from pathlib import Path

from drivetrain.data.store.vocabulary import Plan as VocabularyPlan
from drivetrain.data.store.vocabulary import build_vocabulary, write_vocabulary
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.policy.base import Architecture
from drivetrain.policy.presets import POOLED
from drivetrain.recipes.heads import with_head
from drivetrain.recipes.quickstart import quickstart
from drivetrain.runs.criteria import LowestLoss
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.studies.cells import Cell
from drivetrain.types import component, replace

GRID = ("columns", "joint")
"""Heads over the grid of the dynamics."""
TITLES = {"columns": "Columns apart", "joint": "Joint grid"}


@component
class Budget:
    """What every head is given."""

    agent_steps: int = 600_000
    first: float = 0.3  # share of it that is cloning
    seeds: int = 3  # of the grid's heads and of the first vocabulary; one of each further vocabulary
    scenes: int = 128  # of cloning; PPO takes twice as many
    longest: int = 40  # steps of an episode
    window: int = 32  # steps of PPO's
    judgements: int = 8  # of each stage


@dataclass(frozen=True)
class Plan:
    """What is to be run on which data."""

    data: Data
    entries: tuple[int, ...] = (1024, 8192)  # of the vocabularies
    budget: Budget = Budget()
    policy: Architecture = POOLED

    def heads(self) -> tuple[str, ...]:
        """The names of all heads; a vocabulary's is that of its file."""
        return (*GRID, *(f"motions-{count}" for count in self.entries))

    def cells(self, out: Path) -> list[Cell]:
        """A seed of every head after another, then vocabularies of one seed; their files are written where needed."""
        whole = self.heads()[:3]
        pairs = [(head, seed) for seed in range(self.budget.seeds) for head in whole]
        pairs += [(head, 0) for head in self.heads()[3:]]
        return [Cell(head, seed, self.run(head, seed, out)) for head, seed in pairs]

    def run(self, head: str, seed: int, out: Path) -> Run:
        """The whole configuration of one cell."""
        plain = quickstart()
        run = Run(
            name=head,
            data=self.data,
            episode_seconds=self.budget.longest * self.data.dt,
            policy=self.policy,
            stages=(self._cloning(plain.stages[0]), self._improvement(plain.stages[1])),
            seed=seed,
        )
        return with_head(run, head if head in GRID else str(self.vocabulary(head, out)))

    def vocabulary(self, head: str, out: Path) -> Path:
        """The file of a vocabulary of motions of 1 s of the training part."""
        file = out / f"{head}.safetensors"
        if not file.exists():
            wanted = VocabularyPlan(entries=int(head.rpartition("-")[2]), seconds=1.0)
            write_vocabulary(file, build_vocabulary([self.data.dataset], wanted))
        return file

    def _cloning(self, stage: Stage) -> Stage:
        budget = self.budget
        algorithm = stage.algorithm
        assert isinstance(algorithm, Bc)
        stage = replace(
            stage, algorithm=replace(algorithm, longest=budget.longest), criterion=LowestLoss(), scenes=budget.scenes
        )
        return self._spending(stage, int(budget.first * budget.agent_steps))

    def _improvement(self, stage: Stage) -> Stage:
        budget = self.budget
        algorithm = stage.algorithm
        assert isinstance(algorithm, Ppo)
        stage = replace(stage, algorithm=replace(algorithm, window=budget.window), scenes=2 * budget.scenes)
        stage = self._spending(stage, budget.agent_steps - int(budget.first * budget.agent_steps))
        updates = _updates(stage)
        steps = updates * stage.epochs * stage.minibatches
        averaging = min(stage.averaging, max(1.0 - 5.0 / updates, 0.0))
        return replace(stage, optimiser=replace(stage.optimiser, steps=steps), averaging=averaging)

    def _spending(self, stage: Stage, agent_steps: int) -> Stage:
        """The same at a budget, judged so many times."""
        stage = replace(stage, agent_steps=agent_steps, keep_judged=True)
        every = max(_updates(stage) // self.budget.judgements, 1)
        return replace(stage, evaluate_every=every, checkpoint_every=every)


def _updates(stage: Stage) -> int:
    return max(-(-stage.agent_steps // (stage.scenes * stage.algorithm.steps())), 1)


def title(head: str) -> str:
    """On pages."""
    return TITLES.get(head) or f"{int(head.rpartition('-')[2]):,} motions"
