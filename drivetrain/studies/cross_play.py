"""A policy of self-play outside the world that it learnt in: `results.json` and `report.html`.

checkpoints   a matrix of ego × traffic: some agents driven by one judged policy of the run, all others by another
runs          the same of the run's policy and those of other runs of self-play; IDM as traffic besides
styles        the same of the run's policy in one style and in another, where its agents have styles
dense         50 agents at 15 Hz for ten minutes: kilometres between incidents (arXiv 2502.03349, section on robustness)
recordings    zero-shot as the ego of recorded scenes, among replayed and among reactive traffic, beside other policies
"""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import jax
import numpy as np

from drivetrain.atomic import write_atomically
from drivetrain.banks.part import Part
from drivetrain.banks.towns import Worlds
from drivetrain.data.store.shards import read_manifest
from drivetrain.drivers import BASELINES
from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate, portion_of, summarise, together
from drivetrain.evaluate.tables import baseline_table
from drivetrain.evaluate.world_tables import world_table
from drivetrain.evaluate.worlds import as_judged, drive_worlds, summarise_worlds
from drivetrain.rollout import Driver
from drivetrain.runs.checkpoints import load_checkpoint
from drivetrain.runs.run import Run, on_recordings
from drivetrain.runs.site import Progress
from drivetrain.runs.stage import Best
from drivetrain.runs.trained import Trained, load_policy
from drivetrain.sim.traffic.base import Traffic
from drivetrain.sim.traffic.follow import Follow
from drivetrain.sim.traffic.replay import Replay
from drivetrain.studies.meetings import SEED, Meetings, contrast_table, matrix_table
from drivetrain.types import InputError, component, replace
from drivetrain.view.page import build_page

DENSE, RATE = 50, 15.0
"""Agents of a dense world, and its steps a second."""
TRAFFIC: dict[str, Traffic] = {"replayed": Replay(), "reactive": Follow()}


@component
class Across:
    """What is measured."""

    run: str
    data: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    worlds: int = 4
    seconds: float = 600.0  # of a dense world


def cross_play(across: Across, out: Path, progress: Progress) -> Path:
    """Measure, and write the page; its path. Raises `InputError` for a run that is not of self-play."""
    policies = {Path(folder).name: load_policy(folder) for folder in (across.run, *across.beside)}
    trained, egos = next(iter(policies.values())), entrants(across, policies)
    results: dict[str, Any] = {"run": across.run}
    with progress("cross-play", total=5, unit="parts") as show:
        meetings, past = Meetings(trained.run, across.worlds), kept(across.run, trained.run)
        results["checkpoints"] = meetings.among(past, past)
        show(1, "checkpoints")
        results["runs"] = meetings.among(egos, egos | {"idm": meetings.idm()})
        show(2, "runs")
        results["styles"], results["styles_apart"] = meetings.conditioned(trained.driver)
        show(3, "styles")
        results["dense"] = _dense(across, trained.run, trained.driver)
        show(4, "dense worlds")
        results["recordings"] = {data: _recordings(policies, data) for data in across.data}
        show(5, "recordings")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    page = out / "report.html"
    write_atomically(page, _page(results).encode())
    return page


def entrants(across: Across, policies: Mapping[str, Trained]) -> dict[str, Driver]:
    """The policies that can meet, those of self-play. Raises `InputError` for one that sees or moves differently."""
    if len(policies) <= len(across.beside):
        raise InputError(f"{across.run}: beside: two runs of one name (name folders of different names)")
    (first, *_), entrants = policies.values(), {}
    if not first.run.asked:
        raise InputError(f"{across.run}: asked.maps: none (name a run of self-play)")
    for name, trained in policies.items():
        if not trained.run.asked:
            continue  # it drives on recordings alone
        ours, its = (as_judged(each.run.env) for each in (first, trained))
        for part in ("observer", "dynamics"):
            if getattr(ours, part) != getattr(its, part):
                raise InputError(f"{name}: env.{part}: not that of {across.run} (policies that meet share one)")
        entrants[name] = trained.driver
    return entrants


