"""Datasets selected from a dataset: nested subsets by hours, the hardest egos, random clips.

A mined dataset is a dataset: it copies the records that it selects, so that it can be moved, checked and trained on
alone, and names its parent's manifest by checksum. What was not selected for training stays where it was.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from drivetrain.data.compile.capacity import NOTHING
from drivetrain.data.compile.padding import extent
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.clips import clip_starts, cut_clip
from drivetrain.data.store.difficulty import MEASURES
from drivetrain.data.store.manifest import VERSION, Entry, Manifest, Scalar, check_split
from drivetrain.data.store.records import arrays_of
from drivetrain.data.store.shards import Packed, pack_record, read_manifest, read_records, unpack_record, write_packed
from drivetrain.types import InputError, component

Progress = Callable[[int, int, str], None]
"""Called with the number of recordings looked at, the number of all, and a name."""

NOT_SELECTED = "not_selected"
"""Why an ego is kept out whose recording was selected for others."""


@component
class Selection:
    """What is selected from a dataset: by hours, by hardest, or as clips."""

    hours: float | None = None  # recordings drawn until they last so long; the other splits whole
    hardest: Literal["dense", "turning", "near", "signals"] | None = None  # egos by a measure of difficulty
    share: float = 0.1  # of the egos that may be driven, the hardest
    clips: int | None = None  # so many random clips, at most one of a recording
    seconds: float = 10.0  # how long a clip lasts
    split: Literal["train", "val", "test"] | None = None  # select from it; else from train (hours), test (clips), all
    seed: int = 0  # another seed, another draw
    overwrite: bool = False  # replace a dataset that stands there


def select(folder: str | Path, out: str | Path, chosen: Selection, progress: Progress | None = None) -> Manifest:
    """A dataset selected in the one way that is given. Raises `InputError` where it is none, or more than one."""
    if sum(way is not None for way in (chosen.hours, chosen.hardest, chosen.clips)) != 1:
        raise InputError("mine: --hours, --hardest and --clips (give exactly one of them)")
    split, seed, overwrite = chosen.split, chosen.seed, chosen.overwrite
    if chosen.hours is not None:
        return by_hours(folder, out, chosen.hours, seed, split or "train", overwrite)
    if chosen.clips is not None:
        return by_clips(folder, out, chosen.clips, chosen.seconds, seed, split or "test", overwrite)
    return by_difficulty(folder, out, str(chosen.hardest), chosen.share, split, overwrite, progress)


def by_hours(
    folder: str | Path, out: str | Path, hours: float, seed: int = 0, split: str = "train", overwrite: bool = False
) -> Manifest:
    """Recordings of a split drawn at random until they last `hours`; the other splits whole.

    Recordings are drawn in an order that seed and name alone decide: fewer hours of one seed are a subset of more.
    """
    manifest, parent = _open(folder, split)
    left, chosen = hours * 3600.0 / manifest.dt, set()
    for entry in _shuffled(manifest, split, seed):
        if left <= 0.0:
            break
        chosen.add(entry.name)
        left -= entry.steps
    if left > 0.0:
        has = hours - left * manifest.dt / 3600.0
        raise InputError(f"{folder}: {split}: {has:.3g} of the {hours:g} hours asked for (ask for fewer)")
    kept = [entry for entry in manifest.recordings if entry.split != split or entry.name in chosen]
    selection: dict[str, Scalar] = {"by": "hours", "hours": hours, "seed": seed, "split": split}
    about = Manifest(VERSION, manifest.dt, NOTHING, parent=parent, selection=selection)
    return write_packed(out, _copied(folder, manifest, kept), about, overwrite)


def by_difficulty(
    folder: str | Path,
    out: str | Path,
    measure: str,
    share: float,
    split: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """The hardest `share` of the egos that may be driven, by a measure of `MEASURES`, of one split or of all.

    Egos as hard as the easiest of them are in as well, unless the measure gives them 0. The other egos of the
    recordings are kept out as `not_selected`.
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"share: {share} (use more than 0, up to 1)")
    if measure not in MEASURES:
        raise InputError(f"{measure}: unknown measure (use one of {', '.join(MEASURES)})")
    manifest, parent = _open(folder, split)
    entries = [entry for entry in manifest.recordings if split in (None, entry.split)]
    difficulty: dict[str, list[float]] = {}
    for done, (entry, data) in enumerate(read_records(folder, manifest, entries), start=1):
        scenario = unpack_record(data, extent(arrays_of(data, entry.name)), entry.name)
        rows = range(len(entry.egos))
        difficulty[entry.name] = [
            MEASURES[measure](scenario, row) if entry.egos[row].cause is None else 0.0 for row in rows
        ]
        if progress is not None:
            progress(done, len(entries), entry.name)
    admitted = [v for e in entries for v, ego in zip(difficulty[e.name], e.egos, strict=True) if ego.cause is None]
    least = float(np.sort(admitted)[::-1][max(round(share * len(admitted)), 1) - 1])
    kept = [_restricted(entry, difficulty[entry.name], least) for entry in entries]
    kept = [entry for entry in kept if any(ego.cause is None for ego in entry.egos)]
    if not kept:
        raise InputError(f"{folder}: {measure}: 0 for every ego (choose another measure)")
    selection: dict[str, Scalar] = {"by": measure, "share": share, "least": least, "split": split or "all"}
    about = Manifest(VERSION, manifest.dt, NOTHING, parent=parent, selection=selection)
    return write_packed(out, _copied(folder, manifest, kept), about, overwrite)


