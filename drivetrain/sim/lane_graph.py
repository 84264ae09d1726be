"""How the lanes of a map lead on, and which are near: so that an agent may go anywhere, by any way. NumPy, at load.

From `s` metres along a lane to `t` metres along another the way is what is left of the lane, a table's number, and t:
    (length[lane] − s) + distance[goal's lane, lane] + t
A change to a lane beside costs `change` metres. The table knows changes where lanes end and begin; a goal that is ahead
on a lane beside is as far as on the agent's own. (Such distances are observed by Cusumano-Towner et al. 2025, arXiv
2502.03349.)
"""

import enum
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt

from drivetrain.data.roads.lanes import components
from drivetrain.sim.roads import Indexing, RoadIndex, by_cell, stack_roads
from drivetrain.types import Array, ControlKind, Cross, Map, component, record

UNIT = 0.25
"""m of one of the table's integers: 16 km is the farthest."""
UNREACHABLE = 2**16 - 1
"""In the table: no way leads there."""


class PieceRow(enum.IntEnum):
    """Rows of a block of `LaneGraph.pieces`: a lane's middle from one station to the next."""

    X0 = 0
    Y0 = 1
    X1 = 2
    Y1 = 3
    LANE = 4  # of the lane + 1; 0 is padding
    LEFT = 5  # m from the piece's beginning to the lane's end
    LENGTH = 6  # m, of the lane
    BUNDLE = 7
    RANK = 8
    LIMIT = 9
    INVERSE = 10  # 1 / length² of the piece


class FeatureRow(enum.IntEnum):
    """Rows of a block of `LaneGraph.features`: a stretch of a lane, seen at its middle."""

    X = 0
    Y = 1
    COS = 2
    SIN = 3
    LANE = 4  # LANE to LIMIT as in `PieceRow`; LEFT from the middle
    LEFT = 5
    LENGTH = 6
    BUNDLE = 7
    RANK = 8
    LIMIT = 9


class LineRow(enum.IntEnum):
    """Rows of a block of `LaneGraph.lines`."""

    LEFT_X = 0
    LEFT_Y = 1
    RIGHT_X = 2
    RIGHT_Y = 3
    LINE = 4  # row of the map's lines + 1; 0 is padding


class WayRow(enum.IntEnum):
    """Columns of a way-point of `LaneGraph.chains`; all infinite beyond a chain's last."""

    X = 0
    Y = 1
    LANE = 2
    ALONG = 3  # m from the lane's beginning
    REST = 4  # m from here to the chain's last


@component
class Graphing:
    """How the lanes of a map are laid out for those who go anywhere."""

    change: float = 10.0  # m that a change to a lane beside counts
    spacing: float = 5.0  # m of lane that one feature stands for
    pieces: Indexing = Indexing(cell=8.0, radius=2.5, width=96)
    features: Indexing = Indexing(cell=20.0, radius=40.0, width=160)
    lines: Indexing = Indexing(cell=20.0, radius=40.0, width=16)
    chains: int = 1024  # of way-points, of a map
    goals: int = 4  # of a chain
    nearest: float = 20.0  # m of lane from one way-point to the next, at least
    farthest: float = 200.0  # m, at most


@record
class LaneGraph:
    """The lanes of M maps, N each at most: ways between them, and what of them is near, by cell."""

    distance: UInt[Array, "*M N N"]  # [goal's lane, lane]: from a lane's end to the other's beginning, in `UNIT`s
    length: Float[Array, "*M N"]  # m
    bundle: Int[Array, "*M N"]  # lanes side by side have the same
    rank: Int[Array, "*M N"]  # of a lane in its bundle, from the left
    change: Float[Array, "*M"]  # m
    pieces: RoadIndex  # [M]: rows by `PieceRow`
    features: RoadIndex  # [M]: rows by `FeatureRow`
    lines: RoadIndex  # [M]: rows by `LineRow`
    cells: Float[Array, "*M 3"]  # sides of the cells of these three, m
    chains: Float[Array, "*M chains goals 5"]  # way-points, each reachable from the one before; by `WayRow`


