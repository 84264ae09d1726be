"""A split's recordings as an endless stream, larger than memory: shuffled, resumable to the record, shared by hosts.

    the caller   takes a sample, and works on it meanwhile       waits for: the next sample, in order
    threads      read, check, unpack and pad samples ahead       wait for: room in the buffer
                 (Grain's; `threads` of them, `ahead` samples)

Every round visits every recording once, in an order that seed and round alone decide; the hosts take turns in it.
"""

import functools
import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from jaxtyping import Bool, Int

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.loading import admission_marks, entries_of
from drivetrain.data.store.manifest import Entry, Manifest
from drivetrain.data.store.records import open_shard, read_record
from drivetrain.data.store.shards import read_manifest, unpack_record
from drivetrain.types import InputError, Scenario, component

State = dict[str, int]
"""Where a stream stands: `position`, samples taken by this host; and what it counts in: `hosts`, `seed`, `dataset`."""


@component
class Stream:
    """Which recordings come, in which order, and how far ahead they are read."""

    folder: str
    split: str | None = "train"  # None: all
    admitted_only: bool = True  # False: every ego may be driven, checked or not
    seed: int = 0
    host: int = 0  # of `hosts`, each of which sees its share of every round
    hosts: int = 1
    threads: int = 4
    ahead: int = 32  # samples, decoded, in memory
    capacity: Capacity | None = None  # to pad to; None: what holds all of them

    def open(self, state: State | None = None) -> "Samples":
        """The stream from its beginning, or from where `state` was taken.

        Raises `InputError` where the dataset has no such recordings, or the state is another stream's.
        """
        if not 0 <= self.host < self.hosts:
            raise InputError(f"{self.folder}: host: {self.host} of {self.hosts} (count hosts from 0)")
        samples = Samples(self)
        if state is not None:
            samples.restore(state)
        return samples


@dataclass(frozen=True)
class Sample:
    """One recording of a stream."""

    scenario: Scenario  # padded to the stream's capacity
    admitted: Bool[np.ndarray, "E"]  # egos that may be driven; False for padding
    row: int  # among the stream's recordings, in the manifest's order
    name: str
    group: int  # recordings that show the same traffic have one number


class Samples(Iterator[Sample]):
    """An open stream. Raises `InputError` on a record that is not the record written."""

    def __init__(self, stream: Stream):
        """See `Stream.open`."""
        self.stream = stream
        data = (Path(stream.folder) / MANIFEST).read_bytes() if Path(stream.folder, MANIFEST).is_file() else b""
        self.manifest = read_manifest(stream.folder)
        self.records = Records(stream, self.manifest)
        self._about = {
            "hosts": stream.hosts,
            "seed": stream.seed,
            "dataset": int.from_bytes(hashlib.sha256(data).digest()[:6], "big"),
        }
        self._samples = _samples(stream, self.records)

    @property
    def capacity(self) -> Capacity:
        """The shapes of every scenario."""
        return self.records.capacity

    @property
    def dt(self) -> float:
        """Seconds of a step."""
        return self.manifest.dt

    def __next__(self) -> Sample:
        return next(self._samples)

    def state(self) -> State:
        """Where the stream stands: the next sample is the first one not taken, whatever was read ahead."""
        return {"position": int(self._samples.get_state()["next_index"]), **self._about}

    def restore(self, state: State) -> None:
        """Go on from where `state` was taken."""
        for name, value in self._about.items():
            if state.get(name) != value:
                raise InputError(
                    f"{self.stream.folder}: {name}: {value} where the saved stream has {state.get(name)} "
                    "(go on with the same dataset, seed and hosts)"
                )
        if state.get("position", -1) < 0:
            raise InputError(f"{self.stream.folder}: position: {state.get('position')} (use what `state` gave)")
        self._samples.set_state({"next_index": state["position"]})

    def close(self) -> None:
        """Stop reading ahead."""
        self._samples.close()


class Records:
    """The samples by row, for any number of threads: each shard is opened once a thread."""

    def __init__(self, stream: Stream, manifest: Manifest):
        """Raises `InputError` where the split holds nothing that may be driven."""
        self.folder, self.manifest = Path(stream.folder), manifest
        self.entries = entries_of(stream.folder, manifest, stream.split, stream.admitted_only)
        self.admitted_only = stream.admitted_only
        self.capacity = stream.capacity or manifest.room(driven=stream.admitted_only)
        numbers: dict[str, int] = {}
        self.groups = [numbers.setdefault(entry.group, len(numbers)) for entry in self.entries]
        self._local = threading.local()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, row: int) -> Sample:
        entry = self.entries[int(row)]
        data = read_record(self._reader(entry), self.folder, entry)
        return Sample(
            scenario=unpack_record(data, self.capacity, f"{self.folder / entry.shard}: {entry.name}"),
            admitted=admission_marks(entry, self.capacity, self.admitted_only),
            row=int(row),
            name=entry.name,
            group=self.groups[int(row)],
        )

    def _reader(self, entry: Entry) -> ArrayRecordReader:
        readers: dict[str, ArrayRecordReader] = self._local.__dict__.setdefault("readers", {})
        if entry.shard not in readers:
            if len(readers) >= 16:
                readers.pop(next(iter(readers))).close()
            readers[entry.shard] = open_shard(self.folder, self.manifest, entry)
        return readers[entry.shard]


def _samples(stream: Stream, records: Records) -> Any:
    """Grain's iterator over the shuffled rounds of one host."""
    try:
        import grain
    except ImportError:
        raise InputError(f"{stream.folder}: streaming needs Grain (pip install grain)") from None

    def sample(number: int) -> Sample:
        turn, place = divmod(number, len(records))
        return records[int(_order(len(records), stream.seed, turn)[place])]

    numbers = grain.MapDataset.range(stream.host, sys.maxsize, stream.hosts)
    options = grain.ReadOptions(num_threads=stream.threads, prefetch_buffer_size=stream.ahead)
    return iter(numbers.map(sample).to_iter_dataset(options))


@functools.lru_cache(maxsize=32)
def _order(count: int, seed: int, turn: int) -> Int[np.ndarray, "count"]:
    """The order of one round. Grain's own shuffle takes longer the fewer records there are: 1.5 ms each of 34."""
    return np.random.default_rng((seed, turn)).permutation(count)
