"""What a gradient through the simulator costs beside a plain rollout: time and memory, by how far back it goes."""

import dataclasses
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from drivetrain.bench.measuring import median_seconds
from drivetrain.bench.synthetic import Grid, grid_scenario
from drivetrain.env import Env
from drivetrain.learn.algorithm import Batch
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


@dataclasses.dataclass(frozen=True)
class Drives:
    """What is measured: drives of a policy in so many scenes of a bank."""

    bank: Bank
    scenes: int
    seconds: float  # spent on each measurement, at least
    env: Env

    def row(self, apg: Apg, way: str, plain: GradientRow | None = None) -> GradientRow:
        """The drives alone, or, with those measured, their gradient as well."""
        rows, keys = jnp.arange(len(self.bank.episodes.map)), jax.random.split(jax.random.key(1), self.scenes)
        policy = jax.jit(lambda key: POLICY.build(self.env, key))(jax.random.key(0))

        def driven(bank: Bank, policy: Policy, keys: Key) -> Array:
            def one(key: Key) -> Array:
                return apg.gather(self.env, policy, bank, rows, key, jnp.zeros((), jnp.int32))[2].error

            return jnp.sum(jax.vmap(one)(keys))

        def learnt(bank: Bank, policy: Policy, keys: Key) -> Policy:
            return slope_of_drives(self.env, apg, policy, bank, rows, keys)

        begun = time.perf_counter()
        program = jax.jit(learnt if plain else driven).lower(self.bank, policy, keys).compile()
        compile_seconds = time.perf_counter() - begun
        memory = program.memory_analysis()
        elapsed = median_seconds(lambda: jax.block_until_ready(program(self.bank, policy, keys)), self.seconds)
        back = apg.longest if apg.sighted else apg.horizon
        return GradientRow(
            way=way,
            horizon=back if plain else 0,
            rematerialised=apg.rematerialise,
            milliseconds=1e3 * elapsed,
            rate=self.scenes * self.bank.episodes.track.shape[1] * apg.longest / elapsed,
            ratio=1e3 * elapsed / plain.milliseconds if plain else 1.0,
            temporary_mb=0.0 if memory is None else memory.temp_size_in_bytes / 1e6,
            compile_seconds=compile_seconds,
        )


def slope_of_drives(env: Env, apg: Apg, policy: Policy, bank: Bank, episodes: Array, keys: Key) -> Policy:
    """APG's gradient of one drive a key, all of them one batch."""

    def of_scene(key: Key) -> Batch:
        _, segment, _ = apg.gather(env, policy, bank, episodes, key, jnp.zeros((), jnp.int32))
        return apg.prepare(env, policy, bank, segment, key)

    batch = jax.vmap(of_scene, out_axes=1)(keys)
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)
    return jax.grad(lambda policy: apg.loss(env, policy, bank, flat, (), keys[0])[0])(policy)


def measure_gradients(bank: Bank, scenes: int, seconds: float, env: Env = Env()) -> Iterator[GradientRow]:  # noqa: B008
    """Drives of `STEPS` steps in so many scenes: without a gradient, then by every way of taking it."""
    drives, alone = Drives(bank, scenes, seconds, env), Apg(longest=STEPS, reset_every=0)
    plain = drives.row(alone, "rollout")
    yield plain
    ways = [(replace(alone, horizon=horizon), "sight is data") for horizon in HORIZONS]
    for apg, way in (*ways, (replace(alone, sighted=True), "sight included")):
        for each in (apg, replace(apg, rematerialise=True)):
            yield drives.row(each, way, plain)


def measure_agents(seconds: float, env: Env = Env()) -> Iterator[GradientRow]:  # noqa: B008
    """One drawn scene in which the policy drives everyone, a gradient through five steps: by how many they are."""
    apg = Apg(longest=STEPS, horizon=5, reset_every=0)
    for agents in AGENTS:
        grid = Grid(agents=agents, steps=max(STEPS, 20) + 1)  # agents driven together share four seconds
        drives = Drives(make_bank([grid_scenario(grid)], grid.dt, controlled=agents), 1, seconds, env)
        driven = drives.row(apg, f"{agents} agents")
        yield driven
        yield drives.row(apg, f"{agents} agents", driven)


def gradient_line(row: GradientRow) -> str:
    """A row of the table."""
    kept = "again" if row.rematerialised else "kept" if row.horizon else "–"
    figures = f"{row.milliseconds:>10.1f} {row.rate:>14,.0f} {row.ratio:>8.2f} {row.temporary_mb:>9,.1f}"
    return f"{row.way:>15} {row.horizon:>8} {kept:>7} {figures} {row.compile_seconds:>10.1f}"


HEADING = (
    f"{'way':>15} {'horizon':>8} {'steps':>7} {'ms':>10} {'agent-steps/s':>14} {'× drive':>8} {'temp. MB':>9} "
    f"{'compile s':>10}"
)
