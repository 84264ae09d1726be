"""Policies of a study on the test episodes: as they are, sampled, under noise, and many agents at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from drivetrain.banks.part import Lot, Part
from drivetrain.drivers.greedy import Greedy
from drivetrain.drivers.noisy import Noisy
from drivetrain.drivers.sampled import Sampled
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Evaluation, Portion, compare, evaluate, summarise, together
from drivetrain.policy.base import Policy
from drivetrain.policy.mixture import spans
from drivetrain.rollout import Driver
from drivetrain.runs.run import Data
from drivetrain.sim.spawning.scattered import Scattered
from drivetrain.studies.cells import Cell, Judged, load_judged, read_outcomes, save_outcomes
from drivetrain.types import replace

RADIANS_PER_METRE = 0.1
"""How far askew a start is that is a metre aside."""


@dataclass(frozen=True)
class Way:
    """How a policy is tested: greedily, unless said otherwise."""

    samples: int = 0  # drives by samples, of each of which every figure is kept: as many evaluations
    actuation: float = 0.0  # normal noise on every action, spans
    start: float = 0.0  # normal noise on the first place, m, and a tenth of it in rad
    agents: int = 1  # that the policy drives at once

    @property
    def name(self) -> str:
        """Of its file."""
        return f"samples{self.samples}-actuation{self.actuation:g}-start{self.start:g}-agents{self.agents}"


PLAIN = Way()


class Tests:
    """The test episodes of some datasets, read once."""

    def __init__(self, folders: Sequence[str], part: str = "test"):
        self.folders, self.part, self._lots = tuple(folders), part, {}

    def lot(self, agents: int) -> Lot:
        """Its episodes with so many agents driven in each."""
        if agents not in self._lots:
            self._lots[agents] = Part(self.folders, self.part, controlled=agents).whole
        return self._lots[agents]

    def outcomes(self, cell: Cell, out: Path, point: Judged, way: Way = PLAIN, dataset: int = 0) -> Evaluation:
        """How a policy fares on one of the datasets: read where it was measured before, else measured and kept.

        With samples, one drive of each episode after another.
        """
        file = cell.folder(out) / "outcomes" / f"{point.file.parent.name}-{point.file.stem}-{way.name}.safetensors"
        if not file.exists():
            lot = self.lot(way.agents)
            drives = self._drives(cell.run.env, load_judged(cell, point), way, lot)
            save_outcomes(file, together(drives), np.tile(lot.episode_dataset(), len(drives)))
        return read_outcomes(file, dataset)

    def _drives(self, env: Env, policy: Policy, way: Way, lot: Lot) -> list[Evaluation]:
        driver: Driver = Greedy(policy, env.dynamics)
        if way.samples:
            driver = Sampled(policy, env.dynamics)
        if way.actuation:
            driver = Noisy(driver, way.actuation * jnp.asarray(spans(env.dynamics)))
        if way.start:
            spawning = Scattered(env.spawning, way.start, RADIANS_PER_METRE * way.start)
            env = replace(env, spawning=spawning)
        return [evaluate(env, lot.bank, driver, Portion(), seed) for seed in range(max(way.samples, 1))]


def tabulated(driven: Mapping[str, Evaluation], data: Data, against: Mapping[str, str]) -> dict[str, Any]:
    """An entry each, of its drives of a dataset's test episodes; its differences from another on as many of them."""
    table: dict[str, Any] = {}
    for name, result in driven.items():
        table[name] = summarise(result, name, data.dataset, "test", data.dt, 0)
        other = against.get(name, "")
        if other in driven and len(driven[other].episode) == len(result.episode):
            table[name]["against"] = {other: compare(result, driven[other])}
    return table


def least_ade(sampled: Evaluation) -> tuple[Float[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """minADE: of each ego's sampled drives the distance to the log, m, of the nearest; and the ego's cluster."""
    exists = np.asarray(sampled.outcome.exists)
    ade = np.where(exists, sampled.outcome.ade, np.inf)
    episodes = len(np.unique(sampled.episode))
    least = np.min(ade.reshape(-1, episodes, ade.shape[1]), axis=0)
    cluster = np.broadcast_to(np.asarray(sampled.source)[:episodes, None], least.shape)
    return least[np.isfinite(least)], cluster[np.isfinite(least)]
