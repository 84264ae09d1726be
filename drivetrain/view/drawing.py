"""What a page shows, as plain JSON values: a scene's road and log once, then every drive through it.

The road and the recorded road users of a recording stand once, however many episodes and drivers show them.
Coordinates are centimetres in the map's frame, headings milliradians; `packing` says how they are written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.data.recordings.series import runs
from drivetrain.data.routes.corridors import moved_borders
from drivetrain.types import MARGINS, ControlKind, Cross, ElementKind, Log, Map, Route, RouteFlag
from drivetrain.view.packing import MISSING, centimetres, pack, pack_path, pose_rows

MISSING_GOAL = -(1 << 31)
"""Stands for "no goal" among coordinates in centimetres."""


@dataclass(frozen=True)
class Scene:
    """One recording as it is drawn: NumPy arrays of its map and its log."""

    name: str
    dt: float  # s
    map: Map
    log: Log
    site: str = ""  # where it was recorded: pages filter by it


@dataclass(frozen=True)
class Drive:
    """What one driver did in one episode. Row 0 is the start; row n is the scene after n steps."""

    driver: str
    position: Float[np.ndarray, "n C 2"]
    heading: Float[np.ndarray, "n C 2"]
    speed: Float[np.ndarray, "n C"]  # m/s
    limit: Float[np.ndarray, "n C"]  # m/s; 0: unknown
    margins: Float[np.ndarray, "n C facts"]  # MARGINS; row 0, before any step, is ignored
    alive: Bool[np.ndarray, "n C"]
    progress_ratio: float | None = None  # None: the log stands still
    goal: Float[np.ndarray, "n C 2"] | None = None  # where the next goal of each lies, m; NaN: nowhere
    ahead: Float[np.ndarray, "m C k h 2"] | None = None  # where its k likeliest choices lead, m; None: it shows none
    likely: Float[np.ndarray, "m C k"] | None = None  # and their probabilities; rows before the last


@dataclass(frozen=True)
class Episode:
    """One start of one recording: who is controlled, from when, along which route, and how each driver fared."""

    scene: int  # index into the page's scenes
    tracks: tuple[int, ...]  # columns of the log
    first: int  # step of the log at row 0 of a drive
    last: int
    routes: tuple[Route, ...] = ()
    drives: tuple[Drive, ...] = ()
    note: str = ""  # why the ego is left out, where it is
    frames: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # by driver: pictures as data addresses, a row each


def page_data(
    scenes: Sequence[Scene], episodes: Sequence[Episode], titles: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Everything that the replay of a page needs; `titles` are those of drivers that have one, by their names."""
    return {
        "version": 1,
        "titles": dict(titles or {}),
        "margins": list(MARGINS),
        "missing": MISSING,
        "scenes": [draw_scene(scene) for scene in scenes],
        "episodes": [draw_episode(episode, scenes[episode.scene]) for episode in episodes],
    }


def draw_scene(scene: Scene) -> dict[str, object]:
    """The road and the recorded road users of one recording."""
    return {
        "name": scene.name,
        "site": scene.site,
        "dt": round(float(scene.dt), 6),
        "steps": int(scene.log.steps),
        "stations": pack(centimetres(np.asarray(scene.map.stations)[:, Cross.LEFT_X : Cross.CENTRE_X])),
        "lanes": _lanes(scene.map),
        "lines": [
            {"k": kind, "p": pack_path(centimetres(points))}
            for kind, points in chains(np.asarray(scene.map.elements), np.asarray(scene.map.element_kind))
        ],
        "controls": _controls(scene.map),
        "lights": pack(np.asarray(scene.log.lights)[: int(scene.log.steps)]),
        "agents": _agents(scene.log),
    }


def draw_episode(episode: Episode, scene: Scene) -> dict[str, object]:
    """One episode: its window, its routes and its drives."""
    return {
        "scene": episode.scene,
        "tracks": [int(track) for track in episode.tracks],
        "first": int(episode.first),
        "last": int(episode.last),
        "note": episode.note,
        "routes": [
            [pack_path(centimetres(shape)) for shape in route_shapes(scene.map, route)] for route in episode.routes
        ],
        "drives": {drive.driver: _drive(drive) for drive in episode.drives},
        "frames": {driver: list(frames) for driver, frames in episode.frames.items()},
    }


