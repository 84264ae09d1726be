"""Work spread over processes: outcomes as they come, few tasks ahead, and nobody left behind when the parent dies.

parent   submits tasks, waits for any outcome          unblocked by: an outcome, or a process that died
process  runs a task at a time                         unblocked by: a task
its watch (a thread) waits for the parent's end, and ends the process: a killed parent leaves no orphans
"""

import concurrent.futures
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


def spread(run: Callable[[Task], Outcome], task: Callable[[], Task | None], workers: int) -> Iterator[Outcome]:
    """What `run` makes of each task, in no order. `task` gives the next one; None: none now, ask after an outcome.

    With one worker, everything happens in this process. Raises what `run` raises, and `InputError` naming the tasks
    at hand where a process dies.
    """
    if workers <= 1:
        while (following := task()) is not None:
            yield run(following)
        return
    running: dict[Future, Task] = {}
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        while True:
            while len(running) < 2 * workers and (following := task()) is not None:
                running[executor.submit(run, following)] = following
            if not running:
                return
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
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


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _begin() -> None:
    """In a worker: die quietly of Ctrl-C, and with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
