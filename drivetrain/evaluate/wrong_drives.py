"""Drives that nobody may drive, made of recorded ones: a lane aside, on oncoming lanes, off the road, the wrong corner.

Every function takes one ego's recorded drive and gives the poses of a wrong one (x, y, cos, sin by step), or None where
the map has nothing to drive wrongly on.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.types import Cross, Egos, ElementKind, Map

OPPOSITE = -0.8
"""Lanes are oncoming where the cosine between their direction and the agent's is below this."""
ONCOMING_REACH = 15.0
"""Oncoming lanes further away, m, are another road."""
SHARED = 2.0
"""…and those whose middle is nearer than this, m, to that of a lane of the route are that lane, the other way."""
EDGE_REACH = 20.0
"""So far, m, to its right, and else to its left, an edge of the road is looked for."""
BEYOND = 0.5
"""The whole box is put so far beyond the edge, m."""
HALF = 0.5
"""A wrong place is to be found at this share of a drive's steps at least."""
AROUND = 10.0
"""A wrong corner is driven for this long at least, m."""
APART = 3.5
"""…and leads at last so far, m, from the middle of any lane of the route."""

Poses = Float[np.ndarray, "t 4"]


@dataclass(frozen=True)
class Recorded:
    """One ego's recorded drive on its map."""

    map: Map
    poses: Poses
    width: float  # m, of its box
    stations: Int[np.ndarray, "P L"]  # of its route
    reference: Int[np.ndarray, "P"]

    @property
    def left(self) -> Float[np.ndarray, "t 2"]:
        """Unit vectors to its left."""
        return np.stack([-self.poses[:, 3], self.poses[:, 2]], axis=1)

    @property
    def place(self) -> Float[np.ndarray, "t 2"]:
        """Where it is."""
        return self.poses[:, :2]

    @property
    def middles(self) -> Float[np.ndarray, "n 2"]:
        """The middles of all lanes of its route."""
        return np.asarray(self.map.stations)[self.stations[self.stations >= 0], Cross.CENTRE_X : Cross.COS]

    def rows(self) -> Int[np.ndarray, "t"]:
        """The station of its route at each step."""
        on = np.asarray(self.map.stations)[self.stations[np.arange(len(self.reference)), self.reference]]
        away = on[None, :, Cross.CENTRE_X : Cross.COS] - self.place[:, None]
        return (away**2).sum(axis=-1).argmin(axis=1)

    def moved(self, offset: Float[np.ndarray, "t 2"]) -> Poses:
        """The drive, somewhere else."""
        return np.concatenate([self.place + offset, self.poses[:, 2:]], axis=1)


def recorded_drive(map_: Map, egos: Egos, ego: int, poses: Poses, width: float) -> Recorded:
    """A drive of one of a recording's egos."""
    length = int(egos.route.length[ego])
    stations, reference = (
        np.asarray(egos.route.stations[ego])[:length],
        np.asarray(egos.route.reference[ego])[:length],
    )
    return Recorded(map_, poses, width, stations, reference)


def aside(drive: Recorded, side: int) -> Poses | None:
    """Shifted to the left (1) or right (−1) by one lane's width from the outermost lane of its route on that side."""
    stations = drive.stations[drive.rows()]
    cut = np.asarray(drive.map.stations)[stations]
    to_lane = cut[..., Cross.CENTRE_X : Cross.COS] - drive.place[:, None]
    offset = np.where(stations >= 0, side * np.einsum("tls,ts->tl", to_lane, drive.left), -np.inf)
    outer = offset.argmax(axis=1)
    own = cut[np.arange(len(cut)), outer]
    width = np.linalg.norm(own[:, : Cross.RIGHT_X] - own[:, Cross.RIGHT_X : Cross.CENTRE_X], axis=1)
    by = max(float(np.median(offset.max(axis=1))), 0.0) + float(np.median(width))
    return drive.moved(side * by * drive.left)


