import dataclasses

import numpy as np
import pytest
import scenes
import shapely

from drivetrain.data.roads.lanes import stations_of
from drivetrain.data.roads.map_extension import extend_map
from drivetrain.data.routes.arc_length import route_arc_lengths
from drivetrain.data.routes.routing import AHEAD, BEHIND, route
from drivetrain.types import RouteFlag

WIDTH = scenes.WIDTH


def route_of(recording, agent=0):
    lanes = extend_map(*stations_of(recording))[0]
    tracks = recording.tracks
    heading = np.stack([np.cos(tracks.heading[agent]), np.sin(tracks.heading[agent])], 1)
    return lanes, route(lanes, tracks.position[agent], heading)


def lanes_driven(lanes, path):
    on = path.stations[np.arange(len(path.reference)), path.reference]
    return list(dict.fromkeys(lanes.id[lanes.lane[on]].tolist()))


def lanes_permitted(lanes, path):
    return set(lanes.id[lanes.lane[path.stations[path.stations >= 0]]].tolist()) - {-1}


def pieces(lanes, path):
    """Row, slot and corners of every piece."""
    row, slot = np.nonzero(path.flags & RouteFlag.LINKED)
    here, there = path.stations[row, slot], path.stations[row + 1, slot]
    return row, slot, np.stack([lanes.left[here], lanes.left[there], lanes.right[there], lanes.right[here]], 1)


def test_a_route_keeps_to_its_lane_and_permits_its_neighbours():
    lanes, path = route_of(scenes.straight_road(lanes=3, length=200.0))
    assert lanes_driven(lanes, path) == [-1, 1]
    assert lanes_permitted(lanes, path) == {1, 2, 3}
    assert path.cursor == BEHIND
    on = path.stations[:, path.reference[0]]
    np.testing.assert_allclose(np.diff(lanes.centre[on], axis=0), np.tile([2.0, 0.0], (len(on) - 1, 1)), atol=1e-9)
    assert path.distance == pytest.approx(98.0)  # 49 steps of 2 m
    end = lanes.centre[on[-1]][0]
    assert end == pytest.approx(20.0 + 98.0 + 2.0 * AHEAD)


def test_a_lane_change_keeps_both_lanes_throughout_and_moves_the_reference():
    middle = (1.5 * WIDTH, 2.5 * WIDTH)
    agent = scenes.Agent([(20.0, middle[0]), (60.0, middle[0]), (90.0, middle[1]), (180.0, middle[1])], 10.0)
    lanes, path = route_of(scenes.straight_road(lanes=4, length=200.0, agents=(agent,)))
    assert lanes_driven(lanes, path) == [-1, 2, 3]
    assert lanes_permitted(lanes, path) == {1, 2, 3, 4}
    change = int(np.flatnonzero(np.diff(path.reference))[0])
    on = path.stations[np.arange(len(path.reference)), path.reference]
    assert 70.0 < lanes.centre[on[change]][0] < 80.0
    assert (path.stations[:, path.reference] >= 0).all()


def test_the_way_straight_on_does_not_permit_the_turn():
    lanes, path = route_of(scenes.crossing())
    assert (
        lanes_driven(lanes, path)
        == [scenes.APPROACH, scenes.STRAIGHT, scenes.EXIT, -1][: len(lanes_driven(lanes, path))]
    )
    assert scenes.LEFT not in lanes_permitted(lanes, path)


def test_the_way_round_does_not_permit_straight_on():
    bend = scenes.arc((0.0, 10.0), 10.0, -np.pi / 2, 0.0, 60)
    agent = scenes.Agent([(-40.0, 0.0), *map(tuple, bend), (10.0, 100.0)], 8.0)
    lanes, path = route_of(scenes.crossing(agents=(agent,)))
    assert lanes_driven(lanes, path)[:3] == [scenes.APPROACH, scenes.LEFT, scenes.CROSS_OUT]
    assert lanes_permitted(lanes, path) == {scenes.APPROACH, scenes.LEFT, scenes.CROSS_OUT}


def fork():
    """Two lanes; the left one leads straight on, the right one turns off. A car changes to the left one and goes on."""
    road = scenes.straight_road(lanes=2, length=100.0)
    on = scenes.lane_along(
        9, [[100.0, 2 * WIDTH], [300.0, 2 * WIDTH]], [[100.0, WIDTH], [300.0, WIDTH]], predecessors=(2,)
    )
    off = scenes.lane_along(8, [[100.0, WIDTH], [150.0, -60.0]], [[100.0, 0.0], [147.0, -60.0]], predecessors=(1,))
    agent = scenes.Agent([(20.0, WIDTH / 2), (50.0, WIDTH / 2), (80.0, 1.5 * WIDTH), (300.0, 1.5 * WIDTH)], 12.0)
    return dataclasses.replace(
        scenes.recording((*road.lanes, on, off), (agent,)),
    )


def test_a_lane_that_leads_elsewhere_is_permitted_up_to_its_end_and_closed_there():
    lanes, path = route_of(fork())
    assert lanes_driven(lanes, path)[-3:-1] in ([1, 2], [2, 9])
    assert lanes_permitted(lanes, path) == {1, 2, 9}
    row, slot, corners = pieces(lanes, path)
    last = (lanes.id[lanes.lane[path.stations[row, slot]]] == 1) & np.isclose(corners[:, 1, 0], 100.0)
    assert last.sum() == 1
    assert path.flags[row[last], slot[last]] & RouteFlag.OPEN_END
    reached = shapely.union_all(shapely.polygons(corners))
    assert reached.covers(shapely.box(30.0, 0.01, 99.99, 2 * WIDTH - 0.01))


