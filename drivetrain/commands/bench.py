"""`drivetrain bench`: how fast each part is on the device at hand."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from drivetrain.types import InputError

PINNED = "DRIVETRAIN_BENCH_CORES"
"""Set in the process that measures on so many cores."""
TRAINED = 100
"""Steps after which a head is measured again."""


@dataclasses.dataclass(frozen=True)
class Update:
    """How a window is learnt from."""

    epochs: int = 1  # passes over it
    minibatches: int = 4  # of a pass
    kept: float = 1.0  # share of its steps that is learnt from, those of the largest advantage


@dataclasses.dataclass(frozen=True)
class On:
    """What is measured."""

    data: str = "build/ngsim"  # folder of a dataset
    scenes: tuple[int, ...] = (1, 16, 128)  # at once (threads, and recordings a second, for the rows of load)
    policy: Literal["pooled", "small"] = "pooled"  # the quickstart's, or the paper's smallest with what the paper's see
    recipe: str | None = None  # whole training of its last stage on its own scenes, in place of all the above
    large: bool = False  # among the simulator's cases, scenes of 512 agents too


UPDATE, ON = Update(), On()


def run(words: list[str]) -> None:
    """Measure and print a table."""
    tyro.cli(bench, prog="drivetrain bench", args=words)


def bench(
    cases: Annotated[
        tuple[
            Literal[
                "simulator", "sim", "observe", "rollout", "train", "load", "fresh", "head", "apg", "fleet", "camera"
            ],
            ...,
        ],
        tyro.conf.Positional,
    ] = (),
    on: Annotated[On, tyro.conf.arg(name="")] = ON,
    update: Annotated[Update, tyro.conf.arg(name="")] = UPDATE,
    seconds: float = 2.0,
    cores: int | None = None,
    as_json: Annotated[str | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Milliseconds, agent-steps a second, compile time, memory.

    Args:
        cases: what to measure; `simulator` is the table of full-size scenes, `head` that of losses over a large
            vocabulary, `apg` that of gradients through the simulator, `fleet` that of learners and actors apart, on the
            largest number of scenes, `camera` that of pictures; without a name, all the others
        on: what is measured
        update: how `train` and `fresh` learn from a window
        seconds: spent on each measurement, at least
        cores: pin the measurement to so many CPU cores; 1 also turns XLA's threads off
        as_json: write the figures to this file
    """
    if cores is not None and os.environ.get(PINNED) != str(cores):
        _pin(cores)
    # Only here: XLA reads its flags as it is loaded.
    import jax

    from drivetrain.atomic import write_atomically

    jax.config.update("jax_enable_compilation_cache", False)  # compile times are of compilation
    figures = _cases(cases, on, update, seconds) if on.recipe is None else _whole_training(cases, on.recipe, seconds)
    if as_json is not None:
        write_atomically(Path(as_json), (json.dumps(figures, indent=1) + "\n").encode())


def _cases(cases: tuple[str, ...], on: On, update: Update, seconds: float) -> dict[str, Any]:
    """The tables of the cases, printed; their figures."""
    from drivetrain.bench.learning import PAPER_SMALLEST, Bench, describe

    measured = PAPER_SMALLEST if on.policy == "small" else Bench()
    learning = dataclasses.replace(measured.learning, **dataclasses.asdict(update))
    measured = dataclasses.replace(measured, seconds=seconds, learning=learning)
    about = describe(measured) | {"cores": len(os.sched_getaffinity(0))}
    print(" · ".join(f"{name} {value}" for name, value in about.items()))
    rows = list(_tables(cases, Path(on.data), on.scenes, measured, on.large))
    return {"about": about, "cases": [dataclasses.asdict(row) for row in rows]}


def _whole_training(cases: tuple[str, ...], recipe: str, seconds: float) -> dict[str, Any]:
    """The line of a recipe, printed; its figures. Raises `InputError` where something else was asked for."""
    from drivetrain.bench.recipes import measure_recipe, recipe_line
    from drivetrain.commands.train import recipe as named

    if cases not in ((), ("train",)):
        raise InputError(f"recipe: {recipe}: measured by train alone (leave out {', '.join(cases)})")
    row = measure_recipe(named(recipe), seconds)
    print(recipe_line(row))
    return dataclasses.asdict(row)


