"""How fast the simulator is, by case: a step with what it is worth, and what the agents see of it.

Every case states its tensors. `step` is the dynamics alone; `events` adds all events and the reward; `observation`
adds what every controlled agent sees, written to memory at every step; `consumed` reads it in the same program instead.
A case without `events` leaves them out of the last two.
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.bench.measuring import median_seconds, peak_megabytes
from drivetrain.env import Env
from drivetrain.events import NOTHING
from drivetrain.observe.sight import PAPER, Sight
from drivetrain.sim import simulator
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import route_lanes
from drivetrain.sim.route_tables import PIECES, REACH, SEEN
from drivetrain.types import Array, Observation, State, component

PARTS = ("step", "events", "observation", "consumed")


@component
class Case:
    """One row of the table: so many scenes at once, each with so many controlled agents."""

    name: str
    scenes: int
    controlled: int
    part: str = "observation"  # of PARTS
    env: Env = Env(observer=PAPER)
    steps: int = 50
    events: bool = True  # False: `observation` and `consumed` follow the dynamics alone
    fresh: int = 0  # a new scene after so many steps, which divide `steps`; 0: one scene throughout
    together: int = 0  # scenes a core drives at once, all their steps, before the next ones; 0: all

    @property
    def sees(self) -> bool:
        """Whether every controlled agent observes."""
        return self.part in ("observation", "consumed")

    @property
    def judges(self) -> bool:
        """Whether events and rewards are computed."""
        return self.part == "events" or (self.sees and self.events)


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured of a case."""

    case: str
    scene: str  # which scenes they were
    part: str
    scenes: int
    controlled: int
    tensors: str
    milliseconds: float  # of a step of all scenes, median
    scene_steps: float  # a second
    agent_steps: float  # a second
    compile_seconds: float
    peak_mb: float
    temporary_share: float  # of the program's arguments and outputs
    megabytes: float  # a step must at least read and write, of all scenes
    floor: float  # milliseconds that a copy of so much takes


def measure(case: Case, bank: Bank, scene: str, rate: float, seconds: float = 2.0) -> Row:
    """Time a case on a bank whose episodes have as many controlled agents as it says; `rate`: see `copy_rate`."""
    count = len(bank.episodes.map)
    episodes = jnp.arange(case.scenes) % count
    begun = time.perf_counter()
    compiled = program(case).lower(bank, episodes).compile()
    compile_seconds = time.perf_counter() - begun
    elapsed = median_seconds(lambda: jax.block_until_ready(compiled(bank, episodes)), seconds) / case.steps
    memory = compiled.memory_analysis()
    assert memory is not None
    least = case.scenes * _bytes(case, bank)
    given = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return Row(
        case=case.name,
        scene=scene,
        part=case.part,
        scenes=case.scenes,
        controlled=case.controlled,
        tensors=_tensors(case, bank),
        milliseconds=1e3 * elapsed,
        scene_steps=case.scenes / elapsed,
        agent_steps=case.scenes * case.controlled / elapsed,
        compile_seconds=compile_seconds,
        peak_mb=peak_megabytes(),
        temporary_share=memory.temp_size_in_bytes / max(given, 1),
        megabytes=least / 1e6,
        floor=1e3 * least / rate,
    )


def program(case: Case):
    """What is measured: (bank, episodes [scenes]) → whatever `drive` gives of each, compiled at the first call.

    On a CPU, a few scenes after the others: what a step of few writes, the next operation finds in the core's cache.
    """
    together = case.together * len(os.sched_getaffinity(0)) if jax.default_backend() == "cpu" else 0

    def whole(bank: Bank, episodes: Array):
        if 0 < together < case.scenes:
            return jax.lax.map(partial(drive, case, bank), episodes, batch_size=together)
        return jax.vmap(partial(drive, case, bank))(episodes)

    return jax.jit(whole)


