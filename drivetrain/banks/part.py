"""A part of datasets as banks of one shape, one after the other, each read from the shards when it is due.

However many recordings a part has, one lot is in memory; its episodes are numbered as those of the whole. A part that
is to be resident has one lot, which stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.store.loading import admission_marks, driven_capacity, entries_of
from drivetrain.data.store.manifest import Entry, Manifest
from drivetrain.data.store.shards import read_manifest, read_records, unpack_record
from drivetrain.parallel import on_each
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import Layout, host_bank
from drivetrain.sim.roads import Indexing, empty_blocks, most_cells
from drivetrain.types import Array, Egos, Map, Scenario, record, replace

CELLS = 100_000
"""Road cells in memory at once, at most, where there is more than one recording; a cell's block takes 9.2 kB."""


@record
class Lot:
    """One part of the datasets on the device, or a lot of it."""

    bank: Bank
    names: tuple[str, ...]  # of its recordings
    dataset: tuple[int, ...]  # of each recording: the first is the run's own, others follow
    first: int = 0  # episodes of the part before this lot
    episodes: int = -1  # of the bank's: those that follow are padding; -1: none are
    steps: int = 0  # of the longest episode of the part; 0: that of the bank
    in_lanes: tuple[tuple[bool, ...], ...] = ()  # of each recording's egos: `EgoEntry.in_lanes`
    roads: tuple[tuple[Map, Egos], ...] = ()  # its recordings, on the host: drawn on pages, read by no step

    def rows(self) -> Int[np.ndarray, "E"]:
        """The bank's episodes that are none of its padding."""
        count = len(self.bank.episodes.map)
        return np.arange(count if self.episodes < 0 else self.episodes)

    def episode_dataset(self) -> Int[np.ndarray, "E"]:
        """The dataset of each episode."""
        return np.asarray(self.dataset)[np.asarray(self.bank.episodes.log)[self.rows()]]

    def episode_in_lanes(self) -> Bool[np.ndarray, "E"]:
        """Whether the recorded drives of each episode's egos keep to the lanes of their routes."""
        rows = self.rows()
        log, egos = np.asarray(self.bank.episodes.log)[rows], np.asarray(self.bank.episodes.ego)[rows]
        pairs = zip(log.tolist(), egos.tolist(), strict=True)
        return np.array([all(self.in_lanes[row][ego] for ego in those if ego >= 0) for row, those in pairs], bool)

    def drawn(self, own_share: float) -> Int[Array, "n"]:
        """Rows of episodes to draw from: those of the first dataset repeated until they are about such a share."""
        own = self.episode_dataset() == 0
        times = max(round(own_share / max(1.0 - own_share, 1e-6) * np.sum(~own) / np.sum(own)), 1)
        return jnp.asarray(np.repeat(np.arange(len(own)), np.where(own, times, 1)))


@dataclass(frozen=True)
class _Recording:
    """One recording: where it lies."""

    dataset: int
    entry: Entry
    source: int  # number of its group


