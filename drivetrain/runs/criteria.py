"""By what a stage's best policy is chosen, and when a stage has had enough: always on validation parts."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.banks.part import Lot, Part
from drivetrain.banks.towns import Worlds
from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Evaluation, evaluate, portion_of
from drivetrain.evaluate.worlds import drive_worlds, summarise_worlds
from drivetrain.fleet.local import losses
from drivetrain.learn.algorithm import Algorithm, Figures
from drivetrain.parallel import shares
from drivetrain.policy.base import Policy
from drivetrain.types import InputError, component

AT_ONCE = 64
"""Episodes whose loss is computed at once: bounds memory, changes no figure."""


@dataclass(frozen=True)
class Validation:
    """What policies are judged on."""

    folders: tuple[str, ...]  # of the datasets, the run's own first
    own_share: float  # what the first of them weighs, where there are more
    recordings: int = 0  # in memory at once; 0: all
    seconds: float = 0.0  # of an episode that is learnt from, at most
    paths: bool = False  # laid for traffic that follows them
    goals: float = 0.0  # m between goals along routes; 0: there are none
    worlds: Worlds | None = None  # to judge self-play in
    judged: tuple[int, int] = (0, 0)  # how many of them, for how many steps

    def part(self, seconds: float = 0.0) -> Part:
        """The validation parts of all datasets."""
        return Part(self.folders, "val", self.recordings, self.paths, seconds, goals=self.goals)


Judge = Callable[[Policy], tuple[float, dict[str, float]]]
"""A policy's score, lower is better, and its line in the journal."""


@component
class Criterion(ABC):
    """A score of policies."""

    patience: int = 0  # judgements without a lower score after which a stage ends; 0: it spends its budget
    slack: float = 0.0  # above the lowest score so far; the *latest* policy within it is kept (a standard error, say)

    @abstractmethod
    def open(self, env: Env, algorithm: Algorithm, validation: Validation) -> Judge:
        """Read what is judged on."""


@component
class LowestLoss(Criterion):
    """The algorithm's own loss on validation episodes."""

    def open(self, env: Env, algorithm: Algorithm, validation: Validation) -> Judge:
        """The mean over all steps of all episodes."""
        part = validation.part(validation.seconds)

        def judge(policy: Policy) -> tuple[float, dict[str, float]]:
            sums = [_summed(env, algorithm, lot, policy) for lot in part]
            weight, figures = jax.tree.map(lambda *parts: sum(parts), *sums)
            figures = jax.tree.map(lambda figure: figure / max(weight, 1.0), figures)
            described = algorithm.describe_loss(figures)
            return described["loss"], {f"val_{name}": value for name, value in described.items()}

        return judge


@component
class FewestFailures(Criterion):
    """The failure rate of greedy drives to the end of the recordings, each dataset by its share.

    A policy that makes less progress than `least_progress` on the run's own dataset is chosen only where none makes
    more: standing still is safe.
    """

    least_progress: float = 0.9

    def open(self, env: Env, algorithm: Algorithm, validation: Validation) -> Judge:
        """Failure rates and progress on each dataset."""
        part = validation.part()
        names = [folder.rstrip("/").rpartition("/")[2] for folder in validation.folders]

        def judge(policy: Policy) -> tuple[float, dict[str, float]]:
            driver = Greedy(policy, env.dynamics)
            driven = [(evaluate(env, lot.bank, driver, portion_of(lot)), lot.episode_dataset()) for lot in part]
            rows = [_driven(driven, number) for number in range(len(names))]
            own, others = rows[0], rows[1:]
            rate = own[0]
            if others:
                rate = validation.own_share * own[0] + (1.0 - validation.own_share) * float(
                    np.mean([failure for failure, _, _ in others])
                )
            line = {"val_failure_rate": own[0], "val_progress_ratio": own[1], "val_ade": own[2], "val_score": rate}
            for name, (failure, ratio, ade) in zip(names[1:], others, strict=True):
                line |= {f"{name}_failure": failure, f"{name}_progress": ratio, f"{name}_ade": ade}
            return rate + (0.0 if own[1] >= self.least_progress else 1.0), line

        return judge


def _driven(driven: list[tuple[Evaluation, np.ndarray]], dataset: int) -> tuple[float, float, float]:
    """Failure rate, progress ratio and mean distance to the log, m, of the egos of one dataset."""
    failures, away, progress, covered = [], [], 0.0, 0.0
    for result, of in driven:
        rows = np.flatnonzero(of == dataset)
        outcome = jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], result.outcome)
        failures.append(outcome.failure[outcome.exists])
        away.append(outcome.ade[outcome.exists])
        progress += float(np.sum(outcome.progress))
        covered += float(np.sum(outcome.log_distance))
    rate, ade = (float(np.mean(np.concatenate(each))) for each in (failures, away))
    return rate, progress / max(covered, 1e-6), ade


def _summed(env: Env, algorithm: Algorithm, lot: Lot, policy: Policy) -> tuple[float, Figures]:
    """Steps of a lot, and the figures of an algorithm's loss summed over them."""
    rows, each, parts = lot.rows(), shares(AT_ONCE), []
    for start in range(0, len(rows), each):
        some = np.resize(rows[start : start + each], each).astype(np.int32)
        known = (np.arange(start, start + each) < len(rows)).astype(np.float32)
        parts.append(jax.device_get(losses(env, algorithm, lot.bank, policy, jnp.asarray(some), jnp.asarray(known))))
    weight, figures = jax.tree.map(lambda *sums: sum(sums), *parts)
    return float(weight), figures


@component
class MostGoals(Criterion):
    """The share of goals that are missed by greedy drivers in worlds of self-play."""

    def open(self, env: Env, algorithm: Algorithm, validation: Validation) -> Judge:
        """Figures of the worlds. Raises `InputError` where the run has none."""
        if validation.worlds is None:
            raise InputError("criterion: MostGoals: the run learns on no map (name some in asked.maps)")
        bank, (count, steps), dt = validation.worlds.bank, validation.judged, float(validation.worlds.bank.dt)
        rows = np.resize(np.arange(len(bank.episodes.map)), count)

        def judge(policy: Policy) -> tuple[float, dict[str, float]]:
            lived = drive_worlds(env, bank, Greedy(policy, env.dynamics), rows, steps, jax.random.key(1))
            figures = summarise_worlds(lived, dt, 0)
            line = {
                f"val_{name}": each["value"]
                for name, each in figures.items()
                if isinstance(each, dict) and "low" in each
            }
            known = {name: float(value) for name, value in line.items() if value is not None}
            return 1.0 - known.get("val_goals_reached", 0.0), known

        return judge
