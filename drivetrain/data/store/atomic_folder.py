"""Folders that appear whole or not at all: prepared beside their place by one process alone, then renamed."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from drivetrain.atomic import sync_folder
from drivetrain.types import InputError

MANIFEST = "manifest.json"


@contextlib.contextmanager
def fresh_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its name when the block ends well, and vanishes when it does not.

    Refuses a file, a folder that is not empty (unless it is a dataset and `overwrite`), and a second writer.
    """
    part = out.parent / f".{out.name}.part"
    with locked(part, out, overwrite):
        try:
            empty(part)  # what a killed process left behind
            yield part
            publish(part, out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextlib.contextmanager
def locked(folder: Path, out: Path, overwrite: bool) -> Iterator[None]:
    """Make `folder`, where `out` is being prepared, and hold it alone: the lock ends with the block, or the process.

    Raises `InputError` where `out` is in the way, and where another process holds the folder.
    """
    refuse_in_the_way(out, overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror} (name a folder that can be written)") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = os.path.samestat(os.fstat(lock), os.stat(folder))
        except OSError:
            alone = False
        if not alone:  # held by another process, or published by it since it was opened
            raise InputError(f"{out}: another process is writing it (wait, or name another folder)")
        refuse_in_the_way(out, overwrite)
        yield
    finally:
        os.close(lock)


def publish(folder: Path, out: Path) -> None:
    """Give a finished folder its name, in place of what bore it."""
    sync_folder(folder)
    replaced = out.parent / f".{out.name}.replaced"
    if out.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        os.rename(out, replaced)
    os.rename(folder, out)
    sync_folder(out.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def refuse_in_the_way(out: Path, overwrite: bool) -> None:
    """Raise `InputError` where `out` is a file, or a folder that is not empty and may not be replaced."""
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


def empty(folder: Path) -> None:
    """Delete everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
