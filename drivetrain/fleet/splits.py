"""What a run learns from and is judged on, as banks on the device.

load_split   a part of the datasets, all of it at once
open_feed    the training part as a bank that is refilled from the stream
"""

from collections.abc import Sequence

from drivetrain.data.loading import entries_of, join, joint_capacity, load
from drivetrain.data.mixing import Mixture
from drivetrain.data.shards import read_manifest
from drivetrain.data.streaming import State, Stream
from drivetrain.evaluate.pieces import Split
from drivetrain.fleet.feeding import Feed, slots_for
from drivetrain.fleet.run import Data, Run
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.sim.refilling import Slots
from drivetrain.types import replace


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
    dataset = tuple(row for row, part in enumerate(parts) for _ in part.names)
    return Split(bank, loaded.names, dataset, egos=tuple(scenario.egos for scenario in loaded.scenarios))


def open_feed(run: Run, turnover: int, state: State | None = None) -> Feed:
    """The training part of a run's datasets as a bank that is refilled.

    The first dataset has `own_share` of the recordings, the others the rest by their sizes.
    """
    datasets, stream = (run.data, *run.more), run.stream
    manifests = [read_manifest(data.dataset) for data in datasets]
    capacity = joint_capacity(manifests)
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