def lane_graph(map_: Map, graphing: Graphing, random: np.random.Generator) -> LaneGraph:
    """Lay out one map; its chains of way-points are drawn at random."""
    count = np.asarray(map_.lane_count)
    along, length = _along(map_)
    bundle, rank = _bundles(np.asarray(map_.lane_neighbours))
    table = distances(length, np.asarray(map_.lane_successors), np.asarray(map_.lane_neighbours), graphing.change)
    table[:, count == 0] = np.inf
    table[count == 0] = np.inf
    units = np.where(
        np.isfinite(table), np.minimum(np.round(np.where(np.isfinite(table), table, 0.0) / UNIT), 65534), 65535
    )
    return LaneGraph(
        distance=units.astype(np.uint16).T.copy(),
        length=length.astype(np.float32),
        bundle=bundle,
        rank=rank,
        change=np.asarray(graphing.change, np.float32),
        pieces=_pieces(map_, along, length, (bundle, rank), graphing),
        features=_features(map_, along, length, (bundle, rank), graphing),
        lines=_lines(map_, graphing),
        cells=np.asarray([each.cell for each in (graphing.pieces, graphing.features, graphing.lines)], np.float32),
        chains=_chains(map_, along, length, graphing, random),
    )


def stack_graphs(graphs: Sequence[LaneGraph]) -> LaneGraph:
    """Those of several maps, of as many lanes each, as one [M]."""

    def column(name: str) -> np.ndarray:
        return np.stack([np.asarray(getattr(each, name)) for each in graphs])

    return LaneGraph(
        distance=column("distance"),
        length=column("length"),
        bundle=column("bundle"),
        rank=column("rank"),
        change=column("change"),
        pieces=stack_roads([each.pieces for each in graphs]),
        features=stack_roads([each.features for each in graphs]),
        lines=stack_roads([each.lines for each in graphs]),
        cells=column("cells"),
        chains=column("chains"),
    )


def distances(
    length: Float[np.ndarray, "N"],
    successors: Int[np.ndarray, "N k"],
    neighbours: Int[np.ndarray, "N 2"],
    change: float,
) -> Float[np.ndarray, "N N"]:
    """[lane, other]: the shortest way from the end of a lane to the beginning of another, m; inf: there is none.

    Lanes are changed at their ends and beginnings. All rows are shortened together until none is any more: as many
    passes as the longest way has lanes (Bellman 1958).
    """
    count = len(length)
    begin = np.full((count + 1, count), np.inf)  # from the beginnings; the last row is where -1 points
    begin[np.arange(count), np.arange(count)] = 0.0
    end = np.full_like(begin, np.inf)
    while True:
        before = begin.copy(), end.copy()
        end[:-1] = np.minimum(end[:-1], begin[successors].min(axis=1, initial=np.inf))
        end[:-1] = np.minimum(end[:-1], change + end[neighbours].min(axis=1))
        begin[:-1] = np.minimum(begin[:-1], length[:, None] + end[:-1])
        begin[:-1] = np.minimum(begin[:-1], change + begin[neighbours].min(axis=1))
        if all(np.array_equal(*pair) for pair in zip(before, (begin, end), strict=True)):
            return end[:-1]


def _along(map_: Map) -> tuple[Float[np.ndarray, "Q"], Float[np.ndarray, "N"]]:
    """Metres from its lane's beginning of each station, along the lane's middle, and lengths of lanes."""
    centre = np.asarray(map_.stations, float)[:, Cross.CENTRE_X : Cross.COS]
    first, count = np.asarray(map_.lane_first), np.asarray(map_.lane_count)
    along, length = np.zeros(len(centre)), np.zeros(len(count))
    for lane in np.flatnonzero(count > 0):
        stations = slice(first[lane], first[lane] + count[lane])
        steps = np.linalg.norm(np.diff(centre[stations], axis=0), axis=1)
        along[stations] = np.concatenate([[0.0], np.cumsum(steps)])
        length[lane] = steps.sum()
    return along, length


def _bundles(neighbours: Int[np.ndarray, "N 2"]) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """The bundle of lanes side by side of each, and its place there from the left."""
    rank = np.zeros(len(neighbours), np.int32)
    for lane in range(len(neighbours)):
        at, seen = int(neighbours[lane, 0]), {lane}
        while at >= 0 and at not in seen:
            seen.add(at)
            at = int(neighbours[at, 0])
        rank[lane] = len(seen) - 1
    pairs = [(lane, int(other)) for lane, beside in enumerate(neighbours) for other in beside if other >= 0]
    return components(len(neighbours), pairs).astype(np.int32), rank


