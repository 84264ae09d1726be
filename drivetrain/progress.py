"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere.

with progress("convert", total=38, unit="files") as show:
    show(1, "USA_US101-1")
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, Protocol, cast, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Show = Callable[[int, str], None]
"""`show(done, note)`: how much is done by now, and a word on where it stands."""

LINE_EVERY = 5.0
"""Seconds between plain lines."""


@runtime_checkable
class Stream(Protocol):
    """Where progress is written: stderr, or anything like it."""

    def write(self, text: str, /) -> int:
        """Take text."""
        ...

    def flush(self) -> None:
        """Pass it on."""
        ...

    def isatty(self) -> bool:
        """Whether a person watches a terminal."""
        ...


@contextlib.contextmanager
def progress(title: str, total: int, unit: str, done: int = 0, stream: Stream | None = None) -> Iterator[Show]:
    """Show how work of `total` units goes, on `stream` (stderr by default). `done` of them were done before."""
    written: Stream = sys.stderr if stream is None else stream
    if not written.isatty():
        yield Lines(title, total, unit, done, written)
        return
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("left  {task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(file=cast("IO[str]", written)), transient=False) as bar:
        task = bar.add_task(title, total=total, completed=done, note="")

        def show(now: int, note: str = "") -> None:
            bar.update(task, completed=now, note=note)

        yield show


@contextlib.contextmanager
def counting(title: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """Progress of work whose total is not known before it begins: the value takes (done, total, note).

    The first call says what was done before: the rate counts from there.
    """
    with contextlib.ExitStack() as stack:
        bars: list[Show] = []

        def show(done: int, total: int, note: str) -> None:
            if not bars:
                bars.append(stack.enter_context(progress(title, total, unit, done)))
            bars[0](done, note)

        yield show


class Lines:
    """Plain lines: the first, the last, and one every few seconds between."""

    def __init__(
        self,
        title: str,
        total: int,
        unit: str,
        done: int,
        stream: Stream,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`clock` gives seconds; the rate counts from now and from `done`."""
        self.title, self.total, self.unit, self.stream, self.clock = title, total, unit, stream, clock
        self.before, self.start = done, clock()
        self.last = -LINE_EVERY + self.start

    def __call__(self, done: int, note: str = "") -> None:
        """Write a line, unless one was written a moment ago and there is more to come."""
        now = self.clock()
        if done < self.total and now - self.last < LINE_EVERY:
            return
        self.last = now
        rate = (done - self.before) / max(now - self.start, 1e-9)
        left = clock_face((self.total - done) / rate) if rate > 0.0 else "?"
        words = (
            f"{self.title}: {done}/{self.total} {self.unit}",
            f"{spoken(rate)} {self.unit}/s",
            f"{left} left",
            note,
        )
        print(" · ".join(word for word in words if word), file=self.stream, flush=True)


class _Rate(ProgressColumn):
    """Units a second since the bar began."""

    def __init__(self, unit: str):
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed or 0.0
        return Text(f"{spoken(speed)} {self.unit}/s", style="progress.data.speed")


def spoken(rate: float) -> str:
    """A rate with three significant digits."""
    return f"{rate:,.0f}" if rate >= 100.0 else f"{rate:.3g}"


def clock_face(seconds: float | int) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
