"""A run from recordings to report, in one process:

    datasets → stages, one after the other, each from the best of the one before → evaluation → report

Every stage starts from the newest good checkpoint, so a run that was killed ends with the figures of one that was not.
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
from drivetrain.banks.resident import Resident
from drivetrain.banks.source import Source
from drivetrain.banks.streamed import Streamed, open_feed
from drivetrain.banks.towns import TownSource, Worlds
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.converting import Settings, convert
from drivetrain.data.store.shards import read_manifest
from drivetrain.data.store.streaming import State
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
from drivetrain.runs.criteria import Validation
from drivetrain.runs.run import Data, Run, Stage, env_of, on_recordings, open_run
from drivetrain.runs.site import Progress, Site
from drivetrain.runs.stage import OpenSource, run_stage
from drivetrain.runs.wandb import open_sinks
from drivetrain.types import InputError, replace

TESTED = 1000
"""Added to the seed of a run: the seed of worlds in which it is judged at last."""
SHOWN = 8
"""Of what a policy considers at each step of a replay, at most."""


def train(run: Run, folder: Path, resume: bool, progress: Progress) -> None:
    """Train, evaluate and report; with `resume`, continue the run in `folder` by its own configuration.

    Raises:
        InputError: the folder is in the way, or no run's; the recordings or the dataset cannot be used.
    """
    run.wandb.client()  # a folder is not begun where it is asked for in vain
    run = open_run(run, folder, resume)
    leave(run.fleet.devices)
    digest = "+".join(prepare_dataset(data, progress) for data in datasets(run))
    names = [stage.name for stage in run.stages]
    with open_sinks(run.wandb, folder, run.name, names, to_json(run)) as sinks:
        site = Site(folder, digest, progress, sinks, run.fleet)
        policies = run_stages(run, site)
        figures = (evaluate_worlds if run.asked else evaluate_run)(run, policies, site)
        for sink in sinks:
            sink.conclude(figures)
    print(f"report: {write_report(folder)}")


def datasets(run: Run) -> tuple[Data, ...]:
    """The run's own dataset, and those that it also learns from."""
    return (run.data, *run.more)


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


# --------------------------------------------------------------------------------------------------------------- stages


def run_stages(run: Run, site: Site) -> dict[str, Policy]:
    """The best policy of every stage, by its name, in their order."""
    key = jax.random.key(run.seed)
    policy = jax.jit(lambda key: run.policy.build(run.env, key))(jax.random.fold_in(key, len(run.stages)))
    where = {in_worlds: _surroundings(run, in_worlds) for in_worlds in {_in_worlds(run, each) for each in run.stages}}
    best, lines = {}, 0
    for number, stage in enumerate(run.stages):
        own_key = jax.random.fold_in(key, number)
        sources, validation = where[_in_worlds(run, stage)]
        policy, lines = run_stage(stage, env_of(run, stage), policy, own_key, site, lines, sources, validation)
        best[stage.name] = policy
    return best


def _in_worlds(run: Run, stage: Stage) -> bool:
    return bool(run.asked) and not stage.recorded


def _surroundings(run: Run, in_worlds: bool) -> tuple[OpenSource, Validation]:
    """What opens a stage's scenes, and what its policies are judged on: worlds on maps, or recordings."""
    if in_worlds:
        source = TownSource(worlds_of(run, run.asked.maps, run.seed))
        judged = run.asked.judged, round(run.asked.seconds / run.data.dt)
        validation = Validation((), 1.0, worlds=worlds_of(run, run.asked.maps, run.seed + 1), judged=judged)
        return lambda state: source, validation
    env, goals = on_recordings(run)
    folders, paths = _folders(run), env.traffic.needs_paths
    share = run.own_share if len(folders) > 1 else 1.0
    resident = training_part(run)
    validation = Validation(folders, share, run.stream.slots, run.episode_seconds, paths, goals)

    def open_source(state: State | None) -> Source:
        if run.stream.slots:
            return Streamed(open_feed(folders, run.stream, share, run.episode_seconds, paths, run.seed, state))
        return Resident(resident, share)

    return open_source, validation


def recordings(run: Run) -> tuple[Data, ...]:
    """The datasets of a run that hold recorded drives; of a run on maps, those of `more` alone."""
    return run.more if run.asked else datasets(run)


def _folders(run: Run) -> tuple[str, ...]:
    return tuple(data.dataset for data in recordings(run))


def training_part(run: Run) -> Part:
    """The recordings that a run learns from, all of them resident."""
    env, goals = on_recordings(run)
    return Part(
        _folders(run),
        "train",
        paths=env.traffic.needs_paths,
        seconds=run.episode_seconds,
        goals=goals,
        controlled=run.controlled,
    )


def worlds_of(run: Run, maps: tuple[str, ...], seed: int) -> Worlds:
    """Worlds on some maps of the run's dataset: goals, lights and beginnings are drawn by the seed."""
    return Worlds(run.data.dataset, run.asked.town, maps, seed)


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
    test = Part(_folders(run), "test", run.stream.slots, env.traffic.needs_paths, goals=goals)
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
