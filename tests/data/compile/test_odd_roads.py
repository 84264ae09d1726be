"""Roads that go round, turn back, end, or are driven on the left, through compile: their egos keep a whole route."""

import dataclasses

import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.recordings.recording import Recording
from drivetrain.types import Cross, ElementKind, RouteFlag

HALF = scenes.WIDTH / 2


def driven(recording: Recording, ego: int = 0):
    """The scenario, and of one ego: its columns of the lanes on its route, by their place among the recording's."""
    scenario, report = compile_recording(recording)
    assert [candidate.cause for candidate in report.candidates] == [""] * len(report.candidates)
    route = scenario.egos.route
    length = int(route.length[ego])
    on = route.stations[ego, np.arange(length), route.reference[ego, :length]]
    assert (on >= 0).all()
    return scenario, scenario.map.station_lane[on], scenario.map.stations[on]


def bent(number: int, radius: float, start: float, end: float, **links):
    """A lane round the origin, anticlockwise."""
    inner, outer = (scenes.arc((0.0, 0.0), r, start, end, 60) for r in (radius - HALF, radius + HALF))
    return scenes.lane_along(number, inner, outer, **links)


def test_a_car_that_goes_round_twice_has_every_lane_twice():
    quarter = np.pi / 2
    lanes = [
        bent(k, 20.0, k * quarter, (k + 1) * quarter, successors=((k + 1) % 4,), predecessors=((k - 1) % 4,))
        for k in range(4)
    ]
    path = scenes.arc((0.0, 0.0), 20.0, 0.1, 0.1 + 5 * np.pi, 800)
    scenario, lane, station = driven(
        scenes.recording(lanes, [scenes.Agent([tuple(p) for p in path], 5.0)], steps=280)  # 280 m: 2.2 rounds
    )
    begins = lane[np.flatnonzero(np.diff(lane, prepend=-9))]
    assert len(begins) >= 9 and (np.diff(begins) % 4 == 1).all()
    np.testing.assert_allclose(np.linalg.norm(station[:, Cross.CENTRE_X : Cross.COS], axis=1), 20.0, atol=0.3)
    assert float(scenario.egos.log_distance[0]) == pytest.approx(279.0, rel=0.02)


def test_a_u_turn_is_one_route_from_one_side_of_the_road_to_the_other():
    def along(y: float, number: int, way: int, **links):
        x = np.array([-80.0, 0.0])[::way]
        left, right = np.full(2, y + way * HALF), np.full(2, y - way * HALF)
        return scenes.lane_along(number, np.stack([x, left], 1), np.stack([x, right], 1), **links)

    radius = 6.0
    lanes = [
        along(-radius, 1, 1, successors=(2,)),
        bent(2, radius, -np.pi / 2, np.pi / 2, successors=(3,), predecessors=(1,)),
        along(radius, 3, -1, predecessors=(2,)),
    ]
    turn = scenes.arc((0.0, 0.0), radius, -np.pi / 2, np.pi / 2, 100)
    path = [(-80.0, -radius), *map(tuple, turn), (-200.0, radius)]
    scenario, lane, station = driven(scenes.recording(lanes, [scenes.Agent(path, 6.0, start=20.0)], steps=90))
    order = lane[np.flatnonzero(np.diff(lane, prepend=-9))].tolist()
    assert [one for one in order if one < 3] == [0, 1, 2]
    heading = np.unwrap(np.arctan2(station[:, 7], station[:, 6]))
    assert heading[0] == pytest.approx(0.0, abs=0.05) and heading[-1] == pytest.approx(np.pi, abs=0.05)
    assert (np.diff(heading) > -1e-3).all()
    assert float(scenario.egos.log_distance[0]) == pytest.approx(89 * 1.2, rel=0.02)