def kept(folder: str | Path, run: Run) -> dict[str, Driver]:
    """The first third, the second and the last of the judged policies of a run's last stage, by agent-steps."""
    files = sorted((Path(folder) / "policies" / run.stages[-1].name).glob("*.safetensors"))
    files = [file for file in files if int(file.stem) > 0]
    if not files:
        raise InputError(f"{folder}: policies: none is kept (train with keep_judged)")
    chosen = sorted({max(round(share * len(files)) - 1, 0) for share in (1 / 3, 2 / 3, 1.0)})
    like = jax.eval_shape(lambda: Best(run.policy.build(run.env, jax.random.key(0))))
    past = {str(int(files[row].stem)): load_checkpoint(files[row], like)[0].best for row in chosen}
    return {steps: Greedy(policy, run.env.dynamics) for steps, policy in past.items()}


def _dense(across: Across, run: Run, driver: Driver) -> dict[str, Any]:
    """Long worlds of many agents at small steps."""
    town = replace(run.asked.town, agents=DENSE, programmes=across.worlds)
    worlds = Worlds(run.data.dataset, town, run.asked.maps, SEED, 1.0 / RATE)
    steps = round(across.seconds * RATE)
    lived = drive_worlds(run.env, worlds.bank, driver, np.arange(across.worlds), steps, jax.random.key(SEED))
    return summarise_worlds(lived, 1.0 / RATE, SEED) | {"maps": list(run.asked.maps)}


def _recordings(policies: Mapping[str, Trained], data: str) -> dict[str, dict[str, Any]]:
    """Every driver on the test drives, by what the others do."""
    drivers: dict[str, tuple[Env, Driver, float]] = {}
    for name, trained in policies.items():
        env, goals = on_recordings(trained.run)
        drivers[name] = (env, trained.driver, goals)
    drivers |= {name: (Env(), driver, 0.0) for name, driver in BASELINES.items()}
    tables: dict[str, dict[str, Any]] = {}
    for kind, traffic in TRAFFIC.items():
        tables[kind] = {}
        for name, (env, driver, goals) in drivers.items():
            part = Part((data,), "test", 64, traffic.needs_paths, goals=goals)
            lots = [evaluate(replace(env, traffic=traffic), lot.bank, driver, portion_of(lot)) for lot in part]
            tables[kind][name] = summarise(together(lots), name, data, "test", read_manifest(data).dt, 0)
    return tables


def _styles(results: dict[str, Any], what: str) -> str:
    """The matrix of styles, and what conditioning changes."""
    apart = "The same worlds, resampled for both."
    return (
        f"<h2>In other styles</h2><p>{what}</p>{matrix_table('Ego', results['styles'])}"
        f"<p>{apart}</p>{contrast_table(results['styles_apart'])}"
    )


def _page(results: dict[str, Any]) -> str:
    what = "Goals reached, and collisions per km, of the agents that the ego drives."
    parts = [
        f"<h1>{escape(results['run'])}, outside its own world</h1><h2>Among past ones</h2><p>{what}</p>",
        matrix_table("Ego, agent-steps", results["checkpoints"], lambda steps: f"{int(steps):,}"),
        f"<h2>Among other runs</h2><p>{what} IDM goes along drives, whatever its goals.</p>",
        matrix_table("Ego", results["runs"]),
        _styles(results, what) if results["styles"] else "",
        world_table({"dense": results["dense"]}, {"dense": "dense"}, "Dense and long, at 15 Hz"),
    ]
    for data, tables in results["recordings"].items():
        ours = next(iter(next(iter(tables.values()))))
        for kind, table in tables.items():
            parts.append(baseline_table(table, {}, ours, f"On {data}, among {kind} traffic"))
    return build_page("Cross-play", None, "".join(parts), "report")
