"""A dataset's scenarios in memory."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from drivetrain.data.compile.capacity import Capacity, union
from drivetrain.data.compile.padding import from_arrays, pad, to_arrays
from drivetrain.data.store.manifest import Entry, Manifest, check_split
from drivetrain.data.store.shards import read_manifest, read_scenarios
from drivetrain.types import InputError, Scenario


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The scenarios of one split, in the manifest's order; every tuple has one item a recording."""

    scenarios: tuple[Scenario, ...]  # all of the same shapes
    names: tuple[str, ...]
    groups: tuple[str, ...]
    admitted: tuple[Bool[np.ndarray, "E"], ...]  # egos that may be driven; False for padding
    dt: float  # s
    capacity: Capacity


def load(folder: str | Path, split: str | None = None, admitted_only: bool = True, limit: int | None = None) -> Loaded:
    """Read the recordings of a split (None: all), at most `limit` of them, checking every checksum.

    With `admitted_only`, only egos whose recorded drive passed admission are marked, and recordings without one are
    left out; without it every ego is marked, checked or not. Raises `InputError` on damage, and where nothing is left.
    """
    manifest = read_manifest(folder)
    entries = entries_of(folder, manifest, split, admitted_only)[:limit]
    capacity = manifest.room(driven=admitted_only)
    return Loaded(
        scenarios=tuple(read_scenarios(folder, manifest, entries, driven=admitted_only)),
        names=tuple(entry.name for entry in entries),
        groups=tuple(entry.group for entry in entries),
        admitted=tuple(admission_marks(entry, capacity, admitted_only) for entry in entries),
        dt=manifest.dt,
        capacity=capacity,
    )


def join(parts: Sequence[Loaded]) -> Loaded:
    """Several datasets as one, in their order, with room for the largest of each. `InputError` where dt differs."""
    if len(parts) == 1:
        return parts[0]
    capacity = joint_capacity([(part.dt, part.capacity) for part in parts])
    scenarios = [
        from_arrays(pad(to_arrays(scenario), capacity, name))
        for part in parts
        for scenario, name in zip(part.scenarios, part.names, strict=True)
    ]
    marks = [mark for part in parts for mark in part.admitted]
    return Loaded(
        scenarios=tuple(scenarios),
        names=tuple(name for part in parts for name in part.names),
        groups=tuple(group for part in parts for group in part.groups),
        admitted=tuple(np.pad(mark, (0, capacity.egos - len(mark))) for mark in marks),
        dt=parts[0].dt,
        capacity=capacity,
    )


def driven_capacity(manifests: Sequence[Manifest]) -> Capacity:
    """Room for the largest of each that has egos. `InputError` where dt differs."""
    return joint_capacity([(manifest.dt, manifest.room(driven=True)) for manifest in manifests])


def joint_capacity(parts: Sequence[tuple[float, Capacity]]) -> Capacity:
    """Room for the largest of each. `InputError` where dt differs."""
    if len({dt for dt, _ in parts}) > 1:
        raise InputError(f"datasets: dt: {', '.join(str(dt) for dt, _ in parts)} s differ (convert with one --dt)")
    return functools.reduce(union, [capacity for _, capacity in parts])


def entries_of(folder: str | Path, manifest: Manifest, split: str | None, admitted_only: bool) -> list[Entry]:
    """The recordings of a split (None: all). Raises `InputError` where there is none; see `load`."""
    check_split(f"{folder}: split", split)
    entries = [entry for entry in manifest.recordings if split in (None, entry.split)]
    if admitted_only:
        if entries and not any(entry.egos for entry in entries):
            raise InputError(f"{folder}: maps without traffic, and no egos (load all, or convert recordings too)")
        if entries and all(ego.cause == "" for entry in entries for ego in entry.egos):
            raise InputError(f"{folder}: no ego has been checked (check admission first, or load all egos)")
        entries = [entry for entry in entries if any(ego.cause is None for ego in entry.egos)]
    if not entries:
        raise InputError(
            f"{folder}: no recording in split {split or 'any'} (convert more, or choose another split, or all)"
        )
    return entries


def admission_marks(entry: Entry, capacity: Capacity, admitted_only: bool) -> Bool[np.ndarray, "E"]:
    """Which of a recording's egos may be driven; False for padding."""
    marks = np.zeros(capacity.egos, bool)
    marks[: len(entry.egos)] = [ego.cause is None or not admitted_only for ego in entry.egos]
    return marks
