"""The drives of an evaluation in one file, with the road and log that they need: `replay.safetensors`.

Keys: `map.…` [M], `log.…` [M] and `episodes.…` [E] are leaves of the bank's records, by name; `drive.<driver>.…` [E]
are leaves of `Drives`. What failed is not stored: the margins say it. The metadata hold `version` and `about`, a JSON
object of dt, the recordings' names and sites, and the drivers in order.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from drivetrain.atomic import write_atomically
from drivetrain.evaluate.benchmark import Drives, Evaluation
from drivetrain.evaluate.metrics import LEAST_DISTANCE
from drivetrain.rollout import Considered
from drivetrain.sim.bank import Bank
from drivetrain.sim.route_tables import BEFORE, PathRow
from drivetrain.types import Agents, Array, Bodies, Egos, Events, InputError, Log, Map, Route, record
from drivetrain.view.drawing import MARGINS, Drive, Episode, Scene, speed_limit

VERSION = "2"


@record
class Start:
    """What a replay keeps of an episode."""

    map: Int[Array, "*E"]  # row of the file's maps and logs
    first: Int[Array, "*E"]  # steps of the log
    last: Int[Array, "*E"]
    track: Int[Array, "*E C"]  # columns of the log
    route: Route  # [E, C]
    arc: Float[Array, "*E C P"]  # m along the route's recorded lane at each station
    log_distance: Float[Array, "*E C"]  # m


def write_replay(
    file: str | Path,
    bank: Bank,
    roads: Sequence[tuple[Map, Egos]],
    evaluations: Mapping[str, Evaluation],
    names: Sequence[str],
    sites: Sequence[str] = (),
) -> None:
    """Keep the drives of several drivers on the same episodes. `roads`, `names`, `sites` go by the bank's recordings.

    Raises `InputError` where the drivers did not drive the same episodes.
    """
    runs = list(evaluations.values())
    if not runs or any(not np.array_equal(run.episode, runs[0].episode) for run in runs):
        raise InputError(f"{file}: episodes: drivers differ (evaluate all of them on the same episodes)")
    kept = _starts(bank, [egos for _, egos in roads], runs[0].episode)
    maps = jax.tree.map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *(map for map, _ in roads))
    leaves = _flat("map", maps) | _flat("log", bank.logs) | _flat("episodes", kept)
    for driver, run in evaluations.items():
        leaves |= _flat(f"drive.{driver}", run.drives)
    about = {"dt": float(bank.dt), "names": list(names), "sites": list(sites), "drivers": list(evaluations)}
    write_atomically(Path(file), save(leaves, metadata={"version": VERSION, "about": json.dumps(about)}))


def _starts(bank: Bank, egos: Sequence[Egos], rows: Int[Array, "E"]) -> Start:
    """Some of a bank's episodes; their routes as the recordings have them, which the bank has not."""
    episodes = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], bank.episodes)
    pairs = [(egos[log], ego) for log, chosen in zip(episodes.log, episodes.ego, strict=True) for ego in chosen]
    routes = [jax.tree.map(lambda leaf, ego=ego: np.asarray(leaf)[ego], own.route) for own, ego in pairs]
    route = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*episodes.ego.shape, *leaves[0].shape), *routes)
    arc = np.asarray(bank.routes.tables.path)[episodes.route, PathRow.ARC, BEFORE:][..., : route.reference.shape[-1]]
    start = (episodes.map, episodes.first, episodes.last, episodes.track, route, arc, episodes.log_distance)
    return _unchecked(Start, dict(zip((field.name for field in dataclasses.fields(Start)), start, strict=True)))


def read_replay(file: str | Path) -> tuple[list[Scene], list[Episode]]:
    """What a page shows of a replay file. Raises `InputError` on anything that is not one."""
    try:
        with safe_open(str(file), framework="numpy") as opened:
            about = opened.metadata() or {}
            leaves = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: replay: {error} (evaluate again)") from None
    if about.get("version") != VERSION:
        raise InputError(f"{file}: version: {about.get('version')!r}, this version reads {VERSION} (evaluate again)")
    try:
        return _read(json.loads(about["about"]), leaves)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise InputError(f"{file}: replay: damaged, {error!r} (evaluate again)") from None


