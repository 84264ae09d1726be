"""`drivetrain data`: convert or generate recordings, select or learn motions from a dataset, sum it up, check it."""

import dataclasses
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import tyro

from drivetrain.atomic import write_atomically
from drivetrain.camera import sets
from drivetrain.data.generating.sumo import generator as sumo
from drivetrain.data.store import causes, converting, dataset_info, mining, process_pool, shards
from drivetrain.data.store import vocabulary as motions
from drivetrain.data.store.manifest import SPLITS
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.evaluate.cases import cases_page
from drivetrain.evaluate.control import control_table, run_control
from drivetrain.progress import counting, progress
from drivetrain.types import InputError
from drivetrain.view.page import build_page
from drivetrain.view.plotting import Chart, Series, card

PLAN = sumo.Plan()
PICTURES = sets.Plan()
SETTINGS = converting.Settings(workers=process_pool.cores())
SELECTION = mining.Selection()
MOTIONS = motions.Plan()


def run(words: list[str]) -> None:
    """Convert or generate recordings, select or learn motions from a dataset, sum it up or check it."""
    commands = {"convert": convert, "admit": admit, "mine": mine, "vocabulary": vocabulary, "info": info}
    commands |= {"verify": verify, "generate": generate, "render": render}
    config = (tyro.conf.FlagCreatePairsOff,)
    tyro.extras.subcommand_cli_from_dict(commands, prog="drivetrain data", args=words, config=config)


def convert(
    format: Annotated[str, tyro.conf.Positional],
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: str,
    settings: Annotated[converting.Settings, tyro.conf.arg(name="")] = SETTINGS,
) -> None:
    """Convert recordings to a dataset, then find out which egos may be driven. Interrupted, it goes on when repeated.

    Args:
        format: the layout of the files: argoverse2, argoverse2-sensor, commonroad, lanelet2, nocturne, opendrive,
            recording, scenarionet or waymo
        sources: files, folders of them, or globs
        out: folder of the dataset; it appears whole or not at all
        settings: how; by default with a process a core. A recording is cropped to the capacity, and what is left out is
            counted; the dataset is as large as its recordings are
    """
    with counting("convert", "files") as show:
        summary = converting.convert(format, sources, out, settings, show)
    for skipped in summary.skipped:
        print(f"skipped {skipped.reason}", file=sys.stderr)
    maps = f" ({summary.maps} maps without traffic)" if summary.maps else ""
    print(f"{out}: {summary.recordings} recordings{maps}, {summary.egos} egos, {len(summary.skipped)} files skipped")
    told = {"mended or left out": summary.faults, "cropped": summary.cropped}
    told["borders of lanes that routes go beyond"] = summary.corridors
    for title, counts in told.items():
        if counts:
            print(f"{title}: " + ", ".join(f"{number} {name}" for name, number in counts.items()))
    admit(out)
    drawn = Counter(entry.split for entry in shards.read_manifest(out).recordings if entry.egos)
    if drawn and len(drawn) < len(SPLITS):
        print("splits: " + ", ".join(f"{name} {drawn[name]}" for name in SPLITS), end="")
        print(" (with few groups of recordings some are empty: `evaluate --split all`, or convert with --split)")


def admit(
    folder: Annotated[str, tyro.conf.Positional],
    page: str | None = None,
    worst: int = 5,
    control: bool = False,
) -> None:
    """Find out which egos may be driven: `convert` ends with it, and this repeats it where it was interrupted.

    Args:
        folder: the dataset
        page: also a page with the table of causes, and the worst cases of each to look at
        worst: so many cases of each
        control: also drive wrongly (a lane aside, into oncoming lanes, off the road, round another corner), and count
            how often the events see it
    """
    admit_dataset(folder, progress)
    manifest = shards.read_manifest(folder)
    rows = causes.causes(manifest)
    _print_causes(rows, causes.recorders(manifest))
    if page is not None:
        write_page(Path(page), cases_page(folder, manifest, worst))
    if control:
        with progress("control", total=int(rows.get("admitted", {}).get("count", 0)), unit="egos") as show:
            print(control_table(run_control(folder, show)))


def _print_causes(rows: dict[str, causes.Figures], recorders: dict[str, causes.Figures]) -> None:
    print(causes.table(rows))
    if recorders:
        print(causes.recorders_table(recorders))


