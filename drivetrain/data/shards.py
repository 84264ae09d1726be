"""A dataset's folder: ArrayRecord shards of scenarios, and `manifest.json`.

One record is one scenario: the safetensors bytes of its arrays, named by dotted field paths ("map.elements"), as large
as that scenario needs; reading pads them to the manifest's capacity. A folder appears whole or not at all.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import safetensors
import safetensors.numpy
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from drivetrain.data.manifest import VERSION, Entry, Manifest, Shard, Skipped, decode, encode
from drivetrain.data.padding import extent, from_arrays, pad, to_arrays, union
from drivetrain.types import InputError, Scenario, replace

MANIFEST = "manifest.json"
RECORDS_PER_SHARD = 512
WRITING = "group_size:1,zstd:3"
READING = "readahead_buffer_size:0"


def write_dataset(
    out: str | Path, results: Iterable[tuple[Entry, Scenario] | Skipped], dt: float, overwrite: bool = False
) -> Manifest:
    """Write scenarios, one by one as they come, to a folder that appears whole or not at all.

    The capacity is the least that holds them all. The entries' `shard`, `position` and `sha256` are filled in. Raises
    `InputError` where `out` is in the way (see `fresh_folder`), where a name comes twice, where a group straddles two
    splits, or where nothing could be read.
    """
    with fresh_folder(Path(out), overwrite) as folder:
        manifest = _write_records(folder, results, dt)
        data = encode(manifest)
        decode(data, str(Path(out) / MANIFEST))
        _write_synced(folder / MANIFEST, data)
    return manifest


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of a dataset's folder. Raises `InputError` where it is missing, damaged or of another version."""
    path = Path(folder) / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (name a folder that `data convert` has written)") from None
    return decode(data, str(path))


def read_scenarios(folder: str | Path, manifest: Manifest, entries: Sequence[Entry]) -> Iterator[Scenario]:
    """The scenarios of `entries`, in that order, padded to the manifest's capacity.

    Raises `InputError` naming recording and shard on bytes that are not the bytes written.
    """
    with contextlib.ExitStack() as stack:
        readers: dict[str, ArrayRecordReader] = {}
        for entry in entries:
            if entry.shard not in readers:
                readers[entry.shard] = _open_shard(Path(folder), manifest, entry)
                stack.callback(readers[entry.shard].close)
            data = _read_record(readers[entry.shard], Path(folder), entry)
            where = f"{Path(folder) / entry.shard}: {entry.name}"
            yield from_arrays(pad(_arrays(data, where), manifest.capacity, where))


def read_scenario(folder: str | Path, name: str) -> Scenario:
    """One scenario by its recording's name."""
    manifest = read_manifest(folder)
    entries = [entry for entry in manifest.recordings if entry.name == name]
    if not entries:
        raise InputError(f"{folder}: {name}: no such recording (`data info` names them)")
    return next(read_scenarios(folder, manifest, entries))


def verify(folder: str | Path) -> Manifest:
    """Check every record's and shard's checksum. Raises `InputError` naming the first bad recording and its shard."""
    manifest = read_manifest(folder)
    for _ in read_scenarios(folder, manifest, manifest.recordings):
        pass
    for shard in manifest.shards:
        if hashlib.sha256((Path(folder) / shard.file).read_bytes()).hexdigest() != shard.sha256:
            raise InputError(f"{Path(folder) / shard.file}: damaged outside its records (convert the dataset again)")
    return manifest


def set_causes(folder: str | Path, causes: dict[str, Sequence[str | None]]) -> Manifest:
    """Write why each ego of the named recordings is kept out (None: admitted); the manifest is replaced in one go."""
    manifest = read_manifest(folder)
    unknown = causes.keys() - {entry.name for entry in manifest.recordings}
    if unknown:
        raise InputError(f"{folder}: {min(unknown)}: no such recording (`data info` names them)")
    entries = []
    for entry in manifest.recordings:
        given = causes.get(entry.name, [ego.cause for ego in entry.egos])
        if len(given) != len(entry.egos):
            raise InputError(f"{folder}: {entry.name}: {len(given)} causes for {len(entry.egos)} egos (give one each)")
        egos = tuple(replace(ego, cause=cause) for ego, cause in zip(entry.egos, given, strict=True))
        entries.append(replace(entry, egos=egos))
    manifest = replace(manifest, recordings=tuple(entries))
    beside = Path(folder) / f".{MANIFEST}.part"
    _write_synced(beside, encode(manifest))
    os.replace(beside, Path(folder) / MANIFEST)
    _sync_folder(Path(folder))
    return manifest