@dataclass(frozen=True)
class Part:
    """A part whose recordings come in banks of at most `recordings`, all of one shape. Iterate as often as needed."""

    folders: tuple[str, ...]  # of the datasets
    name: str | None  # of the split; None: all of them
    recordings: int = 0  # 0: all at once, and kept
    paths: bool = False  # laid for traffic that follows them
    seconds: float = 0.0  # of an episode, at most: longer drives are cut; 0: as recorded
    admitted_only: bool = True  # False: every ego is driven, checked or not
    limit: int | None = None  # of recordings in all
    goals: float = 0.0  # m between goals along routes; 0: there are none
    controlled: int = 1  # agents of an episode; of more than one, `episodes` counts what could be driven alone

    def __iter__(self) -> Iterator[Lot]:
        if not self.recordings:
            yield self.whole
            return
        yield from self._read_lots()

    @cached_property
    def whole(self) -> Lot:
        """All recordings in one lot, which is kept. Raises `InputError` where there is none."""
        (lot,) = self._read_lots()
        return lot

    def _read_lots(self) -> Iterator[Lot]:
        manifests, recordings = self._manifests, self._recordings
        cells, count = self._at_once()
        groups = [recordings[at : at + count] for at in range(0, len(recordings), count)]
        capacity = driven_capacity(manifests)
        steps = self.longest()
        layout = Layout(self.controlled, steps if self.seconds else None, paths=self.paths, goals=self.goals)
        room = max((sum(self._driven(each.entry) for each in some) for some in groups), default=0)
        first = 0
        for some in groups:
            scenarios = [self._read(each, capacity) for each in some]
            bank = host_bank(
                scenarios,
                manifests[0].dt,
                layout,
                admitted=[admission_marks(each.entry, capacity, self.admitted_only) for each in some],
                blocks=empty_blocks(len(some), cells, scenarios[0].map, layout.indexing) if self.recordings else None,
                names=[each.entry.name for each in some],
            )
            source = np.array([each.source for each in some], np.int32)[bank.episodes.log]
            bank = replace(bank, episodes=replace(bank.episodes, source=source))
            yield Lot(
                bank=on_each(_padded(bank, count, room) if self.recordings else bank),
                names=tuple(each.entry.name for each in some),
                dataset=tuple(each.dataset for each in some),
                first=first,
                episodes=len(source),
                steps=steps,
                in_lanes=tuple(tuple(ego.in_lanes for ego in each.entry.egos) for each in some),
                roads=tuple((scenario.map, scenario.egos) for scenario in scenarios),
            )
            first += len(source)

    def __len__(self) -> int:
        return -(-len(self._recordings) // self._at_once()[1])

    def _at_once(self) -> tuple[int, int]:
        """Cells of the largest road, and how many recordings make a lot."""
        if not self.recordings:
            return 0, max(len(self._recordings), 1)
        cells = max((most_cells(each.entry.area, Indexing()) for each in self._recordings), default=1)
        return cells, max(min(self.recordings, len(self._recordings), CELLS // cells), 1)

    def longest(self) -> int:
        """Steps of the longest episode."""
        egos = [ego for each in self._recordings for ego in each.entry.egos]
        steps = [ego.last - ego.first for ego in egos if ego.cause is None or not self.admitted_only]
        if self.seconds:
            steps.append(most := max(round(self.seconds / self._manifests[0].dt), 1))
            return min(max(steps), most)
        return max(steps, default=0)

    def episodes(self) -> int:
        """Of all lots together, uncut."""
        return sum(self._driven(each.entry) for each in self._recordings)

    def _driven(self, entry: Entry) -> int:
        return sum(ego.cause is None or not self.admitted_only for ego in entry.egos)

    @cached_property
    def _manifests(self) -> list[Manifest]:
        return [read_manifest(folder) for folder in self.folders]

    @cached_property
    def _recordings(self) -> list[_Recording]:
        """Every recording with an ego to drive, in the datasets' order; groups are numbered by their names' order."""
        recordings = [
            (row, entry)
            for row, (folder, manifest) in enumerate(zip(self.folders, self._manifests, strict=True))
            for entry in entries_of(folder, manifest, self.name, self.admitted_only)[: self.limit]
            if self._driven(entry)
        ]
        numbers = np.unique([entry.group for _, entry in recordings], return_inverse=True)[1]
        return [_Recording(row, entry, int(number)) for (row, entry), number in zip(recordings, numbers, strict=True)]

    def _read(self, recording: _Recording, capacity: Capacity) -> Scenario:
        folder = self.folders[recording.dataset]
        ((entry, data),) = read_records(folder, self._manifests[recording.dataset], [recording.entry])
        return unpack_record(data, capacity, f"{folder}/{entry.shard}: {entry.name}")


def _padded(bank: Bank, recordings: int, episodes: int) -> Bank:
    """A bank with its last recording and its last episode repeated."""

    def fill(part, count: int):
        return jax.tree.map(lambda leaf: leaf[np.minimum(np.arange(count), len(leaf) - 1)], part)

    return replace(
        bank,
        lines=fill(bank.lines, recordings),
        roads=fill(bank.roads, recordings),
        logs=fill(bank.logs, recordings),
        paths=fill(bank.paths, recordings),
        episodes=fill(bank.episodes, episodes),
        routes=fill(bank.routes, episodes),
    )