def drive(case: Case, bank: Bank, episode: Array):
    """A scan of steps of one scene, under the action that changes nothing; all that it computes comes back.

    With `fresh`, another scene of the bank every so many steps: a restart is an index, the program is the same.
    """
    env, count = case.env, len(bank.episodes.map)
    idle = jnp.zeros((case.controlled, env.dynamics.width))
    length = case.fresh or case.steps

    def look(bank: Bank, state: State):
        if not case.sees:
            return ()
        return env.observe(bank, state) if case.part == "observation" else _read(env.observe(bank, state))

    def step(carry, _):
        state, _, gained = carry
        if case.judges:
            state, events = env.step(bank, state, idle)
            gained = jax.tree.map(jnp.add, gained, (env.rewards(bank, events, state.traits), events))
        else:
            state = simulator.step(bank, env.dynamics, env.traffic, state, idle)
            gained = gained + state.arc_length
        return (state, look(bank, state), gained), None

    def whole(carry, number: Array):
        state = env.reset(bank, (episode + number * case.scenes) % count, jax.random.key(0))
        return jax.lax.scan(step, (state, *carry[1:]), None, length=length)[0], None

    state = env.reset(bank, episode, jax.random.key(0))
    # What is seen goes from scene to scene: begun anew at a restart, XLA would see that nobody reads the last one.
    seen = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(look, bank, state))
    nothing = jnp.zeros(case.controlled)
    gained = (nothing, jax.tree.map(lambda _: nothing, NOTHING)) if case.judges else nothing
    return jax.lax.scan(whole, (state, seen, gained), jnp.arange(case.steps // length))[0]


def _read(observation: Observation) -> tuple[Array, ...]:
    """Numbers that depend on all that is seen: each token's features in a weighted sum, as a layer would begin."""

    def summed(features: Array) -> Array:
        return sum((row / (number + 1.0) for number, row in enumerate(features.swapaxes(0, 1))), jnp.zeros(()))

    tokens = (observation.agents, observation.road, observation.route)
    return observation.ego, *(summed(each.features) for each in tokens), observation.remaining


def _bytes(case: Case, bank: Bank) -> int:
    """Least traffic of one scene's step: the agents' log read and their state written; then for each controlled agent
    the others, its road block and its stretch of route, each once, and what is seen written.
    """
    agents, block = bank.logs.bodies.length.shape[-1], bank.roads.block.size // np.prod(bank.roads.block.shape[:2])
    lanes = route_lanes(bank)
    floats = 0
    if case.judges:
        floats += (PIECES[1] - PIECES[0] + 1) * (2 * REACH + 1) * lanes
        floats += bank.routes.tables.outline.shape[-1] * bank.routes.tables.outline.shape[-2]
    if case.judges or case.sees:
        floats += 9 * agents + block
    view = case.env.observer
    if case.sees and isinstance(view, Sight):
        floats += (SEEN[1] - SEEN[0] + 1) * view.route.points * lanes
    each = 4 * int(floats)
    if case.part == "observation":
        seen = jax.eval_shape(lambda bank: case.env.observe(bank, case.env.reset(bank, 0, jax.random.key(0))), bank)
        each += sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(seen)) // case.controlled
    return 2 * 4 * 9 * agents + case.controlled * each


def _tensors(case: Case, bank: Bank) -> str:
    """The shapes that a row is about."""
    width = bank.roads.block.shape[-1]
    lanes, signals = route_lanes(bank), bank.lines.kind.shape[-1]
    agents, steps = bank.logs.bodies.length.shape[-1], bank.logs.lights.shape[1]
    reach, megabytes = np.asarray(bank.roads.reach), bank.roads.block.nbytes / len(bank.roads.block) / 1e6
    index = f"{megabytes:.1f} MB a scene, exact within {reach[reach > 0.0].min():.0f} m"
    text = f"A {agents} · T {steps} · road in blocks of {width} ({index}) · S {signals} · L {lanes}"
    if case.sees:
        seen = jax.eval_shape(lambda bank: case.env.observe(bank, case.env.reset(bank, 0, jax.random.key(0))), bank)
        floats = sum(leaf.size for leaf in jax.tree.leaves(seen) if leaf.dtype == jnp.float32)
        text += f" · {floats // case.controlled:,} floats seen"
    return text


def table(rows: Sequence[Row]) -> str:
    """The rows as text, one a line."""
    head = f"{'case':<33} {'part':<11} {'scenes':>6} {'C':>4} {'ms a step':>10} {'floor':>8} {'scene-steps/s':>14}"
    lines = [head + f" {'agent-steps/s':>14} {'compile s':>10} {'peak MB':>8} {'temp':>6}  tensors"]
    for row in rows:
        figures = f"{row.milliseconds:>10.4f} {row.floor:>8.4f} {row.scene_steps:>14,.0f} {row.agent_steps:>14,.0f}"
        figures += f" {row.compile_seconds:>10.1f} {row.peak_mb:>8,.0f} {row.temporary_share:>6.0%}"
        lines.append(f"{row.case:<33} {row.part:<11} {row.scenes:>6} {row.controlled:>4} {figures}  {row.tensors}")
    return "\n".join(lines)
