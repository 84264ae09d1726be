"""What a gradient through the simulator costs beside a plain rollout: time and memory, by how far back it goes."""

import dataclasses
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from drivetrain.bench.measuring import median_seconds
from drivetrain.bench.synthetic import Grid, grid_scenario
from drivetrain.env import Env
from drivetrain.learn.apg import Apg
from drivetrain.policy.base import Policy
from drivetrain.policy.mixture import MixtureHead
from drivetrain.policy.presets import POOLED
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.types import Array, Key, replace

STEPS = 40
HORIZONS = (1, 5, 40)
AGENTS = (32, 128, 512)
POLICY = replace(POOLED, critic=False, head=MixtureHead())


@dataclasses.dataclass(frozen=True)
class GradientRow:
    """One measurement: the rollout alone, or with the gradient of what it led to."""

    way: str
    horizon: int  # steps that the gradient goes back; 0: none is taken
    rematerialised: bool
    milliseconds: float
    rate: float  # agent-steps/s
    ratio: float  # to the plain rollout's time
    temporary_mb: float  # by the compiled program's own account
    compile_seconds: float


def measure_gradients(bank: Bank, scenes: int, seconds: float, env: Env = Env()) -> Iterator[GradientRow]:  # noqa: B008
    """Drives of `STEPS` steps in so many scenes: without a gradient, then by every way of taking it."""
    policy = jax.jit(lambda key: POLICY.build(env, key))(jax.random.key(0))
    plain = _row(bank, policy, scenes, seconds, env, Apg(longest=STEPS, reset_every=0), "rollout", 0, 0.0)
    yield plain
    for horizon in HORIZONS:
        way = "sight is data"
        apg = Apg(longest=STEPS, horizon=horizon, reset_every=0)
        for each in (apg, replace(apg, rematerialise=True)):
            yield _row(bank, policy, scenes, seconds, env, each, way, horizon, plain.milliseconds)
    sighted = Apg(longest=STEPS, sighted=True, reset_every=0)
    for each in (sighted, replace(sighted, rematerialise=True)):
        yield _row(bank, policy, scenes, seconds, env, each, "sight included", STEPS, plain.milliseconds)


def measure_agents(seconds: float, env: Env = Env()) -> Iterator[GradientRow]:  # noqa: B008
    """One drawn scene in which the policy drives everyone, a gradient through five steps: by how many they are."""
    policy = jax.jit(lambda key: POLICY.build(env, key))(jax.random.key(0))
    apg = Apg(longest=STEPS, horizon=5, reset_every=0)
    for agents in AGENTS:
        grid = Grid(agents=agents, steps=max(STEPS, 20) + 1)  # agents driven together share four seconds
        bank = make_bank([grid_scenario(grid)], grid.dt, controlled=agents)
        driven = _row(bank, policy, 1, seconds, env, apg, f"{agents} agents", 0, 0.0)
        yield replace(driven, rate=agents * driven.rate)
        learnt = _row(bank, policy, 1, seconds, env, apg, f"{agents} agents", apg.horizon, driven.milliseconds)
        yield replace(learnt, rate=agents * learnt.rate)


def _row(
    bank: Bank, policy: Policy, scenes: int, seconds: float, env: Env, apg: Apg, way: str, horizon: int, plain: float
) -> GradientRow:
    rows, keys = jnp.arange(len(bank.episodes.map)), jax.random.split(jax.random.key(1), scenes)

    def gathered(bank: Bank, policy: Policy, keys: Key) -> Array:
        def one(key: Key) -> Array:
            return apg.gather(env, policy, bank, rows, key, jnp.zeros((), jnp.int32))[2].error

        return jnp.sum(jax.vmap(one)(keys))

    def learnt(bank: Bank, policy: Policy, keys: Key) -> Policy:
        def one(key: Key):
            _, segment, _ = apg.gather(env, policy, bank, rows, key, jnp.zeros((), jnp.int32))
            return apg.prepare(env, policy, bank, segment, key)

        batch = jax.vmap(one, out_axes=1)(keys)
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)
        return jax.grad(lambda policy: apg.loss(env, policy, bank, flat, (), keys[0])[0])(policy)

    begun = time.perf_counter()
    program = jax.jit(learnt if horizon else gathered).lower(bank, policy, keys).compile()
    compile_seconds = time.perf_counter() - begun
    memory = program.memory_analysis()
    elapsed = median_seconds(lambda: jax.block_until_ready(program(bank, policy, keys)), seconds)
    return GradientRow(
        way=way,
        horizon=horizon,
        rematerialised=apg.rematerialise,
        milliseconds=1e3 * elapsed,
        rate=scenes * STEPS / elapsed,
        ratio=1e3 * elapsed / plain if plain else 1.0,
        temporary_mb=0.0 if memory is None else memory.temp_size_in_bytes / 1e6,
        compile_seconds=compile_seconds,
    )


def gradient_line(row: GradientRow) -> str:
    """A row of the table."""
    kept = "again" if row.rematerialised else "kept" if row.horizon else "–"
    figures = f"{row.milliseconds:>10.1f} {row.rate:>14,.0f} {row.ratio:>8.2f} {row.temporary_mb:>9,.1f}"
    return f"{row.way:>15} {row.horizon:>8} {kept:>7} {figures} {row.compile_seconds:>10.1f}"


HEADING = (
    f"{'way':>15} {'horizon':>8} {'steps':>7} {'ms':>10} {'agent-steps/s':>14} {'× drive':>8} {'temp. MB':>9} "
    f"{'compile s':>10}"
)
