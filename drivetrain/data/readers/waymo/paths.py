"""The paths that a tf.Example gives its ego (`path_samples`, of newer versions of the dataset): what they say of lanes.

A path is a way along lanes that the ego may take from where it starts; each of its points names its lane. The road's
samples are capped and miss lanes, so paths serve twice: a lane that they alone show is drawn from its longest stretch
on a path, and lanes in a row follow each other. Whether the log follows a path (`on_route`) is counted, not used:
routes come from the log itself.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.centre_lines.lane_sampling import CentreLine, Links
from drivetrain.data.readers.waymo.road import distinct
from drivetrain.data.recordings.polylines import arc_lengths


@dataclasses.dataclass(frozen=True)
class Paths:
    """The ego's paths, in the recording's frame."""

    points: Float[np.ndarray, "p n 3"]  # x, y, height
    lane: Int[np.ndarray, "p n"]  # id of the lane
    valid: Bool[np.ndarray, "p n"]
    on_route: Bool[np.ndarray, "p"]


def with_paths(centres: Sequence[CentreLine], paths: Paths, notes: dict[str, int]) -> tuple[CentreLine, ...]:
    """Centre lines with the successors that paths show, and the lanes that paths alone show."""
    follows: dict[int, set[int]] = {}
    shown: dict[int, Float[np.ndarray, "m 3"]] = {}
    for points, lane, valid in zip(paths.points, paths.lane, paths.valid, strict=True):
        points, lane = points[valid], lane[valid]
        if not len(lane):
            continue
        ids = [int(part[0]) for part in np.split(lane, np.flatnonzero(np.diff(lane)) + 1)]
        parts = np.split(points, np.flatnonzero(np.diff(lane)) + 1)
        for id, part in zip(ids, (distinct(part) for part in parts), strict=True):
            if len(part) >= 2 and _length(part) > _length(shown.get(id, part[:1])):
                shown[id] = part
        for before, after in zip(ids[:-1], ids[1:], strict=True):
            follows.setdefault(before, set()).add(after)
    known = {centre.id for centre in centres}
    added = [CentreLine(id, shown[id][:, :2], height=shown[id][:, 2]) for id in sorted(shown.keys() - known) if id >= 0]
    notes["ego_paths_given"] = int(paths.valid.any(axis=1).sum())
    notes["ego_paths_on_route"] = int((paths.valid.any(axis=1) & paths.on_route).sum())
    notes["lanes_drawn_from_ego_paths"] = len(added)
    return tuple(
        dataclasses.replace(line, links=Links(tuple(sorted(follows[line.id])), whole=False))
        if line.id in follows
        else line
        for line in [*centres, *added]
    )


def _length(points: Float[np.ndarray, "n 3"]) -> float:
    return float(arc_lengths(points[:, :2])[-1])
