"""The parts of datasets that a run learns from and is judged on, as banks on the device.

load_split   all of a part at once
Chunks       a part of any size as banks of one shape, one after the other, each read from the shards when it is due
open_feed    the training part as a bank that is refilled from the stream
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.data.compiling import Capacity
from drivetrain.data.loading import admission_marks, entries_of, join, load
from drivetrain.data.manifest import Entry, Manifest
from drivetrain.data.mixing import Mixture
from drivetrain.data.padding import union
from drivetrain.data.shards import read_manifest, read_records, unpack_record
from drivetrain.data.streaming import State, Stream
from drivetrain.fleet.feeding import Feed, slots_for
from drivetrain.fleet.run import Data, Run
from drivetrain.sim.bank import Bank, host_bank, make_bank
from drivetrain.sim.refilling import Slots
from drivetrain.sim.roads import Indexing, most_cells
from drivetrain.types import Array, InputError, Scenario, record, replace


@record
class Split:
    """One part of the datasets on the device, or a piece of it."""

    bank: Bank
    names: tuple[str, ...]  # of its recordings
    dataset: tuple[int, ...]  # of each recording: the first is the run's own, others follow
    first: int = 0  # episodes of the part before this piece
    episodes: int = -1  # of the bank's: those that follow are padding; -1: none are
    steps: int = 0  # of the longest episode of the part; 0: that of the bank

    def rows(self) -> Int[np.ndarray, "E"]:
        """The bank's episodes that are none of its padding."""
        count = len(self.bank.episodes.map)
        return np.arange(count if self.episodes < 0 else self.episodes)

    def episode_dataset(self) -> Int[np.ndarray, "E"]:
        """The dataset of each episode."""
        return np.asarray(self.dataset)[np.asarray(self.bank.episodes.log)[self.rows()]]

    def drawn(self, own_share: float) -> Int[Array, "n"]:
        """Rows of episodes to draw from: those of the first dataset repeated until they are about such a share."""
        own = self.episode_dataset() == 0
        times = max(round(own_share / max(1.0 - own_share, 1e-6) * np.sum(~own) / np.sum(own)), 1)
        return jnp.asarray(np.repeat(np.arange(len(own)), np.where(own, times, 1)))


def load_split(datasets: Sequence[Data], name: str, seconds: float | None = None, paths: bool = False) -> Split:
    """The admitted egos of one split of every dataset, one controlled agent an episode, of at most so many seconds.

    `paths` are laid for traffic that needs them.
    """
    parts = [load(data.dataset, name) for data in datasets]
    loaded = join(parts)
    longest = None if seconds is None else max(round(seconds / loaded.dt), 1)
    bank = make_bank(
        loaded.scenarios, loaded.dt, admitted=loaded.admitted, groups=loaded.groups, longest=longest, paths=paths
    )
    return Split(bank, loaded.names, tuple(row for row, part in enumerate(parts) for _ in part.names))


# --------------------------------------------------------------------------------------------------------------- pieces


@dataclass(frozen=True)
class _Piece:
    """One recording: where it lies."""

    dataset: int
    entry: Entry
    source: int  # number of its group


