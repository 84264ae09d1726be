"""Ways between lanes against Dijkstra over stations, with lanes changed anywhere; blocks and chains by hand."""

import heapq

import numpy as np
import pytest

from drivetrain.sim.lane_graph import UNIT, UNREACHABLE, FeatureRow, Graphing, LineRow, PieceRow, WayRow, lane_graph
from drivetrain.types import ControlKind, Cross, Map

CHANGE = 7.0
GRAPHING = Graphing(change=CHANGE, chains=64)


def drawn_map(lanes, successors, bundles, limit=10.0):
    """Lanes along middles (n points, a station each); `bundles`: lanes side by side, from left to right."""
    count = np.array([len(lane) for lane in lanes], np.int32)
    stations = np.zeros((count.sum(), len(Cross)), np.float32)
    for lane, first in zip(lanes, np.cumsum(count) - count, strict=True):
        tangent = np.gradient(lane, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        rows = stations[first : first + len(lane)]
        left = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        rows[:, Cross.LEFT_X : Cross.RIGHT_X] = lane + 1.75 * left
        rows[:, Cross.RIGHT_X : Cross.CENTRE_X] = lane - 1.75 * left
        rows[:, Cross.CENTRE_X : Cross.COS] = lane
        rows[:, Cross.COS : Cross.LIMIT] = tangent
        rows[:, Cross.LIMIT] = limit
    after, beside = np.full((len(lanes), 4), -1, np.int32), np.full((len(lanes), 2), -1, np.int32)
    for lane, others in enumerate(successors):
        after[lane, : len(others)] = others
    for bundle in bundles:
        for left, right in zip(bundle, bundle[1:], strict=False):
            beside[left, 1], beside[right, 0] = right, left
    return Map(
        elements=np.zeros((1, 4), np.float32),
        element_kind=np.zeros(1, np.int32),
        stations=stations,
        station_lane=np.repeat(np.arange(len(lanes)), count).astype(np.int32),
        lane_first=(np.cumsum(count) - count).astype(np.int32),
        lane_count=count,
        lane_successors=after,
        lane_neighbours=beside,
        lines=np.array([[0.0, 2.0, 0.0, -2.0], [0.0, 0.0, 0.0, 0.0], [9.0, 2.0, 9.0, -2.0]], np.float32),
        line_kind=np.array([ControlKind.LIGHT, ControlKind.NONE, ControlKind.LINE], np.int32),
        line_judged=np.array([True, False, False]),
        light_position=np.zeros((3, 2), np.float32),
    )


def straight(length, y=0.0, x=0.0, stations=11):
    return np.stack([x + np.linspace(0.0, length, stations), np.full(stations, y)], 1)


def random_map(seed):
    """Lanes that lead anywhere, the first bundle nowhere; those side by side are as long as each other."""
    random = np.random.default_rng(seed)
    bundles, lanes = [], []
    for _ in range(9):
        length, count = float(random.uniform(10.0, 80.0)), int(random.integers(1, 4))
        bundles.append(list(range(len(lanes), len(lanes) + count)))
        lanes += [straight(length, y=3.5 * place, stations=6) for place in range(count)]
    successors = [random.choice(len(lanes), int(random.integers(0, 3)), replace=False).tolist() for _ in lanes]
    for lane in bundles[0]:
        successors[lane] = []
    return drawn_map(lanes, successors, bundles), lanes, successors, bundles


def dijkstra(lanes, successors, bundles, start):
    """Metres from a station, (lane, number), to every other; a change to the lane beside costs `CHANGE` at any."""
    beside = {(a, b) for bundle in bundles for a, b in zip(bundle, bundle[1:], strict=False)}
    beside |= {(b, a) for a, b in beside}
    reached, waiting = {}, [(0.0, start)]
    while waiting:
        metres, place = heapq.heappop(waiting)
        if place in reached:
            continue
        reached[place] = metres
        lane, number = place
        if number + 1 < len(lanes[lane]):
            step = np.linalg.norm(lanes[lane][number + 1] - lanes[lane][number])
            heapq.heappush(waiting, (metres + step, (lane, number + 1)))
        else:
            for other in successors[lane]:
                heapq.heappush(waiting, (metres, (other, 0)))
        for a, b in beside:
            if a == lane:
                heapq.heappush(waiting, (metres + CHANGE, (b, number)))
    return reached


@pytest.mark.parametrize("seed", range(4))
def test_ways_are_those_of_dijkstra(seed):
    map_, lanes, successors, bundles = random_map(seed)
    graph = lane_graph(map_, GRAPHING, np.random.default_rng(0))
    some = False
    for lane in range(len(lanes)):
        reached = dijkstra(lanes, successors, bundles, (lane, len(lanes[lane]) - 1))
        for other in range(len(lanes)):
            units = int(graph.distance[other, lane])
            if units == UNREACHABLE:
                assert (other, 0) not in reached
                some = True
            else:
                assert abs(units * UNIT - reached[other, 0]) <= 0.5 * UNIT + 1e-3
    assert some and (graph.distance < UNREACHABLE).any()


def test_bundles_are_ranked_from_the_left():
    map_ = drawn_map([straight(50.0, y) for y in (7.0, 0.0, 3.5, 40.0)], [[]] * 4, [[0, 2, 1]])
    graph = lane_graph(map_, GRAPHING, np.random.default_rng(0))
    np.testing.assert_array_equal(graph.rank, [0, 2, 1, 0])
    assert graph.bundle[0] == graph.bundle[1] == graph.bundle[2] != graph.bundle[3]


def test_every_stretch_of_a_lane_is_a_feature():
    map_ = drawn_map([straight(47.0, stations=24)], [[]], [], limit=8.0)
    block = lane_graph(map_, GRAPHING, np.random.default_rng(0)).features.block
    rows = np.unique(np.concatenate(block[:, :, :].transpose(0, 2, 1)), axis=0)
    rows = rows[rows[:, FeatureRow.LANE] > 0]
    middles = 47.0 / 9.0 * (np.arange(9) + 0.5)  # about every 5 m
    np.testing.assert_allclose(rows[:, FeatureRow.X], middles, rtol=1e-5)
    np.testing.assert_allclose(rows[:, FeatureRow.LEFT], 47.0 - middles, rtol=1e-5)
    np.testing.assert_allclose(rows[:, [FeatureRow.COS, FeatureRow.SIN, FeatureRow.LIMIT]], [[1.0, 0.0, 8.0]] * 9)


def test_a_cell_holds_every_piece_within_its_radius():
    map_ = random_map(5)[0]
    graph = lane_graph(map_, GRAPHING, np.random.default_rng(0))
    index, stations = graph.pieces, np.asarray(map_.stations, float)
    start = np.flatnonzero(map_.station_lane[:-1] == map_.station_lane[1:])
    at = start[len(start) // 2]
    middle = stations[[at, at + 1], Cross.CENTRE_X : Cross.COS].mean(0)
    cell = np.floor((middle - index.origin) / GRAPHING.pieces.cell).astype(int)
    block = index.block[cell[0] + cell[1] * index.size[0]]
    lane = map_.station_lane[at]
    here = block[:, (block[PieceRow.LANE] == lane + 1) & np.isclose(block[PieceRow.X0], stations[at, Cross.CENTRE_X])]
    assert here.shape[1] >= 1
    ends = stations[map_.lane_first[lane] : map_.lane_first[lane] + map_.lane_count[lane], Cross.CENTRE_X]
    np.testing.assert_allclose(here[PieceRow.LEFT, 0], ends[-1] - stations[at, Cross.CENTRE_X], rtol=1e-4)


def test_lines_that_say_nothing_are_in_no_block():
    block = lane_graph(drawn_map([straight(50.0)], [[]], []), GRAPHING, np.random.default_rng(0)).lines.block
    assert set(np.unique(block[:, LineRow.LINE])) == {0.0, 1.0}


def test_chains_lead_on():
    map_, lanes, successors, _ = random_map(1)
    graph = lane_graph(map_, GRAPHING, np.random.default_rng(3))
    pairs = 0
    for chain in graph.chains:
        known = np.isfinite(chain[:, WayRow.X])
        assert known[0] and not np.isfinite(chain[~known]).any()
        rows = chain[known]
        for lane, along, x in rows[:, [WayRow.LANE, WayRow.ALONG, WayRow.X]]:
            assert 0.0 <= along <= graph.length[int(lane)] + 1e-3 and abs(x - along) < 1e-3
        for (_, _, lane, along, rest), (_, _, after, on, less) in zip(rows, rows[1:], strict=False):
            assert GRAPHING.nearest - 1e-3 <= rest - less <= GRAPHING.farthest + 1e-3
            gone = on - along if lane == after and on > along else None
            left = graph.length[int(lane)] - along
            table = float(graph.distance[int(after), int(lane)]) * UNIT
            assert gone is not None or rest - less >= left + table + on - 0.5  # a walk is no shorter than the way
            pairs += 1
        assert abs(rows[-1, WayRow.REST]) < 1e-6
    assert pairs > 5


def test_nothing_is_drawn_on_a_map_without_lanes():
    map_ = drawn_map([straight(50.0)], [[]], [])
    empty = np.zeros_like(map_.lane_count)
    bare = Map(**{name: getattr(map_, name) for name in Map.__dataclass_fields__} | {"lane_count": empty})
    assert not np.isfinite(lane_graph(bare, GRAPHING, np.random.default_rng(0)).chains).any()