def _tables(cases: tuple[str, ...], data: Path, scenes: tuple[int, ...], measured, large: bool) -> Iterator:
    """Every row as it is measured, printed in the table that it belongs to."""
    import jax

    from drivetrain.bench.learning import CASES, run_cases

    if "simulator" in cases:
        from drivetrain.bench.cases import measure_simulator
        from drivetrain.bench.simulation import table

        print(table([]))
        yield from measure_simulator(
            data, measured.seconds, large, lambda row: print(table([row]).splitlines()[1], flush=True)
        )
    if "head" in cases:
        from drivetrain.bench.head import HEADING, PAPER, SIZES, head_line, measure_heads

        sizes = SIZES if jax.default_backend() == "cpu" else (*SIZES, PAPER)
        yield from _printed(HEADING, measure_heads(sizes, measured.seconds, TRAINED), head_line)
    if "apg" in cases:
        from drivetrain.bench.gradients import HEADING as GRADIENTS
        from drivetrain.bench.gradients import gradient_line, measure_agents, measure_gradients
        from drivetrain.bench.learning import resident

        for count in scenes:
            measuring = measure_gradients(resident(data), count, measured.seconds)
            yield from _printed(f"{count} scenes\n{GRADIENTS}", measuring, gradient_line)
        yield from _printed(GRADIENTS, measure_agents(measured.seconds), gradient_line)
    if "fleet" in cases:
        from drivetrain.bench.groups import HEADING as GROUPS
        from drivetrain.bench.groups import group_line, measure_groups

        yield from _printed(GROUPS, measure_groups(measured, max(scenes)), group_line)
    if "camera" in cases:
        from drivetrain.bench.camera import HEADING as PICTURES
        from drivetrain.bench.camera import camera_line, measure_cameras

        yield from _printed(PICTURES, measure_cameras(measured.seconds), camera_line)
    chosen = tuple(case for case in cases if case not in ("simulator", "head", "apg", "fleet", "camera"))
    if chosen or not cases:
        heading = f"{'case':>13} {'scenes':>7} {'ms':>10} {'agent-steps/s':>14} {'compile s':>10} {'peak MB':>9}"
        yield from _printed(heading, run_cases(data, chosen or CASES, scenes, measured), _line)


def _printed(heading: str, rows: Iterable, line: Callable[[Any], str]) -> Iterator:
    """Rows as they are measured, each printed as a line of one table."""
    print(heading)
    for row in rows:
        print(line(row), flush=True)
        yield row


def _line(row) -> str:
    """A row of the learning table."""
    shares = "  ".join(f"{name} {share:.0%}" for name, share in row.shares.items())
    figures = f"{row.milliseconds:>10.3f} {row.rate:>14,.0f} {row.compile_seconds:>10.1f} {row.peak_mb:>9,.0f}"
    decoded = f"{row.decoded_mb:,.0f} MB/s decoded" if row.decoded_mb else ""
    memory = f"memory {' '.join(f'{part:,.0f}' for part in row.memory_mb)} MB" if row.memory_mb else ""
    return f"{row.case:>13} {row.scenes:>7} {figures}  {shares}{decoded}{memory}  {row.note}".rstrip()


def _pin(cores: int) -> None:
    """Start this command anew on the first `cores` cores. Raises `InputError` where there are not so many."""
    free = sorted(os.sched_getaffinity(0))
    if not 1 <= cores <= len(free):
        raise InputError(f"cores: {cores} (this process may use 1 to {len(free)})")
    os.sched_setaffinity(0, free[:cores])
    threads = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if cores == 1 else ""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {threads}".strip()
    os.environ.update({PINNED: str(cores), "XLA_FLAGS": flags})
    os.execv(sys.executable, [sys.executable, "-m", "drivetrain", *sys.argv[1:]])
