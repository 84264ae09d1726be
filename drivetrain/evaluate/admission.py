"""Which egos may be driven: those whose own recorded drive fails nothing, at tolerance 0.

A log that hits a box or leaves its route holds noise, or a false alarm of the events; either way a driver could not be
judged by it. Such egos are left out, and counted by cause, with the worst of their margins.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Bool, Int

from drivetrain.banks.part import Lot, Part
from drivetrain.data.store.manifest import Worst
from drivetrain.data.store.shards import set_causes
from drivetrain.drivers.log import LogDriver
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Drives, evaluate, portion_of
from drivetrain.evaluate.metrics import RATES
from drivetrain.events.margin import LIMIT
from drivetrain.events.off_road import is_unknown
from drivetrain.types import FAILURES, replace

RECORDINGS = 32
"""In memory at once."""


@dataclass(frozen=True)
class Admission:
    """What the log itself did, one row an ego."""

    source: Int[np.ndarray, "n"]  # recording, in the order in which the bank was given them
    ego: Int[np.ndarray, "n"]  # row of the recording's egos
    cause: tuple[str | None, ...]  # None: admitted
    facts: dict[str, int]  # egos whose log does each thing at any step, also what keeps nobody out
    worst: tuple[Worst, ...] = ()  # of the events, over the steps of each

    def worst_of_recording(self, source: int) -> list[Worst]:
        """The worst of every ego of one recording, in the order of its rows."""
        rows = np.flatnonzero(self.source == source)
        return [self.worst[row] for row in rows[np.argsort(self.ego[rows])].tolist()]

    def of_recording(self, source: int) -> dict[int, str | None]:
        """The cause of every ego of one recording, by its row."""
        rows = np.flatnonzero(self.source == source)
        rows = rows[np.argsort(self.ego[rows])]
        return {int(self.ego[row]): self.cause[row] for row in rows}

    def admitted(self, source: int, egos: int) -> Bool[np.ndarray, "E"]:
        """Marks of one recording's egos, for `make_bank`; padding is not admitted."""
        causes = self.of_recording(source)
        return np.array([row in causes and causes[row] is None for row in range(egos)])

    def table(self) -> dict[str, int]:
        """Egos by cause, "admitted" among them."""
        counts = Counter(cause or "admitted" for cause in self.cause)
        return {name: counts[name] for name in ("admitted", *FAILURES)}


NOBODY = Admission(np.zeros(0, np.int64), np.zeros(0, np.int64), (), dict.fromkeys(RATES, 0))


def admit_dataset(folder: str | Path, progress: Callable[..., AbstractContextManager]) -> Admission:
    """Check every ego of a dataset, and write the causes into its manifest; maps without traffic have none.

    `progress(title, total=…, unit=…)` opens a bar, which is called with what is done and a word.
    """
    parts = Part((str(folder),), None, RECORDINGS, admitted_only=False)
    if not parts.episodes():  # maps alone
        return NOBODY
    admissions, names, done = [NOBODY], [], 0
    with progress("admit", total=parts.episodes(), unit="egos") as show:
        for lot in parts:
            before = done
            admission = admit(Env(), lot, progress=lambda part, _, before=before: show(before + part, "the log itself"))
            admissions.append(replace(admission, source=admission.source + len(names)))
            names += lot.names
            done += len(admission.ego)
    whole = _together(admissions)
    causes: dict[str, Sequence[str | None]] = {
        name: list(whole.of_recording(source).values()) for source, name in enumerate(names)
    }
    set_causes(folder, causes, {name: whole.worst_of_recording(source) for source, name in enumerate(names)})
    return whole


def admit(env: Env, lot: Lot, at_once: int = 64, progress: Callable[[int, int], None] | None = None) -> Admission:
    """Drive every ego of a bank (one controlled agent an episode, none left out) by its log."""
    bank, rows = lot.bank, lot.rows()
    result = evaluate(env, bank, LogDriver(), portion=portion_of(lot, at_once), progress=progress)
    drives = cast(Drives, result.drives)
    return Admission(
        source=np.asarray(bank.episodes.log)[rows],
        ego=np.asarray(bank.episodes.ego)[rows, 0],
        cause=tuple(_cause(drives, row) for row in range(len(rows))),
        facts={name: int(np.sum(result.outcome.happened[name])) for name in RATES},
        worst=tuple(_worst(drives, row) for row in range(len(rows))),
    )


def _together(parts: Sequence[Admission]) -> Admission:
    return Admission(
        source=np.concatenate([part.source for part in parts]),
        ego=np.concatenate([part.ego for part in parts]),
        cause=tuple(cause for part in parts for cause in part.cause),
        facts=dict(sum((Counter(part.facts) for part in parts), Counter())),
        worst=tuple(each for part in parts for each in part.worst),
    )


def _worst(drives: Drives, row: int) -> Worst:
    """The least margins over the steps that count, to the millimetre."""
    mask, events = drives.mask[row, :, 0], drives.events
    own = {name: getattr(events, name)[row, :, 0][mask] for name in ("off_route", "off_road", "collision")}
    least = {name: round(float(margins.min(initial=LIMIT)), 3) for name, margins in own.items()}
    return Worst(**least, road_unknown=bool(is_unknown(own["off_road"]).any()))


def _cause(drives: Drives, row: int) -> str | None:
    """What happened first; of things that happened in the same step, the first of `FAILURES`."""
    mask = drives.mask[row, :, 0]
    first = {}
    for name in FAILURES:
        steps = np.flatnonzero((getattr(drives.events, name)[row, :, 0] < 0) & mask)
        if len(steps):
            first[name] = int(steps[0])
    return min(first, key=lambda name: first[name]) if first else None
