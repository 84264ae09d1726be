"""The replay table of a group: windows that actors drove, until the learner takes them, the oldest first.

    actor ──▶ begin ──▶ (drives) ──▶ add ──▶ ┌ windows, `capacity` at most ┐ ──▶ take ──▶ learner
                                      │      └─────────────────────────────┘      │
              waits while it is full ─┘                             waits while ──┘
              (or, where that is asked for, the oldest goes)        it is empty

    fail    an actor's last word: whoever takes is given its error, and nothing more; the others need not go on
    close   wakes everyone: nothing is added or taken any more

It holds data, never a promise of it, so that nothing is lost with who made it. Every window is taken once at most.
"""

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt

from drivetrain.types import InputError

REMEMBERED = 256
"""Windows whose segments are known again, should they be added twice."""


class Closed(Exception):
    """The table was closed: there is nobody to drive or learn for."""


class Stuck(InputError):
    """Nothing has come for too long: whoever watches may begin again."""


@dataclass(frozen=True)
class Window:
    """What one actor drove at a stretch."""

    actor: int
    version: int  # of the policy that drove: updates before it
    ids: UInt[np.ndarray, "scenes words"]  # of its segments
    data: Any  # whole: nothing of it is still being computed


class Table:
    """Windows in the order in which they were added. All of it may be called from any thread."""

    def __init__(
        self,
        capacity: int,
        oldest_out: bool = False,
        patience: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`patience`: seconds that an actor may drive one window, and that a taker waits; `clock` gives seconds."""
        self.capacity, self.oldest_out, self.patience, self.clock = capacity, oldest_out, patience, clock
        self._changed = threading.Condition()
        self._windows: collections.deque[Window] = collections.deque()
        self._seen: collections.deque[frozenset[bytes]] = collections.deque(maxlen=max(REMEMBERED, 2 * capacity))
        self._driving: dict[int, float] = {}  # actors that drive a window, since when
        self._error: BaseException | None = None
        self._closed = False
        self._staleness: list[int] = []  # of every sample taken since the figures were last asked for
        self._left_out = 0  # windows since then that went unlearnt
        self._waited, self._since = 0.0, clock()

    def __len__(self) -> int:
        """Windows that wait."""
        with self._changed:
            return len(self._windows)

    def begin(self, actor: int) -> None:
        """An actor sets out on a window. Raises `Closed`."""
        with self._changed:
            if self._over:
                raise Closed
            self._driving[actor] = self.clock()

    def add(self, window: Window) -> None:
        """Give a window; waits while the table is full, unless the oldest is to make room.

        Raises `Closed`, and `ValueError` where one of its segments was added before.
        """
        ids = [row.tobytes() for row in np.ascontiguousarray(window.ids)]
        with self._changed:
            self._driving.pop(window.actor, None)
            while len(self._windows) >= self.capacity and not self.oldest_out and not self._over:
                self._changed.wait()
            if self._over:
                raise Closed
            own = frozenset(ids)
            if len(own) < len(ids) or any(not own.isdisjoint(others) for others in self._seen):
                raise ValueError(f"actor {window.actor}: a segment was added twice")
            if len(self._windows) >= self.capacity:
                self._windows.popleft()
                self._left_out += 1
            self._seen.append(own)
            self._windows.append(window)
            self._changed.notify_all()

    def take(self, version: int) -> Window:
        """The oldest window, for a learner whose policy is of that version; waits for one.

        Raises `Closed`, the error of an actor that failed, and `Stuck` where an actor has driven one window for
        longer than `patience`, or nobody has added one for so long.
        """
        with self._changed:
            asked = self.clock()
            try:
                while True:
                    if self._over:
                        raise self._error or Closed
                    left = self._patience_left(asked)
                    if self._windows:
                        break
                    self._changed.wait(left)
            finally:
                self._waited += self.clock() - asked
            window = self._windows.popleft()
            self._staleness += [version - window.version] * len(window.ids)
            self._changed.notify_all()
            return window

    def fail(self, actor: int, error: BaseException) -> None:
        """An actor's last word."""
        with self._changed:
            self._driving.pop(actor, None)
            self._error = self._error or error
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of everyone who waits, and of all that was added."""
        with self._changed:
            self._closed = True
            self._windows.clear()
            self._changed.notify_all()

    def figures(self) -> dict[str, float]:
        """Since they were last asked for: the staleness of what was taken, in updates, mean and 95th percentile of the
        samples; windows left out because the table was full; the share of the time that takers waited.
        """
        with self._changed:
            now, stale = self.clock(), np.array(self._staleness or [0])
            figures = {
                "staleness_mean": float(np.mean(stale)),
                "staleness_p95": float(np.percentile(stale, 95, method="higher")),
                "windows_left_out": float(self._left_out),
                "waiting_share_of_seconds": self._waited / max(now - self._since, 1e-9),
            }
            self._staleness, self._left_out, self._waited, self._since = [], 0, 0.0, now
            return figures

    @property
    def _over(self) -> bool:
        return self._closed or self._error is not None

    def _patience_left(self, asked: float) -> float:
        """Seconds until the first of the actors is overdue, or, where none drives, whoever asked for a window."""
        since, actor = min(((since, actor) for actor, since in self._driving.items()), default=(asked, None))
        left = self.patience - (self.clock() - since)
        if left <= 0.0:
            who = "no actor drives" if actor is None else f"actor {actor} is stuck"
            raise Stuck(f"fleet.patience: {who}: no window for {self.patience:g} s (go on with --resume)")
        return left
