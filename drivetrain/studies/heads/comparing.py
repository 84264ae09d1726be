"""From the cells of the study of heads to its figures: `results.json`, of which the page is made."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from drivetrain.banks.part import Lot, Part
from drivetrain.data.store.vocabulary import read_vocabulary, write_vocabulary
from drivetrain.evaluate.benchmark import Evaluation, together
from drivetrain.evaluate.intervals import mean, ratio
from drivetrain.policy.base import Policy
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.run import Run
from drivetrain.runs.site import Progress
from drivetrain.studies.cells import Cell, Judged, by_rule, choose, curves, judged, kept, load_judged
from drivetrain.studies.gradients import memory
from drivetrain.studies.heads.leaving_out import left_out
from drivetrain.studies.heads.likelihood import choices, places, surprise
from drivetrain.studies.heads.plan import Plan
from drivetrain.studies.learning_rules import SLACK
from drivetrain.studies.testing import Tests, tabulated
from drivetrain.types import replace

Parts = tuple[np.ndarray, ...]
STAGES = ("bc", "bc_ppo")
CURVES = ("val_failure_rate", "val_progress_ratio", "val_ade")
SAMPLES = 64
"""Drives of one second by samples, of each of which the density has a kernel."""
KERNELS = (0.1, 0.25, 0.5)
"""Their standard deviations, m: what is said must not hang on one."""
SIZES = (1024, 4096, 16_384, 65_536)
"""Entries at which memory is asked for: in shapes alone, so that the motions of a vocabulary may be repeated."""


class Comparison:
    """Cells that are trained, and what their policies did on the test episodes."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], out: Path):
        self.plan, self.out = plan, out
        self.tests = Tests([plan.data.dataset])
        self.cells = by_rule(cells)
        self.points = {head: [judged(cell, out) for cell in own] for head, own in self.cells.items()}

    def figures(self, progress: Progress) -> dict[str, Any]:
        """Everything that was measured."""
        parts: dict[str, Callable[[], Any]] = {
            "tables": lambda: {stage: self._table(stage, None) for stage in STAGES},
            "one_seed": lambda: {stage: self._table(stage, 1) for stage in STAGES},
            "choices": self._choices,
            "places": self._places,
            "seconds": lambda: {head: self._seconds(head) for head in self.cells},
            "curves": lambda: {head: curves(self._of(head, "bc_ppo"), CURVES) for head in self.cells},
            "left_out": lambda: {head: self._left_out(head) for head in self.cells if "-" in head},
            "memory": lambda: kept(self.out / "further" / "memory.json", self._memory),
        }
        results: dict[str, Any] = {
            "agent_steps": self.plan.budget.agent_steps,
            "cloned": int(self.plan.budget.first * self.plan.budget.agent_steps),
            "seeds": {head: len(own) for head, own in self.cells.items()},
            "slack": SLACK,
            "samples": SAMPLES,
            "coverage": {head: self._coverage(cells[0]) for head, cells in self.cells.items() if "-" in head},
        }
        with progress("test", total=len(parts), unit="tables") as show:
            for done, (name, make) in enumerate(parts.items()):
                show(done, name)
                jax.clear_caches()  # a process may map only so many programs, and training has left many
                results[name] = make()
            show(len(parts), "measured")
        return results

    def _of(self, head: str, stage: str) -> list[list[Judged]]:
        """What was judged of one stage, of each seed."""
        return [[point for point in run if point.file.parent.name == stage] for run in self.points[head]]

    def _chosen(self, head: str, stage: str) -> list[tuple[Cell, Judged]]:
        """On validation: of cloning the lowest loss, of PPO the latest within the slack of the fewest failures."""

        def best(points: list[Judged]) -> Judged:
            return min(points, key=lambda point: point.line["val_loss"]) if stage == "bc" else choose(points, SLACK)

        return [(cell, best(own)) for cell, own in zip(self.cells[head], self._of(head, stage), strict=True)]

    def _table(self, stage: str, seeds: int | None) -> dict[str, Any]:
        """An entry a head, its seeds together; with so many seeds, of these alone."""

        def driven(head: str) -> Evaluation:
            chosen = self._chosen(head, stage)[:seeds]
            return together([self.tests.outcomes(cell, self.out, point) for cell, point in chosen])

        against = {head: "columns" for head in self.cells if head != "columns"}
        return tabulated({head: driven(head) for head in self.cells}, self.plan.data, against)

    def _choices(self) -> dict[str, Any]:
        """Nats per second of the log's own choices under the cloned policies, and under a uniform one."""
        lot = self._lot("test", self.plan.budget.longest * self.plan.data.dt)

        def measured(cell: Cell, policy: Policy) -> Parts:
            algorithm: Any = cell.run.stages[0].algorithm
            return choices(cell.run.env, algorithm, policy, lot)

        figures = {}
        for head in self.cells:
            nats, steps, cluster = self._each_seed(head, measured)
            cells = sum(np.log(len(values)) for values in self.cells[head][0].run.env.dynamics.grid())
            figures[head] = ratio(nats, steps * self.plan.data.dt, cluster).as_json()
            figures[head]["uniform"] = float(cells) / self.plan.data.dt
        return figures

    def _places(self) -> dict[str, Any]:
        """Nats of where the log is one second on under the cloned policies, by kernel."""
        lot = self._lot("test", 1.0)

        def measured(cell: Cell, policy: Policy) -> Parts:
            return places(cell.run.env, policy, lot, SAMPLES)

        figures: dict[str, Any] = {f"{kernel:g}": {} for kernel in KERNELS}
        for head in self.cells:
            reached, recorded, cluster = self._each_seed(head, measured)
            for kernel in KERNELS:
                figures[f"{kernel:g}"][head] = mean(surprise(reached, recorded, kernel), cluster).as_json()
        return figures

    def _each_seed(self, head: str, measured: Callable[[Cell, Policy], Parts]) -> Parts:
        """Of the cloned policies of all seeds together: resampling recordings takes all seeds' figures of one along."""
        rows = [measured(cell, load_judged(cell, point)) for cell, point in self._chosen(head, "bc")]
        return tuple(np.concatenate(each) for each in zip(*rows, strict=True))

    def _lot(self, part: str, seconds: float) -> Lot:
        """The episodes of a part, in pieces of at most so long."""
        return Part((self.plan.data.dataset,), part, seconds=seconds).whole

    def _seconds(self, head: str) -> dict[str, dict[str, float]]:
        """Of one update, by stage: the median of those that were timed, and the least, which others disturbed least."""
        rows = [row for cell in self.cells[head] for row in read_metrics(cell.folder(self.out)) if "seconds" in row]
        timed = {stage: [row["seconds"] for row in rows if row["stage"] == stage] for stage in STAGES}
        return {stage: {"median": statistics.median(own), "least": min(own)} for stage, own in timed.items() if own}

    def _left_out(self, head: str) -> list[dict[str, Any]]:
        """What the filter leaves out of the head of each policy of the first seed that was judged, in their order."""
        cell, lot = self.cells[head][0], self._lot("val", self.plan.budget.longest * self.plan.data.dt)
        algorithm: Any = cell.run.stages[0].algorithm
        rows = []
        for point in self.points[head][0]:
            measured = left_out(cell.run.env, algorithm, load_judged(cell, point), lot)
            about = {"stage": point.file.parent.name, "steps": point.steps}
            rows += [about | row for row in measured]
        return rows

    def _coverage(self, cell: Cell) -> list[dict[str, Any]]:
        motions: Any = cell.run.env.dynamics
        entries = motions.vocabulary().motions.shape[1]
        return [vars(row) for row in motions.vocabulary().coverage if row.entries == entries]

    def _memory(self) -> dict[str, Any]:
        """By head, and by the entries of a vocabulary: what one update of each stage takes."""
        lot = self._lot("train", self.plan.budget.longest * self.plan.data.dt)
        runs = {head: self.plan.run(head, 0, self.out) for head in self.plan.heads()[:2]}
        runs |= {f"motions-{count}": self._repeated(count) for count in SIZES}
        figures: dict[str, Any] = {}
        for head, run in runs.items():
            figures[head] = {"entries": int(np.prod([len(values) for values in run.env.dynamics.grid()]))}
            for stage in run.stages:
                taken = memory(run.env, run.policy, stage, lot.bank, lot.drawn(0.5))
                rows = stage.scenes * stage.algorithm.steps() * stage.kept / stage.minibatches
                figures[head][stage.name] = taken | {"logits": 4.0 * rows * figures[head]["entries"]}
        return figures

    def _repeated(self, count: int) -> Run:
        """A run with as many motions as are wanted: the first vocabulary's over and over."""
        first = read_vocabulary(self.plan.vocabulary(self.plan.heads()[2], self.out))
        rows = np.arange(count) % first.motions.shape[1]
        file = self.out / "further" / f"motions-{count}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_vocabulary(file, replace(first, motions=np.ascontiguousarray(first.motions[:, rows])))
        return self.plan.run(f"motions-{count}", 0, file.parent)
