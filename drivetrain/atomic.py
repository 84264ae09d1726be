"""Files that appear whole or not at all, and are on the disk once they have their name."""

import os
from pathlib import Path


def write_atomically(file: Path, data: bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old content or the new, never a part.

    Written beside, synced, renamed, and the folder synced. Raises `OSError`, and leaves nothing beside.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
