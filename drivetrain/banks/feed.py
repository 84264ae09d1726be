"""A bank fed from a stream while training runs: every slot's recording replaced in turn, the oldest first.

    the caller   takes a lot, refills, trains, takes a lot, …      waits for: the next lot
    the feeder   (a thread) takes samples, prepares them, and      waits for: the lot before to be taken
                 copies them to the device: one lot stands ready

Sample i of the stream goes to slot i modulo the slots, so that a bank holds the last samples taken, and where the
stream stands is all there is to save.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice

import jax
import numpy as np
from jaxtyping import Int

from drivetrain.data.store.manifest import Entry
from drivetrain.data.store.mixing import Mixture
from drivetrain.data.store.streaming import Sample, State, Stream
from drivetrain.parallel import on_each
from drivetrain.sim.bank import Bank
from drivetrain.sim.refilling import Slots, first_fill, join, prepare
from drivetrain.sim.roads import Indexing, empty_blocks, most_cells
from drivetrain.types import Array, InputError, record


@record
class Refill:
    """Prepared recordings on the device, and the slots that they go to, in ascending order."""

    fresh: Bank
    into: Int[Array, "n"]


class Feed:
    """A stream, and the slots that it fills; `turnover` of them are replaced at a time."""

    def __init__(self, stream: Stream | Mixture, slots: Slots, turnover: int, state: State | None = None):
        """Prepares the first bank; with `state` (another feed's), the one that feed had filled by then.

        Raises `InputError` as `Stream.open` does, and where slots are too small.
        """
        if not 0 < turnover <= slots.count:
            raise InputError(f"feed: turnover: {turnover} of {slots.count} slots (replace at least one, at most all)")
        self.slots, self.turnover, self.seed = slots, turnover, stream.seed
        self._samples = stream.open(state)
        taken = max(self._samples.state()["position"], slots.count)
        self.taken = taken - slots.count
        self._samples.restore(self._samples.state() | {"position": self.taken})
        self._threads = ThreadPoolExecutor(max(stream.threads, 1), thread_name_prefix="prepare")
        self._feeder = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self.bank = on_each(first_fill(self._prepare(slots.count).fresh, slots))
        self._waiting: Future[Refill] = self._feeder.submit(self._refill)
        self.taken = taken

    def refill(self) -> Refill:
        """The next lot; another is begun at once."""
        refill = self._waiting.result()
        self.taken += self.turnover
        self._waiting = self._feeder.submit(self._refill)
        return refill

    def wait(self) -> None:
        """Until the next refill stands ready."""
        self._waiting.result()

    def state(self) -> State:
        """Where the stream stood when the last refill given out ended."""
        return self._samples.state() | {"position": self.taken}

    def close(self) -> None:
        """Stop the threads."""
        self._feeder.shutdown(cancel_futures=True)
        self._threads.shutdown(cancel_futures=True)
        self._samples.close()

    def _refill(self) -> Refill:
        return jax.block_until_ready(on_each(self._prepare(self.turnover)))

    def _prepare(self, count: int) -> Refill:
        """The next samples, not yet on the device. All blocks of the roads are one array, written in place."""
        numbers = self._samples.state()["position"] + np.arange(count)
        into = (numbers % self.slots.count).astype(np.int32)
        order = np.argsort(into)
        first = next(self._samples)
        blocks = empty_blocks(count, self.slots.cells, first.scenario.map, self.slots.indexing)

        def one(number: int, row: int, sample: Sample) -> Bank:
            seed, block = (self.seed, number), blocks[row : row + 1]
            about = (sample.admitted, sample.group, self._samples.dt, self.slots, seed, block, sample.name)
            return prepare(sample.scenario, *about)

        samples = chain([first], islice(self._samples, count - 1))
        prepared = list(self._threads.map(one, numbers.tolist(), np.argsort(order).tolist(), samples))
        return Refill(join([prepared[place] for place in order], blocks), into[order])


def slots_for(
    entries: Sequence[Entry],
    count: int,
    episodes: int = 1,
    indexing: Indexing = Indexing(),  # noqa: B008 - frozen
) -> Slots:
    """Slots that hold any of these recordings."""
    return Slots(count, max(most_cells(entry.area, indexing) for entry in entries), episodes, indexing)
