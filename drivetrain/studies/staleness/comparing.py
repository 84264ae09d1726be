"""From the cells of the study of staleness to its figures: `results.json`, of which the page is made."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from drivetrain.evaluate.benchmark import together
from drivetrain.runs.site import Progress
from drivetrain.studies.cells import Cell, Judged, by_rule, choose, curves, judged
from drivetrain.studies.learning_rules import SLACK
from drivetrain.studies.staleness.plan import Plan, name_of, parts_of
from drivetrain.studies.testing import Tests, tabulated

CURVES = ("val_failure_rate", "val_progress_ratio", "val_ade")
STALE = ("staleness_mean", "divergence", "clipped")
"""How far the policy that drove was from the one that learnt, by the journal."""


class Comparison:
    """Cells that are trained, and what their policies did on the test episodes."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], out: Path):
        self.plan, self.out = plan, out
        self.tests = Tests([plan.data.dataset])
        self.cells = by_rule(cells)
        self.points = {name: [judged(cell, out) for cell in own] for name, own in self.cells.items()}

    def figures(self, progress: Progress) -> dict[str, Any]:
        """Everything that was measured."""
        tables = {}
        with progress("test", total=2 * len(self.cells), unit="cells") as show:
            for done, which in enumerate(("last", "chosen")):
                jax.clear_caches()  # a process may map only so many programs, and training has left many
                tables[which] = self._table(which)
                show((done + 1) * len(self.cells), which)
        return {
            "agent_steps": self.plan.budget.agent_steps,
            "of_update": self.plan.budget.scenes * self.plan.budget.window,
            "seeds": self.plan.budget.seeds,
            "slack": SLACK,
            "tables": tables,
            "curves": {name: curves(runs, CURVES) for name, runs in self.points.items()},
            "whole": {name: [_whole(run) for run in runs] for name, runs in self.points.items()},
            "stale": {name: _stale(runs) for name, runs in self.points.items()},
            "seconds": {name: statistics.median(run[-1].seconds for run in runs) for name, runs in self.points.items()},
        }

    def _table(self, which: str) -> dict[str, Any]:
        """An entry a cell, its seeds together: of the last policies, or of those that were chosen on validation.

        Differences are from V-trace at the same delay; of V-trace, from nothing stale.
        """
        driven, against = {}, {}
        for name, own in self.cells.items():
            points = [run[-1] if which == "last" else choose(run, SLACK) for run in self.points[name]]
            pairs = zip(own, points, strict=True)
            driven[name] = together([self.tests.outcomes(cell, self.out, point) for cell, point in pairs])
            delay, kind = parts_of(name)
            if delay:
                against[name] = name_of(0 if kind == "corrected" else delay, "corrected")
        return tabulated(driven, self.plan.data, against)


def _whole(run: Sequence[Judged]) -> float:
    """The mean failure rate on validation over all judgements but the first, which nothing was learnt for."""
    return statistics.fmean(point.line["val_failure_rate"] for point in run[1:])


def _stale(runs: Sequence[Sequence[Judged]]) -> dict[str, float]:
    """Medians over the second half of each run."""
    lines = [point.line for run in runs for point in run[-(len(run) // 2) :]]
    return {figure: statistics.median(line[figure] for line in lines) for figure in STALE}
