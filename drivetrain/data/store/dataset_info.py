"""What a dataset holds, from its manifest alone."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from drivetrain.data.recordings.recording import SPLITS
from drivetrain.data.store.causes import causes, recorders
from drivetrain.data.store.manifest import Scalar
from drivetrain.data.store.shards import read_manifest

CORRIDOR = "corridor_"
"""How the notes begin that count borders of lanes beyond which routes go."""
CROPPED = "cropped_"
"""How the notes begin that count what a capacity left out."""


@dataclasses.dataclass(frozen=True)
class Info:
    """What a dataset holds, for `data info`."""

    scenes: int
    maps: int  # scenes without road users
    scenes_by_split: dict[str, int]
    groups_by_split: dict[str, int]
    hours: float  # of recorded time
    dt: float  # s
    egos: int  # candidates
    admitted: int
    admitted_by_split: dict[str, int]
    kept_out: dict[str, int]  # egos by cause
    unchecked: int
    causes: dict[str, dict[str, int | float]]  # every vehicle by why it may be driven or not: see `causes`
    recorders: dict[str, dict[str, int | float]]  # egos that recorded apart from all others; empty: none is named
    agents: dict[str, int]  # by kind
    capacity: dict[str, int]
    cropped: dict[str, int]  # what exceeded the capacity and was left out; nothing is where nothing did
    corridors: dict[str, int]  # borders of lanes, a station each, beyond which routes go, by rule
    notes: dict[str, int]  # what readers and compiling left out, derived or mended
    smoothing: dict[str, Scalar]  # of the whole dataset: the largest of each figure
    skipped: dict[str, str]  # file → reason
    sources: dict[str, int]  # scenes by source
    licences: dict[str, int]  # scenes by licence
    bytes_per_scene: float  # on disk
    selection: dict[str, Scalar]  # how it was selected from another dataset


def info(folder: str | Path) -> Info:
    """What a dataset's manifest says, summed up."""
    manifest = read_manifest(folder)
    entries = manifest.recordings
    egos = [(entry.split, ego.cause) for entry in entries for ego in entry.egos]
    smoothing: dict[str, Scalar] = {}
    for entry in entries:
        for key, value in entry.smoothing.items():
            known = smoothing.get(key, value)
            smoothing[key] = value if isinstance(value, str) or isinstance(known, str) else max(known, value)
    return Info(
        scenes=len(entries),
        maps=sum(not entry.agents for entry in entries),
        scenes_by_split={split: sum(entry.split == split for entry in entries) for split in SPLITS},
        groups_by_split={split: len({entry.group for entry in entries if entry.split == split}) for split in SPLITS},
        hours=sum(entry.steps for entry in entries) * manifest.dt / 3600.0,
        dt=manifest.dt,
        egos=len(egos),
        admitted=sum(cause is None for _, cause in egos),
        admitted_by_split={split: sum(cause is None and where == split for where, cause in egos) for split in SPLITS},
        kept_out=count(cause for _, cause in egos if cause),
        causes=causes(manifest),
        recorders=recorders(manifest),
        unchecked=sum(cause == "" for _, cause in egos),
        agents=total(entry.agents for entry in entries),
        capacity=dict(vars(manifest.capacity)),
        cropped=cropped_of(total(entry.notes for entry in entries)),
        corridors=corridors_of(total(entry.notes for entry in entries)),
        notes=total(entry.notes for entry in entries),
        smoothing=smoothing,
        skipped={skipped.file: skipped.reason for skipped in manifest.skipped},
        sources=count(entry.source for entry in entries),
        licences=count(entry.licence for entry in entries),
        bytes_per_scene=sum(shard.bytes for shard in manifest.shards) / len(entries),
        selection=manifest.selection,
    )


def cropped_of(notes: dict[str, int]) -> dict[str, int]:
    """The counts of what was cropped among all notes: agents, steps, elements, …"""
    return {name.removeprefix(CROPPED): number for name, number in notes.items() if name.startswith(CROPPED)}


def corridors_of(notes: dict[str, int]) -> dict[str, int]:
    """The counts of borders that routes go beyond, by rule, among all notes."""
    return {name.removeprefix(CORRIDOR): number for name, number in notes.items() if name.startswith(CORRIDOR)}


def count(words: Iterable[str]) -> dict[str, int]:
    """How often each word comes."""
    return dict(sorted(Counter(words).items()))


def total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """The sum of counts by name."""
    sums: dict[str, int] = {}
    for count in counts:
        for key, value in count.items():
            sums[key] = sums.get(key, 0) + value
    return dict(sorted(sums.items()))
