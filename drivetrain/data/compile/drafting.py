"""A recording drafted: its lanes by station, its road elements, and a route for every agent that could be controlled.

Everything has its own size; `compiling` makes fixed shapes of it.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float

from drivetrain.data.compile.coupled import coupled
from drivetrain.data.compile.track_heights import with_heights
from drivetrain.data.recordings.recording import Lane, Recording
from drivetrain.data.recordings.series import runs
from drivetrain.data.recordings.telling import Told, silent
from drivetrain.data.roads.elements import Elements, elements_of
from drivetrain.data.roads.lanes import Lanes, Mending, stations_of
from drivetrain.data.roads.levels import levelled
from drivetrain.data.roads.map_extension import extend_map, polygons
from drivetrain.data.roads.merges import snap_borders
from drivetrain.data.routes.corridors import Corridors, corridors_of
from drivetrain.data.routes.drives import drives
from drivetrain.data.routes.map_matching import thin
from drivetrain.data.routes.routing import Path, route
from drivetrain.data.routes.staying import Corners, corners_of, kept_steps, on_lanes, on_route
from drivetrain.types import VEHICLES, AgentKind

SEEN = 4.0
"""An agent that could be controlled is seen without a gap for this long, s."""
MOVED = 5.0
"""…and moves this far, m."""
UNROUTED = ("no_lane", "no_route", "other_kinds")
"""Causes of what drives and has no route."""
OTHER_KINDS = 3
"""A path of which so many metres lie on lanes for other kinds (bicycles, pedestrians) has none for that reason."""


@dataclass(frozen=True)
class Candidate:
    """A vehicle that one might control: its longest unbroken stretch, and why it has no route (empty: it has)."""

    track: int  # row of the recording's tracks
    id: int
    kind: AgentKind
    first: int
    last: int
    cause: str  # short, parked, coupled, no_lane, no_route, other_kinds, or empty
    moved: float = 0.0  # m
    trimmed: int = 0  # steps before it comes on to the road and after it leaves it, which are left out
    widened: bool = False  # the drive needs the corridor: it does not keep to the lanes of its route


@dataclass(frozen=True)
class Draft:
    """A compiled recording in arrays of its own size."""

    recording: Recording
    lanes: Lanes
    mending: Mending
    elements: Elements
    corridors: Corridors
    candidates: tuple[Candidate, ...]
    paths: tuple[Path, ...]  # of the candidates without a cause, in their order; or what an empty map offers (`drives`)


def draft(recording: Recording, told: Told = silent) -> Draft:
    """Everything about a recording that does not depend on a capacity. `told` hears what is being done."""
    told(f"{len(recording.lanes)} lanes")
    lanes, mending = stations_of(recording)
    recording, lanes = levelled(recording, lanes)
    lanes, mending = extend_map(*snap_borders(lanes, mending))
    recording = dataclasses.replace(recording, tracks=with_heights(recording.tracks, lanes))
    elements = elements_of(recording, lanes, told)
    candidates, paths = _candidates(recording), []
    for row, candidate in enumerate(candidates):
        told(f"routes {row}/{len(candidates)}")
        path_or_cause = candidate.cause or _path(recording, lanes, candidate)
        if path_or_cause == "no_lane":
            candidate, path_or_cause = _on_lanes_alone(recording, lanes, candidate)
            candidates[row] = candidate
        if isinstance(path_or_cause, str):
            candidates[row] = dataclasses.replace(candidate, cause=path_or_cause)
        else:
            paths.append(path_or_cause)
    told("corridors")
    corridors = corridors_of(recording, lanes, elements, paths)
    driven = [row for row, candidate in enumerate(candidates) if not candidate.cause]
    for place, row in enumerate(driven):
        candidates[row], paths[place] = _on_the_road(recording, lanes, corridors, candidates[row], paths[place])
    if not recording.tracks.valid.any():  # nobody drives there yet: what is permissible is the lanes alone
        told("drives along its lanes")
        paths = drives(lanes)
    return Draft(recording, lanes, mending, elements, corridors, tuple(candidates), tuple(paths))


def _candidates(recording: Recording) -> list[Candidate]:
    """Every vehicle with its longest unbroken stretch; short, parked and coupled ones say so."""
    tracks, candidates = recording.tracks, []
    for row in np.flatnonzero(np.isin(tracks.kind, VEHICLES) & tracks.valid.any(axis=1)):
        longest = max(runs(tracks.valid[row]), key=lambda run: run.stop - run.start)
        first, last = longest.start, longest.stop - 1
        path = tracks.position[row, first : last + 1]
        cause = _too_little(path, recording.dt)
        kind, moved = AgentKind(int(tracks.kind[row])), _moved(path)
        candidates.append(Candidate(int(row), int(tracks.id[row]), kind, first, last, cause, moved))
    driving = [candidate.track for candidate in candidates if not candidate.cause]
    two = coupled(tracks, driving, round(SEEN / recording.dt)).tolist()
    return [dataclasses.replace(c, cause="coupled") if c.track in two else c for c in candidates]


def _too_little(path: Float[np.ndarray, "t 2"], dt: float) -> str:
    """Why a stretch is no drive: short, parked; empty where it is one."""
    if len(path) * dt < SEEN - 1e-6:
        return "short"
    return "parked" if _moved(path) < MOVED else ""


def _moved(path: Float[np.ndarray, "t 2"]) -> float:
    """The length of a path, m, less the trembling of what stands: in chords of at least a metre."""
    total, at = 0.0, path[0]
    for point in path[1:]:
        chord = float(np.hypot(*(point - at)))
        if chord >= 1.0:
            total, at = total + chord, point
    return total


def _path(recording: Recording, lanes: Lanes, candidate: Candidate) -> Path | str:
    seen = slice(candidate.first, candidate.last + 1)
    angle = recording.tracks.heading[candidate.track, seen]
    heading = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    tracks = recording.tracks
    height = None if tracks.height is None else tracks.height[candidate.track, seen]
    found = route(lanes, tracks.position[candidate.track, seen], heading, height)
    others = [lane for lane in recording.lanes if not lane.drivable]
    if isinstance(found, str) and _driven(others, lanes, tracks.position[candidate.track, seen]):
        return "other_kinds"
    return found


def _on_lanes_alone(recording: Recording, lanes: Lanes, candidate: Candidate) -> tuple[Candidate, Path | str]:
    """A drive of which some part is on no lane: the longest part that is, where that is a drive."""
    whole = slice(candidate.first, candidate.last + 1)
    on = runs(on_lanes(lanes, corners_of(recording.tracks, candidate.track, whole))) if len(lanes.count) else []
    if on:
        longest = max(on, key=lambda run: run.stop - run.start)
        first, last = candidate.first + longest.start, candidate.first + longest.stop - 1
        position = recording.tracks.position[candidate.track, first : last + 1]
        if not _too_little(position, recording.dt):
            trimmed = candidate.last - candidate.first - (last - first)
            less = dataclasses.replace(candidate, first=first, last=last, moved=_moved(position), trimmed=trimmed)
            found = _path(recording, lanes, less)
            if not isinstance(found, str):
                return less, found
    return candidate, "no_lane"


def _driven(others: list[Lane], lanes: Lanes, path: Float[np.ndarray, "t 2"]) -> bool:
    """Whether a path leads for `OTHER_KINDS` along lanes for other kinds and on no drivable one."""
    shapes = [shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])) for lane in others]
    points = np.asarray(shapely.points(path[thin(path)]))
    on = [np.zeros(len(points), bool) for _ in range(2)]
    for place, surface in enumerate((shapely.make_valid(np.array(shapes, object)), polygons(lanes))):
        on[place][shapely.STRtree(surface).query(points, predicate="intersects")[0]] = True
    return bool((on[0] & ~on[1]).sum() >= OTHER_KINDS)


def _on_the_road(
    recording: Recording, lanes: Lanes, corridors: Corridors, candidate: Candidate, path: Path
) -> tuple[Candidate, Path]:
    """A drive from where it comes on to the road to where it leaves it, where that is still one, and its corridor."""
    wide = corridors.widened(lanes, path)
    corners = corners_of(recording.tracks, candidate.track, slice(candidate.first, candidate.last + 1))
    inside = on_route(lanes, wide, corridors, corners)
    inside[0] |= inside[1]  # where a drive begins nobody judges
    if not (inside[0] and inside[-1]):
        kept = kept_steps(inside, _began_on_lanes(recording, lanes, candidate, corners))
        first, last = candidate.first + kept.start, candidate.first + kept.stop - 1
        position = recording.tracks.position[candidate.track, first : last + 1]
        if last - first < candidate.last - candidate.first and not _too_little(position, recording.dt):
            less = dataclasses.replace(candidate, first=first, last=last, moved=_moved(position))
            found = _path(recording, lanes, less)
            if not isinstance(found, str):
                trimmed = candidate.trimmed + candidate.last - candidate.first - (last - first)
                candidate, path = dataclasses.replace(less, trimmed=trimmed), found
                wide, corners = corridors.widened(lanes, path), corners[kept]
    return dataclasses.replace(candidate, widened=not on_route(lanes, path, None, corners[1:]).all()), wide


def _began_on_lanes(
    recording: Recording, lanes: Lanes, candidate: Candidate, corners: Corners
) -> Bool[np.ndarray, "t"]:
    """Whether it is on lanes of the map; not at an end where the drive was cut because it goes on beside all lanes."""
    on, valid = on_lanes(lanes, corners, ~lanes.added), recording.tracks.valid[candidate.track]
    on[0] &= not valid[: candidate.first][-1:].any()
    on[-1] &= not valid[candidate.last + 1 :][:1].any()
    return on


def route_lines(drafted: Draft, path: Path) -> list[tuple[float, int]]:
    """Where, in stations, a route meets which control lines, in order; each line once."""
    met: dict[int, float] = {}
    for index, line in enumerate(drafted.recording.control_lines):
        lane = drafted.lanes.row.get(line.lane, -1)
        for offset in path.offset.get(lane, []):
            station = offset + _station(drafted.lanes, lane, line.ends.mean(axis=0))
            if 0 <= station <= len(path.reference) - 1:
                met[index] = min(station, met.get(index, np.inf))
    return sorted((station, index) for index, station in met.items())


def _station(lanes: Lanes, lane: int, point: Float[np.ndarray, "2"]) -> float:
    """Where a point lies along a lane, in stations from its first, between them by projection."""
    centre = lanes.centre[lanes.stations(lane)]
    chord = np.diff(centre, axis=0)
    length = np.maximum((chord**2).sum(axis=1), 1e-12)
    share = np.clip(((point - centre[:-1]) * chord).sum(axis=1) / length, 0.0, 1.0)
    distance = np.linalg.norm(centre[:-1] + share[:, None] * chord - point, axis=1)
    piece = int(distance.argmin())
    return piece + float(share[piece])
