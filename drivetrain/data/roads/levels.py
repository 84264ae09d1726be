"""Levels: what lies above what, by height. A bridge does not act on the road below it.

Heights are compared only where some recording has two things at one place in plan, more than `LEVELS_APART` apart: a
hill alone makes no levels. A recording without levels is compiled as if it had no heights.
"""

import dataclasses

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from drivetrain.data.recordings.recording import LEVELS_APART, Recording, Tracks
from drivetrain.data.roads.lanes import Lanes
from drivetrain.types import OBSERVED

PLACE = 5.0
"""Two points nearer than this in plan, m, are at one place."""
GRID = 2.0
"""Points are thinned to one a cube of this side, m, before they are compared."""
SAMPLED = 10
"""Of so many places on tracks, one is looked at to tell whether heights of tracks and map share their zero."""


def apart(one: Float[np.ndarray, "*shape"], other: Float[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Whether two heights lie on different levels."""
    return np.abs(one - other) > LEVELS_APART


def levelled(recording: Recording, lanes: Lanes) -> tuple[Recording, Lanes]:
    """Recording and lanes with the heights that they have, where something crosses above; else without any.

    Heights of tracks that are not measured from where the map's are, are none.
    """
    if has_levels(recording, lanes):
        if _from_one_zero(recording.tracks, lanes):
            return recording, lanes
        recording = _without_heights(recording)
        if has_levels(recording, lanes):
            return recording, lanes
    return _without_heights(recording), dataclasses.replace(lanes, height=None)


def _without_heights(recording: Recording) -> Recording:
    if recording.tracks.height is None:
        return recording
    return dataclasses.replace(recording, tracks=dataclasses.replace(recording.tracks, height=None))


def _from_one_zero(tracks: Tracks, lanes: Lanes) -> bool:
    """Whether half of all places on tracks lie on the level of the lane nearest in plan."""
    if tracks.height is None or lanes.height is None or not len(lanes.left) or not tracks.valid.any():
        return True
    station = lanes.nearest(tracks.position[tracks.valid][::SAMPLED])
    gap = tracks.height[tracks.valid][::SAMPLED] - lanes.height[station]
    return bool(np.median(np.abs(gap)) <= LEVELS_APART)


def has_levels(recording: Recording, lanes: Lanes) -> bool:
    """Whether somewhere lanes, drawn lines or road users lie above each other."""
    if lanes.height is None:
        return False
    tracks = recording.tracks
    points = [np.column_stack([lanes.centre, lanes.height])]
    for feature in recording.features:
        if feature.height is not None and len(feature.points) > 1 and feature.kind in OBSERVED:
            line = shapely.segmentize(shapely.LineString(np.column_stack([feature.points, feature.height])), GRID)
            points.append(shapely.get_coordinates(line, include_z=True))
    if tracks.height is not None:
        points.append(np.column_stack([tracks.position[tracks.valid], tracks.height[tracks.valid]]))
    every = np.concatenate(points)
    if not len(every) or np.ptp(every[:, 2]) <= LEVELS_APART:
        return False
    cubes = np.floor(every / (GRID, GRID, LEVELS_APART / 4)).astype(np.int64)
    _, first = np.unique((cubes - cubes.min(axis=0)) @ (1, 1 << 20, 1 << 40), return_index=True)
    every = every[first]
    places = np.asarray(shapely.points(every[:, :2]))
    one, other = shapely.STRtree(places).query(places, predicate="dwithin", distance=PLACE)
    return bool(apart(every[one, 2], every[other, 2]).any())


def nearest(points: Float[np.ndarray, "n 2"], to: Float[np.ndarray, "m 2"]) -> Int[np.ndarray, "m"]:
    """The row of the nearest point to each of some places."""
    return np.asarray(shapely.STRtree(np.asarray(shapely.points(points))).nearest(shapely.points(to)))


def line_heights(recording: Recording, lanes: Lanes) -> Float[np.ndarray, "S"] | None:
    """The height of each control line: its lane's where it lies, else the nearest lane's; None without levels."""
    if lanes.height is None or not len(lanes.count):
        return None
    heights = []
    for line in recording.control_lines:
        middle = line.ends.mean(axis=0)[None]
        if line.lane in lanes.row:
            stations = lanes.stations(lanes.row[line.lane])
            heights.append(lanes.height[stations][nearest(lanes.centre[stations], middle)[0]])
        else:
            heights.append(lanes.height[lanes.nearest(middle)[0]])
    return np.array(heights, float)


def on_level(
    lanes: Lanes,
    points: Float[np.ndarray, "n 2"],
    station: Int[np.ndarray, "n"],
    lane: Int[np.ndarray, "n"],
) -> Bool[np.ndarray, "n"]:
    """Whether a lane lies, at each point, on the level of a station."""
    if lanes.height is None:
        return np.ones(len(points), bool)
    level = np.zeros(len(points), bool)
    for row in range(len(points)):
        stations = lanes.stations(int(lane[row]))
        at = int(((lanes.centre[stations] - points[row]) ** 2).sum(axis=1).argmin())
        level[row] = abs(lanes.height[stations][at] - lanes.height[station[row]]) <= LEVELS_APART
    return level


def above(lanes: Lanes, shapes: np.ndarray, tree: shapely.STRtree) -> list[set[int]]:
    """By lane, those whose surfaces meet its own in plan and lie on another level where the two are nearest."""
    crossing: list[set[int]] = [set() for _ in shapes]
    if lanes.height is None or not len(shapes):
        return crossing
    centre, height = lanes.centre, lanes.height
    low, high = np.minimum.reduceat(height, lanes.first), np.maximum.reduceat(height, lanes.first)
    one, other = tree.query(shapes, predicate="intersects")
    maybe = (one < other) & (np.maximum(high[one] - low[other], high[other] - low[one]) > LEVELS_APART)
    for lane, met in np.stack([one[maybe], other[maybe]], axis=1).tolist():
        a, b = lanes.stations(lane), lanes.stations(met)
        at = nearest(centre[a], centre[b])
        place = int(((centre[a][at] - centre[b]) ** 2).sum(axis=1).argmin())
        if abs(height[a][at[place]] - height[b][place]) > LEVELS_APART:
            crossing[lane].add(met)
            crossing[met].add(lane)
    return crossing


def raised(lanes: Lanes, points: Float[np.ndarray, "n 2"], height: np.ndarray | None) -> Float[np.ndarray, "n _"]:
    """Points with their heights as a third column, of the nearest station where not given; flat where lanes are."""
    if lanes.height is None:
        return points
    if height is None:
        height = lanes.height[lanes.nearest(points)] if len(lanes.left) else np.zeros(len(points))
    return np.column_stack([points, height])
