"""What fresh recordings cost training: PPO on a bank as it stands, against PPO on a bank that is refilled meanwhile.

A refilled bank holds four times as many episodes as scenes drive. Before each update as many recordings are replaced
as bring a fresh ego for every episode that is begun: those that follow an ending, and those opened anew because their
recording was replaced. Both are measured in turns, because a machine's speed drifts; what is prepared ahead is waited
for before the clock stops.
"""

import dataclasses
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from drivetrain.bench.measuring import Case, memory_megabytes, peak_megabytes
from drivetrain.data.shards import read_manifest
from drivetrain.data.streaming import Stream
from drivetrain.env import Env
from drivetrain.fleet.feeding import Feed, feed, slots_for
from drivetrain.fleet.local import Learner, improve, open_scenes
from drivetrain.fleet.run import Improvement
from drivetrain.learn.update import TrainState
from drivetrain.types import replace

ROOM = 4
"""Episodes in the bank for each scene that drives."""
TURN = 6
"""Updates measured before the other kind has its turn."""


class _Clock:
    """Wall and CPU seconds of one kind of update."""

    def __init__(self):
        self.wall, self.cpu, self.updates, self.episodes = 0.0, 0.0, 0, 0.0
        self.memory: list[float] = []

    def start(self) -> None:
        self._at = time.perf_counter(), time.process_time()

    def stop(self, updates: int) -> None:
        self.wall += time.perf_counter() - self._at[0]
        self.cpu += time.process_time() - self._at[1]
        self.updates += updates


def measure_fresh(
    env: Env, improvement: Improvement, train: TrainState, folder: Path, plan: tuple[int, float]
) -> list[Case]:
    """Two cases, `resident` and `fresh`, with so many egos of a recording in the bank, in about so many seconds each.

    `plan` holds these two numbers; the training state is copied.
    """
    egos, seconds = plan
    scenes = improvement.scenes
    entries = read_manifest(folder).recordings
    slots = slots_for(entries, -(-ROOM * scenes // egos), egos)
    stream = Stream(str(folder), None, admitted_only=False, threads=2, ahead=16)
    begun = time.perf_counter()
    source = Feed(stream, slots, 1)
    rows = jnp.arange(len(source.bank.episodes.map))
    carry = open_scenes(env, source.bank, scenes, rows, jax.random.key(2))
    learner = Learner(jax.tree.map(jnp.copy, train), carry)
    ended = 0.0
    for _ in range(3):
        learner, driven, _ = improve(env, improvement, source.bank, learner, rows)
        ended += float(jnp.asarray(driven.episodes)) / 3
    source.close()

    turnover = min(max(round(ended * ROOM / (ROOM - 1) / egos), 1), slots.count)
    source = Feed(stream, slots, turnover)
    bank, carry = feed(env, source.bank, learner.carry, source.lot())
    learner, driven, _ = improve(env, improvement, bank, replace(learner, carry=carry), rows)
    jax.block_until_ready(learner)
    compile_seconds = time.perf_counter() - begun
    clocks = {"resident": _Clock(), "fresh": _Clock()}
    while min(clock.wall for clock in clocks.values()) < 10.0 * seconds or not clocks["fresh"].updates:
        for name, clock in clocks.items():
            source.wait()
            clock.start()
            for _ in range(TURN):
                if name == "fresh":
                    bank, carry = feed(env, bank, learner.carry, source.lot())
                    learner = replace(learner, carry=carry)
                learner, driven, _ = improve(env, improvement, bank, learner, rows)
                clock.episodes += float(jnp.asarray(driven.episodes))
                clock.memory.append(round(memory_megabytes(), 1))
            source.wait()
            clock.stop(TURN)
    source.close()
    sizes = scenes, egos, turnover, scenes * improvement.window
    return [_case(name, clock, clocks["resident"], sizes, compile_seconds) for name, clock in clocks.items()]


def _case(name: str, clock: _Clock, resident: _Clock, sizes: tuple[int, int, int, int], compile_seconds: float) -> Case:
    scenes, egos, turnover, steps = sizes
    wall, cpu = clock.wall / clock.updates, clock.cpu / clock.updates
    note = f"{egos} egos a recording, {clock.episodes / clock.updates:.0f} episodes ended an update, {cpu:.2f} s of CPU"
    if name == "fresh":
        kept = resident.wall / resident.updates / wall, resident.cpu / resident.updates / cpu
        note += f", {turnover} fresh recordings; {kept[0]:.3f} of the resident rate, {kept[1]:.3f} by CPU time"
    curve = tuple(clock.memory[i * (len(clock.memory) - 1) // 9] for i in range(10))
    row = Case(name, scenes, 1e3 * wall, steps, steps / wall, compile_seconds, peak_megabytes())
    return dataclasses.replace(row, memory_mb=curve, note=note)
