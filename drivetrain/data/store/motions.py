"""Recorded motions: where a vehicle is over its next steps, in the frame of where it is now.

Two motions are as far apart as the root mean square over their steps of the distance between their poses, m, in which a
radian of heading counts like `HEADING` metres. `as_points` puts them so that this is the distance of points.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from drivetrain.data.compile.padding import extent
from drivetrain.data.store.loading import entries_of
from drivetrain.data.store.records import arrays_of
from drivetrain.data.store.shards import read_manifest, read_records, unpack_record
from drivetrain.types import AgentKind, Scenario

Motions = Float[np.ndarray, "_ H 4"]
"""x, y, m, and cos, sin of the heading, at dt, 2 dt, … H dt, in the frame of the pose at 0."""
Progress = Callable[[int, int, str], None]
"""Called with the number of recordings read, the number of all, and a name."""

HEADING = 2.0
"""Metres that count like a radian of heading: about half a car's length, so that its corners count like its centre."""


def recorded_motions(
    folder: str | Path, split: str, steps: int, progress: Progress | None = None
) -> dict[AgentKind, Motions]:
    """All motions of so many steps of the egos of a split that may be driven, by kind, in the manifest's order.

    Raises `InputError` where the split has no such ego.
    """
    manifest = read_manifest(folder)
    entries = entries_of(folder, manifest, split, admitted_only=True)
    found: dict[AgentKind, list[Motions]] = {}
    for done, (entry, data) in enumerate(read_records(folder, manifest, entries), start=1):
        scenario = unpack_record(data, extent(arrays_of(data, entry.name)), entry.name)
        for row, ego in enumerate(entry.egos):
            if ego.cause is None:
                found.setdefault(AgentKind(ego.kind), []).append(motions_of(scenario, row, steps))
        if progress is not None:
            progress(done, len(entries), entry.name)
    return {kind: np.concatenate(found[kind]) for kind in sorted(found)}


def motions_of(scenario: Scenario, ego: int, steps: int) -> Motions:
    """The motions of one ego from each of its steps that has so many more."""
    agents, egos = scenario.log.agents, scenario.egos
    lived, track = slice(int(egos.first[ego]), int(egos.last[ego]) + 1), int(egos.track[ego])
    position = np.asarray(agents.position[lived, track], np.float64)
    heading = np.asarray(agents.heading[lived, track], np.float64)
    valid = np.asarray(agents.valid[lived, track])
    begun = np.arange(len(valid) - steps) if len(valid) > steps else np.zeros(0, int)
    ahead = begun[:, None] + np.arange(steps + 1)
    begun = begun[valid[ahead].all(axis=1)]
    ahead = begun[:, None] + np.arange(1, steps + 1)
    cos, sin = heading[begun].T[..., None]
    away, facing = position[ahead] - position[begun][:, None], heading[ahead]
    along = [(cos * x + sin * y, cos * y - sin * x) for x, y in (np.moveaxis(away, -1, 0), np.moveaxis(facing, -1, 0))]
    return np.stack([*along[0], *along[1]], axis=-1).astype(np.float32)


def as_points(motions: Motions) -> Float[np.ndarray, "n D"]:
    """Points whose Euclidean distance is that of the motions."""
    weights = np.array([1.0, 1.0, HEADING, HEADING]) / np.sqrt(motions.shape[1])
    return (np.asarray(motions, np.float64) * weights).reshape(len(motions), -1)


def nearest_motions(
    points: Float[np.ndarray, "n D"], among: Float[np.ndarray, "V D"], at_once: int = 1 << 24
) -> Float[np.ndarray, "n"]:
    """The distance, m, of each point to the nearest of some others; so many distances are held at once."""
    squares = np.sum(among**2, axis=1)
    least = np.empty(len(points))
    size = max(at_once // len(among), 1)
    for first in range(0, len(points), size):
        some = points[first : first + size]
        least[first : first + size] = np.min(squares - 2.0 * some @ among.T, axis=1) + np.sum(some**2, axis=1)
    return np.sqrt(np.maximum(least, 0.0))
