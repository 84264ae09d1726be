"""A dataset's folder: ArrayRecord shards of scenarios, and `manifest.json`.

One record is one scenario: the safetensors bytes of its arrays, named by dotted field paths ("map.elements"), as large
as that scenario needs; reading pads them to the manifest's capacity. A folder appears whole or not at all.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from array_record.python.array_record_module import ArrayRecordReader

from drivetrain.atomic import write_atomically
from drivetrain.data.compile.capacity import NOTHING, Capacity, union
from drivetrain.data.compile.padding import extent, from_arrays, pad, to_arrays
from drivetrain.data.store.atomic_folder import MANIFEST, fresh_folder
from drivetrain.data.store.manifest import VERSION, Entry, Manifest, Shard, Skipped, Worst, decode, encode
from drivetrain.data.store.records import RECORDS_PER_SHARD, arrays_of, open_shard, read_record, shard_name, write_shard
from drivetrain.types import LAID_OUT, InputError, Scenario, replace

SHARDS_OPEN = 64


@dataclass(frozen=True)
class Packed:
    """A scenario as it is written: what the manifest will say of it, its sizes, its record."""

    entry: Entry
    extent: Capacity
    data: bytes


def pack_record(entry: Entry, scenario: Scenario) -> Packed:
    """The record of a scenario; the entry learns its checksum and area."""
    arrays = to_arrays(scenario)
    data = safetensors.numpy.save(arrays)
    entry = replace(entry, sha256=hashlib.sha256(data).hexdigest(), area=_span(arrays))
    return Packed(entry, extent(arrays), data)


def _span(arrays: dict[str, np.ndarray]) -> tuple[float, float]:
    """What the road elements that are observed span along x and y, m."""
    ends = arrays["map.elements"][np.isin(arrays["map.element_kind"], LAID_OUT)].reshape(-1, 2)
    span = np.ptp(ends, axis=0) if len(ends) else np.zeros(2)
    return float(span[0]), float(span[1])


def write_dataset(
    out: str | Path, results: Iterable[tuple[Entry, Scenario] | Skipped], dt: float, overwrite: bool = False
) -> Manifest:
    """Write scenarios, one by one as they come, to a folder that appears whole or not at all.

    The capacity is the least that holds them all. The entries' `shard`, `position` and `sha256` are filled in. Raises
    `InputError` where `out` is in the way (see `fresh_folder`), where a name comes twice, where a group straddles two
    splits, or where nothing could be read.
    """
    packed = (result if isinstance(result, Skipped) else pack_record(*result) for result in results)
    return write_packed(out, packed, Manifest(VERSION, dt, NOTHING), overwrite)


def write_packed(
    out: str | Path, results: Iterable[Packed | Skipped], about: Manifest, overwrite: bool = False
) -> Manifest:
    """`write_dataset` of packed records; `about` says all but capacity, recordings and shards."""
    with fresh_folder(Path(out), overwrite) as folder:
        manifest = _write_records(folder, iter(results), about)
        write_manifest(folder, manifest, out)
    return manifest


def write_manifest(folder: Path, manifest: Manifest, out: str | Path) -> None:
    """Write a manifest that can be read again, or raise `InputError`, which calls the folder `out`."""
    data = encode(manifest)
    decode(data, str(Path(out) / MANIFEST))
    write_atomically(folder / MANIFEST, data)


def _write_records(folder: Path, results: Iterator[Packed | Skipped], about: Manifest) -> Manifest:
    entries: list[Entry] = []
    shards: list[Shard] = []
    skipped: list[Skipped] = []
    capacity = driven = NOTHING

    def records(first: Packed, name: str) -> Iterator[bytes]:
        nonlocal capacity, driven
        rest = itertools.islice(_kept(results, skipped), RECORDS_PER_SHARD - 1)
        for position, packed in enumerate(itertools.chain([first], rest)):
            entries.append(replace(packed.entry, shard=name, position=position))
            capacity = union(capacity, packed.extent)
            driven = union(driven, packed.extent) if packed.entry.egos else driven
            yield packed.data

    while (first := next(_kept(results, skipped), None)) is not None:
        name = shard_name(len(shards))
        shards.append(write_shard(folder / name, records(first, name)))
    if not entries:
        raise InputError(skipped[0].reason if skipped else f"{folder}: no recordings were given (name a source)")
    return replace(
        about,
        capacity=capacity,
        recordings=tuple(entries),
        shards=tuple(shards),
        skipped=(*about.skipped, *skipped),
        driven=None if driven in (NOTHING, capacity) else driven,
    )


def _kept(results: Iterator[Packed | Skipped], skipped: list[Skipped]) -> Iterator[Packed]:
    """What was packed; the rest is put aside."""
    for result in results:
        if isinstance(result, Packed):
            yield result
        else:
            skipped.append(result)


# -------------------------------------------------------------------------------------------------------------- reading


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of a dataset's folder. Raises `InputError` where it is missing, damaged or of another version."""
    path = Path(folder) / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (name a folder that `data convert` has written)") from None
    return decode(data, str(path))


