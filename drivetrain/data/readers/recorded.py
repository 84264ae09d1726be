"""Recordings in the project's own files (`data/recordings/recording_files.py`): what generators write."""

from drivetrain.data.readers.source_files import files_below
from drivetrain.data.recordings.recording import Recording
from drivetrain.data.recordings.recording_files import read_recording

SUFFIX = ".recording.xz"


def find(source: str) -> list[str]:
    """The recording files below a path, or the file itself, sorted; told by their ending."""
    return files_below(source, SUFFIX)


def read(file: str) -> Recording:
    """One recording. Raises `InputError` (one line) on anything that `write_recording` would not have written."""
    return read_recording(file)
