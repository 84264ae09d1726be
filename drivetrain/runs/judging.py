"""Judgements of a stage's policies, and what follows from them: at once, or by an evaluator beside the learners.

learners    policy ──▶ judged/STAGE/000012288.safetensors ──▶  the evaluator
            score  ◀── judged/STAGE/000012288.json        ◀──

at once     learners judge, together, and do nothing else meanwhile
beside      they go on; a judgement takes effect one period later, just before the next policy is handed over, so
            that a run that was interrupted has the same figures as one that was not

learners wait       for a judgement that takes longer than a period; for the last one of a stage
the evaluator waits for a policy; it needs nothing but the run's folder, and is replaced when it dies
"""

import contextlib
import json
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from drivetrain.atomic import write_atomically
from drivetrain.fleet.desk import Door
from drivetrain.fleet.table import Stuck
from drivetrain.learn.algorithm import TrainState
from drivetrain.parallel import agreed, leads
from drivetrain.policy.base import Policy
from drivetrain.runs.checkpoints import finished, load_checkpoint, save_checkpoint
from drivetrain.runs.criteria import Judge
from drivetrain.runs.journal import Journal
from drivetrain.runs.run import Run, Stage
from drivetrain.runs.site import Site
from drivetrain.types import InputError, record, replace

EVERY = 0.1
"""Seconds between looks at a folder."""
Pending = dict[str, Any]
"""What was offered and is not judged yet: `step`, agent-steps before it, and `row`, what the journal says of them."""


@record
class Handed:
    """What is handed over to be judged."""

    policy: Policy


class Judging(ABC):
    """Takes a stage's policies and gives what follows from how good they are."""

    pending: Pending | None = None

    def __init__(self, stage: Stage, journal: Journal):
        self.stage, self.journal = stage, journal

    @abstractmethod
    def offer(self, state: TrainState, step: int, row: dict[str, float]) -> TrainState:
        """Have the present policy judged, after so many agent-steps, of which the journal is to say `row`."""

    @abstractmethod
    def settle(self, state: TrainState) -> TrainState:
        """What follows from all that was offered."""

    def close(self) -> None:  # noqa: B027 - nothing is held, by default
        """The stage is over, and all is settled."""

    def _settled(
        self, state: TrainState, policy: Policy, score: float, step: int, line: dict[str, float]
    ) -> TrainState:
        """With the figures of a policy written, and itself kept where none was better by more than the slack so far."""
        self.journal.write(self.stage.name, step, line)
        lowest = float(state.best_score)
        # By operations on what there was, so that it stays where it lies and no program is made anew.
        if score <= lowest:
            state = replace(state, best_score=jnp.minimum(state.best_score, score), stale=0 * state.stale)
        else:
            state = replace(state, stale=state.stale + 1)
        if score <= lowest + self.stage.criterion.slack:
            state = replace(state, best=jax.tree.map(jnp.copy, policy))
        return state


class AtOnce(Judging):
    """By who has learnt it, before anything else is learnt."""

    def __init__(self, stage: Stage, journal: Journal, judge: Judge):
        super().__init__(stage, journal)
        self.judge = judge

    def offer(self, state: TrainState, step: int, row: dict[str, float]) -> TrainState:
        """As `Judging` has it."""
        score, line = self.judge(state.judged)
        return self._settled(state, state.judged, score, step, row | line)

    def settle(self, state: TrainState) -> TrainState:
        """Nothing is left to be done."""
        return state


