"""From the cells of the study of scaling to its figures: `results.json`, of which the page is made."""

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from drivetrain.evaluate.benchmark import Evaluation, together
from drivetrain.policy.base import count_parameters
from drivetrain.runs.configuration import read_config
from drivetrain.runs.site import Progress
from drivetrain.studies.cells import Cell, Judged, by_rule, choose, curves, judged
from drivetrain.studies.learning_rules import SLACK
from drivetrain.studies.scaling.plan import Plan, name_of
from drivetrain.studies.scaling.sets import describe, set_of
from drivetrain.studies.testing import Tests, tabulated

CURVES = ("val_failure_rate", "val_progress_ratio", "val_ade")
HOUR = 3600.0


class Comparison:
    """Cells that are trained, and what their policies did on the test episodes."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], out: Path):
        self.plan, self.out = plan, out
        self.tests = Tests([plan.data.dataset])
        self.cells = by_rule(cells)
        self.spent = {name: [_spent(cell, out) for cell in own] for name, own in self.cells.items()}
        """Seconds of BC, of PPO, and of its steps, a seed each."""
        self.points = {name: [_improved(cell, out) for cell in own] for name, own in self.cells.items()}
        """What was judged of PPO, counted from its own first step; the first is what it begins with."""

    def figures(self, progress: Progress) -> dict[str, Any]:
        """Everything that was measured."""
        plan, tables, budgets = self.plan, {}, sorted(set(self.plan.budget.steps))
        with progress("test", total=len(budgets) + 1, unit="budgets") as show:
            for done, budget in enumerate((0, *budgets)):
                jax.clear_caches()  # a process may map only so many programs, and training has left many
                tables[str(budget)] = self._table(budget)
                show(done + 1, f"{budget:,} agent-steps")
        return {
            "recipe": plan.recipe.name,
            "data": plan.data.name,
            "seeds": plan.budget.seeds,
            "steps": budgets,
            "slack": SLACK,
            "models": {model: self._parameters(model) for model in plan.models},
            "sets": {f"{hours:g}": describe(set_of(plan.data, hours, self.out)) for hours in sorted(plan.hours)},
            "cells": {
                name_of(model, hours, scratch): {"model": model, "hours": f"{hours:g}", "scratch": scratch}
                for model, hours, scratch in plan.names()
                if name_of(model, hours, scratch) in self.cells
            },
            "tables": tables,
            "by_model": self._table(budgets[-1], by_model=True),
            "curves": {name: curves(runs, CURVES) for name, runs in self.points.items()},
            "spent": {name: _medians(seeds) for name, seeds in self.spent.items()},
        }

    def _parameters(self, model: str) -> int:
        env, made = self.plan.recipe.env, self.plan.architecture(model)
        return count_parameters(jax.eval_shape(lambda: made.build(env, jax.random.key(0))))

    def _table(self, budget: int, by_model: bool = False) -> dict[str, Any]:
        """An entry a cell, its seeds together, of what was chosen on validation within so many agent-steps of PPO.

        With none: of what PPO begins with, where that was trained. Differences are from the same model on the next
        smaller set, or with `by_model` from the next smaller model on the same set; of a cell without pre-training,
        from the one with it.
        """
        driven, against = {}, {}
        sets, models = sorted(self.plan.hours), self.plan.models
        for model, hours, scratch in self.plan.names():
            name = name_of(model, hours, scratch)
            if name not in self.cells or (scratch and not budget):
                continue
            driven[name] = self._driven(name, budget)
            fewer, smaller = sets[max(sets.index(hours) - 1, 0)], models[max(models.index(model) - 1, 0)]
            pair = (smaller, hours) if by_model else (model, fewer)
            other = name_of(*((model, hours) if scratch else pair), False)
            if other != name:
                against[name] = other
        return tabulated(driven, self.plan.data, against)

    def _driven(self, name: str, budget: int) -> Evaluation:
        pairs = zip(self.cells[name], self.points[name], strict=True)
        chosen = [(cell, choose(points, SLACK, budget)) for cell, points in pairs]
        return together([self.tests.outcomes(cell, self.out, point) for cell, point in chosen])


def _stage_of(point: Judged) -> str:
    return point.file.parent.name


def _improved(cell: Cell, out: Path) -> list[Judged]:
    points = [each for each in judged(cell, out, begun=True) if _stage_of(each) == cell.run.stages[-1].name]
    first = points[0]
    return [
        dataclasses.replace(each, steps=each.steps - first.steps, seconds=each.seconds - first.seconds)
        for each in points
    ]


def _spent(cell: Cell, out: Path) -> dict[str, float | str]:
    """Agent-steps and device-hours of each half, by updates and the median of the timed ones; PPO's steps/s at best."""
    points = judged(cell, out, begun=True)
    begun = next(each for each in points if _stage_of(each) == cell.run.stages[-1].name)
    config = read_config(cell.folder(out))
    devices = float(config.get("devices", 1))
    return {
        "cloned": float(begun.steps),
        "improved": float(points[-1].steps - begun.steps),
        "cloning_hours": begun.seconds * devices / HOUR,
        "improving_hours": (points[-1].seconds - begun.seconds) * devices / HOUR,
        "fastest": _fastest(cell, points),
        "devices": devices,
        "device": str(config.get("device", "")),
    }


def _fastest(cell: Cell, points: Sequence[Judged]) -> float:
    """Agent-steps/s of PPO's fastest update, of those that were timed."""
    stage = cell.run.stages[-1]
    timed = [each.line["seconds"] for each in points if _stage_of(each) == stage.name and "seconds" in each.line]
    return stage.scenes * stage.algorithm.steps() / max(min(timed), 1e-9)


def _medians(seeds: Sequence[dict[str, float | str]]) -> dict[str, float | str]:
    """Of the numbers of all seeds; a word is the first's."""
    numbers = {
        key: statistics.median(float(each[key]) for each in seeds)
        for key, value in seeds[0].items()
        if not isinstance(value, str)
    }
    return {key: numbers.get(key, value) for key, value in seeds[0].items()}
