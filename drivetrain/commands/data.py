"""`drivetrain data`: convert or generate recordings, select from a dataset, say what it holds, check it."""

import dataclasses
import json
import sys
from typing import Annotated, Literal

import tyro

from drivetrain.data import converting, mining, shards, spreading, summing
from drivetrain.data.compiling import MOST, Capacity
from drivetrain.data.generating import sumo
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.progress import counting, progress
from drivetrain.types import InputError

PLAN = sumo.Plan()


def run(words: list[str]) -> None:
    """Convert or generate recordings, select from a dataset, sum it up or check it."""
    commands = {"convert": convert, "admit": admit, "mine": mine, "info": info, "verify": verify, "generate": generate}
    config = (tyro.conf.FlagCreatePairsOff,)
    tyro.extras.subcommand_cli_from_dict(commands, prog="drivetrain data", args=words, config=config)


def convert(
    format: Annotated[str, tyro.conf.Positional],
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: str,
    dt: float = 0.2,
    workers: int | None = None,
    limit: int | None = None,
    split: Literal["train", "val", "test"] | None = None,
    overwrite: bool = False,
    max_failures: int | None = None,
    capacity: Annotated[Capacity, tyro.conf.arg(name="")] = MOST,
) -> None:
    """Convert recordings to a dataset, then find out which egos may be driven. Interrupted, it goes on when repeated.

    Args:
        format: the layout of the files: argoverse2, argoverse2-sensor, commonroad, lanelet2, nocturne, opendrive,
            recording, scenarionet or waymo
        sources: files, folders of them, or globs
        out: folder of the dataset; it appears whole or not at all
        dt: seconds of a step
        workers: processes; one a core by default
        limit: take the first files only
        split: put every recording in this split
        overwrite: replace a dataset that stands there
        max_failures: give up when more files than this cannot be used
        capacity: a recording is cropped to so much at most, and what was left out is counted; the dataset is as large
            as its recordings are
    """
    workers = spreading.cores() if workers is None else workers
    with counting("convert", "files") as show:
        summary = converting.convert(
            format, sources, out, dt, workers, limit, split, overwrite, max_failures, show, capacity
        )
    for skipped in summary.skipped:
        print(f"skipped {skipped.reason}", file=sys.stderr)
    maps = f" ({summary.maps} maps without traffic)" if summary.maps else ""
    print(f"{out}: {summary.recordings} recordings{maps}, {summary.egos} egos, {len(summary.skipped)} files skipped")
    if summary.cropped:
        print("cropped: " + ", ".join(f"{number} {name}" for name, number in summary.cropped.items()))
    admit(out)


def admit(folder: Annotated[str, tyro.conf.Positional]) -> None:
    """Find out which egos may be driven: `convert` ends with it, and this repeats it where it was interrupted.

    Args:
        folder: the dataset
    """
    admission = admit_dataset(folder, progress)
    print("egos: " + ", ".join(f"{count} {cause}" for cause, count in admission.table().items()))


def mine(
    folder: Annotated[str, tyro.conf.Positional],
    out: str,
    hours: float | None = None,
    hardest: Literal["dense", "turning", "near", "signals"] | None = None,
    share: float = 0.1,
    segments: int | None = None,
    seconds: float = 10.0,
    split: Literal["train", "val", "test"] | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Select a dataset from a dataset: by --hours, by --hardest, or as --segments.

    Args:
        folder: the dataset to select from
        out: folder of the new dataset; it appears whole or not at all
        hours: recordings drawn until they last so long; the other splits whole
        hardest: egos by a measure of difficulty, the hardest share
        share: of the egos that may be driven
        segments: so many random segments, at most one of a recording
        seconds: how long a segment lasts
        split: select from this split; by default from train (hours), test (segments), or all (hardest)
        seed: another seed, another draw
        overwrite: replace a dataset that stands there
    """
    if sum(way is not None for way in (hours, hardest, segments)) != 1:
        raise InputError("mine: --hours, --hardest and --segments (give exactly one of them)")
    if hours is not None:
        manifest = mining.by_hours(folder, out, hours, seed, split or "train", overwrite)
    elif segments is not None:
        manifest = mining.by_segments(folder, out, segments, seconds, seed, split or "test", overwrite)
    else:
        with counting("measure", "recordings") as show:
            manifest = mining.by_difficulty(folder, out, str(hardest), share, split, overwrite, show)
    egos = [ego for entry in manifest.recordings for ego in entry.egos]
    lasting = sum(entry.steps for entry in manifest.recordings) * manifest.dt / 3600.0
    print(f"{out}: {len(manifest.recordings)} recordings, {lasting:.3g} hours, {len(egos)} egos")
    if any(ego.cause == "" for ego in egos):
        admit(out)


def info(
    folder: Annotated[str, tyro.conf.Positional], as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
) -> None:
    """What a dataset holds, what was left out and why, its sources and licences.

    Args:
        folder: the dataset
        as_json: print JSON
    """
    figures = dataclasses.asdict(summing.info(folder))
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


def generate(
    simulator: Annotated[Literal["sumo"], tyro.conf.Positional],
    networks: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: str,
    routes: tuple[str, ...] = (),
    additional: tuple[str, ...] = (),
    plan: Annotated[sumo.Plan, tyro.conf.arg(name="")] = PLAN,
    runs: int = 1,
    workers: int = 1,
) -> None:
    """Simulate traffic and record it: files for `drivetrain data convert recording`.

    Args:
        simulator: sumo, which `pip install 'drivetrain[sumo]'` brings
        networks: .sumocfg or .net.xml files
        out: folder of the recordings
        routes: demand, beside what a .sumocfg names
        additional: signal programs and vehicle types, beside what a .sumocfg names
        plan: how a network is simulated, and which clips are cut out
        runs: simulations of each network, with the seeds that follow one another
        workers: processes
    """
    if len(networks) != 1 and (routes or additional):
        raise InputError("routes: more than one network (give a .sumocfg for each)")
    if not networks:
        raise InputError("networks: none (name a .sumocfg or a .net.xml)")
    inputs = [sumo.Inputs(network, routes, additional) for network in networks]
    plans = [dataclasses.replace(plan, seed=plan.seed + run) for run in range(runs)]
    with counting("generate", "clips") as show:
        written = sumo.generate([sumo.Job(given, own) for given in inputs for own in plans], out, workers, show)
    print(f"{out}: {written} recordings")
