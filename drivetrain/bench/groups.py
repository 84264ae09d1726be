"""What apart costs and gives: the fused program against groups of one and two actors, on a drawn grid of roads.

Every kind runs alone: actors of another would take its time. A group is a pipeline, so what is given is the mean of all
updates that were timed, and the CPU time of the whole process over them, not the median of single ones.
"""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import closing

import jax
import jax.numpy as jnp

from drivetrain.bench.learning import Bench
from drivetrain.bench.synthetic import Grid, grid_scenario
from drivetrain.fleet.group import Fleet, Group
from drivetrain.fleet.local import begin
from drivetrain.parallel import on_each
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

GRID = Grid()
FLEETS = (Fleet(), Fleet(actors=1, synchronous=True), Fleet(actors=1), Fleet(actors=2))
LEAST = 4
"""Updates that are timed, at least."""


@dataclasses.dataclass(frozen=True)
class GroupRow:
    """One measurement."""

    kind: str
    scenes: int
    milliseconds: float  # of an update, mean
    rate: float  # agent-steps/s
    cpu_microseconds: float  # of the whole process, per agent-step
    waiting: float  # share of the time that the learner waited for windows; all of gathering is the fused program's own
    staleness_mean: float  # updates
    staleness_p95: float
    compile_seconds: float  # until the second update is done


def measure_groups(bench: Bench, scenes: int) -> Iterator[GroupRow]:
    """So many scenes of the grid, a car of each: the fused program, then every group."""
    bank = on_each(make_bank([grid_scenario(GRID)], GRID.dt))
    for fleet in FLEETS:
        yield measure_group(bench, bank, scenes, fleet)


def measure_group(bench: Bench, bank: Bank, scenes: int, fleet: Fleet) -> GroupRow:
    """Updates of one kind, for as long as the bench says, and `LEAST` of them."""
    learning, episodes = replace(bench.learning, scenes=scenes), jnp.arange(len(bank.episodes.map))
    policy = on_each(bench.policy.build(bench.env, jax.random.key(0)))
    train = begin(bench.env, learning, policy, bank, episodes, (jax.random.key(1), jax.random.key(2)))
    with closing(Group(fleet)) as group:
        begun = time.perf_counter()
        for _ in range(2):
            train, *_ = jax.block_until_ready(group.update(bench.env, learning, bank, episodes, train))
        compile_seconds = time.perf_counter() - begun
        group.figures()  # those of compilation are dropped
        begun, cpu, updates = time.perf_counter(), time.process_time(), 0
        while updates < LEAST or time.perf_counter() - begun < bench.seconds:
            train, *_ = jax.block_until_ready(group.update(bench.env, learning, bank, episodes, train))
            updates += 1
        elapsed, cpu, said = time.perf_counter() - begun, time.process_time() - cpu, group.figures()
    steps = updates * scenes * bank.episodes.track.shape[1] * bench.steps
    return GroupRow(
        kind=_kind(fleet),
        scenes=scenes,
        milliseconds=1e3 * elapsed / updates,
        rate=steps / elapsed,
        cpu_microseconds=1e6 * cpu / steps,
        waiting=said.get("waiting_share_of_seconds", 0.0),
        staleness_mean=said.get("staleness_mean", 0.0),
        staleness_p95=said.get("staleness_p95", 0.0),
        compile_seconds=compile_seconds,
    )


def group_line(row: GroupRow) -> str:
    """A row of the table."""
    figures = f"{row.milliseconds:>10.1f} {row.rate:>14,.0f} {row.cpu_microseconds:>12.1f} {row.waiting:>8.0%}"
    stale = f"{row.staleness_mean:>10.2f} {row.staleness_p95:>5.0f}"
    return f"{row.kind:>20} {row.scenes:>7} {figures} {stale} {row.compile_seconds:>10.1f}"


HEADING = (
    f"{'kind':>20} {'scenes':>7} {'ms':>10} {'agent-steps/s':>14} {'CPU µs/step':>12} {'waiting':>8} "
    f"{'staleness':>10} {'p95':>5} {'compile s':>10}"
)


def _kind(fleet: Fleet) -> str:
    if not fleet:
        return "fused"
    return f"{fleet.actors} actor{'s' * (fleet.actors > 1)}{', synchronous' * fleet.synchronous}"
