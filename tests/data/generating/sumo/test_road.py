"""The road around a place: borders, graph, lines, lights and edges of a network written by hand."""

import numpy as np
import pytest
import shapely

from drivetrain.data.generating.sumo.network import read_network
from drivetrain.data.generating.sumo.road import SPARE, Signal, borders, road_around
from drivetrain.types import ControlKind, ElementKind, LightState

T = """<net>
  <edge id=":J_0" function="internal"><lane id=":J_0_0" index="0" speed="13" shape="100,-1.6 120,-1.6"/>
    <lane id=":J_0_1" index="1" speed="13" shape="100,1.6 120,1.6"/></edge>
  <edge id=":J_2" function="internal"><lane id=":J_2_0" index="0" speed="5" shape="100,-1.6 105,-3 108.4,-9"/></edge>
  <edge id=":J_3" function="internal"><lane id=":J_3_0" index="0" speed="5" shape="111.6,-9 114,-4 120,-1.6"/></edge>
  <edge id=":J_4" function="internal"><lane id=":J_4_0" index="0" speed="5" shape="111.6,-9 110,-8 108.4,-9"/></edge>
  <edge id="in"><lane id="in_0" index="0" speed="13" shape="0,-1.6 100,-1.6"/>
    <lane id="in_1" index="1" speed="13" shape="0,1.6 100,1.6"/>
    <lane id="in_2" index="2" speed="13" allow="bus" shape="0,4.8 100,4.8"/></edge>
  <edge id="out"><lane id="out_0" index="0" speed="8" shape="120,-1.6 220,-1.6"/>
    <lane id="out_1" index="1" speed="8" shape="120,1.6 220,1.6"/></edge>
  <edge id="down"><lane id="down_0" index="0" speed="8" shape="108.4,-9 108.4,-90"/></edge>
  <edge id="up"><lane id="up_0" index="0" speed="7" shape="111.6,-90 111.6,-9"/></edge>
  <edge id="path"><lane id="path_0" index="0" speed="4" allow="bicycle" width="1.5" shape="100,9 120,9"/></edge>
  <edge id="walk"><lane id="walk_0" index="0" speed="4" allow="pedestrian" width="1.5" shape="100,12 120,12"/></edge>
  <edge id="far"><lane id="far_0" index="0" speed="8" shape="1000,0 1100,0"/></edge>
  <edge id=":J_c0" function="crossing"><lane id=":J_c0_0" index="0" allow="pedestrian" speed="1" width="4"
    shape="97,-5 97,5"/></edge>
  <junction id="J" type="traffic_light" x="110" y="0" shape="100,-3.2 100,6.4 120,6.4 120,-3.2 113.2,-9 106.8,-9"/>
  <connection from="in" to="out" fromLane="0" toLane="0" via=":J_0_0" tl="T" linkIndex="0" dir="s" state="O"/>
  <connection from="in" to="out" fromLane="1" toLane="1" via=":J_0_1" tl="T" linkIndex="0" dir="s" state="O"/>
  <connection from="in" to="down" fromLane="0" toLane="0" via=":J_2_0" tl="T" linkIndex="1" dir="r" state="o"/>
  <connection from="up" to="out" fromLane="0" toLane="0" via=":J_3_0" dir="r" state="s"/>
  <connection from="up" to="down" fromLane="0" toLane="0" via=":J_4_0" dir="t" state="m"/>
  <connection from=":J_0" to="out" fromLane="0" toLane="0" dir="s" state="M"/>
  <connection from=":J_0" to="out" fromLane="1" toLane="1" dir="s" state="M"/>
  <connection from=":J_2" to="down" fromLane="0" toLane="0" dir="r" state="M"/>
  <connection from=":J_3" to="out" fromLane="0" toLane="0" dir="r" state="M"/>
  <connection from=":J_4" to="down" fromLane="0" toLane="0" dir="r" state="M"/>
</net>"""
RADIUS = 40.0


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "t.net.xml"
    path.write_text(T)
    return read_network(str(path))


@pytest.fixture(scope="module")
def road(network):
    return road_around(network, network.junctions["J"].position, RADIUS)


