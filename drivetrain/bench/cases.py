"""The simulator's cases: full-size synthetic scenes, small crowded ones, and recorded scenes of a dataset."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from drivetrain.bench.measuring import copy_rate
from drivetrain.bench.simulation import Case, Row, measure
from drivetrain.bench.synthetic import Grid, grid_scenario, grid_scenarios
from drivetrain.data.store.loading import load
from drivetrain.env import Env
from drivetrain.observe.camera import CameraSight
from drivetrain.observe.sight import PAPER, SMALL
from drivetrain.observe.surroundings import Surroundings
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.sim.roads import Indexing
from drivetrain.sim.traffic.follow import Follow
from drivetrain.types import replace

FULL, AROUND = Env(observer=PAPER), Env(observer=Surroundings())
GRID = Grid()
LARGE = Grid(agents=512)
EPISODE = 91  # steps from one new scene to the next
BLOCK = Grid(agents=32, steps=EPISODE + 1, roads=2, lanes=2, spacing=85.0, dt=0.1, signals=8)
BLOCKS = tuple(replace(BLOCK, seed=seed) for seed in range(4))

WORLDS = 2  # a core at once

FOLLOWED = Env(observer=PAPER, traffic=Follow())

PARTS = ("step", "events", "observation")
SINGLE = tuple(Case("1 of 128", scenes, 1, part, FULL) for scenes in (1, 64) for part in PARTS)
FOLLOW = tuple(Case("1 of 128, others follow", scenes, 1, "step", FOLLOWED, together=1) for scenes in (1, 16))
EVERYONE = (
    Case("128 of 128", 1, 128, "events", FULL),
    Case("128 of 128", 1, 128, "observation", FULL),
    Case("128 of 128, around", 1, 128, "observation", AROUND),
)
CROWDS = (
    Case("32 of 32", 32, 32, "events", FULL, together=WORLDS),
    Case("32 of 32, around, no events", 32, 32, "observation", AROUND, events=False, together=WORLDS),
    Case("32 of 32, around, no events", 32, 32, "consumed", AROUND, events=False, together=WORLDS),
    Case("32 of 32, around, anew, no events", 32, 32, "observation", AROUND, 2 * EPISODE, False, EPISODE, WORLDS),
    Case("32 of 32, around", 32, 32, "observation", AROUND, together=WORLDS),
    Case("32 of 32, around", 32, 32, "consumed", AROUND, together=WORLDS),
)
HUGE = tuple(Case("1 of 512", scenes, 1, "observation", FULL) for scenes in (1, 16))
RECORDED = (
    *(Case("recorded, 1 each", 64, 1, part, FULL) for part in PARTS),
    Case("recorded, 1 each, small", 64, 1, "observation", Env(observer=SMALL)),
    Case("recorded, 1 each, camera", 64, 1, "observation", Env(observer=CameraSight())),
)


def measure_simulator(data: Path, seconds: float, large: bool, done: Callable[[Row], None]) -> list[Row]:
    """Every case in turn; `done` is called after each. With `large`, also 512 agents: compiling those takes long."""
    rows, rate = [], copy_rate()
    for bank, name, cases in _banks(data, large):
        for case in cases:
            rows.append(measure(case, bank, name, rate, seconds))
            done(rows[-1])
    return rows


def _banks(data: Path, large: bool) -> Iterator[tuple[Bank, str, tuple[Case, ...]]]:
    """Banks one after another, so that only one is held."""
    grid = grid_scenario(GRID)
    yield jax.device_put(make_bank([grid], GRID.dt)), "synthetic grid", SINGLE
    yield jax.device_put(make_bank([grid], GRID.dt, paths=True)), "synthetic grid", FOLLOW
    yield jax.device_put(make_bank([grid], GRID.dt, controlled=GRID.agents)), "synthetic grid", EVERYONE
    yield crowd_bank(), "synthetic block", CROWDS
    if large:
        yield jax.device_put(make_bank([grid_scenario(LARGE)], LARGE.dt)), "synthetic grid", HUGE
    if (data / "manifest.json").exists():
        loaded = load(data, admitted_only=False)
        yield jax.device_put(make_bank(loaded.scenarios, loaded.dt)), str(data), RECORDED


def crowd_bank() -> Bank:
    """The small worlds of the crowds, every agent controlled."""
    blocks = grid_scenarios(BLOCKS)
    return jax.device_put(make_bank(blocks, BLOCK.dt, controlled=BLOCK.agents, indexing=Indexing(width=200)))