def ending():
    """Lane 1 of 200 m in two parts, and on its right lane 2, of 100 m, that tapers to nothing and leads nowhere."""
    one = scenes.lane_along(
        1, np.array([[0, 3.5], [100, 3.5]]), np.array([[0, 0], [100, 0]]), successors=(3,), right_neighbour=2
    )
    two = scenes.lane_along(
        2, np.array([[0, 0], [60, 0], [100, 0]]), np.array([[0, -3.5], [60, -3.5], [100, -0.1]]), left_neighbour=1
    )
    on = scenes.lane_along(3, np.array([[100, 3.5], [200, 3.5]]), np.array([[100, 0], [200, 0]]), predecessors=(1,))
    merges = scenes.Agent([(5.0, -HALF), (50.0, -HALF), (80.0, HALF), (190.0, HALF)], 10.0)
    return scenes.recording([one, two, on], [scenes.along_x(HALF, 5.0, 8.0), merges], steps=60)


def test_a_car_merges_from_a_lane_that_ends():
    recording = ending()
    scenario, lane, _ = driven(recording, ego=1)
    order = lane[np.flatnonzero(np.diff(lane, prepend=-9))].tolist()
    assert [one for one in order if one < 3] == [1, 0, 2]
    stays, _, _ = driven(recording, ego=0)
    route = stays.egos.route
    held = route.stations[0][: int(route.length[0])]
    rows, slots = np.nonzero((held >= 0) & (stays.map.station_lane[held] == 1))
    last = rows.max()
    assert not route.flags[0, last, slots[rows.argmax()]] & RouteFlag.LINKED, "beyond its end the lane is not there"
    assert stays.map.stations[held[last, slots[rows.argmax()]]][0] == pytest.approx(100.0, abs=0.1)


def mirrored(recording: Recording) -> Recording:
    """The same drive in a country that drives on the other side."""
    flip = np.array([1.0, -1.0])
    lanes = [
        dataclasses.replace(
            lane,
            left=lane.right * flip,
            right=lane.left * flip,
            left_neighbour=lane.right_neighbour,
            right_neighbour=lane.left_neighbour,
            left_border=lane.right_border,
            right_border=lane.left_border,
        )
        for lane in recording.lanes
    ]
    lines = [dataclasses.replace(line, ends=line.ends[::-1] * flip) for line in recording.control_lines]
    tracks = recording.tracks
    tracks = dataclasses.replace(
        tracks, position=tracks.position * flip, velocity=tracks.velocity * flip, heading=-tracks.heading
    )
    return dataclasses.replace(recording, lanes=tuple(lanes), control_lines=tuple(lines), tracks=tracks)


@pytest.mark.parametrize("draw", [scenes.crossing, scenes.curve, ending])
def test_left_hand_traffic_is_right_hand_traffic_in_a_mirror(draw):
    recording = dataclasses.replace(draw(), features=())
    right, left = compile_recording(recording)[0], compile_recording(mirrored(recording))[0]
    assert int((right.map.station_lane >= 0).sum()) == int((left.map.station_lane >= 0).sum())
    one, other = right.map.stations, left.map.stations
    columns = [2, 3, 0, 1, 4, 5, 6, 7, 8, 10, 9]  # left and right change places
    signs = np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, 1, 1])
    np.testing.assert_allclose(one[:, columns] * signs, other, atol=1e-3)
    np.testing.assert_allclose(right.egos.log_distance, left.egos.log_distance, atol=1e-3)
    np.testing.assert_array_equal(right.egos.route.length, left.egos.route.length)
    np.testing.assert_array_equal(right.egos.route.lines, left.egos.route.lines)
    length = int(right.egos.route.length[0])
    for row in range(length):  # the same lanes are permitted at every station
        lanes = [
            sorted(s.map.station_lane[held[held >= 0]])
            for s in (right, left)
            for held in [s.egos.route.stations[0, row]]
        ]
        assert lanes[0] == lanes[1]
    edges = [int((s.map.element_kind == ElementKind.ROAD_EDGE).sum()) for s in (right, left)]
    assert abs(edges[0] - edges[1]) <= 2
