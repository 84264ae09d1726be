"""Framing, against an encoder of its own and the checksum's published value."""

import os
import struct

import numpy as np
import pytest
from waymo_records import frame, masked_crc, write

from drivetrain.data.readers import tfrecord
from drivetrain.types import InputError

RECORDS = (b"first", b"", bytes(range(256)) * 40)


def one_line(item):
    with pytest.raises(InputError) as caught:
        tfrecord.read_record(item)
    assert str(caught.value).startswith(item.rpartition("#")[0]) and "\n" not in str(caught.value)
    return str(caught.value)


def test_the_encoder_of_the_tests_knows_the_published_checksum():
    value = struct.unpack("<I", masked_crc(b"123456789"))[0] - 0xA282EAD8 & 0xFFFFFFFF
    assert (value << 15 | value >> 17) & 0xFFFFFFFF == 0xE3069283  # CRC-32C's check value


def test_records_are_found_and_read_by_their_number(tmp_path):
    file = write(tmp_path / "a.tfrecord-00000-of-00002", *RECORDS)
    items = tfrecord.items(file)
    assert items == [f"{file}#00000", f"{file}#00001", f"{file}#00002"]
    assert [tfrecord.read_record(item) for item in reversed(items)] == list(reversed(RECORDS))
    assert tfrecord.read_record(file) == RECORDS[0] and tfrecord.read_record(f"{file}#2") == RECORDS[2]
    assert tfrecord.items(f"{file}#2") == [f"{file}#00002"]


def test_folders_are_walked_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    second = write(tmp_path / "sub/b.tfrecord", b"x")
    first = write(tmp_path / "a.tfrecord", *([b"x"] * 11))
    (tmp_path / "notes.txt").write_text("no shard")
    assert tfrecord.items(str(tmp_path)) == [*(f"{first}#{n:05d}" for n in range(11)), f"{second}#00000"]
    with pytest.raises(InputError, match="no such"):
        tfrecord.items(str(tmp_path / "missing"))


@pytest.mark.parametrize("cut", [1, 4, 5, 11, 16, 17, 21])
def test_a_truncated_shard_keeps_its_whole_records_and_names_the_rest(tmp_path, cut):
    whole = b"".join(map(frame, RECORDS[::2]))
    file = tmp_path / "a.tfrecord"
    file.write_bytes(whole + frame(b"third")[:-cut])
    items = tfrecord.items(str(file))
    assert len(items) == (2 if cut == 21 else 3)
    assert [tfrecord.read_record(item) for item in items[:2]] == list(RECORDS[::2])
    if cut < 21:
        assert "truncated in record 2" in one_line(items[2])


def test_every_flipped_bit_is_noticed(tmp_path):
    whole = bytearray(frame(b"one") + frame(b""))
    for bit in range(8 * len(whole)):
        whole[bit // 8] ^= 1 << bit % 8
        (tmp_path / f"{bit}.tfrecord").write_bytes(whole)
        items = tfrecord.items(str(tmp_path / f"{bit}.tfrecord"))
        faults = 0
        for item in items:
            try:
                assert tfrecord.read_record(item) in (b"one", b"")
            except InputError:
                faults += 1
        assert faults == 1
        whole[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**12, 17 << 20])
def test_absurd_lengths_are_refused_before_anything_is_allocated(tmp_path, length):
    head = struct.pack("<Q", length)
    file = tmp_path / "a.tfrecord"
    file.write_bytes(head + masked_crc(head) + b"data")
    assert "truncated" in one_line(f"{file}#00000")
    if length == 17 << 20:  # really there, as a hole in the file
        os.truncate(file, 12 + length + 4)
        assert "bytes" in one_line(f"{file}#00000") and len(tfrecord.items(str(file))) == 1


def test_what_is_no_shard_is_refused_in_one_line(tmp_path):
    for name, data in {"empty": b"", "packed": b"\x1f\x8b" * 40, "text": b"hello " * 50}.items():
        file = tmp_path / f"{name}.tfrecord"
        file.write_bytes(data)
        (item,) = tfrecord.items(str(file))
        one_line(item)
    assert "holds 1 records" in one_line(write(tmp_path / "a.tfrecord", b"x") + "#7")


def test_a_shard_that_changes_is_indexed_again(tmp_path):
    file = write(tmp_path / "a.tfrecord", b"one")
    assert len(tfrecord.items(file)) == 1
    write(tmp_path / "a.tfrecord", b"one", b"two")
    assert len(tfrecord.items(file)) == 2 and tfrecord.read_record(f"{file}#1") == b"two"


def test_the_index_says_where_records_lie(tmp_path):
    shard = tfrecord.index(write(tmp_path / "a.tfrecord", *RECORDS))
    np.testing.assert_array_equal(shard.lengths, [5, 0, 10240])
    np.testing.assert_array_equal(shard.starts, [12, 12 + 5 + 16, 12 + 5 + 16 + 16])
    assert not shard.fault
