"""Where a run happens: its folder, what its checkpoints say, and how it shows progress."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivetrain.fleet.desk import Desk
from drivetrain.fleet.group import Fleet
from drivetrain.parallel import fetched, leads
from drivetrain.runs.checkpoints import newest_good, read_notes, restore_newest, save_checkpoint
from drivetrain.runs.wandb import Sink
from drivetrain.types import InputError

Show = Callable[[int, str], None]
Progress = Callable[..., AbstractContextManager[Show]]
"""`progress(title, total=…, unit=…, done=…)` is a context whose value takes (done, note)."""

NOTHING: dict[str, Any] = {"step": 0, "lines": 0, "stream": None, "done": False, "pending": None}
"""The notes of a stage that has not begun: `lines` of the journal that it has seen, where its `stream` stands, whether
it has come to its end, and which judgement is `pending` (`judging.Pending`)."""


@dataclass(frozen=True)
class Site:
    """A run's folder, the digest of its datasets, what its journal is also written to, and who gathers and learns.

    Actors that are away come to its desk.
    """

    folder: Path
    digest: str
    progress: Progress
    sinks: tuple[Sink, ...] = ()
    fleet: Fleet = Fleet()
    desk: Desk | None = None

    def notes(self, stage: str) -> dict[str, Any]:
        """The notes of a stage's newest checkpoint that is whole; `NOTHING` where there is none."""
        for file, reason in newest_good(self.folder / "checkpoints" / stage):
            if not reason:
                return NOTHING | read_notes(file)
        return NOTHING

    def restore(self, stage: str, like: Callable[[], Any]) -> tuple[Any, dict[str, Any]] | None:
        """A stage's newest checkpoint that is whole, and its notes; one that is damaged is named and passed over."""
        restored = restore_newest(self.folder / "checkpoints" / stage, like)
        if restored is None:
            return None
        state, notes, file = restored
        if notes["dataset"] != self.digest:
            raise InputError(f"{file}: dataset: it has changed since the run began (start a new run)")
        return state, NOTHING | notes

    def save(self, stage: str, step: int, state: Any, notes: dict[str, Any]) -> None:
        """Keep a stage's state after `step` updates, with what `NOTHING` has. Of several processes all call this, and
        one writes.

        A disk that is full, or gone for a while, costs this checkpoint and not the run; only the last one must be kept.
        """
        notes = NOTHING | notes | {"step": step, "dataset": self.digest}
        state = fetched(state)
        if not leads():
            return
        try:
            save_checkpoint(self.folder / "checkpoints" / stage, step, state, notes)
        except OSError as error:
            if notes["done"]:
                raise
            why = f"{error.filename or self.folder}: {error.strerror or error}"
            print(f"drivetrain: {why}: no checkpoint after update {step} (make room: it goes on)", file=sys.stderr)

    def keep(self, stage: str, step: int, policy: Any) -> None:
        """Keep a policy of a stage as it was after so many agent-steps."""
        if leads():
            save_checkpoint(self.folder / "policies" / stage, step, policy, {"dataset": self.digest}, keep=None)