def write_page(file: Path, page: str) -> None:
    """Write a page, whole or not at all. Raises `InputError` where that cannot be."""
    try:
        write_atomically(file, page.encode())
    except OSError as error:
        raise InputError(f"{file}: {error.strerror} (choose another --page)") from None


def mine(
    folder: Annotated[str, tyro.conf.Positional],
    out: str,
    selection: Annotated[mining.Selection, tyro.conf.arg(name="")] = SELECTION,
) -> None:
    """Select a dataset from a dataset: by --hours, by --hardest, or as --clips.

    Args:
        folder: the dataset to select from
        out: folder of the new dataset; it appears whole or not at all
        selection: what is selected
    """
    with counting("measure", "recordings") as show:
        manifest = mining.select(folder, out, selection, show)
    egos = [ego for entry in manifest.recordings for ego in entry.egos]
    lasting = sum(entry.steps for entry in manifest.recordings) * manifest.dt / 3600.0
    print(f"{out}: {len(manifest.recordings)} recordings, {lasting:.3g} hours, {len(egos)} egos")
    if any(ego.cause == "" for ego in egos):
        admit(out)


def vocabulary(
    folders: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: str,
    plan: Annotated[motions.Plan, tyro.conf.arg(name="")] = MOTIONS,
    page: str | None = None,
) -> None:
    """Learn a vocabulary of motions from the recorded ones: `train --head FILE` drives by it.

    Args:
        folders: datasets
        out: file of the vocabulary; it appears whole or not at all
        plan: what it is made of
        page: also a page with the curves of how far recorded motions are from the nearest entry, by size
    """
    with counting("read", "recordings") as show:
        learnt = motions.build_vocabulary(folders, plan, show)
    motions.write_vocabulary(out, learnt)
    print(
        f"{'table':>10} {'entries':>8} {'radius':>7} {'split':>6} {'motions':>8} {'mean':>7} {'95 %':>7} {'all':>7}  m"
    )
    for row in learnt.coverage:
        errors = (
            f"{row.radius:>7.3f} {row.split:>6} {row.motions:>8,} {row.mean:>7.3f} {row.most:>7.3f} {row.worst:>7.3f}"
        )
        print(f"{row.table:>10} {row.entries:>8,} {errors}")
    if page is not None:
        _write_curves(Path(page), learnt.coverage)
    print(f"{out}: {plan.entries:,} motions of {plan.seconds:g} s, {len(learnt.motions)} table(s)")


def _write_curves(file: Path, coverage: tuple[motions.Coverage, ...]) -> None:
    of = {(row.table, row.split) for row in coverage}
    curves = []
    for table, split in sorted(of):
        rows = [row for row in coverage if (row.table, row.split) == (table, split)]
        curves.append(Series(f"{table}, {split}", [math.log2(row.entries) for row in rows], [row.mean for row in rows]))
    chart = card(Chart("Mean distance to the nearest motion, m", curves, "entries, as a power of 2"))
    write_page(file, build_page("Vocabulary of motions", body=chart, layout="report"))


def info(
    folder: Annotated[str, tyro.conf.Positional], as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
) -> None:
    """What a dataset holds, what was left out and why, its sources and licences.

    Args:
        folder: the dataset
        as_json: print JSON
    """
    figures = dataclasses.asdict(dataset_info.info(folder))
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    skipped, rows, apart = (figures.pop(name) for name in ("skipped", "causes", "recorders"))
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):>18}  {spoken(value)}")
    _print_causes(rows, apart)
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
        made = sumo.generate([sumo.Job(given, own) for given in inputs for own in plans], out, workers, show)
    quiet = Counter(clip.place for clip in made if not clip.written)
    print(f"{out}: {len(made) - quiet.total()} recordings")
    if quiet:
        print(
            "clips without traffic left out: " + ", ".join(f"{count} around {place}" for place, count in quiet.items())
        )


def render(
    folder: Annotated[str, tyro.conf.Positional],
    out: str,
    plan: Annotated[sets.Plan, tyro.conf.arg(name="")] = PICTURES,
) -> None:
    """Draw labelled pictures of a dataset, as cameras on its vehicles see it. Interrupted, it goes on when repeated.

    Args:
        folder: the dataset; on maps without traffic, vehicles are put
        out: folder of the pictures and their labels (docs/camera.md)
        plan: how many, how large, and what they look like
    """
    with progress("render", total=plan.pictures, unit="pictures") as show:
        made = sets.render_set(folder, out, plan, show)
    print(f"{out}: {plan.pictures} pictures, {made} of them drawn now")
