"""`drivetrain data`: convert recordings, say what a dataset holds, check it."""

import dataclasses
import json
import sys
from typing import Annotated, Literal

import tyro

from drivetrain.data import converting, shards
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.progress import counting, progress


def run(words: list[str]) -> None:
    """Convert, sum up or check a dataset."""
    commands = {"convert": convert, "info": info, "verify": verify}
    config = (tyro.conf.FlagCreatePairsOff,)
    tyro.extras.subcommand_cli_from_dict(commands, prog="drivetrain data", args=words, config=config)


def convert(
    format: Annotated[str, tyro.conf.Positional],
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: str,
    dt: float = 0.2,
    workers: int = 1,
    limit: int | None = None,
    split: Literal["train", "val", "test"] | None = None,
    overwrite: bool = False,
    max_failures: int | None = None,
) -> None:
    """Convert recordings to a dataset, then find out which egos may be driven.

    Args:
        format: the layout of the files: commonroad, nocturne or waymo
        sources: files, or folders of them
        out: folder of the dataset; it appears whole or not at all
        dt: seconds of a step
        workers: processes
        limit: take the first files only
        split: put every recording in this split
        overwrite: replace a dataset that stands there
        max_failures: give up when more files than this cannot be used
    """
    with counting("convert", "files") as show:
        summary = converting.convert(format, sources, out, dt, workers, limit, split, overwrite, max_failures, show)
    for skipped in summary.skipped:
        print(f"skipped {skipped.reason}", file=sys.stderr)
    admission = admit_dataset(out, progress)
    print(f"{out}: {summary.recordings} recordings, {summary.egos} egos, {len(summary.skipped)} files skipped")
    print("egos: " + ", ".join(f"{count} {cause}" for cause, count in admission.table().items()))


def info(
    folder: Annotated[str, tyro.conf.Positional], as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
) -> None:
    """What a dataset holds, what was left out and why, its sources and licences.

    Args:
        folder: the dataset
        as_json: print JSON
    """
    figures = dataclasses.asdict(converting.info(folder))
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    skipped = figures.pop("skipped")
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):>18}  {spoken(value)}")
    for reason in skipped.values():
        print(f"{'skipped':>18}  {reason}")


def spoken(value: dict[str, int | float | str] | int | float | str) -> str:
    """Numbers with three significant digits; items of a dictionary in a row."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {spoken(item)}" for key, item in value.items()) or "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def verify(folder: Annotated[str, tyro.conf.Positional]) -> None:
    """Check every record's checksum; the first bad record is named.

    Args:
        folder: the dataset
    """
    manifest = shards.verify(folder)
    print(f"{folder}: {len(manifest.recordings)} recordings in {len(manifest.shards)} shards are as they were written")
