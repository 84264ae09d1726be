"""What apart costs and gives: the fused program, groups with actors, groups as processes; on a drawn grid of roads.

Every kind runs alone: actors of another would take its time. A group is a pipeline, so what is given is the mean of all
updates that were timed, and the CPU time of all processes over them, not the median of single ones. Processes have a
core each where they are on one machine, one of them too: two groups have twice the cores for the same scenes.
"""

import dataclasses
import importlib.util
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.bench.learning import Bench
from drivetrain.bench.synthetic import Grid, grid_scenario
from drivetrain.fleet.away import Ground, gather_away
from drivetrain.fleet.desk import Desk, Door, Leaves
from drivetrain.fleet.generation import keep
from drivetrain.fleet.group import Fleet, Group
from drivetrain.fleet.local import begin
from drivetrain.fleet.supervisor import Beat, Place, supervise
from drivetrain.learn.update import Learning
from drivetrain.parallel import agreed, join, on_each
from drivetrain.policy.base import Policy
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

GRID = Grid()
FLEETS = (Fleet(), Fleet(actors=1, synchronous=True), Fleet(actors=1), Fleet(actors=2))
TOGETHER = (
    Fleet(groups=1, cores=1),
    Fleet(groups=2, cores=1),
    Fleet(groups=2, cores=1, actors=1),
    Fleet(groups=1, cores=1, actors=1, away=True),
)
LEAST = 4
"""Updates that are timed, at least."""
COLD = 3
"""Windows of an actor that is away before its CPU time counts."""


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
    gradient_bytes: float  # of an update that a group hands to the others; 0: there is one process
    window_bytes: float = 0.0  # of an update that a group's actors hand in from other processes


def measure_groups(bench: Bench, scenes: int) -> Iterator[GroupRow]:
    """So many scenes of the grid, a car of each: the fused program, then every group."""
    bank = on_each(make_bank([grid_scenario(GRID)], GRID.dt))
    for fleet in FLEETS:
        yield measure_group(bench, bank, scenes, fleet)
    if importlib.util.find_spec("ray") is not None:
        for fleet in TOGETHER:
            yield measure_together(bench, scenes, fleet)


def measure_together(bench: Bench, scenes: int, fleet: Fleet) -> GroupRow:
    """Groups as processes, on Ray: what the first of them measured, and the CPU time of all."""
    with tempfile.TemporaryDirectory() as folder:
        supervise(fleet, Measured(bench, scenes, fleet, folder), Path(folder), lambda beat: None, keep)
        rows = [GroupRow(**json.loads(file.read_text())) for file in sorted(Path(folder).glob("[0-9]*.json"))]
        windows = [json.loads(file.read_text()) for file in Path(folder).glob("actor-*.json")]
    of_actors = 1e6 * sum(windows) / (1e-3 * rows[0].milliseconds * rows[0].rate)  # each drives one for an update
    return replace(rows[0], cpu_microseconds=sum(row.cpu_microseconds for row in rows) + of_actors)


@dataclasses.dataclass(frozen=True)
class Measured:
    """A `fleet.supervisor.Life`: measures as one of some groups, and leaves its row in a folder."""

    bench: Bench
    scenes: int
    fleet: Fleet
    folder: str

    def __call__(self, place: Place, tell: Callable[[Beat], None], door: Door) -> None:
        """From the grid to `RANK.json`; as an actor, from the grid to its learner."""
        if place.role == "learner":
            join(place.address, place.count, place.rank)
        bank = on_each(make_bank([grid_scenario(GRID)], GRID.dt))
        if place.role == "actor":
            self._gather(bank, place.rank, place.number, door)
            return
        row = measure_group(self.bench, bank, self.scenes, self.fleet, door if isinstance(door, Desk) else None)
        Path(self.folder, f"{place.rank}.json").write_text(json.dumps(dataclasses.asdict(row)))

    def _gather(self, bank: Bank, rank: int, actor: int, door: Door) -> None:
        like = self.bench.policy.build(self.bench.env, jax.random.key(0))
        episodes = jnp.arange(len(bank.episodes.map))
        ground = Ground(self.bench.env, self.bench.learning.algorithm, bank, episodes, like)
        timed = Timed(door)
        gather_away(timed, actor, lambda stage: ground)
        warm = np.diff(timed.spent)[COLD:]
        Path(self.folder, f"actor-{rank}-{actor}.json").write_text(
            json.dumps(float(np.mean(warm)) if len(warm) else 0.0)
        )


