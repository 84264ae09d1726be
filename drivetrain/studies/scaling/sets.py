"""Nested data sets of one dataset: fewer hours are a part of more, and all have the same validation and test drives.

OUT/data/0.1h/    a dataset whose training part lasts so long (`data mine --hours`); `inf`: the dataset itself
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.manifest import Entry
from drivetrain.data.store.mining import by_hours
from drivetrain.data.store.shards import read_manifest
from drivetrain.runs.run import Data
from drivetrain.types import InputError, replace

DRAW = 0
"""The seed by which recordings are drawn: every seed of a study learns from the same ones."""


def set_of(data: Data, hours: float, out: Path) -> Data:
    """The dataset of so many hours of training recordings, as a cell names it; whether it is there or not."""
    return data if math.isinf(hours) else replace(data, dataset=str(out / "data" / f"{hours:g}h"))


def check_hours(data: Data, hours: tuple[float, ...]) -> None:
    """Raise `InputError` where a dataset has fewer hours of training recordings than are asked for."""
    has = describe(data)["hours"]
    for each in hours:
        if has < each < math.inf:
            raise InputError(f"hours: {each:g}: {data.dataset} has {has:.3g} to learn from (ask for fewer, or for inf)")


def make_sets(data: Data, hours: tuple[float, ...], out: Path) -> None:
    """Make the nested sets that are not there yet. Raises `InputError` where one is of another state of the dataset."""
    parent = hashlib.sha256((Path(data.dataset) / MANIFEST).read_bytes()).hexdigest()
    for each in sorted(hours):
        if math.isinf(each):
            continue
        folder = Path(set_of(data, each, out).dataset)
        if not (folder / MANIFEST).exists():
            by_hours(data.dataset, folder, each, DRAW)
        elif read_manifest(folder).parent != parent:
            raise InputError(f"{folder}: of another {data.dataset} (remove the study's folder, or give another --out)")


def describe(data: Data) -> dict[str, Any]:
    """Of a set's training part: recordings, groups of them, hours that they last, egos and the hours that these drive;
    and how many egos validation and test have.
    """
    manifest = read_manifest(data.dataset)

    def driven(entries: list[Entry]) -> list[int]:
        return [ego.last - ego.first for entry in entries for ego in entry.egos if ego.cause is None]

    by_split = {split: [e for e in manifest.recordings if e.split == split] for split in ("train", "val", "test")}
    train = by_split["train"]
    hour = 3600.0 / manifest.dt
    return {
        "recordings": len(train),
        "groups": len({entry.group for entry in train}),
        "hours": sum(entry.steps for entry in train) / hour,
        "egos": len(driven(train)),
        "driven_hours": sum(driven(train)) / hour,
        "val_egos": len(driven(by_split["val"])),
        "test_egos": len(driven(by_split["test"])),
    }
