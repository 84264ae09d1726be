"""Whole training as a recipe has it: agent-steps/s, what its time goes into, and how far it is from its arithmetic.

The floor counts what the networks must compute at the speed of a large matrix product on the same device: one forward
pass a step that is driven, and three times as much a step, and pass, that is learnt from.
"""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp

from drivetrain import progress
from drivetrain.bench.learning import Bench
from drivetrain.bench.measuring import Case, median_seconds
from drivetrain.parallel import on_each
from drivetrain.policy.base import count_parameters, first_memory
from drivetrain.runs.learning import datasets, training_part, worlds_of
from drivetrain.runs.run import Run
from drivetrain.runs.training import prepare_dataset
from drivetrain.sim.bank import Bank
from drivetrain.types import Key

SIZE = 2048
"""Rows of the square matrices by which the device's speed is taken."""


@dataclasses.dataclass(frozen=True)
class Whole:
    """An update of a recipe's last stage."""

    recipe: str
    device: str
    cores: int
    jax: str
    parameters: int
    agents: int  # of a world
    train: Case
    forward_flops: float  # of one agent's step
    peak_flops: float  # a second, of a matrix product
    floor_seconds: float  # of an update

    @property
    def above_floor(self) -> float:
        """How many times its arithmetic an update takes."""
        return 1e-3 * self.train.milliseconds / self.floor_seconds


def measure_recipe(run: Run, seconds: float) -> Whole:
    """The last stage of a run, on its own scenes; recordings that are not converted yet are."""
    for data in datasets(run):
        prepare_dataset(data, progress.progress)
    bank, stage = _bank(run), run.stages[-1]
    bench = Bench(env=run.env, policy=run.policy, learning=stage, seconds=seconds)
    row = bench.train(bank, stage.scenes)
    forward, peak = _forward_flops(run, bank), _peak_flops()
    learnt = 3.0 * row.learnt * stage.epochs
    device = jax.devices()[0]
    return Whole(
        recipe=run.name,
        device=f"{device.platform} {device.device_kind}",
        cores=len(os.sched_getaffinity(0)),
        jax=jax.__version__,
        parameters=count_parameters(run.policy.build(run.env, jax.random.key(0))),
        agents=bank.episodes.track.shape[1],
        train=row,
        forward_flops=forward,
        peak_flops=peak,
        floor_seconds=row.agent_steps * forward * (1.0 + learnt) / peak,
    )


def recipe_line(row: Whole) -> str:
    """What is printed."""
    train, shares = row.train, ", ".join(f"{name} {share:.0%}" for name, share in row.train.shares.items())
    return (
        f"{row.recipe}: {row.parameters:,} parameters on {row.device} ({row.cores} cores), jax {row.jax}\n"
        f"{train.rate:,.0f} agent-steps/s of whole training: {train.milliseconds:,.0f} ms an update of "
        f"{train.agent_steps:,} agent-steps ({train.scenes} worlds of {row.agents}), {shares}\n"
        f"compiled in {train.compile_seconds:.0f} s, {train.peak_mb:,.0f} MB at most, "
        f"of which the update holds {train.own_mb:,.0f} MB on each device while it runs\n"
        f"floor: {row.forward_flops / 1e3:,.0f} kFLOP a forward pass, {row.peak_flops / 1e9:,.0f} GFLOP/s in a matrix "
        f"product of {SIZE}: {1e3 * row.floor_seconds:,.0f} ms an update; it takes {row.above_floor:.1f} times that"
    )


def _bank(run: Run) -> Bank:
    if run.asked:
        return worlds_of(run, run.asked.maps, run.seed).bank
    return training_part(run).whole.bank


def _forward_flops(run: Run, bank: Bank) -> float:
    """Of one agent: as XLA counts the operations of a forward pass, which has no loop."""
    policy = run.policy.build(run.env, jax.random.key(0))

    def forward(bank: Bank, key: Key) -> Any:
        state = run.env.reset(bank, 0, key)
        return jax.tree.map(lambda leaf: leaf[0], run.env.observe(bank, state))

    seen = jax.jit(forward)(bank, jax.random.key(0))
    memory = jax.tree.map(lambda leaf: leaf[0], first_memory(policy, 1))

    def answer(policy: Any, seen: Any, memory: Any, key: Key) -> Any:
        distribution, value, _ = policy(seen, memory, key)
        return distribution.mode(), value

    compiled = jax.jit(answer).lower(policy, seen, memory, jax.random.key(0)).compile()
    return float((compiled.cost_analysis() or {}).get("flops", 0.0))  # type: ignore[union-attr]


def _peak_flops() -> float:
    matrix = on_each(jnp.ones((SIZE, SIZE), jnp.float32))
    product = jax.jit(lambda a: a @ a)
    return 2.0 * SIZE**3 / median_seconds(lambda: jax.block_until_ready(product(matrix)), 1.0)
