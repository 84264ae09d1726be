"""From the cells of the study of learning rules to its figures: `results.json`, of which the page is made."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drivetrain.evaluate.benchmark import Evaluation, together
from drivetrain.evaluate.intervals import mean
from drivetrain.runs.run import Data
from drivetrain.runs.site import Progress
from drivetrain.studies.cells import Cell, Judged, by_rule, choose, curves, judged
from drivetrain.studies.learning_rules import LADDER, RULES, SLACK, THROUGH, TOGETHER, Plan
from drivetrain.studies.testing import PLAIN, Tests, Way, least_ade, tabulated
from drivetrain.types import InputError

ACTUATION = (0.05, 0.2)
"""Noise on actions, spans: on the bicycle's, 0.2 and 0.8 m/s² and 0.03 and 0.12 rad/s."""
START = (0.5, 1.0)
"""Noise on the first place, m."""
SAMPLED = Way(samples=6)
AGAINST = {"apg": "bc", "apg_margins": "apg", "apg_ppo": "bc_ppo", "bc_loop": "bc_ppo", "bc_ppo": "bc"}
"""Whom each rule is compared with, on the same egos and seeds."""
CURVES = ("val_failure_rate", "val_progress_ratio", "val_ade")


class Comparison:
    """Cells that are trained, and what their policies did on the test episodes."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], out: Path):
        self.plan, self.out = plan, out
        self.tests = Tests([data.dataset for data in plan.data])
        self.cells = by_rule(cells)
        self.points = {rule: [judged(cell, out) for cell in own] for rule, own in self.cells.items()}
        spent = [
            statistics.median(run[-1].seconds for run in self.points[rule]) for rule in RULES if rule in self.cells
        ]
        self.seconds = min(spent, default=0.0)
        """What all rules are compared at: the training time of the fastest."""

    def figures(self, progress: Progress) -> dict[str, Any]:
        """Everything that was measured, but the curves of what is no run."""
        steps, seconds = float(self.plan.budget.agent_steps), self.seconds
        rules = [rule for rule in RULES if rule in self.cells]
        others = [rule for rule in (*LADDER, *THROUGH) if rule in self.cells]
        budgets = {"steps": (steps, np.inf), "seconds": (np.inf, seconds), "all": (np.inf, np.inf)}
        tables: dict[str, Any] = {}
        with progress("test", total=(3 * len(rules) + 3) * len(self.plan.data), unit="tables") as show:
            done = 0
            for row, data in enumerate(self.plan.data):
                tables[data.name] = {}
                for name, budget in budgets.items():
                    tables[data.name][name] = self._table(rules, row, data, budget)
                    done += len(rules)
                    show(done, f"{data.name}, {name}")
                single = [rule for rule in ("apg", "bc_loop") if rule in self.cells]
                tables[data.name]["others"] = self._table([*single, *others], row, data, (np.inf, np.inf), seeds=1)
                show(done := done + 1, f"{data.name}, others")
                tables[data.name]["noise"] = {rule: self._noise(rule, row) for rule in rules}
                show(done := done + 1, f"{data.name}, noise")
                tables[data.name]["least_ade"] = {rule: self._least_ade(rule, row) for rule in rules}
                show(done := done + 1, f"{data.name}, samples")
        return {
            "agent_steps": steps,
            "seconds": seconds,
            "seeds": self.plan.budget.seeds,
            "slack": SLACK,
            "tables": tables,
            "spent": {rule: self._spent(rule) for rule in self.cells},
            "curves": {rule: curves(runs, CURVES) for rule, runs in self.points.items()},
            "agents": {rule: self._agents(rule) for rule in ("apg", "apg_together") if rule in self.cells},
        }

    def _table(
        self, rules: Sequence[str], dataset: int, data: Data, budget: tuple[float, float], seeds: int | None = None
    ) -> dict[str, Any]:
        """An entry a rule, all its seeds together: resampling recordings takes all seeds' drives of one along."""
        driven = {rule: self._driven(rule, dataset, budget, PLAIN, seeds) for rule in rules}
        return tabulated(driven, data, AGAINST)

    def _chosen(self, rule: str, budget: tuple[float, float] = (np.inf, np.inf)) -> list[tuple[Cell, Judged]]:
        steps, seconds = budget
        pairs = zip(self.cells[rule], self.points[rule], strict=True)
        return [(cell, choose(points, SLACK, steps, seconds)) for cell, points in pairs]

    def _driven(
        self, rule: str, dataset: int, budget: tuple[float, float], way: Way, seeds: int | None = None
    ) -> Evaluation:
        chosen = self._chosen(rule, budget)[:seeds]
        return together([self.tests.outcomes(cell, self.out, point, way, dataset) for cell, point in chosen])

    def _noise(self, rule: str, dataset: int) -> dict[str, list[dict[str, Any]]]:
        """Failure rate and ADE under each noise, none first."""

        def row(size: float, way: Way) -> dict[str, Any]:
            outcome = self._driven(rule, dataset, (np.inf, np.inf), way).outcome
            exists = np.asarray(outcome.exists)
            return {
                "size": size,
                "failure_rate": float(np.mean(outcome.failure[exists])),
                "ade": float(np.mean(outcome.ade[exists])),
            }

        return {
            "actuation": [row(0.0, PLAIN)] + [row(size, Way(actuation=size)) for size in ACTUATION],
            "start": [row(0.0, PLAIN)] + [row(size, Way(start=size)) for size in START],
        }

    def _least_ade(self, rule: str, dataset: int) -> dict[str, Any]:
        """The minADE of six samples, m, of all seeds together."""
        drives = [self.tests.outcomes(cell, self.out, point, SAMPLED, dataset) for cell, point in self._chosen(rule)]
        least, cluster = (np.concatenate(rows) for rows in zip(*map(least_ade, drives), strict=True))
        return mean(least, cluster).as_json()

    def _agents(self, rule: str) -> list[dict[str, Any]]:
        """How one seed fares where it drives several agents of a scene at once, on the study's own data."""
        rows, (cell, point) = [], self._chosen(rule)[0]
        for agents in (1, TOGETHER, 2 * TOGETHER):
            try:
                outcome = self.tests.outcomes(cell, self.out, point, Way(agents=agents), 0).outcome
            except InputError:  # no recording has so many at once
                break
            exists = np.asarray(outcome.exists)
            rates = {name: float(np.mean(outcome.happened[name][exists])) for name in ("failure", "collision")}
            rows.append(
                {"agents": agents, "egos": int(exists.sum()), "ade": float(np.mean(outcome.ade[exists]))} | rates
            )
        return rows

    def _spent(self, rule: str) -> dict[str, Any]:
        ends = [run[-1] for run in self.points[rule]]
        return {
            "steps": statistics.median(end.steps for end in ends),
            "seconds": statistics.median(end.seconds for end in ends),
        }