@contextlib.contextmanager
def fresh_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its name when the block ends well, and vanishes when it does not.

    Refuses a file, a folder that is not empty (unless it is a dataset and `overwrite`), and a second writer.
    """
    _refuse_in_the_way(out, overwrite)
    part = out.parent / f".{out.name}.part"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror} (name a folder that can be written)") from None
    lock = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise InputError(f"{out}: another process is writing it (wait, or name another folder)") from None
    try:
        _empty(part)  # what a killed process left behind
        yield part
        _sync_folder(part)
        replaced = out.parent / f".{out.name}.replaced"
        if out.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            os.rename(out, replaced)
        os.rename(part, out)
        _sync_folder(out.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _refuse_in_the_way(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file (name a folder)")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{out}: is not empty (name a new folder, or pass --overwrite to replace a dataset)")
    if not (out / MANIFEST).is_file():
        raise InputError(f"{out}: is not a dataset, so it is not replaced (name a new folder)")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _write_records(folder: Path, results: Iterable[tuple[Entry, Scenario] | Skipped], dt: float) -> Manifest:
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    capacity = None
    with contextlib.ExitStack() as stack:
        writer = None
        for result in results:
            if isinstance(result, Skipped):
                skipped.append(result)
                continue
            entry, arrays = result[0], to_arrays(result[1])
            data = safetensors.numpy.save(arrays)
            capacity = extent(arrays) if capacity is None else union(capacity, extent(arrays))
            shard, position = _shard_name(len(entries) // RECORDS_PER_SHARD), len(entries) % RECORDS_PER_SHARD
            if writer is None or position == 0:
                stack.close()
                writer = ArrayRecordWriter(str(folder / shard), WRITING)
                stack.callback(writer.close)
            writer.write(data)
            entries.append(replace(entry, shard=shard, position=position, sha256=hashlib.sha256(data).hexdigest()))
    if capacity is None:
        raise InputError(skipped[0].reason if skipped else f"{folder}: no recordings were given (name a source)")
    shards = tuple(_describe_shard(path, entries) for path in sorted(folder.glob("*.array_record")))
    return Manifest(VERSION, dt, capacity, tuple(entries), shards, tuple(skipped))


def _describe_shard(path: Path, entries: list[Entry]) -> Shard:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Shard(path.name, sum(entry.shard == path.name for entry in entries), path.stat().st_size, digest)


def _shard_name(number: int) -> str:
    return f"scenarios-{number:05d}.array_record"


def _open_shard(folder: Path, manifest: Manifest, entry: Entry) -> ArrayRecordReader:
    """A reader of the entry's shard, if its size and count are those written: a truncated file opens without error."""
    expected = next(shard for shard in manifest.shards if shard.file == entry.shard)
    path = folder / entry.shard
    where = f"{path}: {entry.name}"
    if not path.is_file():
        raise InputError(f"{where}: the shard is missing (convert the dataset again)")
    size = path.stat().st_size
    if size != expected.bytes:
        raise InputError(f"{where}: the shard has {size} of {expected.bytes} bytes (convert the dataset again)")
    try:
        reader = ArrayRecordReader(str(path), READING)
        count = reader.num_records() if reader.ok() else 0
    except Exception as error:  # the extension raises bare exceptions of several kinds
        raise InputError(f"{where}: the shard is damaged: {_first_line(error)} (convert the dataset again)") from None
    if count != expected.records:
        raise InputError(
            f"{where}: the shard is damaged: {count} of {expected.records} records (convert the dataset again)"
        )
    return reader


def _read_record(reader: ArrayRecordReader, folder: Path, entry: Entry) -> bytes:
    where = f"{folder / entry.shard}: {entry.name}"
    try:
        (data,) = reader.read([entry.position])
    except Exception as error:  # see _open_shard
        raise InputError(f"{where}: the record is damaged: {_first_line(error)} (convert the dataset again)") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise InputError(f"{where}: the record's checksum is wrong (convert the dataset again)")
    return data


def _arrays(data: bytes, where: str) -> dict:
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise InputError(f"{where}: not a scenario: {_first_line(error)} (convert the dataset again)") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
