"""Several streams as one: which dataset a sample comes from follows from its number alone.

Fractional parts of multiples of the golden section fall evenly over [0, 1) and never repeat (Weyl 1916); each dataset
owns a stretch as long as its share, so that any run of samples holds about its share of each.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from drivetrain.data.store.streaming import Sample, State, Stream
from drivetrain.types import InputError, component

GOLDEN = 0.6180339887498949


@component
class Mixture:
    """Streams of one seed and one number of steps a second, each with its share of the samples."""

    streams: tuple[Stream, ...]
    shares: tuple[float, ...]  # sum to 1

    @property
    def seed(self) -> int:
        """Of every stream."""
        return self.streams[0].seed

    @property
    def threads(self) -> int:
        """Of the widest stream."""
        return max(stream.threads for stream in self.streams)

    def open(self, state: State | None = None) -> "Mixed":
        """The samples from their beginning, or from where `state` was taken; `InputError` as `Stream.open`."""
        mixed = Mixed(self)
        if state is not None:
            mixed.restore(state)
        return mixed

    def source(self, numbers: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """The stream that each of these samples comes from."""
        place = np.mod(numbers.astype(np.float64) * GOLDEN, 1.0)
        return np.minimum(np.searchsorted(np.cumsum(self.shares), place, side="right"), len(self.streams) - 1)


class Mixed(Iterator[Sample]):
    """An open mixture."""

    def __init__(self, mixture: Mixture):
        """See `Mixture.open`."""
        self.mixture, self.position = mixture, 0
        self._samples = [stream.open() for stream in mixture.streams]
        self.dt = self._samples[0].dt
        if any(samples.dt != self.dt for samples in self._samples):
            steps = ", ".join(str(samples.dt) for samples in self._samples)
            raise InputError(f"datasets: dt: {steps} s differ (convert with one --dt)")

    def __next__(self) -> Sample:
        (source,) = self.mixture.source(np.array([self.position])).tolist()
        sample = next(self._samples[source])
        self.position += 1
        return sample

    def state(self) -> State:
        """Where the mixture stands, and what of: every stream's own state but for its position."""
        about = {
            f"{row}.{name}": value
            for row, samples in enumerate(self._samples)
            for name, value in samples.state().items()
            if name != "position"
        }
        return {"position": self.position, **about}

    def restore(self, state: State) -> None:
        """Go on from where `state` was taken. `InputError` where it is of other streams."""
        position = state.get("position", -1)
        taken = np.bincount(self.mixture.source(np.arange(max(position, 0))), minlength=len(self._samples))
        for row, (samples, count) in enumerate(zip(self._samples, taken.tolist(), strict=True)):
            own = {name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{row}.")}
            samples.restore(own | {"position": -1 if position < 0 else count})
        self.position = position

    def close(self) -> None:
        """Stop reading ahead."""
        for samples in self._samples:
            samples.close()