def read_records(folder: str | Path, manifest: Manifest, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """The records of `entries`, in that order, as they stand; see `read_scenarios`."""
    readers: dict[str, ArrayRecordReader] = {}
    try:
        for entry in entries:
            if entry.shard not in readers:
                if len(readers) == SHARDS_OPEN:
                    readers.pop(next(iter(readers))).close()
                readers[entry.shard] = open_shard(Path(folder), manifest, entry)
            yield entry, read_record(readers[entry.shard], Path(folder), entry)
    finally:
        for reader in readers.values():
            reader.close()


def read_scenarios(
    folder: str | Path, manifest: Manifest, entries: Sequence[Entry], driven: bool = False
) -> Iterator[Scenario]:
    """The scenarios of `entries`, in that order, padded to the manifest's capacity, or to that of what has egos.

    Raises `InputError` naming recording and shard on bytes that are not the bytes written.
    """
    for entry, data in read_records(folder, manifest, entries):
        yield unpack_record(data, manifest.room(driven), f"{Path(folder) / entry.shard}: {entry.name}")


def unpack_record(data: bytes, capacity: Capacity, where: str) -> Scenario:
    """The scenario of a record, padded. Raises `InputError`, starting with `where`, on a misfit."""
    return from_arrays(pad(arrays_of(data, where), capacity, where))


def verify(folder: str | Path) -> Manifest:
    """Check every record's and shard's checksum. Raises `InputError` naming the first bad recording and its shard."""
    manifest = read_manifest(folder)
    for _ in read_scenarios(folder, manifest, manifest.recordings):
        pass
    for shard in manifest.shards:
        with (Path(folder) / shard.file).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                raise InputError(
                    f"{Path(folder) / shard.file}: damaged outside its records (convert the dataset again)"
                )
    return manifest


def set_causes(
    folder: str | Path, causes: dict[str, Sequence[str | None]], worst: dict[str, Sequence[Worst]] | None = None
) -> Manifest:
    """Write why each ego of the named recordings is kept out (None: admitted), and the worst of its recorded drive.

    The manifest is replaced in one go.
    """
    manifest = read_manifest(folder)
    unknown = causes.keys() - {entry.name for entry in manifest.recordings}
    if unknown:
        raise InputError(f"{folder}: {min(unknown)}: no such recording (`data info` names them)")
    entries = []
    for entry in manifest.recordings:
        given = causes.get(entry.name, [ego.cause for ego in entry.egos])
        if len(given) != len(entry.egos):
            raise InputError(f"{folder}: {entry.name}: {len(given)} causes for {len(entry.egos)} egos (give one each)")
        found = (worst or {}).get(entry.name, [ego.worst for ego in entry.egos])
        rows = zip(entry.egos, given, found, strict=True)
        egos = tuple(replace(ego, cause=cause, worst=each) for ego, cause, each in rows)
        entries.append(replace(entry, egos=egos))
    manifest = replace(manifest, recordings=tuple(entries))
    write_atomically(Path(folder) / MANIFEST, encode(manifest))
    return manifest