def test_a_slot_keeps_one_lane_and_then_its_successor():
    for recording in (scenes.straight_road(), scenes.crossing(), fork()):
        lanes, path = route_of(recording)
        row, slot, _ = pieces(lanes, path)
        here, there = path.stations[row, slot], path.stations[row + 1, slot]
        for a, b in zip(here, there, strict=True):
            one, two = int(lanes.lane[a]), int(lanes.lane[b])
            follows = two in lanes.successors[one] and b == lanes.first[two]
            assert (one == two and b == a + 1) or (follows and a == lanes.stations(one).stop - 2)


@pytest.mark.parametrize("recording", [scenes.straight_road(), scenes.curve(20.0), scenes.crossing(), fork()])
def test_open_borders_are_those_on_the_outline_of_the_union(recording):
    lanes, path = route_of(recording)
    row, slot, corners = pieces(lanes, path)
    outline = shapely.union_all(shapely.polygons(corners)).boundary.buffer(1e-4)
    bits = (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_END, RouteFlag.OPEN_RIGHT, RouteFlag.OPEN_START)
    for at in range(len(row)):
        for side, bit in enumerate(bits):
            border = shapely.LineString([corners[at, side], corners[at, (side + 1) % 4]])
            assert bool(path.flags[row[at], slot[at]] & bit) == (border.intersection(outline).length > 0.01)


def test_overlapping_turns_of_one_bundle_leave_no_seam():
    """Two lanes that cross a junction side by side without being neighbours there are permitted together."""
    road = scenes.straight_road(lanes=2, length=60.0)
    inner = [
        scenes.lane_along(
            10 + n, [[60.0, n * WIDTH], [80.0, n * WIDTH]], [[60.0, (n - 1) * WIDTH], [80.0, (n - 1) * WIDTH]],
            predecessors=(n,), successors=(20 + n,),
        )
        for n in (1, 2)
    ]  # fmt: skip
    after = [
        scenes.lane_along(
            20 + n, [[80.0, n * WIDTH], [200.0, n * WIDTH]], [[80.0, (n - 1) * WIDTH], [200.0, (n - 1) * WIDTH]],
            left_neighbour=22 if n == 1 else None, right_neighbour=21 if n == 2 else None,
        )
        for n in (1, 2)
    ]  # fmt: skip
    recording = scenes.recording((*road.lanes, *inner, *after), (scenes.along_x(WIDTH / 2, 20.0),))
    lanes, path = route_of(recording)
    assert lanes_permitted(lanes, path) == {1, 2, 11, 12, 21, 22}
    crossing = np.isin(lanes.id[lanes.lane[path.stations[path.flags > 0]]], (11, 12))
    closed = path.flags[path.flags > 0][crossing] & (RouteFlag.OPEN_START | RouteFlag.OPEN_END)
    assert not closed.any()


def test_a_car_off_the_road_has_no_route():
    assert route_of(scenes.straight_road(agents=(scenes.along_x(-20.0),)))[1] == "no_lane"


def test_a_car_that_drives_against_the_lane_has_no_route():
    agent = scenes.Agent([(150.0, WIDTH / 2), (0.0, WIDTH / 2)])
    assert route_of(scenes.straight_road(agents=(agent,)))[1] == "no_lane"


def test_a_car_that_jumps_to_an_unconnected_lane_has_no_route():
    road = scenes.straight_road(lanes=2)
    apart = tuple(dataclasses.replace(lane, left_neighbour=None, right_neighbour=None) for lane in road.lanes)
    agent = scenes.Agent([(10.0, 0.5), (60.0, 0.5), (90.0, 1.9 * WIDTH), (190.0, 1.9 * WIDTH)])
    recording = dataclasses.replace(scenes.recording(apart, (agent,)))
    far = tuple(
        dataclasses.replace(lane, left=lane.left + [0, 4.0], right=lane.right + [0, 4.0]) if lane.id == 2 else lane
        for lane in apart
    )
    agent = scenes.Agent([(10.0, 0.5), (60.0, 0.5), (75.0, 4.0 + 1.5 * WIDTH), (190.0, 4.0 + 1.5 * WIDTH)])
    recording = scenes.recording(far, (agent,))
    assert route_of(recording)[1] == "no_route"


def test_distance_along_a_route_does_not_count_the_step_aside():
    centre = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [0.0, 3.5], [2.0, 3.5], [4.0, 3.5]])
    stations = np.array([[0, 3], [1, 4], [2, 5]])
    np.testing.assert_allclose(route_arc_lengths(stations, np.array([0, 1, 1]), centre), [0.0, 2.0, 4.0])


def test_moving_the_scene_moves_nothing_in_the_route():
    recording = scenes.crossing()
    angle, shift = 0.7, np.array([120.0, -45.0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    lanes = tuple(
        dataclasses.replace(lane, left=lane.left @ turn + shift, right=lane.right @ turn + shift)
        for lane in recording.lanes
    )
    tracks = dataclasses.replace(
        recording.tracks,
        position=recording.tracks.position @ turn + shift,
        heading=recording.tracks.heading + angle,
    )
    _, one = route_of(recording)
    _, two = route_of(dataclasses.replace(recording, lanes=lanes, tracks=tracks))
    np.testing.assert_array_equal(one.stations, two.stations)
    np.testing.assert_array_equal(one.flags, two.flags)
    assert one.distance == pytest.approx(two.distance, abs=1e-6)
