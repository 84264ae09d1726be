"""What is painted on a map, as it is drawn and labelled: which line, its colour's sign, how far along it. NumPy, once.

A map's elements say solid or dashed and no colour. Many countries paint yellow what lies on the left of traffic: lines
there are told apart (`Paint.LEFT_…`), and a picture's appearance decides whether they are yellow.
"""

import enum

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from drivetrain.types import Cross, ElementKind, Map


class Paint(enum.IntEnum):
    """What a piece of line is."""

    NONE = 0
    SOLID = 1
    DASHED = 2
    LEFT_SOLID = 3  # on the left of all lanes of its direction
    LEFT_DASHED = 4
    MIDDLE_SOLID = 5  # the same, and traffic comes towards one on its other side
    MIDDLE_DASHED = 6
    STOP = 7
    ZEBRA = 8
    BICYCLES = 9
    BUMP = 10


BOUNDARIES = (
    Paint.SOLID,
    Paint.DASHED,
    Paint.LEFT_SOLID,
    Paint.LEFT_DASHED,
    Paint.MIDDLE_SOLID,
    Paint.MIDDLE_DASHED,
)
"""What bounds lanes."""
_PLAIN = {
    ElementKind.LINE_SOLID: Paint.SOLID,
    ElementKind.LINE_DASHED: Paint.DASHED,
    ElementKind.STOP_LINE: Paint.STOP,
    ElementKind.BIKE_BORDER: Paint.BICYCLES,
    ElementKind.SPEED_BUMP: Paint.BUMP,
}
NEAR = 0.5
"""A line this near to a lane's left border, m, is that border."""
JOINED = 1e-3
"""Ends this near to each other, m, are one point."""
SPACING = 2.0
"""Points of labelled lines are at most so far apart, m."""


class Drawn:
    """The painted segments of a map (n), with what they are."""

    def __init__(self, map_: Map):
        """Reads the elements of a compiled map; padding is left out."""
        elements, kind = np.asarray(map_.elements, np.float64), np.asarray(map_.element_kind)
        wanted = np.flatnonzero(np.isin(kind, list(_PLAIN)))
        self.segments: Float[np.ndarray, "n 4"] = elements[wanted]
        kinds = kind[wanted]
        self.chain: Int[np.ndarray, "n"] = chained(self.segments, kinds)
        self.arc: Float[np.ndarray, "n"] = arcs(self.segments, self.chain)
        self.paint: Int[np.ndarray, "n"] = np.array([_PLAIN[ElementKind(each)] for each in kinds], np.int64)
        left, middle = on_the_left(map_, self.segments)
        line = np.isin(self.paint, (Paint.SOLID, Paint.DASHED))
        self.paint += 2 * (left & line) + 2 * (middle & line)


def edges(map_: Map) -> Float[np.ndarray, "n 4"]:
    """The edges of the drivable surface, which is on their left."""
    return np.asarray(map_.elements, np.float64)[np.asarray(map_.element_kind) == ElementKind.ROAD_EDGE]


def crosswalks(map_: Map) -> list[shapely.Polygon]:
    """Their outlines; what is no outline of an area is left out."""
    kind = np.asarray(map_.element_kind)
    segments = np.asarray(map_.elements, np.float64)[kind == ElementKind.CROSSWALK]
    chain = chained(segments, np.zeros(len(segments), int))
    shapes = []
    for number in range(int(chain.max(initial=-1)) + 1):
        points = segments[chain == number]
        if len(points) >= 2:
            shape = shapely.MultiPoint(np.concatenate([points[:, :2], points[-1:, 2:]])).convex_hull
            if isinstance(shape, shapely.Polygon) and 2.0 < shape.area < 1000.0:
                shapes.append(shape)
    return shapes


