import dataclasses

import numpy as np
import pytest
import scenes
import shapely
from hypothesis import given
from hypothesis import strategies as st

from drivetrain.data.roads.lanes import components, stations_of
from drivetrain.data.roads.map_extension import AHEAD, BEHIND, extend_map, polygons
from drivetrain.types import ElementKind

WIDTH = scenes.WIDTH


def test_a_straight_lane_has_a_cross_section_every_two_metres():
    lanes, mending = stations_of(scenes.straight_road(lanes=2, length=100.0))
    assert lanes.count.tolist() == [51, 51]
    x = np.linspace(0.0, 100.0, 51)
    np.testing.assert_allclose(lanes.left[lanes.stations(0)], np.stack([x, np.full(51, WIDTH)], 1), atol=1e-12)
    np.testing.assert_allclose(lanes.right[lanes.stations(0)], np.stack([x, np.zeros(51)], 1), atol=1e-12)
    np.testing.assert_allclose(lanes.centre[lanes.stations(1)], np.stack([x, np.full(51, 1.5 * WIDTH)], 1), atol=1e-12)
    np.testing.assert_allclose(lanes.tangent, np.tile([1.0, 0.0], (102, 1)), atol=1e-12)
    assert mending.points == mending.neighbours_dropped == 0


def test_neighbours_on_a_bend_are_beside_each_other_and_point_along_it():
    radius = 40.0
    lanes, _ = stations_of(scenes.curve(radius))
    assert lanes.count[0] == lanes.count[1]
    np.testing.assert_allclose(lanes.left[lanes.stations(0)], lanes.right[lanes.stations(1)], atol=1e-9)
    bend = lanes.centre[lanes.stations(0)]
    turning = (bend[:, 0] > 3.0) & (bend[:, 1] < radius - 3.0)
    out = bend[turning] - np.array([0.0, radius])
    tangent = np.stack([-out[:, 1], out[:, 0]], 1) / np.linalg.norm(out, axis=1, keepdims=True)
    np.testing.assert_allclose(lanes.tangent[lanes.stations(0)][turning], tangent, atol=0.02)


def pulled_apart(gap: float):
    """Two lanes whose shared border is drawn twice, `gap` apart."""
    road = scenes.straight_road(lanes=2, length=40.0)
    moved = dataclasses.replace(road.lanes[1], right=road.lanes[1].right + [0.0, gap])
    return stations_of(dataclasses.replace(road, lanes=(road.lanes[0], moved)))


def test_a_sliver_between_neighbours_is_closed_in_its_middle_and_reported():
    lanes, mending = pulled_apart(0.3)
    np.testing.assert_allclose(lanes.left[lanes.stations(0)][:, 1], WIDTH + 0.15)
    np.testing.assert_allclose(lanes.right[lanes.stations(1)][:, 1], WIDTH + 0.15)
    assert mending.shift == pytest.approx(0.15)
    assert mending.points == 2 * 21


def test_a_wider_gap_stays():
    lanes, mending = pulled_apart(0.6)
    np.testing.assert_allclose(lanes.right[lanes.stations(1)][:, 1], WIDTH + 0.6)
    assert mending.points == 0


def test_a_lane_and_its_successor_meet_in_one_cross_section():
    road = scenes.crossing()
    moved = tuple(
        dataclasses.replace(lane, left=lane.left + [0.0, 0.2], right=lane.right + [0.0, 0.2])
        if lane.id == scenes.EXIT
        else lane
        for lane in road.lanes
    )
    lanes, mending = stations_of(dataclasses.replace(road, lanes=moved))
    end, start = lanes.stations(1).stop - 1, lanes.stations(3).start
    np.testing.assert_allclose(lanes.left[end], lanes.left[start], atol=1e-12)
    np.testing.assert_allclose(lanes.left[end], [20.0, WIDTH / 2 + 0.1], atol=1e-12)
    assert mending.shift == pytest.approx(0.1)


def test_neighbours_that_do_not_run_side_by_side_are_dropped():
    road = scenes.straight_road(lanes=2, length=100.0)
    short = dataclasses.replace(
        road.lanes[1], left=road.lanes[1].left * [0.5, 1.0], right=road.lanes[1].right * [0.5, 1.0]
    )
    lanes, mending = stations_of(dataclasses.replace(road, lanes=(road.lanes[0], short)))
    assert (lanes.neighbours == -1).all()
    assert mending.neighbours_dropped == 1


def test_undrivable_lanes_have_no_stations():
    road = scenes.straight_road(lanes=2)
    walk = dataclasses.replace(road.lanes[1], drivable=False)
    lanes, _ = stations_of(dataclasses.replace(road, lanes=(road.lanes[0], walk)))
    assert lanes.id.tolist() == [1]
    assert (lanes.neighbours == -1).all()


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=15))
def test_components_agree_with_repeated_spreading(size, links):
    links = [(a, b) for a, b in links if a < size and b < size]
    label = np.arange(size)
    for _ in range(size):
        for a, b in links:
            label[a] = label[b] = min(label[a], label[b])
    np.testing.assert_array_equal(components(size, links), label)


def test_the_map_goes_on_beyond_its_edge():
    lanes, mending = extend_map(*stations_of(scenes.straight_road(lanes=3, length=100.0)))
    assert (mending.lanes_added_ahead, mending.lanes_added_behind) == (3, 3)
    road = shapely.union_all(polygons(lanes))
    assert road.symmetric_difference(shapely.box(-BEHIND, 0.0, 100.0 + AHEAD, 3 * WIDTH)).area < 1e-6
    for lane in range(3):
        (ahead,), (behind,) = lanes.successors[lane], lanes.predecessors[lane]
        assert lanes.added[ahead] and lanes.added[behind]
        np.testing.assert_allclose(lanes.centre[lanes.stations(ahead)][0], lanes.centre[lanes.stations(lane)][-1])
        np.testing.assert_allclose(lanes.centre[lanes.stations(behind)][-1], lanes.centre[lanes.stations(lane)][0])
    assert lanes.chain(lanes.successors[1][0]) == [lanes.successors[i][0] for i in (2, 1, 0)]


def test_a_lane_that_is_dropped_ends_where_it_is_dropped():
    road = scenes.straight_road(lanes=2, length=100.0)
    goes_on = scenes.lane_along(9, [[100.0, WIDTH], [200.0, WIDTH]], [[100.0, 0.0], [200.0, 0.0]], predecessors=(1,))
    lanes, mending = extend_map(*stations_of(dataclasses.replace(road, lanes=(*road.lanes, goes_on))))
    assert mending.lanes_added_ahead == 1
    assert lanes.successors[1] == ()


def test_a_lane_that_faces_other_lanes_is_a_dead_end():
    road = scenes.straight_road(lanes=1, length=50.0)
    across = scenes.lane_along(9, [[54.0, -50.0], [54.0, 60.0]], [[58.0, -50.0], [58.0, 60.0]])
    lanes, _ = extend_map(*stations_of(dataclasses.replace(road, lanes=(*road.lanes, across))))
    assert lanes.successors[0] == ()
    assert len(lanes.successors[1]) == 1


def test_painted_kinds_are_of_no_concern_to_stations():
    road = scenes.straight_road(lanes=1)
    other = dataclasses.replace(road.lanes[0], left_border=ElementKind.LINE_DASHED)
    one, two = stations_of(road)[0], stations_of(dataclasses.replace(road, lanes=(other,)))[0]
    np.testing.assert_array_equal(one.left, two.left)
