"""`drivetrain bench`: how fast each part is on the device at hand."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import tyro

from drivetrain.bench import CASES, Bench, describe, run_cases
from drivetrain.fleet.checkpoints import write_atomically

Name = Literal["sim", "observe", "rollout", "train", "load", "fresh"]


def run(words: list[str]) -> None:
    """Measure and print a table."""
    tyro.cli(bench, prog="drivetrain bench", args=words)


def bench(
    cases: Annotated[
        tuple[Literal["sim", "observe", "rollout", "train", "load", "fresh"], ...], tyro.conf.Positional
    ] = (),
    data: str = "build/ngsim",
    scenes: tuple[int, ...] = (1, 16, 128),
    seconds: float = 2.0,
    as_json: Annotated[str | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Milliseconds of a call, agent-steps a second, compile time, peak memory.

    Args:
        cases: what to measure; everything by default
        data: folder of a dataset
        scenes: simulated at once (threads, and recordings a second, for the rows of load)
        seconds: spent on each measurement, at least
        as_json: write the figures to this file
    """
    measured = Bench(seconds=seconds)
    rows = run_cases(Path(data), cases or CASES, scenes, measured)
    about = describe(measured)
    print(" · ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'case':>8} {'scenes':>7} {'ms':>10} {'agent-steps/s':>14} {'compile s':>10} {'peak MB':>9}")
    for row in rows:
        shares = "  ".join(f"{name} {share:.0%}" for name, share in row.shares.items())
        figures = f"{row.milliseconds:>10.3f} {row.rate:>14,.0f} {row.compile_seconds:>10.1f} {row.peak_mb:>9,.0f}"
        decoded = f"{row.decoded_mb:,.0f} MB/s decoded" if row.decoded_mb else ""
        memory = f"memory {' '.join(f'{part:,.0f}' for part in row.memory_mb)} MB" if row.memory_mb else ""
        print(f"{row.case:>8} {row.scenes:>7} {figures}  {shares}{decoded}{memory}".rstrip())
    if as_json is not None:
        figures = {"about": about, "cases": [dataclasses.asdict(row) for row in rows]}
        write_atomically(Path(as_json), (json.dumps(figures, indent=1) + "\n").encode())
