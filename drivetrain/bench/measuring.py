"""Time and memory of a program on the device at hand."""

import dataclasses
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp


def median_seconds(call: Callable[[], Any], seconds: float) -> float:
    """The median of calls that go on for at least so long, after one that is not counted."""
    call()
    times, begun = [], time.perf_counter()
    while not times or time.perf_counter() - begun < seconds:
        at = time.perf_counter()
        call()
        times.append(time.perf_counter() - at)
    return statistics.median(times)


def peak_megabytes() -> float:
    """The most memory held since the process began: of the process on a CPU, of the device elsewhere."""
    figures = jax.devices()[0].memory_stats() or {}
    return figures.get("peak_bytes_in_use", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) / 1e6


def copy_rate(kilobytes: int = 512, turns: int = 64) -> float:
    """Bytes a second that a copy reads and writes within the cache of a core (or on the device): no program that must
    read and write so much is faster.
    """
    numbers = jnp.zeros(kilobytes * 250, jnp.float32)
    copies = jax.jit(lambda numbers: jax.lax.fori_loop(0, turns, lambda _, numbers: numbers + 1.0, numbers))
    return 2 * turns * numbers.nbytes / median_seconds(lambda: jax.block_until_ready(copies(numbers)), 1.0)


def memory_megabytes() -> float:
    """Memory of the process, MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement."""

    case: str
    scenes: int  # simulated at once; threads for `load`
    milliseconds: float  # median of one call
    agent_steps: int  # of one call; recordings for `load`
    rate: float  # agent-steps/s; recordings/s for `load`
    compile_seconds: float
    peak_mb: float  # of the process on a CPU, of the device elsewhere; since the process began
    shares: dict[str, float] = dataclasses.field(default_factory=dict)  # of a training step's time
    decoded_mb: float = 0.0  # a second, of `load`
    own_mb: float = 0.0  # that the program of `train` holds beside what it is given and gives
    learnt: float = 1.0  # share of the steps that `train` learns from, in the last update
    memory_mb: tuple[float, ...] = ()  # of the process, at ten moments of `fresh`
    note: str = ""
