"""What fresh recordings cost training: PPO on a batch of episodes as it stands, against one that is new every episode.

The bank holds as many episodes as scenes drive. Nobody fails, so that an episode ends where its recording does, or
after the quickstart's eight seconds; a window is as long as the longest episode, so that every scene drives a whole
one. Whoever trains on fresh recordings replaces the whole bank before every window. Both are measured in turns, because
a machine's speed drifts; what is prepared ahead is waited for before the clock stops.
"""

import dataclasses
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from drivetrain.bench.measuring import Case, memory_megabytes, peak_megabytes
from drivetrain.data.shards import read_manifest
from drivetrain.data.streaming import Stream
from drivetrain.ending import EVALUATION
from drivetrain.env import Env
from drivetrain.fleet.feeding import Feed, feed, slots_for
from drivetrain.fleet.local import Learner, improve, open_scenes
from drivetrain.fleet.run import Improvement
from drivetrain.fleet.splits import longest_episode
from drivetrain.learn.update import TrainState
from drivetrain.sim.refilling import Slots
from drivetrain.types import replace

EPISODE_SECONDS = 8.0
"""Drives are cut to episodes of at most this length, as in the quickstart."""
TURN = 3
"""Updates measured before the other kind has its turn."""
AHEAD = 4
"""Recordings read ahead; few, because reading goes on while the other kind has its turn."""


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
    manifest = read_manifest(folder)
    env = replace(env, ending=EVALUATION)
    slots = slots_for(manifest.recordings, -(-improvement.scenes // egos), egos)
    slots = replace(slots, longest=round(EPISODE_SECONDS / manifest.dt))
    begun = time.perf_counter()
    source = Feed(Stream(str(folder), None, admitted_only=False, threads=2, ahead=AHEAD), slots, slots.count)
    rows, bank = jnp.arange(slots.count * egos), source.bank
    parts = -(-longest_episode(slots, bank) // improvement.minibatches)
    improvement = replace(improvement, window=parts * improvement.minibatches)
    carry = open_scenes(env, bank, improvement.scenes, rows, jax.random.key(2))
    learner = Learner(jax.tree.map(jnp.copy, train), carry)
    clocks = {"resident": _Clock(), "fresh": _Clock()}
    compile_seconds = 0.0
    while any(clock.updates == 0 or clock.wall < 10.0 * seconds for clock in clocks.values()):
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
        if not compile_seconds:  # the first turns
            compile_seconds = time.perf_counter() - begun
            clocks = {"resident": _Clock(), "fresh": _Clock()}
    source.close()
    return [
        _case(name, clock, clocks["resident"], improvement, slots, compile_seconds) for name, clock in clocks.items()
    ]


def _case(
    name: str, clock: _Clock, resident: _Clock, improvement: Improvement, slots: Slots, compile_seconds: float
) -> Case:
    wall, cpu = clock.wall / clock.updates, clock.cpu / clock.updates
    steps = improvement.scenes * improvement.window
    note = f"{slots.episodes} egos a recording, windows of {improvement.window} steps, "
    note += f"{clock.episodes / clock.updates:.0f} episodes ended an update, {cpu:.2f} s of CPU"
    if name == "fresh":
        kept = resident.wall / resident.updates / wall, resident.cpu / resident.updates / cpu
        more = 1e3 * (cpu - resident.cpu / resident.updates) / slots.count
        note += f", {slots.count} fresh recordings of {more:.1f} ms; "
        note += f"{kept[0]:.3f} of the resident rate, {kept[1]:.3f} by CPU time"
    curve = tuple(clock.memory[i * (len(clock.memory) - 1) // 9] for i in range(10))
    row = Case(name, improvement.scenes, 1e3 * wall, steps, steps / wall, compile_seconds, peak_megabytes())
    return dataclasses.replace(row, memory_mb=curve, note=note)
