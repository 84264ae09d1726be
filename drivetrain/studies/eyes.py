"""Driving by pictures beside driving by a model of their errors: `results.json`, `errors.json`.

watched    drives of the validation part by pictures: half of them fit the model, the others say how well it tells what
           the detector does
privileged the teacher on the test drives, who sees all
perfect    the camera's driver on the same drives, told what there is to be seen without errors
trained    by the errors that it was trained by
labels     by drawn pictures, told what they are known to show
pictures   by drawn pictures at which the detector looks
fitted     by the model of the detector, without pictures: what `pictures` is held against
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from drivetrain.atomic import write_atomically
from drivetrain.banks.part import Lot, Part
from drivetrain.camera.ground import Ground, lay_ground, stack_grounds
from drivetrain.camera.render import Renderer
from drivetrain.camera.sets import TOGETHER
from drivetrain.camera.tiles import Tiling
from drivetrain.data.store.shards import read_manifest
from drivetrain.drivers.greedy import Greedy
from drivetrain.drivers.seeing import MOST, ByLabels, ByPicture, Eyes, Kept, Seeing
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Evaluation, Portion, compare, evaluate, summarise
from drivetrain.learn.dagger import Dagger
from drivetrain.observe.camera import CameraSight, foot
from drivetrain.perception.detector import NetworkDetector
from drivetrain.perception.errors import PERFECT, ErrorModel
from drivetrain.perception.exposure import Exposure, own_lines
from drivetrain.perception.fitting import Pairs, fit, score, write_errors
from drivetrain.perception.network import Network
from drivetrain.perception.report import Report, half_field
from drivetrain.runs.run import Run
from drivetrain.runs.site import Progress
from drivetrain.runs.trained import load_policy
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Key, State, component, record, replace

AROUND = MOST
"""Vehicles that count as there when reports are held against what there was."""


@component
class Look:
    """What is measured."""

    run: str  # of a driver by camera
    teacher: str = ""  # the privileged run; by default the one that taught it
    drives: int = 36  # of the test part, spread evenly
    watched: int = 16  # of the validation part
    seed: int = 0


@record
class Watched:
    """What one drive by pictures showed at each step [t]."""

    exposure: Exposure  # [t, n]
    agent: Int[Array, "*t n"]
    report: Report  # [t, m]
    lines: tuple[Array, Array]  # [t, 2, k]: places, and where there are any
    mask: Bool[Array, "*t"]


def eyes(look: Look, network: Network | None, out: Path, progress: Progress) -> Path:
    """Measure, and write `results.json`; its path. Without a network the labels of pictures stand for a detector.

    Raises `InputError` for a run that does not drive by a camera.
    """
    trained = load_policy(look.run)
    run, sight = trained.run, trained.run.env.observer
    if not isinstance(sight, CameraSight):
        raise InputError(f"{look.run}: env.observer: {type(sight).__name__} (name a run of camera-driver)")
    looks = ByLabels() if network is None else ByPicture(NetworkDetector(network, sight.camera))

    def seeing(lot: Lot, by: Eyes) -> Seeing:
        renderer = Renderer(sight.camera, Tiling(things=TOGETHER))
        return Seeing(trained.policy, by, grounds_of(lot), sight, run.env.dynamics, renderer, seed=look.seed)

    arms: dict[str, Evaluation] = {}
    results: dict[str, Any] = {"run": look.run, "eyes": type(looks).__name__}
    out.mkdir(parents=True, exist_ok=True)
    with progress("eyes", total=7, unit="parts") as show:
        lot = Part((run.data.dataset,), "val").whole
        model, results["told"] = model_of(run.env, lot, seeing(lot, looks), look)
        write_errors(out / "errors.json", model)
        results["errors"] = dataclasses.asdict(model)
        show(1, "watched")
        lot = Part((run.data.dataset,), "test").whole
        rows = spread_over(lot.rows(), look.drives)
        by_pictures = {"labels": ByLabels()} | ({} if network is None else {"pictures": looks})
        for name, (env, driver) in without_pictures(
            look, run, sight, Greedy(trained.policy, run.env.dynamics), model
        ).items():
            arms[name] = evaluate(env, lot.bank, driver, Portion(rows), look.seed)
            show(1 + len(arms), name)
        for name, by in by_pictures.items():
            arms[name] = evaluate(run.env, lot.bank, seeing(lot, by), Portion(rows, at_once=1), look.seed)
            show(1 + len(arms), name)
    manifest = read_manifest(run.data.dataset)
    results |= summed(arms, run, manifest.dt, look.seed)
    file = out / "results.json"
    write_atomically(file, (json.dumps(results, indent=1) + "\n").encode())
    return file


def without_pictures(
    look: Look, run: Run, sight: CameraSight, driver: Greedy, model: ErrorModel
) -> dict[str, tuple[Env, Greedy]]:
    """The drivers that need none, each with the environment that tells it what it sees."""
    taught = [stage.algorithm.teacher for stage in run.stages if isinstance(stage.algorithm, Dagger)]
    place = look.teacher or next(iter(taught), "")
    arms: dict[str, tuple[Env, Greedy]] = {}
    if place:
        teacher = load_policy(place)
        arms["privileged"] = teacher.run.env, teacher.driver
    for name, errors in (
        ("perfect", replace(PERFECT, delay=sight.errors.delay)),
        ("trained", sight.errors),
        ("fitted", model),
    ):
        arms[name] = replace(run.env, observer=replace(sight, errors=errors)), driver
    return arms


def summed(arms: Mapping[str, Evaluation], run: Run, dt: float, seed: int) -> dict[str, Any]:
    """Figures of all, and the paired differences that answer the question."""
    figures = {name: summarise(arm, name, run.data.dataset, "test", dt, seed) for name, arm in arms.items()}
    by = "pictures" if "pictures" in arms else "labels"
    pairs = [("fitted", by), ("trained", by), ("perfect", by)]
    pairs += [(name, "privileged") for name in ("perfect", "trained", by)]
    less = {f"{one} − {other}": compare(arms[one], arms[other], seed) for one, other in pairs if other in arms}
    # How often two fail on the same drives says more of few drives than how often each does.
    failed = {name: np.asarray(arm.outcome.failure).any(axis=-1).tolist() for name, arm in arms.items()}
    return {"arms": figures, "differences": less, "failed": failed}


def model_of(env: Env, lot: Lot, driver: Seeing, look: Look) -> tuple[ErrorModel, dict[str, Any]]:
    """The model of what the driver's eyes report on half of some drives; on the others, both of them counted."""
    rows = spread_over(lot.rows(), look.watched)
    steps = int(np.max(np.asarray(lot.bank.episodes.last) - np.asarray(lot.bank.episodes.first)))
    key = jax.random.key(look.seed)
    drives = [jax.device_get(watch(env, lot.bank, driver, jnp.asarray(row), steps, key)) for row in rows]
    first, others = (pairs_of(drives[half::2]) for half in range(2))
    model = fit(first, driver.sight.errors.delay)
    told = replace_reports(others, model, half_field(driver.renderer.camera))
    return model, {"detector": dataclasses.asdict(score(others)), "model": dataclasses.asdict(score(told))}


