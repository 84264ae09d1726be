"""One shard: an ArrayRecord file of records. Whatever comes back was written, or is refused by name.

A truncated file opens without an error, and a full disk may show only when the file is closed: hence counts, sizes and
checksums beside the file, and a look at every record after writing.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import safetensors
import safetensors.numpy
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from drivetrain.data.store.manifest import Entry, Manifest, Shard
from drivetrain.types import InputError

RECORDS_PER_SHARD = 512
WRITING = "group_size:1,zstd:3"
READING = "readahead_buffer_size:0"


def write_shard(path: Path, records: Iterable[bytes]) -> Shard:
    """Write records, one by one as they come, to a file, and read them again.

    Raises `InputError` where the disk is full, or gives back something else.
    """
    digests = []
    try:
        writer = ArrayRecordWriter(str(path), WRITING)
        try:
            for data in records:
                digests.append(hashlib.sha256(data).digest())
                writer.write(data)
        finally:
            writer.close()
        with path.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        _read_back(path, digests)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: {first_line(error)} (make room, then run the same command again)") from None
    return Shard(path.name, len(digests), path.stat().st_size, digest)


def _read_back(path: Path, digests: list[bytes]) -> None:
    reader = ArrayRecordReader(str(path), READING)
    try:
        count = reader.num_records() if reader.ok() else 0
        same = count == len(digests)
        for position in range(count if same else 0):
            (data,) = reader.read([position])
            same &= hashlib.sha256(data).digest() == digests[position]
    finally:
        reader.close()
    if not same:
        raise OSError("the disk does not give back what was written")


def shard_name(number: int) -> str:
    """The file of a dataset's n-th shard."""
    return f"scenarios-{number:05d}.array_record"


def open_shard(folder: Path, manifest: Manifest, entry: Entry) -> ArrayRecordReader:
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
        raise InputError(f"{where}: the shard is damaged: {first_line(error)} (convert the dataset again)") from None
    if count != expected.records:
        raise InputError(
            f"{where}: the shard is damaged: {count} of {expected.records} records (convert the dataset again)"
        )
    return reader


def read_record(reader: ArrayRecordReader, folder: Path, entry: Entry) -> bytes:
    """The bytes of the entry's record. Raises `InputError` where they are not the bytes written."""
    where = f"{folder / entry.shard}: {entry.name}"
    try:
        (data,) = reader.read([entry.position])
    except Exception as error:  # see open_shard
        raise InputError(f"{where}: the record is damaged: {first_line(error)} (convert the dataset again)") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise InputError(f"{where}: the record's checksum is wrong (convert the dataset again)")
    return data


def arrays_of(data: bytes, where: str) -> dict:
    """A record's arrays by their dotted paths."""
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise InputError(f"{where}: not a scenario: {first_line(error)} (convert the dataset again)") from None


def first_line(error: Exception) -> str:
    """What an exception says, cut to a line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
