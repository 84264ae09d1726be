"""What the study of staleness trains: PPO of the quickstart's policy, whose actor is given policies k updates old.

    corrected     values and ratios of the policy that learns, by V-trace (`Ppo.behind`)
    values        its values alone: ratios are taken for one
    uncorrected   values of the policy that drove, and ratios for one: a window is taken for the learner's own

All clip the same surrogate about the policy that drove, and all are the same where nothing is stale. The actor is
synchronous, so that a window is of a policy exactly k updates old (less in the first k updates), and runs repeat.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx

from drivetrain.env import Env
from drivetrain.fleet.group import Fleet
from drivetrain.learn.algorithm import Algorithm, by_sequence, cut, unroll
from drivetrain.learn.ppo import Experience, Ppo, by_step
from drivetrain.policy.base import Architecture, Policy, remembers
from drivetrain.policy.presets import POOLED
from drivetrain.recipes.quickstart import EPOCHS, KEPT, quickstart
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.sim.bank import Bank
from drivetrain.studies.cells import Cell
from drivetrain.types import InputError, Key, Segment, component, replace

CORRECTIONS = {"corrected": "V-trace", "values": "the learner's values alone", "uncorrected": "no correction"}
"""On pages, by the names of the cells."""


@component
class Uncorrected(Ppo):
    """PPO that takes another policy's window for its own."""

    def behind(self) -> Algorithm:
        """As it is."""
        return self


@component
class Revalued(Ppo):
    """PPO that takes another policy's window for its own but for the values, which are the learner's."""

    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Experience:
        """As `Ppo`, where nothing but the surrogate knows who drove."""
        window, whole = segment.steps, remembers(policy)
        logs, _ = unroll(policy, cut(policy, segment), key, lambda d, a: d.log_prob(a))
        own = eqx.tree_at(lambda of: of.steps.log_prob, segment, by_step(logs, window.mask.shape, whole))
        batch = Ppo.prepare(self, env, policy, bank, own, key)
        return replace(batch, log_prob=by_sequence(window.log_prob, whole))


@component
class Budget:
    """What every cell is given."""

    agent_steps: int = 600_000
    seeds: int = 3
    scenes: int = 64
    window: int = 32  # steps
    longest: int = 40  # steps of an episode
    judgements: int = 10
    kept: float = KEPT  # share of a window that is learnt from
    epochs: int = EPOCHS  # passes over it


@dataclass(frozen=True)
class Plan:
    """What is to be run on which data."""

    data: Data
    delays: tuple[int, ...] = (0, 1, 4, 16, 64)  # updates
    budget: Budget = Budget()
    policy: Architecture = POOLED

    def __post_init__(self):
        if not self.delays or min(self.delays) < 0 or len(set(self.delays)) < len(self.delays):
            given = " ".join(map(str, self.delays)) or "none"
            raise InputError(f"delays: {given} (give each number of updates once, 0 or more)")

    def names(self) -> list[str]:
        """Of the cells, without their seeds: of no delay one, of any other one a correction."""
        pairs = [(delay, kind) for delay in self.delays for kind in CORRECTIONS]
        return [name_of(delay, kind) for delay, kind in pairs if delay or kind == "corrected"]

    def cells(self) -> list[Cell]:
        """A seed of every cell after another."""
        return [Cell(name, seed, self.run(name, seed)) for seed in range(self.budget.seeds) for name in self.names()]

    def run(self, name: str, seed: int) -> Run:
        """The whole configuration of one cell."""
        delay, kind = parts_of(name)
        return Run(
            name=name,
            data=self.data,
            episode_seconds=self.budget.longest * self.data.dt,
            policy=self.policy,
            stages=(self._stage(kind),),
            seed=seed,
            fleet=Fleet(actors=1, synchronous=True, delay=delay),
        )

    def _stage(self, kind: str) -> Stage:
        """The quickstart's own, its rate constant, so that no budget is another one's."""
        budget, stage = self.budget, quickstart().stages[-1]
        assert isinstance(stage.algorithm, Ppo)
        made = {"corrected": Ppo, "values": Revalued, "uncorrected": Uncorrected}[kind]
        settings: dict[str, Any] = vars(stage.algorithm) | {"window": budget.window}
        updates = max(-(-budget.agent_steps // (budget.scenes * budget.window)), 1)
        every = max(updates // budget.judgements, 1)
        return replace(
            stage,
            name="ppo",
            title="PPO",
            algorithm=made(**settings),
            optimiser=replace(stage.optimiser, learning_rate=5e-4, steps=0, final=0.0),
            scenes=budget.scenes,
            kept=budget.kept,
            epochs=budget.epochs,
            averaging=0.0,
            agent_steps=budget.agent_steps,
            evaluate_every=every,
            checkpoint_every=every,
            keep_judged=True,
        )


def name_of(delay: int, kind: str) -> str:
    """Of a cell; where nothing is stale, of the only one."""
    return f"delay{delay}-{kind}" if delay else "delay0"


def parts_of(name: str) -> tuple[int, str]:
    """The delay of a cell, in updates, and its correction."""
    delay, _, kind = name.removeprefix("delay").partition("-")
    return int(delay), kind or "corrected"


def title(name: str) -> str:
    """On pages."""
    delay, kind = parts_of(name)
    return f"{old(delay)}, {CORRECTIONS[kind]}" if delay else "Nothing stale"


def old(delay: int) -> str:
    """How stale, on pages."""
    return f"{delay} update{'s' if delay > 1 else ''} old"
