"""What of a recording is kept where it exceeds a capacity: always the part that its egos can need, always counted.

    steps          the first ones
    egos           those that drive farthest; the others are there, and are not controlled
    agents         the egos, then whoever comes nearest to one of them at the same moment
    elements       those that are seen, or judged by, before others, then those nearest to the egos' recorded paths
    control lines  those on an ego's route, then those nearest to the egos' recorded paths

Ties go to what stands first, and what is kept stays in its order. Where nothing exceeds, nothing is touched.
"""

import dataclasses

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.compile.drafting import Draft, route_lines
from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.data.roads.elements import Elements
from drivetrain.data.routes.routing import Path
from drivetrain.types import LAID_OUT

NO_ROOM = "no_room"
"""The cause of a candidate that is left out for want of room."""


def shorten(recording: Recording, room: int) -> tuple[Recording, int]:
    """The first `room` steps of a recording, and how many are left out."""
    steps = recording.tracks.valid.shape[1]
    if steps <= room:
        return recording, 0
    tracks = recording.tracks
    cut = {name: getattr(tracks, name)[:, :room] for name in ("position", "heading", "velocity", "valid")}
    if tracks.height is not None:
        cut["height"] = tracks.height[:, :room]
    lights = tuple(dataclasses.replace(light, states=light.states[:room]) for light in recording.lights)
    return dataclasses.replace(recording, tracks=dataclasses.replace(tracks, **cut), lights=lights), steps - room


def crop_egos(drafted: Draft, room: int) -> tuple[Draft, int]:
    """At most `room` egos: those that drive farthest. How many others there are."""
    if len(drafted.paths) <= room:
        return drafted, 0
    farthest = np.argsort([-path.distance for path in drafted.paths], kind="stable")[:room]
    kept = set(farthest.tolist())
    driven = [row for row, candidate in enumerate(drafted.candidates) if not candidate.cause]
    left = {row for number, row in enumerate(driven) if number not in kept}
    candidates = tuple(
        dataclasses.replace(candidate, cause=NO_ROOM) if row in left else candidate
        for row, candidate in enumerate(drafted.candidates)
    )
    paths = tuple(path for number, path in enumerate(drafted.paths) if number in kept)
    return dataclasses.replace(drafted, candidates=candidates, paths=paths), len(left)


def agents_kept(tracks: Tracks, egos: list[int], room: int) -> tuple[Int[np.ndarray, "a"], int]:
    """The rows of the tracks that are kept, and how many that are ever seen are not."""
    present = np.flatnonzero(tracks.valid.any(axis=1))
    if len(present) <= room:
        return present, 0
    nearest = np.full(len(tracks.valid), np.inf)
    for ego in egos:
        both = tracks.valid & tracks.valid[ego]
        square = ((tracks.position - tracks.position[ego]) ** 2).sum(axis=-1)
        nearest = np.minimum(nearest, np.where(both, square, np.inf).min(axis=1))
    nearest[egos] = -1.0
    return np.sort(present[np.argsort(nearest[present], kind="stable")[:room]]), len(present) - room


def elements_kept(drafted: Draft, room: int) -> tuple[Elements, int]:
    """At most `room` road elements, and how many are left out."""
    elements = drafted.elements
    if len(elements.kind) <= room:
        return elements, 0
    distance = _from_paths(drafted, elements.segments.reshape(-1, 2, 2))
    kept = np.sort(np.lexsort((distance, ~np.isin(elements.kind, LAID_OUT)))[:room])
    height = None if elements.height is None else elements.height[kept]
    return Elements(elements.segments[kept], elements.kind[kept], height, elements.opened), len(elements.kind) - room


def crop_lines(drafted: Draft, room: int) -> tuple[Draft, int]:
    """At most `room` control lines, and how many are left out. They are drawn on the road all the same."""
    lines = drafted.recording.control_lines
    if len(lines) <= room:
        return drafted, 0
    distance = _from_paths(drafted, np.stack([line.ends for line in lines]))
    for path in drafted.paths:
        distance[[index for _, index in route_lines(drafted, path)]] = -1.0
    kept = np.sort(np.argsort(distance, kind="stable")[:room])
    recording = dataclasses.replace(drafted.recording, control_lines=tuple(lines[row] for row in kept))
    return dataclasses.replace(drafted, recording=recording), len(lines) - room


def lanes_beyond(path: Path, room: int) -> int:
    """Lanes of a route in slots beyond the first `room`, each counted once a slot and stretch."""
    there = path.stations[:, room:] >= 0
    before = np.concatenate([np.zeros((1, there.shape[1]), bool), there[:-1]])
    return int((there & ~before).sum())


def _from_paths(drafted: Draft, segments: Float[np.ndarray, "n 2 2"]) -> Float[np.ndarray, "n"]:
    """Distance, m, of each segment from the nearest of the egos' recorded positions, joined by straight lines.

    Without an ego everybody's counts; without anybody, the middle of the segments does.
    """
    tracks = drafted.recording.tracks
    stretches = [(c.track, slice(c.first, c.last + 1)) for c in drafted.candidates if not c.cause]
    stretches = stretches or [(int(row), slice(None)) for row in np.flatnonzero(tracks.valid.any(axis=1))]
    driven = [tracks.position[row, steps][tracks.valid[row, steps]] for row, steps in stretches]
    driven = driven or [segments.mean(axis=(0, 1))[None]]
    pieces = [np.stack([way[:-1], way[1:]], axis=1) if len(way) > 1 else way[:, None][:, [0, 0]] for way in driven]
    tree = shapely.STRtree(np.asarray(shapely.linestrings(np.concatenate(pieces))))
    query = tree.query_nearest(np.asarray(shapely.linestrings(segments)), return_distance=True, all_matches=False)
    distance = np.full(len(segments), np.inf)
    distance[query[0][0]] = np.round(query[1], 3)  # so that what is equally far ties on every machine
    return distance
