"""Networks written by hand, and networks that nobody would build."""

import numpy as np
import pytest

from drivetrain.data.generating.sumo.network import DEFAULT_WIDTH, EVERYONE, MOTOR, permissions, read_network
from drivetrain.types import InputError

CROSSROADS = """<net>
  <edge id=":J_0" function="internal"><lane id=":J_0_0" index="0" speed="13.9" shape="100,-1.6 120,-1.6"/></edge>
  <edge id=":J_1" function="internal"><lane id=":J_1_0" index="0" speed="5.5" shape="100,-1.6 106,-3 108,-9"/></edge>
  <edge id=":J_c0" function="crossing"><lane id=":J_c0_0" index="0" allow="pedestrian" speed="1" width="4"
    shape="97,-5 97,5"/></edge>
  <edge id=":J_w0" function="walkingarea"><lane id=":J_w0_0" index="0" allow="pedestrian" speed="1" width="4"
    shape="95,-9 99,-9 99,-5 95,-5"/></edge>
  <edge id="in"><lane id="in_0" index="0" speed="13.9" allow="pedestrian" width="2" shape="0,-4.2 100,-4.2"/>
    <lane id="in_1" index="1" speed="13.9" disallow="pedestrian"
    shape="0,-1.6,7 50,-1.6,7 50,-1.6,7 100,-1.6,7"/></edge>
  <edge id="out"><lane id="out_0" index="0" speed="8.3" shape="120,-1.6 200,-1.6"/></edge>
  <edge id="side"><lane id="side_0" index="0" speed="8.3" shape="108,-9 108,-80"/></edge>
  <junction id="J" type="traffic_light" x="110" y="0" shape="100,-5 100,5 120,5 120,-5"/>
  <junction id=":J_9_0" type="internal" x="1" y="1" shape=""/>
  <connection from="in" to="out" fromLane="1" toLane="0" via=":J_0_0" tl="T" linkIndex="0" dir="s" state="O"/>
  <connection from="in" to="side" fromLane="1" toLane="0" via=":J_1_0" tl="T" linkIndex="1" dir="r" state="o"/>
  <connection from=":J_0" to="out" fromLane="0" toLane="0" dir="s" state="M"/>
  <connection from=":J_1" to="side" fromLane="0" toLane="0" dir="r" state="M"/>
  <connection from="in" to=":J_w0" fromLane="0" toLane="0" dir="s" state="M"/>
</net>"""


def network(tmp_path, text=CROSSROADS):
    path = tmp_path / "hand.net.xml"
    path.write_text(text)
    return read_network(str(path))


def test_a_network_is_read(tmp_path):
    net = network(tmp_path)
    assert set(net.lanes) == {":J_0_0", ":J_1_0", "in_0", "in_1", "out_0", "side_0"}
    lane = net.lanes["in_1"]
    assert (lane.width, lane.speed, lane.internal) == (DEFAULT_WIDTH, 13.9, False)
    assert "pedestrian" not in lane.allowed and lane.allowed >= MOTOR
    np.testing.assert_array_equal(lane.shape, [[0, -1.6], [50, -1.6], [100, -1.6]])  # no height, no point twice
    assert net.lanes["in_0"].allowed == {"pedestrian"} and net.lanes[":J_0_0"].internal
    assert list(net.junctions) == ["J"] and net.junctions["J"].kind == "traffic_light"
    assert [(c.source, c.via, c.signal, c.link) for c in net.connections[:2]] == [
        ("in_1", ":J_0_0", "T", 0),
        ("in_1", ":J_1_0", "T", 1),
    ]
    assert len(net.connections) == 4, "the one to a walking area is none of ours"
    assert len(net.walking_areas) == 1
    corners = {tuple(corner) for corner in net.crossings[0].tolist()}
    assert corners == {(95, -5), (95, 5), (99, 5), (99, -5)}
    assert [lane.id for lane in net.edges()["in"]] == ["in_0", "in_1"]


def test_a_lane_whose_points_coincide_is_left_out_and_the_connection_leads_past_it(tmp_path):
    text = CROSSROADS.replace('shape="100,-1.6 120,-1.6"', 'shape="100,-1.6,7 100,-1.6,7"', 1)
    net = network(tmp_path, text)
    assert ":J_0_0" not in net.lanes
    assert (net.connections[0].source, net.connections[0].target, net.connections[0].via) == ("in_1", "out_0", "")
    np.testing.assert_array_equal(net.without_length, [[100.0, -1.6]])


def test_a_link_of_number_minus_one_is_not_controlled(tmp_path):
    first, second, *_ = network(tmp_path, CROSSROADS.replace('linkIndex="0"', 'linkIndex="-1"')).connections
    assert (first.signal, second.signal, second.link) == ("", "T", 1)


@pytest.mark.parametrize(
    "allow, disallow, wanted",
    [
        (None, None, EVERYONE),
        ("all", None, EVERYONE),
        ("bus bicycle tram", None, {"bus", "bicycle"}),
        ("", None, set()),
        (None, "all", set()),
        (None, "pedestrian bicycle", MOTOR),
    ],
)
def test_permissions(allow, disallow, wanted):
    assert permissions(allow, disallow) == wanted


@pytest.mark.parametrize(
    "old, new, word",
    [
        ("<net>", "<network>", "not well-formed"),
        ('index="1"', 'index="one"', "index"),
        ('speed="13.9" disallow', 'speed="nan" disallow', "speed"),
        ('shape="0,-4.2 100,-4.2"', 'shape="0,-4.2"', "1 points"),
        ('shape="97,-5 97,5"', 'shape="97,-5 97,-5"', "coincide"),
        ('shape="0,-4.2 100,-4.2"', 'shape="0,-4.2 100"', "no point"),
        ('shape="0,-4.2 100,-4.2"', 'shape="0,-4.2 1e99,-4.2"', "1e99"),
        ('id="in_0"', 'id="in_1"', "two lanes"),
        ('width="2"', 'width="2000"', "at most 100"),
        ('linkIndex="0"', 'linkIndex="-2"', "linkIndex"),
        ('x="110"', 'x=""', "junction"),
    ],
)
def test_what_nobody_would_build_is_refused_in_one_line(tmp_path, old, new, word):
    assert CROSSROADS.count(old) >= 1
    with pytest.raises(InputError, match=word) as caught:
        network(tmp_path, CROSSROADS.replace(old, new, 1))
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path / "hand.net.xml"))


def test_no_roads_are_no_network(tmp_path):
    for text in ("<net/>", "<routes/>", '<!DOCTYPE net [<!ENTITY a "b">]><net/>'):
        with pytest.raises(InputError):
            network(tmp_path, text)
