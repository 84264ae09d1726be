"""How fast it is: milliseconds, agent-steps/s, compile time and memory of each part, on the device at hand.

sim      scan of env.step                        rollout   the same, driven by samples of the policy
observe  observations of one state               train     a PPO update of such a window, and what its time goes into
load     recordings from a dataset's shards: read, checked, unpacked and padded by so many threads
fresh    the PPO update on resident recordings, and with a batch of recordings fresh from the stream every episode
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from drivetrain.bench.feeding import measure_fresh
from drivetrain.bench.measuring import Case, median_seconds, peak_megabytes
from drivetrain.data.store.loading import load
from drivetrain.data.store.streaming import Stream
from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.fleet.local import begin, update
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.threshold import Sieve
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.observe.sight import PAPER
from drivetrain.parallel import on_each, over_learners
from drivetrain.policy.base import Architecture, Policy, count_parameters
from drivetrain.policy.presets import P0_75M, POOLED
from drivetrain.rollout import Figures, rollout, start
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.sim.spawning.base import Replacing
from drivetrain.types import replace

RESIDENT = 256
"""Recordings of a dataset that are measured on, at most, where they are resident."""
CASES = ("sim", "observe", "rollout", "train", "load", "fresh")


@dataclasses.dataclass(frozen=True)
class Bench:
    """What is measured: the same scenes, driven for a window of steps."""

    env: Env = Env()
    policy: Architecture = POOLED
    learning: Learning = Learning(Ppo(window=32, entropy=3e-3), Optimiser(learning_rate=3e-4))
    seconds: float = 2.0  # spent on each measurement, at least

    def sim(self, bank: Bank, scenes: int) -> Case:
        """Steps of the environment alone, under the action that changes nothing: rewards and all events of each."""
        agents = _agents(bank)
        idle = jnp.zeros((agents, self.env.dynamics.width))

        def one(bank: Bank, episode: jax.Array) -> Any:
            def step(state, key):
                state, events = self.env.step(bank, state, idle)
                paid = self.env.rewards(bank, events, state.traits), events
                if isinstance(self.env.spawning, Replacing):
                    ended, _ = self.env.endings(bank, state, events)
                    state, _ = self.env.renew(bank, retire(state, ended), key)
                return state, paid

            keys = jax.random.split(jax.random.key(1), self.steps)
            return jax.lax.scan(step, self.env.reset(bank, episode, jax.random.key(0)), keys)[1]

        drive = over_learners(jax.vmap(one, (None, 0)), (False, True), True)
        return self.measure("sim", scenes, scenes * agents * self.steps, drive, bank, _rows(bank, scenes))

    def observe(self, bank: Bank, scenes: int) -> Case:
        """One observation of every scene, written out."""
        states = jax.jit(jax.vmap(self.env.reset, (None, 0, None)))(bank, _rows(bank, scenes), jax.random.key(0))
        observe = over_learners(jax.vmap(self.env.observe, (None, 0)), (False, True), True)
        return self.measure("observe", scenes, scenes * _agents(bank), observe, bank, states)

    def rollout(self, bank: Bank, scenes: int) -> Case:
        """A window of steps under the policy: its figures, every event among them."""
        policy, keys = self._policy(), jax.random.split(jax.random.key(2), scenes)

        def window(bank: Bank, policy: Policy, key: jax.Array) -> Figures:
            carry = start(self.env, bank, policy, _all(bank), key)
            return rollout(self.env, bank, policy, carry, self.steps, _all(bank))[2]

        of_share = over_learners(jax.vmap(window, (None, None, 0)), (False, False, True), True)
        return self.measure("rollout", scenes, scenes * _agents(bank) * self.steps, of_share, bank, policy, keys)

    def train(self, bank: Bank, scenes: int) -> Case:
        """A window in every scene, and what the recipe learns from it; the same program as in a run."""
        learning, episodes = replace(self.learning, scenes=scenes), _all(bank)
        train = begin(self.env, learning, self._policy(), bank, episodes, (jax.random.key(1), jax.random.key(2)))
        begun = time.perf_counter()
        program = update.lower(self.env, learning, bank, episodes, train).compile()
        compile_seconds, memory = time.perf_counter() - begun, program.memory_analysis()
        state = [train]

        def once() -> None:
            state[0], *_ = jax.block_until_ready(program(bank, episodes, state[0]))

        elapsed = median_seconds(once, self.seconds)
        steps, sieve = scenes * _agents(bank) * self.steps, state[0].sieve
        whole = Case("train", scenes, 1e3 * elapsed, steps, steps / elapsed, compile_seconds, peak_megabytes())
        learnt = 1.0 - float(sieve.dropped) if isinstance(sieve, Sieve) else learning.kept
        whole = dataclasses.replace(whole, own_mb=memory.temp_size_in_bytes / 1e6 if memory else 0.0, learnt=learnt)
        driven, simulated = self.rollout(bank, scenes).milliseconds, self.sim(bank, scenes).milliseconds
        total = max(whole.milliseconds, driven)
        shares = {
            "simulation": min(simulated, driven) / total,
            "inference": max(driven - simulated, 0.0) / total,
            "learning": (total - driven) / total,
        }
        return dataclasses.replace(whole, shares={name: round(share, 3) for name, share in shares.items()})

    def load(self, folder: Path, threads: int) -> Case:
        """Recordings of a shuffled stream, read ahead by threads."""
        samples = Stream(str(folder), None, admitted_only=False, threads=threads, ahead=2 * threads).open()
        count = len(samples.records)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(next(samples).scenario)) / 1e6

        def read() -> None:
            for _ in range(count):
                next(samples)

        elapsed = median_seconds(read, self.seconds)
        samples.close()
        rate = count / elapsed
        return Case("load", threads, 1e3 * elapsed, count, rate, 0.0, peak_megabytes(), decoded_mb=size * rate)

    def fresh(self, folder: Path, scenes: int) -> list[Case]:
        """Updates on a batch of episodes as it stands, and on one that is fresh every episode.

        Strictly, each from a recording of its own; or four of a recording at once.
        """
        learning = replace(self.learning, scenes=scenes)
        policy = self._policy()
        plans = ((1, self.seconds), (4, self.seconds))
        return [row for plan in plans for row in measure_fresh(self.env, learning, policy, folder, plan)]

    def measure(self, name: str, scenes: int, agent_steps: int, function: Callable, *arguments: Any) -> Case:
        """Compile once, then the median of calls."""
        begun = time.perf_counter()
        compiled = jax.jit(function).lower(*arguments).compile()
        compile_seconds = time.perf_counter() - begun
        elapsed = median_seconds(lambda: jax.block_until_ready(compiled(*arguments)), self.seconds)
        return Case(name, scenes, 1e3 * elapsed, agent_steps, agent_steps / elapsed, compile_seconds, peak_megabytes())

    @property
    def steps(self) -> int:
        """Of a window."""
        return self.learning.algorithm.steps()

    def _policy(self) -> Policy:
        return on_each(self.policy.build(self.env, jax.random.key(0)))


PAPER_SMALLEST = Bench(env=Env(observer=PAPER), policy=P0_75M)
"""The paper's policy of 0.75 million parameters, and what it sees and learns in one pass."""