def _restricted(entry: Entry, values: list[float], least: float) -> Entry:
    egos = [
        ego
        if ego.cause is not None or (value >= least and value > 0.0)
        else dataclasses.replace(ego, cause=NOT_SELECTED)
        for ego, value in zip(entry.egos, values, strict=True)
    ]
    return dataclasses.replace(entry, egos=tuple(egos))


def by_clips(
    folder: str | Path,
    out: str | Path,
    count: int,
    seconds: float = 10.0,
    seed: int = 0,
    split: str = "test",
    overwrite: bool = False,
) -> Manifest:
    """Random clips of so many seconds, at most one of a recording, `count` of them; of one split.

    Every ego of a clip is there from its first step to its last. As with hours, fewer are a subset of more. The egos
    are unchecked: admission comes next.
    """
    manifest, parent = _open(folder, split)
    steps = round(seconds / manifest.dt)
    chosen: dict[str, int] = {}
    for entry in _shuffled(manifest, split, seed):
        if len(chosen) == count:
            break
        if possible := clip_starts(entry, steps):
            chosen[entry.name] = possible[int(_draw(seed, entry.name, "start") * len(possible))]
    if len(chosen) < count:
        raise InputError(f"{folder}: {split}: {len(chosen)} recordings have a clip of {seconds:g} s (ask for fewer)")
    entries = [entry for entry in manifest.recordings if entry.name in chosen]

    def records() -> Iterator[Packed]:
        for entry, data in read_records(folder, manifest, entries):
            scenario = unpack_record(data, extent(arrays_of(data, entry.name)), entry.name)
            yield pack_record(*cut_clip(entry, scenario, chosen[entry.name], steps))

    selection: dict[str, Scalar] = {"by": "clips", "count": count, "seconds": seconds, "seed": seed, "split": split}
    about = Manifest(VERSION, manifest.dt, NOTHING, parent=parent, selection=selection)
    return write_packed(out, records(), about, overwrite)


def _open(folder: str | Path, split: str | None) -> tuple[Manifest, str]:
    """A dataset whose egos have been checked, and the checksum of its manifest."""
    check_split("split", split)
    manifest = read_manifest(folder)
    egos = [ego for entry in manifest.recordings if split in (None, entry.split) for ego in entry.egos]
    if not any(ego.cause is None for ego in egos):
        raise InputError(f"{folder}: {split or 'all'}: no ego may be driven (check admission, or choose another split)")
    return manifest, hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest()


def _shuffled(manifest: Manifest, split: str, seed: int) -> list[Entry]:
    """The recordings of a split in an order that seed and names decide, whatever else the dataset holds."""
    entries = [entry for entry in manifest.recordings if entry.split == split]
    return sorted(entries, key=lambda entry: _draw(seed, entry.name, "order"))


def _draw(seed: int, name: str, what: str) -> float:
    """A number in [0, 1) by hash."""
    digest = hashlib.sha256(f"{seed}\0{name}\0{what}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


def _copied(folder: str | Path, manifest: Manifest, entries: list[Entry]) -> Iterator[Packed]:
    for entry, data in read_records(folder, manifest, entries):
        yield Packed(entry, extent(arrays_of(data, entry.name)), data)