def oncoming(drive: Recorded) -> Poses | None:
    """In the middle of the nearest lane of the opposite direction, still facing ahead.

    Lanes that both directions share (turn lanes in the middle of a street, drawn once each way) are not wrong.
    """
    stations = np.asarray(drive.map.stations)[np.asarray(drive.map.station_lane) >= 0]
    own = shapely.STRtree(np.asarray(shapely.points(drive.middles)))
    middles = np.asarray(shapely.points(stations[:, Cross.CENTRE_X : Cross.COS]))
    shared = np.zeros(len(stations), bool)
    shared[own.query(middles, predicate="dwithin", distance=SHARED)[0]] = True
    stations = stations[~shared]
    offset = np.zeros(drive.place.shape)
    found = np.zeros(len(offset), bool)
    for step, (place, ahead) in enumerate(zip(drive.place, drive.poses[:, 2:], strict=True)):
        there = stations[stations[:, Cross.COS : Cross.LIMIT] @ ahead < OPPOSITE]
        away = np.linalg.norm(there[:, Cross.CENTRE_X : Cross.COS] - place, axis=1)
        if len(away) and away.min() < ONCOMING_REACH:
            offset[step] = there[away.argmin(), Cross.CENTRE_X : Cross.COS] - place
            found[step] = True
    return drive.moved(offset) if found.mean() >= HALF else None


def off_the_road(drive: Recorded) -> Poses | None:
    """Wholly beyond the nearest edge of the road to its right, or else to its left."""
    elements = np.asarray(drive.map.elements)[np.asarray(drive.map.element_kind) == ElementKind.ROAD_EDGE]
    tree = shapely.STRtree(np.asarray(shapely.linestrings(elements.reshape(-1, 2, 2))))
    for side in (-1.0, 1.0):
        away = np.full(len(drive.place), np.inf)
        rays = np.asarray(
            shapely.linestrings(np.stack([drive.place, drive.place + side * EDGE_REACH * drive.left], axis=1))
        )
        step, edge = tree.query(rays, predicate="intersects")
        points, row = shapely.get_coordinates(
            shapely.intersection(rays[step], tree.geometries[edge]), return_index=True
        )
        np.minimum.at(away, step[row], np.linalg.norm(points - drive.place[step[row]], axis=1))
        if np.isfinite(away).mean() >= HALF:
            away = np.where(np.isfinite(away), away, np.median(away[np.isfinite(away)]))
            return drive.moved(side * (away + 0.5 * drive.width + BEYOND)[:, None] * drive.left)
    return None


def wrong_corner(drive: Recorded) -> Poses | None:
    """As recorded up to a fork, then along a lane that is not on the route, as fast as recorded."""
    lane_of, first, count = (
        np.asarray(part) for part in (drive.map.station_lane, drive.map.lane_first, drive.map.lane_count)
    )
    on_route = np.unique(lane_of[drive.stations[drive.stations >= 0]])
    lanes = lane_of[drive.stations[np.arange(len(drive.reference)), drive.reference]]
    passed = drive.rows()
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(drive.place, axis=0), axis=1))])
    for row in np.flatnonzero(np.diff(lanes) != 0):
        step = int(np.searchsorted(passed, row + 1))
        if not 0 < step < len(passed) or travelled[-1] - travelled[step] < AROUND:
            continue
        for other in np.asarray(drive.map.lane_successors)[lanes[row]].tolist():
            if other < 0 or other in on_route:
                continue
            way = _ahead(drive.map, other, first, count, travelled[-1] - travelled[step])
            poses = drive.poses.copy()
            poses[step:] = _along(way, travelled[step:] - travelled[step])
            if np.linalg.norm(drive.middles - poses[-1, :2], axis=1).min() > APART:
                return poses
    return None


def _ahead(
    map_: Map, lane: int, first: Int[np.ndarray, "N"], count: Int[np.ndarray, "N"], metres: float
) -> Float[np.ndarray, "n 4"]:
    """Middles and directions of a lane and of what follows it."""
    way, length, seen = [], 0.0, set()
    while lane >= 0 and lane not in seen and length < metres:
        seen.add(lane)
        own = np.asarray(map_.stations)[first[lane] : first[lane] + count[lane], Cross.CENTRE_X : Cross.LIMIT]
        way.append(own if not way else own[1:])
        length += float(np.linalg.norm(np.diff(own[:, :2], axis=0), axis=1).sum())
        lane = int(np.asarray(map_.lane_successors)[lane, 0])
    return np.concatenate(way)


def _along(way: Float[np.ndarray, "n 4"], metres: Float[np.ndarray, "m"]) -> Float[np.ndarray, "m 4"]:
    """Poses so many metres along a way."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way[:, :2], axis=0), axis=1))])
    poses = np.stack([np.interp(metres, arc, column) for column in way.T], axis=1)
    poses[:, 2:] /= np.maximum(np.linalg.norm(poses[:, 2:], axis=1, keepdims=True), 1e-9)
    return poses
