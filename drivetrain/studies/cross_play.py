"""A policy of self-play outside the world that it learnt in: `results.json` and `report.html`.

checkpoints   a matrix of ego × traffic: some agents driven by one judged policy of the run, all others by another
dense         50 agents at 15 Hz for ten minutes: kilometres between incidents (arXiv 2502.03349, section on robustness)
recordings    zero-shot as the ego of recorded scenes, among replayed and among reactive traffic, beside other policies
"""

import json
from html import escape
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.atomic import write_atomically
from drivetrain.banks.part import Part
from drivetrain.banks.towns import Worlds
from drivetrain.data.store.shards import read_manifest
from drivetrain.drivers import BASELINES
from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate, portion_of, summarise, together
from drivetrain.evaluate.tables import baseline_table, plain_table
from drivetrain.evaluate.world_tables import world_table
from drivetrain.evaluate.worlds import drive_worlds, of_agents, summarise_worlds
from drivetrain.rollout import Driver, Shared
from drivetrain.runs.checkpoints import load_checkpoint
from drivetrain.runs.run import Run, on_recordings
from drivetrain.runs.site import Progress
from drivetrain.runs.stage import Best
from drivetrain.runs.trained import load_policy
from drivetrain.sim.traffic.base import Traffic
from drivetrain.sim.traffic.follow import Follow
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import InputError, component, replace
from drivetrain.view.page import build_page

EGOS = 8
"""Agents of a world that the ego's policy drives, where others drive the rest."""
DENSE, RATE = 50, 15.0
"""Agents of a dense world, and its steps a second."""
SEED = 2000
"""Of worlds, goals and lights; no run is trained or judged with it but by its own seed."""
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
    trained = load_policy(across.run)
    if not trained.run.asked:
        raise InputError(f"{across.run}: asked.maps: none (name a run of self-play)")
    results: dict[str, Any] = {"run": across.run}
    with progress("cross-play", total=3, unit="parts") as show:
        results["checkpoints"] = _checkpoints(across, trained.run)
        show(1, "checkpoints")
        results["dense"] = _dense(across, trained.run, trained.driver)
        show(2, "dense worlds")
        results["recordings"] = {data: _recordings(across, data) for data in across.data}
        show(3, "recordings")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    page = out / "report.html"
    write_atomically(page, _page(results).encode())
    return page


def kept(folder: str | Path, run: Run) -> dict[int, Greedy]:
    """The first third, the second and the last of the judged policies of a run's last stage, by agent-steps."""
    files = sorted((Path(folder) / "policies" / run.stages[-1].name).glob("*.safetensors"))
    files = [file for file in files if int(file.stem) > 0]
    if not files:
        raise InputError(f"{folder}: policies: none is kept (train with keep_judged)")
    chosen = sorted({max(round(share * len(files)) - 1, 0) for share in (1 / 3, 2 / 3, 1.0)})
    like = jax.eval_shape(lambda: Best(run.policy.build(run.env, jax.random.key(0))))
    return {int(files[row].stem): Greedy(load_checkpoint(files[row], like)[0].best, run.env.dynamics) for row in chosen}


def _checkpoints(across: Across, run: Run) -> dict[str, dict[str, Any]]:
    """Goals, collisions and incidents of the egos alone."""
    bank = Worlds(run.data.dataset, run.asked.town, run.asked.maps, SEED).bank
    rows, steps = np.resize(np.arange(len(bank.episodes.map)), across.worlds), round(run.asked.seconds / run.data.dt)
    mine = np.arange(min(EGOS, run.asked.town.agents))
    driver = jnp.where(jnp.arange(run.asked.town.agents) < len(mine), 0, 1)
    policies, matrix = kept(across.run, run), {}
    for ego, one in policies.items():
        matrix[str(ego)] = {}
        for others, other in policies.items():
            lived = drive_worlds(run.env, bank, Shared((one, other), driver), rows, steps, jax.random.key(SEED))
            matrix[str(ego)][str(others)] = summarise_worlds(of_agents(lived, mine), run.data.dt, SEED)
    return matrix


def _dense(across: Across, run: Run, driver: Driver) -> dict[str, Any]:
    """Long worlds of many agents at small steps."""
    town = replace(run.asked.town, agents=DENSE, programmes=across.worlds)
    worlds = Worlds(run.data.dataset, town, run.asked.maps, SEED, 1.0 / RATE)
    steps = round(across.seconds * RATE)
    lived = drive_worlds(run.env, worlds.bank, driver, np.arange(across.worlds), steps, jax.random.key(SEED))
    return summarise_worlds(lived, 1.0 / RATE, SEED) | {"maps": list(run.asked.maps)}


def _recordings(across: Across, data: str) -> dict[str, dict[str, Any]]:
    """Every driver on the test drives, by what the others do."""
    drivers: dict[str, tuple[Env, Driver, float]] = {}
    for folder in (across.run, *across.beside):
        trained = load_policy(folder)
        env, goals = on_recordings(trained.run)
        drivers[Path(folder).name] = (env, trained.driver, goals)
    drivers |= {name: (Env(), driver, 0.0) for name, driver in BASELINES.items()}
    tables: dict[str, dict[str, Any]] = {}
    for kind, traffic in TRAFFIC.items():
        tables[kind] = {}
        for name, (env, driver, goals) in drivers.items():
            part = Part((data,), "test", 64, traffic.needs_paths, goals=goals)
            lots = [evaluate(replace(env, traffic=traffic), lot.bank, driver, portion_of(lot)) for lot in part]
            tables[kind][name] = summarise(together(lots), name, data, "test", read_manifest(data).dt, 0)
    return tables


def _page(results: dict[str, Any]) -> str:
    matrix = results["checkpoints"]
    head = ["Ego, agent-steps", *(f"among {int(step):,}" for step in matrix)]
    rows = [[f"{int(ego):,}", *(_cell(figures) for figures in row.values())] for ego, row in matrix.items()]
    parts = [
        f"<h1>{escape(results['run'])}, outside its own world</h1>",
        "<h2>Among past ones</h2><p>Goals reached, and collisions per km, of the agents that the ego drives.</p>",
        plain_table(head, rows),
        world_table({"dense": results["dense"]}, {"dense": "dense"}, "Dense and long, at 15 Hz"),
    ]
    for data, tables in results["recordings"].items():
        ours = next(iter(next(iter(tables.values()))))
        for kind, table in tables.items():
            parts.append(baseline_table(table, {}, ours, f"On {data}, among {kind} traffic"))
    return build_page("Cross-play", None, "".join(parts), "report")


def _cell(figures: dict[str, Any]) -> str:
    goals, collisions = figures["goals_reached"], figures["collision_per_km"]
    if goals["value"] is None or collisions["value"] is None:
        return "–"
    return (
        f"{100 * goals['value']:.1f} % ({100 * goals['low']:.1f} to {100 * goals['high']:.1f}), "
        f"{collisions['value']:.2f} ({collisions['low']:.2f} to {collisions['high']:.2f})"
    )
