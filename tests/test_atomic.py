"""A file is old or new, never a part of either, and nothing stays beside it."""

import os

import pytest

from drivetrain.atomic import write_atomically


def test_the_new_content_is_synced_before_it_takes_the_name(tmp_path, monkeypatch):
    file, calls = tmp_path / "one", []
    file.write_bytes(b"old")
    synced, renamed = os.fsync, os.replace

    def sync(handle: int) -> None:
        calls.append(("sync", os.readlink(f"/proc/self/fd/{handle}"), file.read_bytes()))
        synced(handle)

    def rename(source, target) -> None:
        calls.append(("rename", str(source), file.read_bytes()))
        renamed(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    write_atomically(file, b"new")
    beside = str(tmp_path / f".one.{os.getpid()}.part")
    assert calls == [("sync", beside, b"old"), ("rename", beside, b"old"), ("sync", str(tmp_path), b"new")]


def test_a_failure_leaves_the_old_content_and_nothing_beside(tmp_path, monkeypatch):
    file = tmp_path / "one"
    file.write_bytes(b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["one"]
