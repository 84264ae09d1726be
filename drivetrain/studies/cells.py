"""A study is cells: each a run in its own folder, trained once and measured once, whatever interrupts it.

OUT/cells/RULE-seedN/            the run: configuration, checkpoints, journal, every policy that was judged
OUT/cells/RULE-seedN/outcomes/   one file for each policy that was tested and each way in which it was
"""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from drivetrain.atomic import write_atomically
from drivetrain.evaluate.benchmark import Evaluation
from drivetrain.evaluate.metrics import Outcome
from drivetrain.policy.base import Policy
from drivetrain.runs.checkpoints import load_checkpoint
from drivetrain.runs.configuration import to_json
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.learning import datasets, run_stages
from drivetrain.runs.run import Data, Run, load_run, open_run
from drivetrain.runs.site import NOTHING, Progress, Site
from drivetrain.runs.stage import Best
from drivetrain.runs.training import prepare_dataset
from drivetrain.types import Array, InputError

LEAST_PROGRESS = 0.9
"""A policy with less progress on validation is chosen only where none has more."""


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    rule: str
    seed: int
    run: Run

    def folder(self, out: Path) -> Path:
        """Where it lives."""
        return out / "cells" / f"{self.rule}-seed{self.seed}"


@dataclass(frozen=True)
class Judged:
    """A policy as it was judged on validation, and what had been spent on it, all stages before it included."""

    file: Path
    steps: int  # agent-steps
    seconds: float  # of training: updates times the median of those that were timed
    line: dict[str, Any]  # of the journal

    @property
    def score(self) -> float:
        """Lower is better."""
        return self.line["val_score"] + (0.0 if self.line["val_progress_ratio"] >= LEAST_PROGRESS else 1.0)


def open_study(out: Path, plan: Any) -> None:
    """Make a study's folder, or open it again. Raises `InputError` where it holds that of another plan."""
    file, text = out / "plan.json", json.dumps(to_json(plan), indent=1)
    if file.exists() and file.read_text() != text:
        raise InputError(f"{file}: another plan's study is there (give its options, or another --out)")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text.encode())


def digest_of(data: Sequence[Data], progress: Progress) -> str:
    """The digest of a study's datasets, which are converted and checked where they are not yet."""
    return "+".join(prepare_dataset(each, progress) for each in data)


def train_cells(cells: Sequence[Cell], out: Path, progress: Progress) -> None:
    """Train every cell that is not yet trained, in their order."""
    with progress("study", total=len(cells), unit="cells") as show:
        for done, cell in enumerate(cells):
            show(done, f"{cell.rule}, seed {cell.seed}")
            train_cell(cell, out, digest_of(datasets(cell.run), progress), progress)
        show(len(cells), "trained")


def conclude(out: Path, results: dict[str, Any], page: str) -> Path:
    """Write what a study measured, and its page; the page's path."""
    write_atomically(out / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    report = out / "report.html"
    write_atomically(report, page.encode())
    return report


def is_trained(cell: Cell, out: Path, digest: str, progress: Progress) -> bool:
    """Whether a cell's last stage has come to its end."""
    site = Site(cell.folder(out), digest, progress)
    return (NOTHING | site.notes(cell.run.stages[-1].name))["done"]


def kept(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a file has; made, and kept there, where it is not."""
    if file.exists():
        return json.loads(file.read_text())
    made = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(made, indent=1).encode())
    return made


def train_cell(cell: Cell, out: Path, digest: str, progress: Progress) -> None:
    """Train a cell, or go on with it. Raises `InputError` where its folder holds another run."""
    folder = cell.folder(out)
    resume = (folder / "config.json").exists()
    if resume and to_json(load_run(folder)) != json.loads(json.dumps(to_json(cell.run))):
        raise InputError(f"{folder}: config.json: trained with other options (give the same ones, or another --out)")
    run_stages(open_run(cell.run, folder, resume), Site(folder, digest, progress, fleet=cell.run.fleet))


def by_rule(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each rule, in their order."""
    rules: dict[str, list[Cell]] = {}
    for cell in cells:
        rules.setdefault(cell.rule, []).append(cell)
    return rules


def judged(cell: Cell, out: Path, begun: bool = False) -> list[Judged]:
    """Every policy that was judged, in order; with `begun` also what each later stage begins with, the best so far."""
    rows, points = read_metrics(cell.folder(out)), []
    steps, seconds = 0, 0.0
    for number, stage in enumerate(cell.run.stages):
        mine = [row for row in rows if row["stage"] == stage.name]
        timed = [row["seconds"] for row in mine if "seconds" in row]
        each, of_update = statistics.median(timed) if timed else 0.0, stage.scenes * stage.algorithm.steps()
        for row in mine:
            if number and row["step"] == 0 and not begun:
                continue
            file = cell.folder(out) / "policies" / stage.name / f"{row['step']:09d}.safetensors"
            spent = seconds + each * row["step"] / of_update
            points.append(Judged(file, steps + row["step"], spent, row))
        steps, seconds = steps + mine[-1]["step"], seconds + each * mine[-1]["step"] / of_update
    return points


def choose(points: list[Judged], slack: float, steps: float | int = np.inf, seconds: float = np.inf) -> Judged:
    """The latest policy within the slack of the lowest score, of those within a budget."""
    within = [point for point in points if point.steps <= steps and point.seconds <= seconds] or points[:1]
    lowest = min(point.score for point in within)
    return [point for point in within if point.score <= lowest + slack][-1]


def load_judged(cell: Cell, point: Judged) -> Policy:
    """The policy of a file."""
    like = jax.eval_shape(lambda: Best(cell.run.policy.build(cell.run.env, jax.random.key(0))))
    return load_checkpoint(point.file, like)[0].best


def curves(runs: Sequence[Sequence[Judged]], names: Sequence[str]) -> dict[str, list[float]]:
    """Figures on validation, the mean over seeds, over steps and over seconds."""
    rows: dict[str, list[float]] = {"steps": [], "seconds": []} | {name: [] for name in names}
    for moment in range(min(len(run) for run in runs)):
        points = [run[moment] for run in runs]
        rows["steps"].append(float(points[0].steps))
        rows["seconds"].append(statistics.median(point.seconds for point in points))
        for name in names:
            rows[name].append(statistics.fmean(point.line[name] for point in points))
    return rows


# ------------------------------------------------------------------------------------------------------------ outcomes


def save_outcomes(file: Path, evaluation: Evaluation, dataset: np.ndarray) -> None:
    """What a test of a policy gave, whole or not at all; `dataset` [E] numbers each episode's."""
    outcome = evaluation.outcome
    rows = {name: np.asarray(rows) for name, rows in vars(outcome).items() if name != "happened"}
    rows |= {f"happened.{name}": np.asarray(rows) for name, rows in outcome.happened.items()}
    rows |= {"episode": np.asarray(evaluation.episode), "source": np.asarray(evaluation.source), "dataset": dataset}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, save(rows))


def read_outcomes(file: Path, dataset: int) -> Evaluation:
    """The episodes of one dataset of such a test. Raises `InputError` where the file is none."""
    try:
        rows = load_file(file)
        mine = rows.pop("dataset") == dataset
        episode, source = rows.pop("episode"), rows.pop("source")
        happened: dict[str, Array] = {
            name.partition(".")[2]: rows.pop(name)[mine] for name in list(rows) if "." in name
        }
        outcome = Outcome(happened=happened, **{name: row[mine] for name, row in rows.items()})
        return Evaluation(episode[mine], source[mine], outcome, None)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"{file}: not a test's outcomes: {error} (remove it: it is measured anew)") from error
