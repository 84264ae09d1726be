"""Where a case's time goes: microseconds of each compiled kernel, an agent-step, with the JAX operation it ends in.

    python benchmarks/profile.py ["128 of 128"] [observation]

The names of cases and parts are those of `drivetrain bench simulator`. On a CPU, one thread; timing a
kernel costs some time itself.
"""

import collections
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    " --xla_cpu_enable_xprof_traceme=true"
)

import jax
import jax.numpy as jnp

from drivetrain.bench.cases import CROWDS, EVERYONE, GRID, SINGLE, crowd_bank
from drivetrain.bench.simulation import Case, program
from drivetrain.bench.synthetic import grid_scenario
from drivetrain.sim.building import make_bank

SHOWN = 24


def profile(case: Case) -> list[tuple[float, str, str]]:
    """Microseconds an agent-step, kernel and operation, the slowest first."""
    bank = crowd_bank() if case in CROWDS else make_bank([grid_scenario(GRID)], GRID.dt, controlled=case.controlled)
    episodes = jnp.arange(case.scenes) % len(bank.episodes.map)
    compiled = program(case).lower(bank, episodes).compile()
    jax.block_until_ready(compiled(bank, episodes))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(compiled(bank, episodes))
        traced = jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
        lines = [line for plane in traced.planes for line in plane.lines]
    operations = dict(re.findall(r'%([\w.-]+) = .*?op_name="([^"]*)"', compiled.as_text()))
    spent: collections.Counter[str] = collections.Counter()
    for event in (event for line in lines for event in line.events):
        if event.name in operations and not event.name.startswith(("while", "call", "conditional")):
            spent[event.name] += event.duration_ns
    each = 1e3 * case.steps * case.scenes * case.controlled
    return [(time / each, name, operations[name]) for name, time in spent.most_common()]


if __name__ == "__main__":
    name, part = (sys.argv[1:] + ["128 of 128", "observation"][len(sys.argv) - 1 :])[:2]
    case = next(case for case in (*SINGLE[::-1], *EVERYONE, *CROWDS) if (case.name, case.part) == (name, part))
    rows = profile(case)
    total = sum(time for time, *_ in rows)
    print(f"{case.name}, {case.part}, {case.scenes} scenes: {total:.2f} us an agent-step in kernels")
    for time, kernel, operation in rows[:SHOWN]:
        print(f"{time:8.3f} us  {kernel:<36} {'/'.join(operation.split('/')[-2:])}")
