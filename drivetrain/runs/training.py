"""A run from recordings to report:

    datasets → stages, one after the other, each from the best of the one before → evaluation → report

Only the stages are learnt by several processes, where groups are asked for (`together`); all else is done here. Every
stage starts from the newest good checkpoint, so a run that was killed ends with the figures of one that was not.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from drivetrain.atomic import write_atomically
from drivetrain.banks.part import Part
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.converting import Settings, convert
from drivetrain.data.store.shards import read_manifest
from drivetrain.drivers import BASELINES
from drivetrain.drivers.greedy import Greedy
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.evaluate.benchmark import Evaluation, compare, evaluate, portion_of, select, summarise, together
from drivetrain.evaluate.replay import write_replay
from drivetrain.evaluate.report import describe_data, write_report
from drivetrain.evaluate.world_replay import write_world
from drivetrain.evaluate.worlds import drive_worlds, summarise_worlds
from drivetrain.parallel import leave
from drivetrain.policy.base import Policy, count_parameters
from drivetrain.progress import counting
from drivetrain.rollout import Driver
from drivetrain.runs.configuration import to_json
from drivetrain.runs.learning import datasets, folders, recordings, run_stages, worlds_of
from drivetrain.runs.run import Data, Run, on_recordings, open_run
from drivetrain.runs.site import Progress, Site
from drivetrain.runs.together import learn_together
from drivetrain.runs.wandb import open_sinks
from drivetrain.types import InputError, replace

TESTED = 1000
"""Added to the seed of a run: the seed of worlds in which it is judged at last."""
SHOWN = 8
"""Of what a policy considers at each step of a replay, at most."""


def train(run: Run, folder: Path, resume: bool, progress: Progress, recipe: str = "") -> None:
    """Train, evaluate and report; with `resume`, continue the run in `folder` by its own configuration.

    `recipe`: FILE.py:FUNCTION that names its components, where they are not the package's.

    Raises:
        InputError: the folder is in the way, or no run's; the recordings or the dataset cannot be used.
    """
    run.wandb.client()  # a folder is not begun where it is asked for in vain
    run = open_run(run, folder, resume)
    digest = "+".join(prepare_dataset(data, progress) for data in datasets(run))
    if run.fleet.groups:
        learn_together(run, folder, digest, recipe, progress)
    else:
        leave(run.fleet.devices)
    names = [stage.name for stage in run.stages]
    with open_sinks(run.wandb, folder, run.name, names, to_json(run)) as sinks:
        site = Site(folder, digest, progress, sinks, run.fleet)
        policies = run_stages(run, site)
        figures = (evaluate_worlds if run.asked else evaluate_run)(run, policies, site)
        for sink in sinks:
            sink.conclude(figures)
    print(f"report: {write_report(folder)}")


def prepare_dataset(data: Data, progress: Progress) -> str:
    """Convert the recordings where the dataset does not stand yet, and check which egos may be driven; its digest."""
    file = Path(data.dataset) / MANIFEST
    if not file.exists():
        with counting("convert", "files") as show:
            summary = convert(data.format, data.source, data.dataset, Settings(data.dt, data.workers), show)
        for skipped in summary.skipped:
            print(f"skipped {skipped.reason}", file=sys.stderr)
    manifest = read_manifest(data.dataset)
    if abs(manifest.dt - data.dt) > 1e-6:
        raise InputError(
            f"{file}: dt: {manifest.dt} s where the run has {data.dt} s (convert to another --data.dataset)"
        )
    if any(ego.cause == "" for entry in manifest.recordings for ego in entry.egos):
        admit_dataset(data.dataset, progress)
    return hashlib.sha256(file.read_bytes()).hexdigest()


# ----------------------------------------------------------------------------------------------------------- evaluation


def evaluate_run(run: Run, policies: dict[str, Policy], site: Site) -> dict[str, Any]:
    """The policies and the baselines on the test episodes: `evaluation.json`, `facts.json`, `replay.safetensors`.

    Figures are those of the run's own dataset; each of `more` has a file of its own, `evaluation-NAME.json`. The replay
    shows the first lot of a test part that comes in lots.
    """
    figures = _on_test_drives(run, policies, site)
    facts = {
        "data": describe_data(read_manifest(run.data.dataset)),
        "more": {data.name: describe_data(read_manifest(data.dataset)) for data in run.more},
        "parameters": count_parameters(next(reversed(policies.values()))),
    }
    write_atomically(site.folder / "facts.json", json.dumps(facts, indent=1).encode())
    _write_apart(site, figures[1:], run.more)
    write_atomically(site.folder / "evaluation.json", json.dumps(figures[0], indent=1).encode())
    return figures[0]


def _on_test_drives(run: Run, policies: dict[str, Policy], site: Site) -> list[dict[str, Any]]:
    """Figures of the policies and the baselines on each dataset of recordings; writes the replay of a run on them."""
    env, goals = on_recordings(run)
    test = Part(folders(run), "test", run.stream.slots, env.traffic.needs_paths, goals=goals)
    drivers: dict[str, Driver] = dict(BASELINES)
    drivers |= {name: Greedy(policy, env.dynamics, SHOWN) for name, policy in policies.items()}
    driven: dict[str, list[Evaluation]] = {name: [] for name in drivers}
    dataset, in_lanes = [], []
    with site.progress("evaluate", total=len(drivers) * len(test), unit="drivers") as show:
        for done, lot in enumerate(test):
            results: dict[str, Evaluation] = {}
            for name, driver in drivers.items():
                results[name] = evaluate(env, lot.bank, driver, portion_of(lot))
                show(done * len(drivers) + len(results), name)
            if done == 0 and not run.asked:
                write_replay(site.folder / "replay.safetensors", lot.bank, lot.roads, results, lot.names)
            for name, result in results.items():
                driven[name].append(replace(result, drives=None))
            dataset.append(lot.episode_dataset())
            in_lanes.append(lot.episode_in_lanes())
    whole, where = {name: together(lots) for name, lots in driven.items()}, np.concatenate(dataset)
    inside = np.concatenate(in_lanes)
    return [
        _figures(
            run, data, {name: select(result, where == row) for name, result in whole.items()}, inside[where == row]
        )
        for row, data in enumerate(recordings(run))
    ]


def _write_apart(site: Site, figures: list[dict[str, Any]], of: tuple[Data, ...]) -> None:
    for data, those in zip(of, figures, strict=True):
        write_atomically(site.folder / f"evaluation-{data.name}.json", json.dumps(those, indent=1).encode())


def evaluate_worlds(run: Run, policies: dict[str, Policy], site: Site) -> dict[str, Any]:
    """Self-play judged in worlds that it has not seen: on the maps that it learnt on, and on each that it did not.

    Writes `evaluation.json`, `facts.json`, and one world as `replay.safetensors`; of a run that learnt from recordings
    too, how every stage drives on their test part, `evaluation-NAME.json`.
    """
    policy, name = next(reversed(policies.values())), next(reversed(policies))
    driver, steps = Greedy(policy, run.env.dynamics), round(run.asked.seconds / run.data.dt)
    places = {name: run.asked.maps} | {f"{name}_{map_}": (map_,) for map_ in run.asked.unseen}
    figures: dict[str, Any] = {}
    with site.progress("evaluate", total=len(places), unit="places") as show:
        for place, maps in places.items():
            worlds = worlds_of(run, maps, run.seed + TESTED)
            rows = np.resize(np.arange(len(worlds.bank.episodes.map)), run.asked.judged)
            lived = drive_worlds(run.env, worlds.bank, driver, rows, steps, jax.random.key(run.seed + TESTED))
            figures[place] = summarise_worlds(lived, run.data.dt, run.seed) | {"maps": list(maps)}
            if place == name:
                write_world(
                    site.folder / "replay.safetensors",
                    worlds,
                    int(rows[0]),
                    jax.tree.map(lambda leaf: leaf[0], lived),
                    name,
                )
            show(len(figures), place)
    if run.more:
        _write_apart(site, _on_test_drives(run, policies, site), run.more)
    facts = {
        "more": {data.name: describe_data(read_manifest(data.dataset)) for data in run.more},
        "maps": list(run.asked.maps),
        "unseen": list(run.asked.unseen),
        "parameters": count_parameters(policy),
    }
    write_atomically(site.folder / "facts.json", json.dumps(facts, indent=1).encode())
    write_atomically(site.folder / "evaluation.json", json.dumps(figures, indent=1).encode())
    return figures


def _figures(run: Run, data: Data, results: dict[str, Evaluation], in_lanes: Bool[np.ndarray, "E"]) -> dict[str, Any]:
    """The object of one `evaluation.json`: an entry a driver, and the last one's differences from all others."""
    figures: dict[str, Any] = {
        name: summarise(result, name, data.dataset, "test", data.dt, run.seed, in_lanes)
        for name, result in results.items()
    }
    last = next(reversed(results))
    figures[last]["against"] = {
        other: compare(results[last], result) for other, result in results.items() if other != last
    }
    return figures
