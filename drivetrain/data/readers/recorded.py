"""Recordings in the project's own files (`data/recording_files.py`): what generators write."""

import os

from drivetrain.data.json_fields import refuse
from drivetrain.data.recording import Recording
from drivetrain.data.recording_files import read_recording

SUFFIX = ".recording.xz"


def find(source: str) -> list[str]:
    """The recording files below a path, or the file itself, sorted; told by their ending."""
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "check the path")
    return sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names if name.endswith(SUFFIX)
    )


def read(file: str) -> Recording:
    """One recording. Raises `InputError` (one line) on anything that `write_recording` would not have written."""
    return read_recording(file)