def run_cases(folder: Path, cases: tuple[str, ...], scenes: tuple[int, ...], bench: Bench) -> list[Case]:
    """Measure the cases named, at every number of scenes, on the recordings of a dataset."""
    bank, done = resident(folder, bench.env.traffic.needs_paths), []
    for case in cases:
        if case == "load":
            done += [bench.load(folder, threads) for threads in (1, 2, 4)]
            continue
        if case == "fresh":
            done += bench.fresh(folder, max(scenes))
            continue
        done += [getattr(bench, case)(bank, count) for count in scenes]
    return done


def resident(folder: Path, paths: bool = False) -> Bank:
    """The recordings of a dataset on every device, `RESIDENT` of them at most."""
    loaded = load(folder, admitted_only=False, limit=RESIDENT)
    return on_each(make_bank(loaded.scenarios, loaded.dt, admitted=loaded.admitted, paths=paths))


def describe(bench: Bench) -> dict[str, Any]:
    """What a figure is worth nothing without: the device, the versions, the sizes."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} {device.device_kind}",
        "jax": jax.__version__,
        "parameters": count_parameters(bench._policy()),
        "steps": bench.steps,
    }


def _agents(bank: Bank) -> int:
    """Controlled agents of an episode."""
    return bank.episodes.track.shape[1]


def _all(bank: Bank) -> jax.Array:
    return jnp.arange(len(bank.episodes.map))


def _rows(bank: Bank, scenes: int) -> jax.Array:
    return jnp.arange(scenes) % len(bank.episodes.map)