class Beside(Judging):
    """By another process, which does `follow`. Of several learners all do the same, and one hands over."""

    def __init__(self, stage: Stage, journal: Journal, site: Site, state: TrainState, pending: Pending | None):
        """`pending` is what a checkpoint says, and the state is its own."""
        super().__init__(stage, journal)
        self.site, self.folder = site, folder_of(site.folder, stage.name)
        if pending is not None and isinstance(state.pending, Policy):
            self._hand_over(state.pending, pending)

    def offer(self, state: TrainState, step: int, row: dict[str, float]) -> TrainState:
        """As `Judging` has it; what was offered before is settled first."""
        state = self.settle(state)
        self._hand_over(state.judged, {"step": step, "row": row})
        return replace(state, pending=jax.tree.map(jnp.copy, state.judged))

    def settle(self, state: TrainState) -> TrainState:
        """As `Judging` has it. Raises `Stuck` where no judgement comes within the fleet's patience."""
        if self.pending is None or not isinstance(state.pending, Policy):
            return state
        step, row = self.pending["step"], self.pending["row"]
        file = _file(self.folder, step)
        answer = self._patiently(lambda: judgement(file), f"{file}: not judged (is there an evaluator?)")
        self.pending = None
        return self._settled(state, state.pending, answer["score"], step, row | answer["line"])

    def close(self) -> None:
        """Nothing is handed over any more."""
        agreed(0)  # all have read the last judgement
        if leads():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _hand_over(self, policy: Policy, pending: Pending) -> None:
        step = pending["step"]

        def written() -> bool | None:
            try:
                save_checkpoint(self.folder, step, Handed(policy), {}, keep=None)
            except OSError as error:
                print(f"drivetrain: {error.filename or self.folder}: {error.strerror} (make room)", file=sys.stderr)
                return None
            return True

        if leads():
            self._patiently(written, f"{self.folder}: cannot be written")
            for file in self.folder.glob("*"):  # what was judged, and what an interrupted run left
                if not file.name.startswith(_file(self.folder, step).stem):
                    file.unlink(missing_ok=True)
        agreed(step)  # nobody looks for the judgement before
        self.pending = pending

    def _patiently(self, look: Callable[[], Any], why: str) -> Any:
        """What a look gives at last. Raises `Stuck`."""
        until, pause = time.monotonic() + self.site.fleet.patience, EVERY
        while (found := look()) is None:
            if time.monotonic() > until:
                raise Stuck(f"{why} for {self.site.fleet.patience:g} s")
            time.sleep(pause)
        return found


def folder_of(run: Path, stage: str) -> Path:
    """Where a stage's policies are handed over."""
    return run / "judged" / stage


def _file(folder: Path, step: int) -> Path:
    return folder / f"{step:09d}.safetensors"


def judgement(file: Path) -> dict[str, Any] | None:
    """Of a policy that was handed over: `score` (lower is better) and `line`, for the journal; None: not judged yet.

    One of other weights by the same name does not count.
    """
    try:
        answer = json.loads(file.with_suffix(".json").read_text())
        return answer if answer["sha256"] == _digest(file) else None
    except (OSError, ValueError, KeyError):
        return None


def _digest(file: Path) -> str:
    return file.with_suffix(".sha256").read_text().strip()


# ---------------------------------------------------------------------------------------------------------- evaluator


def follow(run: Run, folder: Path, open_judge: Callable[[Stage], tuple[Judge, Policy]], door: Door) -> None:
    """An evaluator's life: judge what the run's learners hand over, the newest first, until the run is over.

    `open_judge` gives a stage's judge and the shapes of its policies.
    """
    judges: dict[str, tuple[Judge, Policy]] = {}
    while not door.over(EVERY):
        for stage in run.stages:
            for file in finished(folder_of(folder, stage.name)):
                if judgement(file) is None:
                    if stage.name not in judges:
                        judges[stage.name] = open_judge(stage)
                    _judge(file, *judges[stage.name])


def _judge(file: Path, judge: Judge, like: Policy) -> None:
    try:
        digest = _digest(file)
        handed, _ = load_checkpoint(file, Handed(like))
    except (InputError, OSError):  # it is being replaced by another
        return
    score, line = judge(handed.policy)
    answer = {"sha256": digest, "score": score, "line": line}
    with contextlib.suppress(FileNotFoundError):  # nobody asks for it any more
        write_atomically(file.with_suffix(".json"), json.dumps(answer).encode())