@pytest.fixture(scope="module")
def lanes(network, road):
    names = list(network.lanes)
    return {names[lane.id]: lane for lane in road.lanes}


def test_what_lies_in_the_circle_is_kept_less_the_origin(road, lanes):
    assert road.origin == (110.0, 0.0)
    expected = {":J_0_0", ":J_0_1", ":J_2_0", ":J_3_0", "in_0", "in_1", "in_2", "out_0", "out_1", "down_0", "up_0"}
    assert set(lanes) == expected | {"path_0"}
    assert road.notes == {
        "footways_left_out": 1,
        "turnarounds_left_out": 1,
        "lane_borders_by_given_width": 24,
        "stop_lines_derived": len(road.control_lines),
    }
    assert not lanes["path_0"].drivable and lanes["in_2"].drivable


def test_borders_are_half_a_width_to_the_left_and_right(lanes):
    np.testing.assert_allclose(lanes["out_0"].left[:, 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(lanes["out_0"].right[:, 1], -3.2, atol=1e-9)


def test_lanes_of_an_edge_are_cut_at_the_same_place_a_little_beyond_the_circle(lanes):
    reach = RADIUS + SPARE
    for name in ("in_0", "in_1", "in_2"):
        assert lanes[name].left[0, 0] == pytest.approx(-reach, abs=0.1)
        assert lanes[name].left[-1, 0] == pytest.approx(-10.0)


def test_the_graph_leads_through_the_junction(network, lanes):
    name = dict(enumerate(network.lanes))
    ahead = {id: {name[other] for other in lane.successors} for id, lane in lanes.items()}
    assert ahead["in_0"] == {":J_0_0", ":J_2_0"} and ahead[":J_2_0"] == {"down_0"} and ahead["out_0"] == set()
    assert ahead["up_0"] == {":J_3_0"}, "the way back is left out"
    for id, following in ahead.items():
        for other in following:
            assert id in {name[before] for before in lanes[other].predecessors}


def test_neighbours_are_open_to_the_same_traffic(network, lanes):
    number = {id: index for index, id in enumerate(network.lanes)}
    assert lanes["in_0"].left_neighbour == number["in_1"] and lanes["in_1"].right_neighbour == number["in_0"]
    assert lanes["in_1"].left_neighbour is None and lanes["in_2"].right_neighbour is None, "a bus lane"
    assert lanes["in_0"].left_border == lanes["in_1"].right_border == ElementKind.LINE_DASHED
    assert lanes["in_1"].left_border == lanes["in_2"].right_border == ElementKind.LINE_SOLID
    assert lanes[":J_0_0"].left_border == ElementKind.LINE_VIRTUAL


def test_inside_the_junction_the_limit_of_the_road_before_holds(lanes):
    assert (lanes[":J_2_0"].speed_limit, lanes[":J_3_0"].speed_limit, lanes["out_0"].speed_limit) == (13.0, 7.0, 8.0)


def test_every_controlled_way_in_has_a_line_with_the_light_of_its_own_link(road, lanes):
    by_lane = {line.lane: line for line in road.control_lines}
    assert len(by_lane) == len(road.control_lines) == 4
    straight, aside, right = (by_lane[lanes[name].id] for name in (":J_0_0", ":J_0_1", ":J_2_0"))
    assert straight.light == aside.light != right.light
    np.testing.assert_allclose(straight.ends, [[-10.0, 0.0], [-10.0, -3.2]])
    stop = by_lane[lanes[":J_3_0"].id]
    assert (stop.kind, stop.light) == (ControlKind.STOP_SIGN, None)
    assert [(signal.signal, signal.link) for signal in road.signals] == [("T", 0), ("T", 1)]


def test_a_way_without_length_is_counted_and_a_link_without_control_has_no_light(tmp_path):
    """The lane straight on is 0.1 m long in a file of two digits; the road then leads on from its end."""
    text = T.replace('shape="100,1.6 120,1.6"', 'shape="100,1.6 100,1.6"').replace(
        'shape="120,1.6 ', 'shape="100.1,1.6 '
    )
    text = text.replace('tl="T" linkIndex="1" dir="r" state="o"', 'tl="T" linkIndex="-1" dir="r" state="m"')
    path = tmp_path / "short.net.xml"
    path.write_text(text)
    net = read_network(str(path))
    road = road_around(net, net.junctions["J"].position, RADIUS)
    lanes = {list(net.lanes)[lane.id]: lane for lane in road.lanes}
    assert road.notes["lanes_without_length"] == 1
    assert lanes["in_1"].successors == (lanes["out_1"].id,)
    lines = {line.lane: line for line in road.control_lines}
    assert lines[lanes["in_1"].id].kind == ControlKind.LIGHT, "its light stands at its end"
    assert lines[lanes[":J_2_0"].id].kind == ControlKind.LINE and len(road.signals) == 1


def test_lanes_of_a_network_with_heights_have_them(tmp_path):
    """The way in climbs from 0 to 10 m over 100 m; what has no third coordinate has no height."""
    path = tmp_path / "high.net.xml"
    path.write_text(T.replace('shape="0,-1.6 100,-1.6"', 'shape="0,-1.6,0 100,-1.6,10"'))
    network = read_network(str(path))
    road = road_around(network, network.junctions["J"].position, RADIUS)
    names = list(network.lanes)
    lanes = {names[lane.id]: lane for lane in road.lanes}
    x = lanes["in_0"].left[:, 0] + road.origin[0]
    np.testing.assert_allclose(lanes["in_0"].height, 0.1 * x, atol=1e-9)
    assert lanes["in_1"].height is None


def test_letters_become_states():
    light = Signal(3, "T", 0, np.zeros(2)).states(list("GgyruoOs"))
    g, y, r, off = LightState.GREEN, LightState.YELLOW, LightState.RED, LightState.OFF
    assert light.states.tolist() == [g, g, y, r, LightState.RED_YELLOW, off, off, LightState.UNKNOWN]
    assert light.recorded and light.id == 3


def test_edges_have_the_road_on_their_left_and_do_not_close_it(road):
    edges = [feature.points for feature in road.features if feature.kind == ElementKind.ROAD_EDGE]
    drivable = shapely.union_all([shapely.box(-45, -3.2, 45, 3.2), shapely.box(-3.2, -45, 3.2, -9)])
    drivable = drivable.union(shapely.box(-45, 3.2, -10, 6.4))
    for points in edges:
        middle, along = (points[1:] + points[:-1]) / 2, np.diff(points, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        aside = 0.05 * np.stack([-along[:, 1], along[:, 0]], axis=1)
        assert not drivable.buffer(-0.01).intersects(shapely.MultiPoint(middle - aside))
        assert (np.linalg.norm(points, axis=1) <= RADIUS + SPARE + 0.01).all()
    across = shapely.LineString([(-45, 0), (45, 0)]).union(shapely.LineString([(2, -45), (2, -9)]))
    assert not any(across.intersects(shapely.LineString(points)) for points in edges)
    assert sum(feature.kind == ElementKind.CROSSWALK for feature in road.features) == 1


def test_borders_of_a_bend_keep_their_distance_and_never_run_backwards():
    angle = np.linspace(0.0, np.pi / 2, 9)
    for radius, width in ((20.0, 3.2), (5.0, 3.2), (1.0, 3.2)):
        centre = radius * np.stack([np.sin(angle), 1.0 - np.cos(angle)], axis=1)  # to the left
        left, right = borders(centre, width)
        outer = np.linalg.norm(right - [0.0, radius], axis=1)
        np.testing.assert_allclose(outer, radius + width / 2, rtol=0.02)
        if radius > width / 2:
            np.testing.assert_allclose(np.linalg.norm(left - [0.0, radius], axis=1), radius - width / 2, rtol=0.05)
        np.testing.assert_allclose(left[[0, -1]], [[0, width / 2], [radius - width / 2, radius]], atol=0.2 * width)
        assert len(left) >= 2 and len(right) == 9


def test_a_hairpin_gives_borders():
    left, right = borders(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 1e-9]]), 3.0)
    assert np.isfinite(left).all() and np.isfinite(right).all() and np.abs(left).max() < 20
