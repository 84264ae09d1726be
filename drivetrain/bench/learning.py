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
from drivetrain.data.loading import load
from drivetrain.data.streaming import Stream
from drivetrain.env import Env
from drivetrain.fleet.run import Improvement
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser, TrainState, begin, descend
from drivetrain.observe import PAPER
from drivetrain.policy.perceiver import Perceiver, Sizes, count_parameters
from drivetrain.policy.presets import P0_75M, TINY
from drivetrain.rollout import Carry, Figures, rollout, start
from drivetrain.sim.bank import Bank, make_bank
from drivetrain.types import Transition

RESIDENT = 256
"""Recordings of a dataset that are measured on, at most, where they are resident."""
CASES = ("sim", "observe", "rollout", "train", "load", "fresh")


@dataclasses.dataclass(frozen=True)
class Bench:
    """What is measured: the same scenes, driven for a window of steps."""

    env: Env = Env()
    sizes: Sizes = TINY
    steps: int = 32
    seconds: float = 2.0  # spent on each measurement, at least
    epochs: int = 2  # passes over a window, for `fresh`

    def sim(self, bank: Bank, scenes: int) -> Case:
        """Steps of the environment alone, under the action that changes nothing: rewards and all events of each."""
        idle = jnp.zeros((1, self.env.dynamics.width))

        def drive(bank, episodes):
            def one(episode):
                def step(state, _):
                    state, events = self.env.step(bank, state, idle)
                    return state, (self.env.rewards(bank, events), events)

                return jax.lax.scan(step, self.env.reset(bank, episode), None, length=self.steps)[1]

            return jax.vmap(one)(episodes)

        return self.measure("sim", scenes, scenes * self.steps, drive, bank, _rows(bank, scenes))

    def observe(self, bank: Bank, scenes: int) -> Case:
        """One observation of every scene, written out."""
        states = jax.jit(jax.vmap(self.env.reset, (None, 0)))(bank, _rows(bank, scenes))
        return self.measure("observe", scenes, scenes, jax.vmap(self.env.observe, (None, 0)), bank, states)

    def rollout(self, bank: Bank, scenes: int) -> Case:
        """A window of steps under the policy."""
        return self.measure(
            "rollout", scenes, scenes * self.steps, self._window, bank, self._policy(), self._carry(bank, scenes)
        )

    def train(self, bank: Bank, scenes: int) -> Case:
        """A window and one pass of PPO over it."""
        carry, train = self._carry(bank, scenes), begin(Optimiser(), self._policy(), jax.random.key(1))
        whole = self.measure("train", scenes, scenes * self.steps, self._update, bank, carry, train)
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
        """PPO updates on a batch of episodes as it stands, and on one that is fresh every episode.

        Strictly, each from a recording of its own; or four of a recording at once. An update is a window, and the
        passes over it in four minibatches.
        """
        run = Improvement(scenes=scenes, epochs=self.epochs, minibatches=4)
        begun = begin(Optimiser(), self._policy(), jax.random.key(1))
        return [row for egos in (1, 4) for row in measure_fresh(self.env, run, begun, folder, (egos, self.seconds))]

    def _update(self, bank: Bank, carry: Carry, train: TrainState) -> tuple[Carry, TrainState, Figures]:
        """A window, and one pass of PPO over it."""
        ppo = Ppo()
        after, window, figures = self._window(bank, train.policy, carry)
        prepare = jax.vmap(lambda w, s: ppo.prepare(self.env, bank, train.policy, w, s, train.key))
        batch = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), prepare(window, after.state))
        loss = lambda policy, key: ppo.loss(self.env, bank, policy, batch, key)  # noqa: E731
        return after, descend(Optimiser(), train, loss)[0], figures

    def measure(self, name: str, scenes: int, agent_steps: int, function: Callable, *arguments: Any) -> Case:
        """Compile once, then the median of calls."""
        begun = time.perf_counter()
        compiled = jax.jit(function).lower(*arguments).compile()
        compile_seconds = time.perf_counter() - begun
        elapsed = median_seconds(lambda: jax.block_until_ready(compiled(*arguments)), self.seconds)
        return Case(name, scenes, 1e3 * elapsed, agent_steps, agent_steps / elapsed, compile_seconds, peak_megabytes())

    def _policy(self) -> Perceiver:
        actions = tuple(len(values) for values in self.env.dynamics.grid())
        return Perceiver(self.sizes, self.env.observer.widths, actions, jax.random.key(0))

    def _carry(self, bank: Bank, scenes: int) -> Carry:
        keys = jax.random.split(jax.random.key(2), scenes)
        return jax.jit(jax.vmap(lambda bank, key: start(self.env, bank, _all(bank), key), (None, 0)))(bank, keys)

    def _window(self, bank: Bank, policy: Any, carry: Carry) -> tuple[Carry, Transition, Figures]:
        return jax.vmap(lambda carry: rollout(self.env, bank, policy, carry, self.steps, _all(bank)))(carry)


PAPER_SMALLEST = Bench(env=Env(observer=PAPER), sizes=P0_75M, epochs=1)
"""The paper's policy of 0.75 million parameters, and what it sees and learns in one pass."""


def run_cases(folder: Path, cases: tuple[str, ...], scenes: tuple[int, ...], bench: Bench) -> list[Case]:
    """Measure the cases named, at every number of scenes, on the recordings of a dataset."""
    loaded = load(folder, admitted_only=False, limit=RESIDENT)
    paths = bench.env.traffic.needs_paths
    bank = jax.device_put(make_bank(loaded.scenarios, loaded.dt, admitted=loaded.admitted, paths=paths))
    done = []
    for case in cases:
        if case == "load":
            done += [bench.load(folder, threads) for threads in (1, 2, 4)]
            continue
        if case == "fresh":
            done += bench.fresh(folder, max(scenes))
            continue
        done += [getattr(bench, case)(bank, count) for count in scenes]
    return done


def describe(bench: Bench) -> dict[str, Any]:
    """What a figure is worth nothing without: the device, the versions, the sizes."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} {device.device_kind}",
        "jax": jax.__version__,
        "parameters": count_parameters(bench._policy()),
        "steps": bench.steps,
    }


def _all(bank: Bank) -> jax.Array:
    return jnp.arange(len(bank.episodes.map))


def _rows(bank: Bank, scenes: int) -> jax.Array:
    return jnp.arange(scenes) % len(bank.episodes.map)