def _read(about: dict, leaves: dict[str, np.ndarray]) -> tuple[list[Scene], list[Episode]]:
    maps, logs = _map(leaves), _log(leaves)
    sites = about["sites"] or [""] * len(about["names"])
    scenes = [Scene(name, about["dt"], _row(maps, i), _row(logs, i), sites[i]) for i, name in enumerate(about["names"])]
    episodes = _record(Start, "episodes", leaves, route=_record(Route, "episodes.route", leaves))
    drives = {
        driver: _record(
            Drives,
            f"drive.{driver}",
            leaves,
            events=_record(Events, f"drive.{driver}.events", leaves),
            considered=_considered(f"drive.{driver}.considered", leaves),
        )
        for driver in about["drivers"]
    }
    rows = range(len(np.asarray(episodes.map)))
    return scenes, [_episode(scenes, _row(episodes, e), {d: _row(drives[d], e) for d in drives}) for e in rows]


def _episode(scenes: list[Scene], episode: Start, drives: dict[str, Drives]) -> Episode:
    controlled = [c for c, track in enumerate(episode.track) if track >= 0]
    map = scenes[int(episode.map)].map
    shown = [_drive(driver, drive, episode, map, controlled) for driver, drive in drives.items()]
    return Episode(
        scene=int(episode.map),
        tracks=tuple(int(episode.track[c]) for c in controlled),
        first=int(episode.first),
        last=int(episode.last),
        routes=tuple(_row(episode.route, c) for c in controlled),
        drives=tuple(shown),
    )


def _drive(driver: str, drive: Drives, episode: Start, map: Map, controlled: list[int]) -> Drive:
    moments = int(episode.last) - int(episode.first) + 1
    alive = np.concatenate([np.ones((1, len(controlled)), bool), drive.mask[: moments - 1, controlled]])
    margins = np.stack([getattr(drive.events, name)[: moments - 1, controlled] for name in MARGINS], axis=-1)
    along = np.asarray(drive.arc_length)[:moments, controlled]
    progress = float(np.sum(np.where(alive[1:], drive.events.progress[: moments - 1, controlled], 0.0)))
    covered = float(np.sum(episode.log_distance[controlled]))
    shown = drive.considered
    limits = [_limit(map, episode, c, along[:, i]) for i, c in enumerate(controlled)]
    return Drive(
        driver=driver,
        position=np.asarray(drive.position)[:moments, controlled],
        heading=np.asarray(drive.heading)[:moments, controlled],
        speed=np.asarray(drive.speed)[:moments, controlled],
        limit=np.stack(limits, axis=-1),
        margins=np.concatenate([np.zeros_like(margins[:1]), margins]),
        alive=alive,
        progress_ratio=progress / covered if covered >= LEAST_DISTANCE else None,
        goal=None if drive.goal is None else np.asarray(drive.goal)[:moments, controlled],
        ahead=None if shown is None else np.asarray(shown.path)[: moments - 1, controlled],
        likely=None if shown is None else np.asarray(shown.probability)[: moments - 1, controlled],
    )


def _limit(map: Map, episode: Start, c: int, along: np.ndarray) -> np.ndarray:
    """The speed limit at the route's station last passed."""
    arc = episode.arc[c][: max(int(episode.route.length[c]), 1)]
    return speed_limit(map, _row(episode.route, c), np.searchsorted(arc, along, side="right") - 1)


# ------------------------------------------------------------------------------------------------------ leaves by name


def _flat(prefix: str, tree) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {".".join([prefix, *(str(key.name) for key in path)]): np.ascontiguousarray(leaf) for path, leaf in paths}


def _record(kind, prefix: str, leaves: dict[str, np.ndarray], **parts):
    """A record whose fields are leaves, but for the parts that are records themselves, and those that may be None."""
    fields = dict(parts)
    for field in dataclasses.fields(kind):
        key = f"{prefix}.{field.name}"
        if field.name not in parts:
            fields[field.name] = None if field.default is None and key not in leaves else leaves[key]
    return _unchecked(kind, fields)


def _map(leaves: dict[str, np.ndarray]) -> Map:
    return _record(Map, "map", leaves)


def _log(leaves: dict[str, np.ndarray]) -> Log:
    agents, bodies = _record(Agents, "log.agents", leaves), _record(Bodies, "log.bodies", leaves)
    return _record(Log, "log", leaves, agents=agents, bodies=bodies)


def _considered(prefix: str, leaves: dict[str, np.ndarray]) -> Considered | None:
    return _record(Considered, prefix, leaves) if f"{prefix}.path" in leaves else None


def _row(tree, row: int):
    return jax.tree.map(lambda leaf: leaf[row], tree)


def _unchecked(kind, fields: dict):
    """Batched fields in a record of one: rebuilt from its parts, as `vmap` does."""
    value = object.__new__(kind)
    for name, part in fields.items():
        object.__setattr__(value, name, part)
    return value