@dataclass(frozen=True)
class Chunks:
    """A split whose recordings come in banks of at most `recordings`, all of one shape. Iterate as often as needed."""

    datasets: tuple[Data, ...]
    name: str
    recordings: int
    paths: bool = False

    def __iter__(self) -> Iterator[Split]:
        manifests = [read_manifest(data.dataset) for data in self.datasets]
        pieces = self._pieces(manifests)
        chunks = [pieces[at : at + self.recordings] for at in range(0, len(pieces), self.recordings)]
        capacity = _capacity(manifests)
        room = max(sum(_admitted(piece.entry) for piece in chunk) for chunk in chunks)
        cells = max(most_cells(piece.entry.area, Indexing()) for piece in pieces)
        first, steps = 0, self.longest()
        for chunk in chunks:
            scenarios = [self._read(manifests, piece, capacity) for piece in chunk]
            bank = host_bank(
                scenarios,
                manifests[0].dt,
                admitted=[admission_marks(piece.entry, capacity, True) for piece in chunk],
                paths=self.paths,
                cells=cells,
            )
            source = np.array([piece.source for piece in chunk], np.int32)[bank.episodes.log]
            bank = replace(bank, episodes=replace(bank.episodes, source=source))
            count = len(source)
            yield Split(
                bank=jax.tree.map(jnp.asarray, _padded(bank, min(self.recordings, len(pieces)), room)),
                names=tuple(piece.entry.name for piece in chunk),
                dataset=tuple(piece.dataset for piece in chunk),
                first=first,
                episodes=count,
                steps=steps,
            )
            first += count

    def __len__(self) -> int:
        pieces = self._pieces([read_manifest(data.dataset) for data in self.datasets])
        return -(-len(pieces) // self.recordings)

    def longest(self) -> int:
        """Steps of the longest episode."""
        pieces = self._pieces([read_manifest(data.dataset) for data in self.datasets])
        return max(ego.last - ego.first for piece in pieces for ego in piece.entry.egos if ego.cause is None)

    def _pieces(self, manifests: Sequence[Manifest]) -> list[_Piece]:
        """Every recording in the order of `load_split`, its group numbered as there."""
        found = [
            (row, entry)
            for row, (data, manifest) in enumerate(zip(self.datasets, manifests, strict=True))
            for entry in entries_of(data.dataset, manifest, self.name, True)
        ]
        numbers = np.unique([entry.group for _, entry in found], return_inverse=True)[1]
        return [_Piece(row, entry, int(number)) for (row, entry), number in zip(found, numbers, strict=True)]

    def _read(self, manifests: Sequence[Manifest], piece: _Piece, capacity: Capacity) -> Scenario:
        folder = self.datasets[piece.dataset].dataset
        ((entry, data),) = read_records(folder, manifests[piece.dataset], [piece.entry])
        return unpack_record(data, capacity, f"{folder}/{entry.shard}: {entry.name}")


def _capacity(manifests: Sequence[Manifest]) -> Capacity:
    if len({manifest.dt for manifest in manifests}) > 1:
        steps = ", ".join(str(manifest.dt) for manifest in manifests)
        raise InputError(f"datasets: dt: {steps} s differ (convert with one --dt)")
    return functools.reduce(union, [manifest.capacity for manifest in manifests])


def _admitted(entry: Entry) -> int:
    return sum(ego.cause is None for ego in entry.egos)


def _padded(bank: Bank, recordings: int, episodes: int) -> Bank:
    """A bank with its last recording and its last episode repeated."""

    def fill(part, count: int):
        return jax.tree.map(lambda leaf: leaf[np.minimum(np.arange(count), len(leaf) - 1)], part)

    return replace(
        bank,
        maps=fill(bank.maps, recordings),
        roads=fill(bank.roads, recordings),
        logs=fill(bank.logs, recordings),
        paths=fill(bank.paths, recordings),
        episodes=fill(bank.episodes, episodes),
        ribbons=fill(bank.ribbons, episodes),
    )


# --------------------------------------------------------------------------------------------------------------- stream


def open_feed(run: Run, turnover: int, state: State | None = None) -> Feed:
    """The training part of a run's datasets as a bank that is refilled.

    The first dataset has `own_share` of the recordings, the others the rest by their sizes.
    """
    datasets, stream = (run.data, *run.more), run.stream
    manifests = [read_manifest(data.dataset) for data in datasets]
    capacity = _capacity(manifests)
    entries = [
        entries_of(data.dataset, manifest, "train", True) for data, manifest in zip(datasets, manifests, strict=True)
    ]
    slots = replace(
        slots_for([entry for part in entries for entry in part], stream.slots, stream.episodes),
        longest=max(round(run.episode_seconds / manifests[0].dt), 1),
        paths=run.env.traffic.needs_paths,
    )
    streams = tuple(
        Stream(data.dataset, seed=run.seed, threads=stream.threads, ahead=stream.ahead, capacity=capacity)
        for data in datasets
    )
    others = [len(part) for part in entries[1:]]
    shares = (run.own_share, *((1.0 - run.own_share) * count / sum(others) for count in others)) if others else (1.0,)
    return Feed(Mixture(streams, shares), slots, turnover, state)


def round_length(run: Run) -> int:
    """Banks of `slots` recordings after which about every recording of the training part was seen once."""
    datasets = (run.data, *run.more)
    count = sum(len(entries_of(data.dataset, read_manifest(data.dataset), "train", True)) for data in datasets)
    return max(-(-count // run.stream.slots), 1)


def longest_episode(slots: Slots, bank: Bank) -> int:
    """Steps of the longest episode that a bank of these slots may hold."""
    steps = bank.logs.agents.valid.shape[-2] - 1
    return min(slots.longest, steps) if slots.longest else steps
