"""TFRecord shards: framed records of bytes, their checksums checked, and each reached by a seek.

A frame is the record's length (8 bytes, little-endian), the masked CRC-32C of those 8 bytes, the record, and its own
masked CRC-32C (TensorFlow, *TFRecord and tf.train.Example*). A mask is a rotation and a constant.

An *item* names one record of a shard: `path#00017`, counted from 0.
"""

import functools
import os
import struct
from dataclasses import dataclass

import google_crc32c
import numpy as np
from jaxtyping import Int

from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.recordings.unpacking import check_file

MAX_RECORD = 16 << 20  # bytes
MAX_RECORDS = 1_000_000  # of a shard
HEAD, TAIL = 12, 4  # bytes of a frame before and after its record
ENDING = ".tfrecord"  # also within a name: training.tfrecord-00000-of-01000


@dataclass(frozen=True)
class Shard:
    """Where the whole records of a shard lie, and why there are no more of them."""

    starts: Int[np.ndarray, "n"]  # bytes from the file's start to the record
    lengths: Int[np.ndarray, "n"]  # bytes
    fault: str  # what is wrong after the last whole record; empty: the shard ends there


def items(source: str) -> list[str]:
    """The items of a shard, of every shard below a folder, or an item itself; sorted.

    Where a shard is damaged, the place of the damage is an item as well: reading it says what is wrong.
    """
    if os.path.isfile(source):
        return [f"{source}#{record:05d}" for record in range(_places(index(source)))]
    if os.path.isdir(source):
        walk = ((folder, name) for folder, _, names in os.walk(source) for name in names)
        shards = sorted(os.path.join(folder, name) for folder, name in walk if ENDING in name)
        return sorted(item for shard in shards if os.path.isfile(shard) for item in items(shard))
    file, record = split(source)
    if not os.path.isfile(file):
        refuse(source, "no such file or folder", "name a shard, one of its records, or a folder of shards")
    return [f"{file}#{record:05d}"]


def split(item: str) -> tuple[str, int]:
    """The shard and the record's number that an item names; a shard alone names its first record."""
    file, mark, number = item.rpartition("#")
    if not mark or not (number.isascii() and number.isdigit() and len(number) < 10) or os.path.isfile(item):
        return item, 0
    return file, int(number)


def read_record(item: str) -> bytes:
    """The bytes of one record. Raises `InputError` where its checksums, length or number are wrong."""
    file, record = split(item)
    shard = index(file)
    if record >= len(shard.starts):
        if shard.fault:
            refuse(item, shard.fault, "restore the shard")
        refuse(item, f"the shard holds {len(shard.starts)} records", "count records from 0")
    start, length = int(shard.starts[record]), int(shard.lengths[record])
    if length > MAX_RECORD:
        refuse(item, f"a record of {length} bytes", f"give records of up to {MAX_RECORD >> 20} MiB")
    try:
        with open(file, "rb") as stream:
            stream.seek(start)
            data = stream.read(length + TAIL)
    except OSError as error:
        refuse(file, f"cannot be read: {error.strerror}", "check the path and its permissions")
    if len(data) != length + TAIL or _masked(data[:length]) != struct.unpack("<I", data[length:])[0]:
        refuse(item, "the record's checksum is wrong", "restore the shard")
    return data[:length]


def index(file: str) -> Shard:
    """Where a shard's records lie: every frame's head is read once, its record passed over."""
    state = check_file(file)
    try:
        return _index(file, state.st_size, state.st_mtime_ns)
    except OSError as error:
        refuse(file, f"cannot be read: {error.strerror}", "check the path and its permissions")


@functools.lru_cache(maxsize=256)  # in every process: reading record n does not pass over the n before it again
def _index(file: str, size: int, changed: int) -> Shard:
    starts, lengths, at, fault = [], [], 0, "" if size else "an empty file"
    with open(file, "rb", buffering=0) as stream:
        while at < size and not fault:
            stream.seek(at)
            head = stream.read(HEAD)
            length = int.from_bytes(head[:8], "little")
            if len(head) == HEAD and _masked(head[:8]) != int.from_bytes(head[8:], "little"):
                fault = f"wrong checksum of a record's length at byte {at}: damaged, packed, or no TFRecord"
            elif len(head) < HEAD or length > size - at - HEAD - TAIL:
                fault = f"truncated in record {len(starts)}, at byte {at}"
            elif len(starts) == MAX_RECORDS:
                fault = f"more than {MAX_RECORDS} records"
            else:
                starts.append(at + HEAD)
                lengths.append(length)
                at += HEAD + length + TAIL
    return Shard(np.array(starts, np.int64), np.array(lengths, np.int64), fault)


def _places(shard: Shard) -> int:
    return len(shard.starts) + bool(shard.fault)


def _masked(data: bytes) -> int:
    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
