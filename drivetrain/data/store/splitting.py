"""Which split a recording is in, and what recordings of one dataset must be together."""

import dataclasses
import hashlib

from drivetrain.data.recordings.recording import SPLITS
from drivetrain.data.store.manifest import Entry, Skipped
from drivetrain.types import InputError

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""The share of each split where a recording's source fixes none: by a hash of its group."""


def split_of(group: str) -> str:
    """The split of a group by its hash: the same on every machine, whatever else is converted."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2.0**64
    for split, part in SHARES.items():
        if share < part:
            return split
        share -= part
    return SPLITS[-1]


class Gate:
    """What recordings must be together: each once, groups in one split, failures few."""

    def __init__(self, split: str | None, max_failures: int | None):
        """`split` is where every recording is put."""
        self.split, self.max_failures = split, max_failures
        self.failures = 0
        self.files: dict[tuple[str, str], str] = {}  # by name and checksum
        self.split_by_group: dict[str, str] = {}

    def admit(self, entry: Entry) -> Entry | Skipped:
        """The recording in its split, or why it is left out. Raises `InputError` where its group would straddle."""
        also = self.files.setdefault((entry.name, entry.sha256), entry.file)
        if also != entry.file:
            return self.skip(
                Skipped(entry.file, f"{entry.file}: {entry.name} is also in {also}, alike (leave one out)")
            )
        entry = dataclasses.replace(entry, split=self.split or entry.split)
        known = self.split_by_group.setdefault(entry.group, entry.split)
        if known != entry.split:
            known, other = sorted((known, entry.split), key=SPLITS.index)
            raise InputError(f"{entry.file}: split: group {entry.group} is in {known} and {other} (choose one split)")
        return entry

    def skip(self, skipped: Skipped) -> Skipped:
        """Count a failure. Raises `InputError` where it is one too many."""
        self.failures += 1
        if self.max_failures is not None and self.failures > self.max_failures:
            raise InputError(f"{skipped.reason} [{self.failures} files failed, {self.max_failures} allowed]")
        return skipped