def speed_limit(map: Map, route: Route, cursor: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The limit (m/s) on the recorded lane at each station of the route; 0 where unknown."""
    cursor = np.clip(np.asarray(cursor), 0, max(int(route.length) - 1, 0))
    station = np.asarray(route.stations)[cursor, np.asarray(route.reference)[cursor]]
    limit = np.asarray(map.stations)[np.maximum(station, 0), Cross.LIMIT]
    return np.where(station >= 0, limit, 0.0).astype(np.float32)


def _lanes(map: Map) -> list[list[int]]:
    first, count = np.asarray(map.lane_first), np.asarray(map.lane_count)
    return [[int(first[lane]), int(count[lane])] for lane in np.flatnonzero(count > 1)]


def chains(elements: np.ndarray, kind: np.ndarray) -> Iterator[tuple[int, Float[np.ndarray, "n 2"]]]:
    """Segments that continue one another become one polyline, so that dashes run through: its kind and its points."""
    points: list[np.ndarray] = []
    before = int(ElementKind.NONE)
    for row in np.flatnonzero(kind != ElementKind.NONE):
        start, end = elements[row, :2], elements[row, 2:]
        if points and kind[row] == before and np.abs(points[-1] - start).max() < 0.01:
            points.append(end)
            continue
        if points:
            yield before, np.stack(points)
        points, before = [start, end], int(kind[row])
    if points:
        yield before, np.stack(points)


def _controls(map: Map) -> list[dict[str, object]]:
    kinds, judged = np.asarray(map.line_kind), np.asarray(map.line_judged)
    ends, lamp = centimetres(map.lines), centimetres(map.light_position)
    return [
        {
            "i": int(row),
            "k": int(kinds[row]),
            "judged": bool(judged[row]),
            "ends": [int(value) for value in ends[row]],
            "lamp": [int(value) for value in lamp[row]] if lamp[row].any() else None,
        }
        for row in np.flatnonzero(kinds != ControlKind.NONE)
    ]


def _agents(log: Log) -> list[dict[str, object]]:
    steps = int(log.steps)
    valid = np.asarray(log.agents.valid)[:steps]
    position, heading = np.asarray(log.agents.position), np.asarray(log.agents.heading)
    length, width, kind = centimetres(log.bodies.length), centimetres(log.bodies.width), np.asarray(log.bodies.kind)
    drawn = []
    for column in np.flatnonzero(valid.any(axis=0)):
        seen = np.flatnonzero(valid[:, column])
        window = slice(int(seen[0]), int(seen[-1]) + 1)
        rows = pose_rows(position[window, column], heading[window, column], valid[window, column])
        agent: dict[str, object] = {"c": int(column), "k": int(kind[column]), "f": window.start}
        agent |= {"l": int(length[column]), "w": int(width[column]), "p": pack_path(rows)}
        if len(seen) < window.stop - window.start:
            agent["gaps"] = pack(valid[window, column])
        drawn.append(agent)
    return drawn


def route_shapes(map: Map, route: Route) -> list[Float[np.ndarray, "_ 2"]]:
    """The corridor of a route, a closed outline for each run of linked stations: left borders, then right ones back."""
    length = int(route.length)
    stations, flags = np.asarray(route.stations)[:length], np.asarray(route.flags)[:length]
    cut = np.asarray(map.stations, np.float64)[stations]
    left, right = moved_borders(
        cut[..., Cross.LEFT_X : Cross.RIGHT_X],
        cut[..., Cross.RIGHT_X : Cross.CENTRE_X],
        cut[..., Cross.WIDE_LEFT :],
        flags,
    )
    return [np.concatenate([left[rows, slot], right[rows, slot][::-1]]) for slot, rows in _linked_runs(stations, flags)]


def _linked_runs(stations: Int[np.ndarray, "P L"], flags: UInt[np.ndarray, "P L"]) -> Iterator[tuple[int, slice]]:
    """Runs of stations that continue each other: their slot, and their rows."""
    linked = (flags & int(RouteFlag.LINKED)) != 0
    for slot in range(stations.shape[1]):
        for run in runs(linked[:, slot]):
            last = run.stop if run.stop < len(stations) and stations[run.stop, slot] >= 0 else run.stop - 1
            if last > run.start:
                yield slot, slice(run.start, last + 1)


def _drive(drive: Drive) -> dict[str, object]:
    alive = np.asarray(drive.alive, bool)
    margins = np.clip(centimetres(drive.margins), -5000, 5000)
    margins[0] = MISSING
    figures = np.concatenate([margins, *(centimetres(v)[:, :, None] for v in (drive.speed, drive.limit))], axis=2)
    figures = np.where(alive[:, :, None], figures, MISSING)
    controlled = range(drive.position.shape[1])
    ratio = drive.progress_ratio
    goals: dict[str, object] = {}
    if drive.goal is not None:
        there = np.isfinite(drive.goal)
        whole = np.where(there, centimetres(np.where(there, drive.goal, 0.0)), MISSING_GOAL)
        goals = {"goals": [pack(whole[:, c]) for c in controlled]}
    return goals | {
        "paths": [pack_path(pose_rows(drive.position[:, c], drive.heading[:, c], alive[:, c])) for c in controlled],
        "figures": [pack(figures[:, c]) for c in controlled],
        "progress": None if ratio is None or not np.isfinite(ratio) else round(float(ratio), 4),
        **({} if drive.ahead is None else {"considered": [_considered(drive, c) for c in controlled]}),
    }


def _considered(drive: Drive, c: int) -> dict[str, object]:
    """Paths as centimetres from where the agent is then, and probabilities in thousandths; a row a moment."""
    path, share = np.asarray(drive.ahead)[:, c], np.asarray(drive.likely)[:, c]
    away = centimetres(path - np.asarray(drive.position)[: len(path), c, None, None])
    return {"k": path.shape[1], "paths": pack(away), "shares": pack(np.round(1000.0 * share))}