def _pieces(
    map_: Map, along: Float[np.ndarray, "Q"], length: Float[np.ndarray, "N"], beside: tuple, graphing: Graphing
) -> RoadIndex:
    stations, lane = np.asarray(map_.stations, np.float32), np.asarray(map_.station_lane)
    start = np.flatnonzero((lane[:-1] >= 0) & (lane[:-1] == lane[1:]))
    segments = np.concatenate([stations[start + end, Cross.CENTRE_X : Cross.COS] for end in (0, 1)], axis=1)
    square = np.sum((segments[:, 2:] - segments[:, :2]) ** 2, axis=1)
    inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
    of = lane[start]
    rows = [*segments.T, of + 1, length[of] - along[start], length[of], *(column[of] for column in beside)]
    rows += [stations[start, Cross.LIMIT], inverse]
    return by_cell(segments, [np.asarray(row, np.float32) for row in rows], graphing.pieces)


def _features(
    map_: Map, along: Float[np.ndarray, "Q"], length: Float[np.ndarray, "N"], beside: tuple, graphing: Graphing
) -> RoadIndex:
    """Every lane in stretches of about the same length, one at least."""
    parts = [np.zeros((len(FeatureRow), 0))]
    for lane in np.flatnonzero(np.asarray(map_.lane_count) > 0):
        count = max(round(float(length[lane]) / graphing.spacing), 1)
        metres = (np.arange(count) + 0.5) / count * length[lane]
        same = np.ones(count)
        section = _section(map_, along, int(lane), metres)
        rows = [same * (lane + 1), length[lane] - metres, same * length[lane], *(same * row[lane] for row in beside)]
        parts.append(np.stack([*section[:4], *rows, section[4]]))
    rows = np.concatenate(parts, axis=1).astype(np.float32)
    return by_cell(np.ascontiguousarray(rows[[0, 1, 0, 1]].T), list(rows), graphing.features)


def _lines(map_: Map, graphing: Graphing) -> RoadIndex:
    """The lines that a sign or a light makes something of."""
    kept = np.flatnonzero(np.isin(np.asarray(map_.line_kind), (ControlKind.STOP_SIGN, ControlKind.LIGHT)))
    segments = np.asarray(map_.lines, np.float32)[kept]
    return by_cell(segments, [*segments.T, kept.astype(np.float32) + 1.0], graphing.lines)


def _section(
    map_: Map, along: Float[np.ndarray, "Q"], lane: int, metres: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "5 n"]:
    """x, y, cos, sin, limit so many metres along a lane."""
    stations = slice(int(map_.lane_first[lane]), int(map_.lane_first[lane]) + int(map_.lane_count[lane]))
    known, cells = along[stations], np.asarray(map_.stations, float)[stations, Cross.CENTRE_X :]
    x, y, cos, sin = (np.interp(metres, known, cells[:, column]) for column in range(4))
    norm = np.maximum(np.hypot(cos, sin), 1e-9)
    limit = cells[np.clip(np.searchsorted(known, metres, "right") - 1, 0, len(known) - 1), 4]
    return np.stack([x, y, cos / norm, sin / norm, limit])


def _chains(
    map_: Map,
    along: Float[np.ndarray, "Q"],
    length: Float[np.ndarray, "N"],
    graphing: Graphing,
    random: np.random.Generator,
) -> Float[np.ndarray, "chains goals 5"]:
    """Way-points: the first anywhere on any lane, by length; each next one so much farther along lanes that lead on."""
    chains = np.full((graphing.chains, graphing.goals, 5), np.inf, np.float32)
    if not length.sum():
        return chains
    starts = random.choice(len(length), graphing.chains, p=length / length.sum())
    for chain, lane in zip(chains, starts.tolist(), strict=True):
        place, gone = float(random.uniform(0.0, length[lane])), [0.0]
        number = int(random.integers(1, graphing.goals + 1))
        for row in range(number):
            x, y = _section(map_, along, lane, np.array([place]))[:2, 0]
            chain[row, :4] = x, y, lane, place
            step = float(random.uniform(graphing.nearest, graphing.farthest))
            onward = _onward(map_, length, lane, place + step, random)
            if onward is None or row + 1 == number:
                break
            lane, place = onward
            gone.append(gone[-1] + step)
        chain[: len(gone), WayRow.REST] = gone[-1] - np.array(gone)
    return chains


def _onward(
    map_: Map, length: Float[np.ndarray, "N"], lane: int, place: float, random: np.random.Generator
) -> tuple[int, float] | None:
    """The lane, and the metres along it, that a place beyond a lane's end is on; None where the lanes end before."""
    while place > length[lane]:
        place -= float(length[lane])
        successors = np.asarray(map_.lane_successors[lane])
        successors = successors[successors >= 0]
        if not len(successors):
            return None
        lane = int(random.choice(successors))
    return lane, place