def chained(segments: Float[np.ndarray, "n 4"], kind: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The number of the line that each segment is a piece of: it begins where the one before it of its kind ends."""
    if not len(segments):
        return np.zeros(0, int)
    new = np.ones(len(segments), bool)
    gap = np.linalg.norm(segments[1:, :2] - segments[:-1, 2:], axis=1)
    new[1:] = (gap > JOINED) | (kind[1:] != kind[:-1])
    return np.cumsum(new) - 1


def arcs(segments: Float[np.ndarray, "n 4"], chain: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Metres from the beginning of its line to each segment's own beginning."""
    length = np.linalg.norm(segments[:, 2:] - segments[:, :2], axis=1)
    reached = np.cumsum(length) - length
    first = np.concatenate([[True], chain[1:] != chain[:-1]]) if len(chain) else np.zeros(0, bool)
    return reached - np.repeat(reached[first], np.bincount(chain)) if len(chain) else reached


def on_the_left(map_: Map, segments: Float[np.ndarray, "n 4"]) -> tuple[Bool[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Which segments are the left border of the leftmost lane of a direction; and of both directions at once."""
    left, middle = np.zeros(len(segments), bool), np.zeros(len(segments), bool)
    station_lane, stations = np.asarray(map_.station_lane), np.asarray(map_.stations, np.float64)
    alone = np.asarray(map_.lane_neighbours)[:, 0] < 0
    here = np.flatnonzero((station_lane[:-1] >= 0) & (station_lane[:-1] == station_lane[1:]))
    here = here[alone[station_lane[here]]]
    if not len(segments) or not len(here):
        return left, middle
    centre = 0.5 * (segments[:, :2] + segments[:, 2:])
    along = segments[:, 2:] - segments[:, :2]
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    every = np.flatnonzero((station_lane[:-1] >= 0) & (station_lane[:-1] == station_lane[1:]))
    left_of, right_of = (
        _beside(centre, along, stations, here, Cross.LEFT_X),
        _beside(centre, along, stations, every, Cross.RIGHT_X),
    )
    # What is also the right border of a lane that goes the same way has a lane on its left.
    forth, back = left_of[0] & ~right_of[0], left_of[1] & ~right_of[1]
    return forth | back, forth & back


def _beside(
    centre: Float[np.ndarray, "n 2"],
    along: Float[np.ndarray, "n 2"],
    stations: Float[np.ndarray, "q 11"],
    pieces: Int[np.ndarray, "p"],
    side: Cross,
) -> tuple[Bool[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Which segments run along a border of some of the lanes' pieces: the same way, and the other way."""
    borders = stations[:, [side, side + 1]]
    tree = shapely.STRtree(np.asarray(shapely.linestrings(np.stack([borders[pieces], borders[pieces + 1]], 1))))
    segment, piece = tree.query(np.asarray(shapely.points(centre)), predicate="dwithin", distance=NEAR)
    share = np.sum(along[segment] * stations[pieces[piece]][:, [Cross.COS, Cross.SIN]], axis=1)
    forth, back = np.zeros(len(centre), bool), np.zeros(len(centre), bool)
    forth[segment[share > 0.8]] = True
    back[segment[share < -0.8]] = True
    return forth, back


def boundary_points(drawn: Drawn) -> tuple[Float[np.ndarray, "m 2"], Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """Points about every 2 m of the lines that bound lanes, in their order; their paint, and the number of their line.

    What is one line to a driver stays one: where solid becomes dashed a new one begins.
    """
    chosen = np.flatnonzero(np.isin(drawn.paint, BOUNDARIES))
    if not len(chosen):
        return np.zeros((0, 2)), np.zeros(0, int), np.zeros(0, int)
    segments = drawn.segments[chosen]
    length = np.linalg.norm(segments[:, 2:] - segments[:, :2], axis=1)
    last = np.concatenate([drawn.chain[chosen][1:] != drawn.chain[chosen][:-1], [True]])
    count = np.maximum(np.ceil(length / SPACING).astype(int), 1) + last  # the last segment of a line has both ends
    row = np.repeat(np.arange(len(chosen)), count)
    step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    share = (step / np.maximum(count - last, 1)[row])[:, None]
    points = segments[row, :2] + share * (segments[row, 2:] - segments[row, :2])
    line = np.unique(drawn.chain[chosen][row], return_inverse=True)[1]
    return points, drawn.paint[chosen][row], line
