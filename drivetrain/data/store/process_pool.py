"""Work spread over processes: outcomes as they come, few tasks ahead, and nobody left behind when the parent dies.

parent   submits tasks, waits for any outcome          unblocked by: an outcome, or a process that died
process  runs a task at a time                         unblocked by: a task
         tells what it is about, in a pipe             never blocked: what does not fit is forgotten
its watch (a thread) waits for the parent's end, and ends the process: a killed parent leaves no orphans
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TypeVar

from drivetrain.types import InputError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")
Heard = Callable[[str], None]

HEARD_EVERY = 0.5
"""Seconds between two looks at what processes tell."""
LONGEST = 1000
"""Bytes of what is told at once: fewer than a pipe takes as one (4096)."""

_listening: list[Heard] = []  # in the process that runs a task: who hears what `tell` says


def tell(words: str) -> None:
    """Say what a task is about: `spread` has it heard, in whatever process the task runs."""
    for heard in _listening:
        heard(words)


def spread(
    run: Callable[[Task], Outcome], task: Callable[[], Task | None], workers: int, heard: Heard | None = None
) -> Iterator[Outcome]:
    """What `run` makes of each task, in no order. `task` gives the next one; None: none now, ask after an outcome.

    With one worker, everything happens in this process. `heard` is called with what tasks `tell` meanwhile. Raises what
    `run` raises, and `InputError` naming the tasks at hand where a process dies.
    """
    if workers <= 1:
        _listening[:] = [heard] if heard else []
        try:
            while (following := task()) is not None:
                yield run(following)
        finally:
            _listening.clear()
        return
    running: dict[Future, Task] = {}
    context = multiprocessing.get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    os.set_blocking(mouth.fileno(), False)
    executor = concurrent.futures.ProcessPoolExecutor(workers, context, _begin, (mouth,))
    try:
        while True:
            while len(running) < 2 * workers and (following := task()) is not None:
                running[executor.submit(run, following)] = following
            if not running:
                return
            done, _ = concurrent.futures.wait(running, HEARD_EVERY, return_when=concurrent.futures.FIRST_COMPLETED)
            while ear.poll():
                words = ear.recv_bytes().decode(errors="replace")
                if heard:
                    heard(words)
            for future in done:
                outcome = future.result()
                del running[future]
                yield outcome
    except BrokenProcessPool:
        at_hand = "; ".join(sorted(str(one) for one in running.values()))
        raise InputError(
            f"{at_hand}: a worker process died, perhaps for want of memory (use fewer --workers, or leave it out)"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)
        ear.close()
        mouth.close()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _begin(mouth: connection.Connection) -> None:
    """In a worker: die quietly of Ctrl-C, and with the parent; tell it through a pipe."""
    _listening[:] = [lambda words: _told(mouth, words)]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_watch, daemon=True).start()


def _told(mouth: connection.Connection, words: str) -> None:
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        mouth.send_bytes(words.encode(errors="replace")[:LONGEST])


def _watch() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