@eqx.filter_jit
def watch(env: Env, bank: Bank, driver: Seeing, row: Int[Array, ""], steps: int, key: Key) -> Watched:
    """Drive an episode by pictures, and keep what was reported beside what there was."""
    around = replace(driver.sight, vehicles=AROUND)

    def step(carry: tuple[State, Kept], key: Key) -> tuple[tuple[State, Kept], Watched]:
        state, kept = carry
        action, kept = driver(bank, state, env.observe(bank, state), kept, key)
        exposure, agent = around.exposure(bank, state, 0)
        here = foot(driver.renderer.camera, state, 0, jnp.zeros(()))
        lines = own_lines(bank, state.episode, here.place, here.heading)
        mask = state.alive[0] & (state.time < bank.episodes.last[state.episode])
        report = jax.tree.map(lambda leaf: leaf[0, 0], kept.reports)
        return (env.step(bank, state, action)[0], kept), Watched(exposure, agent, report, lines, mask)

    first = env.reset(bank, row, key)
    memory = driver.initial_memory(first.alive.shape[0])
    return jax.lax.scan(step, (first, memory), jax.random.split(key, steps))[1]


def pairs_of(drives: list[Watched]) -> Pairs:
    """The moments of some drives, one after the other; a vehicle of another drive is another."""
    kept = [jax.tree.map(lambda leaf, drive=drive: np.asarray(leaf)[np.asarray(drive.mask)], drive) for drive in drives]
    vehicle = np.concatenate([10_000 * number + drive.agent for number, drive in enumerate(kept)])
    exposure, report, lines = jax.tree.map(
        lambda *rows: np.concatenate(rows), *[(drive.exposure, drive.report, drive.lines) for drive in kept]
    )
    return Pairs(exposure, vehicle, report, *lines)


def replace_reports(pairs: Pairs, model: ErrorModel, half: float) -> Pairs:
    """The same moments as a model of errors would have reported them."""

    @jax.jit
    @jax.vmap
    def told(exposure: Exposure, vehicle: Array, aside: Array, there: Array, time: Array) -> Report:
        seeds = vehicle.astype(jnp.uint32) * jnp.uint32(2654435761)
        return model.report(exposure, (aside, there), half, (seeds[0], seeds), time)

    moments = pairs.exposure, pairs.vehicle, pairs.aside, pairs.there, np.arange(len(pairs.vehicle))
    report = jax.device_get(told(*jax.tree.map(jnp.asarray, moments)))
    return dataclasses.replace(pairs, report=report)


def grounds_of(lot: Lot) -> Ground:
    """The grounds of a lot's recordings, on the device."""
    return jax.tree.map(jnp.asarray, stack_grounds([lay_ground(map_) for map_, _ in lot.roads]))


def spread_over(rows: Int[np.ndarray, "n"], count: int) -> Int[np.ndarray, "m"]:
    """So many of some rows, evenly spread; all where there are no more."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