class Timed:
    """A door at which an actor's own CPU time is read, after each window."""

    def __init__(self, door: Door):
        self.door, self.spent = door, []
        self.hire, self.order, self.over = door.hire, door.order, door.over

    def add(self, actor: int, stage: str, version: int, ids: np.ndarray, leaves: Leaves) -> bool:
        """As `Door` has it."""
        going_on = self.door.add(actor, stage, version, ids, leaves)
        self.spent.append(time.process_time())
        return going_on


def measure_group(bench: Bench, bank: Bank, scenes: int, fleet: Fleet, desk: Desk | None = None) -> GroupRow:
    """Updates of one kind, for as long as the bench says, and `LEAST` of them."""
    learning, episodes = replace(bench.learning, scenes=scenes), jnp.arange(len(bank.episodes.map))
    policy = on_each(bench.policy.build(bench.env, jax.random.key(0)))
    train = begin(bench.env, learning, policy, bank, episodes, (jax.random.key(1), jax.random.key(2)))
    with closing(Group(fleet, desk)) as group:
        begun = time.perf_counter()
        for _ in range(2):
            train, *_ = jax.block_until_ready(group.update(bench.env, learning, bank, episodes, train))
        compile_seconds = time.perf_counter() - begun
        group.figures()  # those of compilation are dropped
        begun = time.perf_counter()
        train, *_ = jax.block_until_ready(group.update(bench.env, learning, bank, episodes, train))
        updates = agreed(max(LEAST, math.ceil(bench.seconds / (time.perf_counter() - begun))))
        group.figures()
        begun, cpu, received = time.perf_counter(), time.process_time(), group.received
        for _ in range(updates):
            train, *_ = jax.block_until_ready(group.update(bench.env, learning, bank, episodes, train))
        elapsed, cpu, said = time.perf_counter() - begun, time.process_time() - cpu, group.figures()
        received = group.received - received
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
        gradient_bytes=_bytes_between(learning, train.policy) if fleet.groups > 1 else 0.0,
        window_bytes=received / updates,
    )


def _bytes_between(learning: Learning, policy: Policy) -> float:
    """The gradients of an update. What a ring moves of them is 2 (n − 1) / n times that, for n groups."""
    return float(learning.epochs * learning.minibatches * sum(leaf.nbytes for leaf in jax.tree.leaves(policy)))


def group_line(row: GroupRow) -> str:
    """A row of the table."""
    figures = f"{row.milliseconds:>10.1f} {row.rate:>14,.0f} {row.cpu_microseconds:>12.1f} {row.waiting:>8.0%}"
    stale = f"{row.staleness_mean:>10.2f} {row.staleness_p95:>5.0f}"
    between = f"{row.gradient_bytes / 1e6:>10.2f} {row.window_bytes / 1e6:>10.2f}"
    return f"{row.kind:>20} {row.scenes:>7} {figures} {stale} {between} {row.compile_seconds:>10.1f}"


HEADING = (
    f"{'kind':>20} {'scenes':>7} {'ms':>10} {'agent-steps/s':>14} {'CPU µs/step':>12} {'waiting':>8} "
    f"{'staleness':>10} {'p95':>5} {'MB between':>10} {'MB windows':>10} {'compile s':>10}"
)


def _kind(fleet: Fleet) -> str:
    if fleet.groups:
        apart = f" of {fleet.actors} actor{'s' * (fleet.actors > 1)}{' away' * fleet.away}" if fleet else ""
        return f"{fleet.groups} group{'s' * (fleet.groups > 1)}{apart}"
    if not fleet:
        return "fused"
    return f"{fleet.actors} actor{'s' * (fleet.actors > 1)}{', synchronous' * fleet.synchronous}"
