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

from drivetrain.banks.feed import Feed, slots_for
from drivetrain.banks.streamed import Streamed
from drivetrain.bench.measuring import Case, memory_megabytes, peak_megabytes
from drivetrain.data.store.shards import read_manifest
from drivetrain.data.store.streaming import Stream
from drivetrain.ending import EVALUATION
from drivetrain.env import Env
from drivetrain.fleet.local import begin, update
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Learning
from drivetrain.policy.base import Policy
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


def measure_fresh(env: Env, learning: Learning, policy: Policy, folder: Path, plan: tuple[int, float]) -> list[Case]:
    """Two cases, `resident` and `fresh`, with so many egos of a recording in the bank, in about so many seconds each.

    `plan` holds these two numbers.
    """
    egos, seconds = plan
    manifest = read_manifest(folder)
    env = replace(env, ending=EVALUATION)
    slots = slots_for(manifest.recordings, -(-learning.scenes // egos), egos)
    slots = replace(slots, longest=round(EPISODE_SECONDS / manifest.dt))
    begun = time.perf_counter()
    feed = Feed(Stream(str(folder), None, admitted_only=False, threads=2, ahead=AHEAD), slots, slots.count)
    source = Streamed(feed)
    learning = replace(learning, algorithm=Ppo(window=slots.longest))
    train = begin(env, learning, policy, source.bank, source.episodes, (jax.random.key(2), jax.random.key(3)))
    clocks = {"resident": _Clock(), "fresh": _Clock()}
    compile_seconds = 0.0
    while any(clock.updates == 0 or clock.wall < 10.0 * seconds for clock in clocks.values()):
        for name, clock in clocks.items():
            feed.wait()
            clock.start()
            for _ in range(TURN):
                if name == "fresh":
                    train = source.renew(env, learning.algorithm, train)
                train, driven, _ = update(env, learning, source.bank, source.episodes, train)
                clock.episodes += float(driven.episodes)
                clock.memory.append(round(memory_megabytes(), 1))
            feed.wait()
            clock.stop(TURN)
        if not compile_seconds:  # the first turns
            compile_seconds = time.perf_counter() - begun
            clocks = {"resident": _Clock(), "fresh": _Clock()}
    source.close()
    return [_case(name, clock, clocks["resident"], learning, slots, compile_seconds) for name, clock in clocks.items()]


def _case(name: str, clock: _Clock, resident: _Clock, learning: Learning, slots: Slots, compile_seconds: float) -> Case:
    wall, cpu = clock.wall / clock.updates, clock.cpu / clock.updates
    steps = learning.scenes * learning.algorithm.steps()
    note = f"{slots.episodes} egos a recording, windows of {learning.algorithm.steps()} steps, "
    note += f"{clock.episodes / clock.updates:.0f} episodes ended an update, {cpu:.2f} s of CPU"
    if name == "fresh":
        kept = resident.wall / resident.updates / wall, resident.cpu / resident.updates / cpu
        more = 1e3 * (cpu - resident.cpu / resident.updates) / slots.count
        note += f", {slots.count} fresh recordings of {more:.1f} ms; "
        note += f"{kept[0]:.3f} of the resident rate, {kept[1]:.3f} by CPU time"
    curve = tuple(clock.memory[i * (len(clock.memory) - 1) // 9] for i in range(10))
    row = Case(name, learning.scenes, 1e3 * wall, steps, steps / wall, compile_seconds, peak_megabytes())
    return dataclasses.replace(row, memory_mb=curve, note=note)
