"""OpenDRIVE: curves against closed forms and dense sums, drawn roads, real towns, and hostile files."""

import gzip
import lzma
import random
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.special import fresnel

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.readers.opendrive import reader as opendrive
from drivetrain.data.readers.opendrive.geometry import Cubics, places, read_pieces
from drivetrain.data.store.converting import convert
from drivetrain.data.store.dataset_info import info
from drivetrain.data.store.loading import load
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.progress import progress
from drivetrain.types import ControlKind, ElementKind, InputError

ELSEWHERE = Path(__file__).resolve().parents[4] / "shared" / "data"


def geometry(shape, s=0.0, x=0.0, y=0.0, hdg=0.0, length=100.0):
    return f'<geometry s="{s!r}" x="{x!r}" y="{y!r}" hdg="{hdg!r}" length="{length!r}">{shape}</geometry>'


def lane(id, width=3.5, kind="driving", inside="", link="", extra=""):
    sizes = f'<width sOffset="0" a="{width}" b="0" c="0" d="0"/>' if not isinstance(width, str) else width
    return f'<lane id="{id}" type="{kind}" level="false"{extra}><link>{link}</link>{sizes if id else ""}{inside}</lane>'


def section(left="", right="", s=0.0, centre=""):
    return (
        f'<laneSection s="{s!r}"><left>{left}</left><center>{lane(0, kind="none", inside=centre)}</center>'
        f"<right>{right}</right></laneSection>"
    )


def road(id, sections="", shapes="", length=100.0, link="", junction="-1", inside="", lanes="", extra=""):
    sections = sections or section(right=lane(-1))
    return (
        f'<road name="" length="{length!r}" id="{id}" junction="{junction}"{extra}><link>{link}</link>'
        f"<planView>{shapes or geometry('<line/>', length=length)}</planView>"
        f"<lanes>{lanes}{sections}</lanes>{inside}</road>"
    )


def linked(**ends):
    """Links of a road: predecessor or successor = (id of a road, its contact point), or the id of a junction."""
    text = ""
    for tag, to in ends.items():
        kind, id, contact = ("junction", to, "") if isinstance(to, str) else ("road", to[0], f' contactPoint="{to[1]}"')
        text += f'<{tag} elementType="{kind}" elementId="{id}"{contact}/>'
    return text


def document(body, root="OpenDRIVE", head=""):
    header = '<header revMajor="1" revMinor="6" name="drawn" vendor="by hand"/>'
    return f'<?xml version="1.0"?>{head}<{root}>{header}{body}</{root}>'


def read(tmp_path, body, **settings):
    file = tmp_path / "map.xodr"
    file.write_text(document(body, **settings))
    return opendrive.read(str(file))


def sole(tmp_path, body):
    (one,) = read(tmp_path, body).lanes
    return one


def world(recording, points):
    return points + np.array(recording.origin)


# ------------------------------------------------------------------------------------------------------------- curves


def along(shape, s, **where):
    element = ElementTree.fromstring(f"<road><planView>{geometry(shape, **where)}</planView></road>")
    return places(read_pieces("road", element), np.asarray(s, float))


def test_an_arc_is_a_circle():
    s = np.linspace(0.0, 60.0, 50)
    position, heading = along('<arc curvature="-0.05"/>', s, x=3.0, y=-2.0, hdg=0.7, length=60.0)
    centre = np.array([3.0, -2.0]) + 20.0 * np.array([np.sin(0.7), -np.cos(0.7)])  # radius 20 m to the right
    np.testing.assert_allclose(np.linalg.norm(position - centre, axis=1), 20.0, atol=1e-12)
    np.testing.assert_allclose(heading, 0.7 - s / 20.0, atol=1e-12)
    np.testing.assert_allclose(position[0], [3.0, -2.0], atol=1e-12)


@pytest.mark.parametrize("length, curvature", [(80.0, 0.1), (200.0, -0.04), (10.0, 2.0)])
def test_a_spiral_is_fresnels(length, curvature):
    s = np.linspace(0.0, length, 73)
    position, heading = along(f'<spiral curvStart="0" curvEnd="{curvature}"/>', s, length=length)
    scale = np.sqrt(np.pi * length / abs(curvature))  # heading s²|k|/2L = pi/2 (s/scale)²
    sine, cosine = fresnel(s / scale)
    expected = scale * np.stack([cosine, np.sign(curvature) * sine], axis=1)
    np.testing.assert_allclose(position, expected, atol=1e-9)
    np.testing.assert_allclose(heading, 0.5 * curvature * s**2 / length, atol=1e-12)


def test_a_spiral_that_starts_bent_is_the_rest_of_one_that_does_not():
    whole, turned = along('<spiral curvStart="0" curvEnd="0.1"/>', [0.0, 30.0, 100.0], length=100.0)
    x, y = whole[1]
    rest, _ = along(
        '<spiral curvStart="0.03" curvEnd="0.1"/>', [70.0], length=70.0, x=float(x), y=float(y), hdg=float(turned[1])
    )
    np.testing.assert_allclose(rest[0], whole[2], atol=1e-9)


@pytest.mark.parametrize(
    "shape, end",
    [
        ('<poly3 a="0" b="0" c="0.02" d="-0.0002"/>', None),
        ('<paramPoly3 aU="0" bU="50" cU="-8" dU="0" aV="0" bV="0" cV="9" dV="5" pRange="normalized"/>', 1.0),
        ('<paramPoly3 aU="0" bU="1" cU="0" dU="-1e-4" aV="0" bV="0" cV="0.01" dV="0" pRange="arcLength"/>', 50.0),
    ],
)
def test_a_polynomial_is_taken_by_arc_length(shape, end):
    """Against chords summed along many points; a curve longer than its piece says is scaled to it."""
    p = np.linspace(0.0, end or 50.0, 200_001)
    values = {key: float(value) for key, value in re.findall(r'(\w+)="([-\d.e]+)"', shape)}
    if end is None:
        u, v = p, values["a"] + values["b"] * p + values["c"] * p**2 + values["d"] * p**3
    else:
        u, v = (sum(values[k + axis] * p**i for i, k in enumerate("abcd")) for axis in "UV")
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(u), np.diff(v)))])
    length = float(travelled[-1]) if end == 1.0 else 50.0
    travelled *= length / travelled[-1] if end else 1.0
    s = np.linspace(0.0, length, 41)
    position, heading = along(shape, s, length=length)
    expected = np.stack([np.interp(s, travelled, u), np.interp(s, travelled, v)], axis=1)
    np.testing.assert_allclose(position, expected, atol=1e-6)
    step = np.diff(position, axis=0)
    between = 0.5 * (heading[1:] + heading[:-1])
    assert np.abs(np.arctan2(step[:, 1], step[:, 0]) - between).max() < 0.01


def test_a_cubic_holds_from_its_start_to_the_next():
    steps = Cubics(np.array([0.0, 10.0]), np.array([[1.0, 0.5, 0.0, 0.0], [4.0, 0.0, 0.1, 0.01]]))
    np.testing.assert_allclose(steps.at(np.array([0.0, 4.0, 10.0, 12.0])), [1.0, 3.0, 4.0, 4.0 + 0.4 + 0.08])
    np.testing.assert_allclose(steps.at(np.array([10.0]), before=10.0), [6.0])
    assert Cubics(np.zeros(0), np.zeros((0, 4))).at(np.ones(3)).tolist() == [0.0, 0.0, 0.0]


# -------------------------------------------------------------------------------------------------------- drawn roads


def test_lanes_lie_beside_the_reference_line_and_run_with_the_rule(tmp_path):
    both = section(left=lane(1, 3.0), right=lane(-1, 3.5) + lane(-2, 2.5))
    for rule, sign in (("RHT", 1.0), ("LHT", -1.0)):
        recording = read(tmp_path, road(1, both, extra=f' rule="{rule}"'))
        lanes = sorted(recording.lanes, key=lambda lane: lane.left[:, 1].mean() + lane.right[:, 1].mean())
        middles = [np.mean([world(recording, border)[:, 1].mean() for border in (x.left, x.right)]) for x in lanes]
        np.testing.assert_allclose(middles, [-4.75, -1.75, 1.5])
        forward = [np.sign(lane.left[-1, 0] - lane.left[0, 0]) for lane in lanes]
        assert forward == [sign, sign, -sign]
        for one in lanes:  # the left border is on the left
            ahead, across = one.left[-1] - one.left[0], one.left[0] - one.right[0]
            assert ahead[0] * across[1] - ahead[1] * across[0] > 0
        outer, inner, other = lanes
        sides = (outer.left_neighbour, inner.right_neighbour, outer.right_neighbour, inner.left_neighbour)
        assert sides == ((inner.id, outer.id, None, None) if rule == "RHT" else (None, None, inner.id, outer.id))
        assert other.left_neighbour is None and other.right_neighbour is None


def test_a_lane_on_an_arc_keeps_its_radii(tmp_path):
    body = road(1, section(right=lane(-1, 3.0)), geometry('<arc curvature="0.02"/>', length=70.0), length=70.0)
    recording = read(tmp_path, body)
    left, right = (world(recording, border) for border in (recording.lanes[0].left, recording.lanes[0].right))
    np.testing.assert_allclose(np.linalg.norm(left - [0.0, 50.0], axis=1), 50.0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(right - [0.0, 50.0], axis=1), 53.0, atol=1e-9)
    assert np.linalg.norm(np.diff(right, axis=0), axis=1).max() < 1.1


def test_widths_and_the_lane_offset_are_cubics_of_s(tmp_path):
    widths = '<width sOffset="0" a="3" b="0" c="0" d="0"/><width sOffset="40" a="3" b="0" c="-0.0025" d="0.00003"/>'
    offset = '<laneOffset s="0" a="1" b="0.02" c="0" d="0"/>'
    recording = read(tmp_path, road(1, section(right=lane(-1, widths)), lanes=offset))
    left, right = (world(recording, border) for border in (recording.lanes[0].left, recording.lanes[0].right))
    s = left[:, 0]
    ds = np.maximum(s - 40.0, 0.0)
    np.testing.assert_allclose(left[:, 1], 1.0 + 0.02 * s, atol=1e-9)
    np.testing.assert_allclose(left[:, 1] - right[:, 1], 3.0 - 0.0025 * ds**2 + 0.00003 * ds**3, atol=1e-9)


def test_borders_may_be_given_instead_of_widths(tmp_path):
    right = lane(-1, '<border sOffset="0" a="-3" b="0" c="0" d="0"/>') + lane(
        -2, '<border sOffset="0" a="-5" b="-0.01" c="0" d="0"/>'
    )
    recording = read(tmp_path, road(1, section(right=right)))
    outer = next(x for x in recording.lanes if x.right_neighbour is None)
    np.testing.assert_allclose(world(recording, outer.left)[:, 1], -3.0)
    np.testing.assert_allclose(world(recording, outer.right)[[0, -1], 1], [-5.0, -6.0])


def test_kinds_marks_and_limits(tmp_path):
    marks = '<roadMark sOffset="0" type="broken"/><roadMark sOffset="90" type="solid"/>'
    limit = '<speed sOffset="0" max="30" unit="mph"/>'
    right = (
        lane(-1, inside=marks)
        + lane(-2, inside='<roadMark sOffset="0" type="solid solid"/>' + limit)
        + lane(-3, 1.5, "biking")
        + lane(-4, 2.0, "shoulder")
        + lane(-5, 2.0, "sidewalk")
    )
    kind = '<type s="0" type="town"><speed max="50" unit="km/h"/></type>'
    recording = read(
        tmp_path, road(1, section(right=right, centre='<roadMark sOffset="0" type="solid"/>'), inside=kind)
    )
    one, two, bike, walk = sorted(recording.lanes, key=lambda lane: -lane.left[0, 1])
    assert (one.left_border, one.right_border) == (ElementKind.LINE_SOLID, ElementKind.LINE_DASHED)
    assert (two.left_border, two.right_border) == (ElementKind.LINE_DASHED, ElementKind.LINE_SOLID)
    assert one.speed_limit == pytest.approx(50 / 3.6) and two.speed_limit == pytest.approx(30 * 0.44704)
    assert (one.drivable, two.drivable, bike.drivable, walk.drivable) == (True, True, False, False)
    assert two.right_neighbour is None and bike.left_neighbour is None
    assert recording.notes["lanes_of_other_types"] == 1 and recording.notes["borders_of_several_marks"] == 1


def test_a_lane_for_both_ways_runs_both_ways(tmp_path):
    link = '<predecessor elementType="road" elementId="1" contactPoint="end"/>'
    one = road(1, section(left=lane(1, kind="bidirectional", link='<successor id="1"/>'), right=lane(-1)), link="")
    one = one.replace(
        "<link></link>", '<link><successor elementType="road" elementId="2" contactPoint="start"/></link>', 1
    )
    two = road(2, section(left=lane(1, extra=' direction="both"')), geometry("<line/>", x=100.0), link=link)
    recording = read(tmp_path, one + two)
    lanes = {x.id: x for x in recording.lanes}
    assert len(lanes) == 5 and recording.notes["lanes_used_both_ways"] == 2
    linked = [(x, lanes[other]) for x in lanes.values() for other in x.successors]
    assert len(linked) == 2
    for lane_, following in linked:
        np.testing.assert_allclose(lane_.left[-1], following.left[0], atol=1e-9)
    forward = next(x for x in lanes.values() if x.left_neighbour is not None)
    assert lanes[forward.left_neighbour].left[-1, 0] > lanes[forward.left_neighbour].left[0, 0]


# ------------------------------------------------------------------------------------------------------------- links


def test_sections_and_roads_link_by_travel(tmp_path):
    """Road 1 runs east in two sections; road 2 is drawn from the far end back, so that they meet end to end."""
    first = section(lane(1, link='<successor id="1"/>'), lane(-1, link='<successor id="-1"/>'))
    second = section(
        lane(1, link='<predecessor id="1"/><successor id="-1"/>'),
        lane(-1, link='<predecessor id="-1"/><successor id="1"/>'),
        s=60.0,
    )
    away = '<successor elementType="road" elementId="2" contactPoint="end"/>'
    shapes = geometry("<line/>", x=200.0, hdg=float(np.pi))
    recording = read(tmp_path, road(1, first + second, link=away) + road(2, section(lane(1), lane(-1)), shapes))
    lanes = {x.id: x for x in recording.lanes}
    chains = []
    for start in (x for x in lanes.values() if not x.predecessors):
        chain = [start]
        while chain[-1].successors:
            (following,) = chain[-1].successors
            np.testing.assert_allclose(chain[-1].left[-1], lanes[following].left[0], atol=1e-9)
            np.testing.assert_allclose(chain[-1].right[-1], lanes[following].right[0], atol=1e-9)
            assert chain[-1].id in lanes[following].predecessors
            chain.append(lanes[following])
        chains.append([round(float(world(recording, x.left)[0, 0])) for x in chain])
    assert sorted(chains) == [[0, 60, 100], [200, 100, 60]]


LEAD = (
    section(right=lane(-1, link='<predecessor id="-1"/><successor id="-1"/>')),
    section(right=lane(-1, link='<successor id="1"/>')),
)
JUNCTION = (
    road(1, section(lane(1), lane(-1)), link=linked(successor="9"))
    + road(2, section(lane(1), lane(-1)), geometry("<line/>", x=120.0), link=linked(predecessor="9"))
    + road(3, LEAD[0], geometry("<line/>", x=100.0, length=20.0), 20.0,
           linked(predecessor=(1, "end"), successor=(2, "start")), "9", inside="<!--three-->")
    + road(4, LEAD[1], geometry("<line/>", x=120.0, hdg=float(np.pi), length=20.0), 20.0,
           linked(predecessor=(2, "start"), successor=(1, "end")), "9")
    + '<junction id="9"><connection id="0" incomingRoad="1" connectingRoad="3" contactPoint="start">'
    '<laneLink from="-1" to="-1"/></connection>'
    '<connection id="1" incomingRoad="2" connectingRoad="4" contactPoint="start">'
    '<laneLink from="1" to="-1"/></connection>'
    '<connection id="2" incomingRoad="77" connectingRoad="4" contactPoint="start"/></junction>'
)  # fmt: skip


def test_a_junction_links_through_its_connections(tmp_path):
    recording = read(tmp_path, JUNCTION)
    lanes = {x.id: x for x in recording.lanes}
    assert len(lanes) == 6 and recording.notes == {"dangling_references": 1}
    starts = [
        [round(float(world(recording, y.left)[0, 0])) for y in (x, lanes[x.successors[0]])]
        for x in lanes.values()
        if x.successors
    ]
    assert sorted(starts) == [[0, 100], [100, 120], [120, 100], [220, 120]]
    for one in lanes.values():
        for other in one.successors:
            np.testing.assert_allclose(one.right[-1], lanes[other].right[0], atol=1e-9)


def test_short_and_vanished_lanes_pass_their_links_on(tmp_path):
    through = '<predecessor id="-1"/><successor id="-1"/>'
    sections = (
        section(right=lane(-1, link='<successor id="-1"/>'))
        + section(right=lane(-1, link=through), s=50.0)
        + section(right=lane(-1, link=through) + lane(-2, 0.0), s=50.1)
    )
    recording = read(tmp_path, road(1, sections))
    first, last = sorted(recording.lanes, key=lambda x: x.left[0, 0])
    assert first.successors == (last.id,) and last.predecessors == (first.id,)
    np.testing.assert_allclose(first.left[-1], last.left[0], atol=1e-9)
    assert recording.notes["lanes_too_short_or_narrow"] == 2


def test_a_loop_is_no_trouble(tmp_path):
    link = linked(predecessor=(1, "end"), successor=(1, "start"))
    ring = geometry('<arc curvature="0.05"/>', length=40.0 * np.pi)
    body = road(1, section(right=lane(-1, link='<predecessor id="-1"/><successor id="-1"/>')), ring, 40.0 * np.pi, link)
    assert sole(tmp_path, body).successors == ()  # a lane that follows itself says nothing


# ------------------------------------------------------------------------------------------------- signals and objects

LIGHT = '<signal id="L" s="5" t="-6" dynamic="yes" orientation="+" country="OpenDRIVE" type="1000001">{}</signal>'
VALIDITY = '<validity fromLane="{0}" toLane="{0}"/>'


def lines_of(recording):
    return [(line.kind, world(recording, line.ends)) for line in recording.control_lines]


def test_a_light_in_a_junction_governs_from_where_the_lane_starts(tmp_path):
    meant = VALIDITY.format(-1)
    reference = f'<signals><signalReference id="L" s="12" t="0" orientation="-">{meant}</signalReference></signals>'
    post = f"<signals>{LIGHT.format(VALIDITY.format(0))}</signals>"
    body = JUNCTION.replace("<!--three-->", reference).replace("</road>", post + "</road>", 1)
    recording = read(tmp_path, body)
    ((kind, ends),) = lines_of(recording)
    assert kind == ControlKind.LIGHT and recording.notes["stop_lines_derived"] == 1
    np.testing.assert_allclose(ends, [[100.0, 0.0], [100.0, -3.5]], atol=1e-9)
    (light,) = recording.lights
    np.testing.assert_allclose(world(recording, light.position), [5.0, -6.0])
    assert light.states.tolist() == [0] and not light.recorded


def test_a_light_on_a_road_governs_at_its_s_the_way_it_faces(tmp_path):
    both = section(lane(1), lane(-1))
    for orientation, x in (("+", [5.0, 5.0]), ("-", [5.0, 5.0])):
        signal = LIGHT.format("").replace('orientation="+"', f'orientation="{orientation}"')
        recording = read(tmp_path, road(1, both, inside=f"<signals>{signal}</signals>"))
        ((_, ends),) = lines_of(recording)
        np.testing.assert_allclose(ends[:, 0], x, atol=1e-6)
        np.testing.assert_allclose(ends[:, 1], [0.0, -3.5] if orientation == "+" else [0.0, 3.5], atol=1e-6)


def test_a_tight_spiral_of_centimetres_is_read(tmp_path):
    """As drawn where two roads are joined: 4 cm that turn by a third of a radian."""
    bend = geometry('<spiral curvStart="0" curvEnd="14"/>', x=100.0, s=100.0, length=0.04)
    shapes = geometry("<line/>") + bend
    recording = read(tmp_path, road(1, shapes=shapes, length=100.04))
    assert len(recording.lanes) == 1


def test_signals_of_one_id_are_told_apart_by_their_places(tmp_path):
    signals = LIGHT.format("") + LIGHT.format("").replace('s="5"', 's="60"')
    recording = read(tmp_path, road(1, inside=f"<signals>{signals}</signals>"))
    assert recording.notes["signals_with_another_ones_id"] == 1
    assert sorted(float(world(recording, light.position)[0]) for light in recording.lights) == [5.0, 60.0]
    assert sorted(float(ends[0, 0]) for _, ends in lines_of(recording)) == pytest.approx([5.0, 60.0])
    assert len({line.light for line in recording.control_lines}) == 2


def test_a_stop_sign_takes_the_painted_line(tmp_path):
    line = (
        '<object id="1" name="StopLine" type="-1" s="94" t="-1.75" hdg="1.5707963267948966" length="3.5" width="0.4"/>'
    )
    spare = line.replace('s="94"', 's="20"').replace('id="1"', 'id="2"')
    sign = '<signal id="S" s="97" t="-5" dynamic="no" orientation="+" country="de" type="206" subtype="-1"/>'
    other = sign.replace('"S"', '"T"').replace("206", "205")
    recording = read(
        tmp_path,
        road(1, section(lane(1), lane(-1)), inside=f"<objects>{line}{spare}</objects><signals>{sign}{other}</signals>"),
    )
    (stop, ends), (bare, at) = lines_of(recording)
    assert (stop, bare) == (ControlKind.STOP_SIGN, ControlKind.LINE)
    np.testing.assert_allclose(ends, [[94.0, 0.0], [94.0, -3.5]], atol=1e-6)
    np.testing.assert_allclose(at, [[20.0, 0.0], [20.0, -3.5]], atol=1e-6)
    assert recording.notes == {"signals_left_out": 1, "stop_lines_as_painted": 1}


def test_a_crosswalk_keeps_its_outline(tmp_path):
    corners = "".join(f'<cornerLocal u="{u}" v="{v}" z="0"/>' for u, v in ((2, 5), (-2, 5), (-2, -5), (2, -5)))
    item = f'<object id="1" type="crosswalk" s="30" t="1" hdg="0"><outline>{corners}</outline></object>'
    bare = '<object id="2" type="crosswalk" s="60" t="0" hdg="0" length="4" width="8"/>'
    bare += '<object id="3" type="tree" s="1" t="9"/>'
    recording = read(tmp_path, road(1, inside=f"<objects>{item}{bare}</objects>"))
    drawn, boxed = [world(recording, feature.points) for feature in recording.features]
    np.testing.assert_allclose(drawn, [[32, 6], [28, 6], [28, -4], [32, -4], [32, 6]], atol=1e-9)
    np.testing.assert_allclose([boxed.min(axis=0), boxed.max(axis=0)], [[58, -4], [62, 4]], atol=1e-9)
    assert recording.notes == {"crosswalks": 2, "objects_left_out": 1}


def test_what_crosses_above_is_counted(tmp_path):
    bridge = '<elevationProfile><elevation s="0" a="6" b="0" c="0" d="0"/></elevationProfile>'
    over = road(2, shapes=geometry("<line/>", x=50.0, y=-50.0, hdg=float(np.pi / 2)), inside=bridge)
    recording = read(tmp_path, road(1) + over)
    assert recording.notes["lanes_crossing_above_others"] == 1
    assert [set(lane.height.tolist()) for lane in recording.lanes] == [{0.0}, {6.0}]
    assert set(compile_recording(recording)[0].map.station_height.tolist()) == {0.0, 6.0}
    climb = '<elevationProfile><elevation s="0" a="1" b="0.1" c="0" d="0"/></elevationProfile>'
    (back,) = read(tmp_path, road(1, section(left=lane(1)), inside=climb)).lanes  # driven against s
    np.testing.assert_allclose([back.height[0], back.height[-1]], [11.0, 1.0])
    assert "lanes_crossing_above_others" not in read(tmp_path, road(1) + over.replace('a="6"', 'a="1"')).notes


def test_packed_files_and_newer_ones_that_name_a_schema(tmp_path):
    text = document(road(1)).replace("<OpenDRIVE>", '<OpenDRIVE xmlns="http://schema/opendrive">')
    (tmp_path / "a.xodr").write_text(text)
    (tmp_path / "b.xodr.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.xodr.xz").write_bytes(lzma.compress(text.encode()))
    files = opendrive.find(str(tmp_path))
    assert [opendrive.read(file).name for file in files] == ["a", "b", "c"]
    assert opendrive.read(files[0]).source == "OpenDRIVE, drawn, by hand"


# -------------------------------------------------------------------------------------------------- maps as a dataset


def test_maps_become_a_dataset_without_egos(tmp_path):
    (tmp_path / "town.xodr").write_text(document(JUNCTION))
    summary = convert("opendrive", [str(tmp_path)], tmp_path / "set")
    assert (summary.recordings, summary.maps, summary.egos, summary.skipped) == (1, 1, 0, ())
    assert admit_dataset(tmp_path / "set", progress).table() == {"admitted": 0, "collision": 0, "off_route": 0}
    figures = info(tmp_path / "set")
    assert (figures.scenes, figures.maps, figures.egos, figures.agents) == (1, 1, 0, {})
    scenario = load(tmp_path / "set", admitted_only=False).scenarios[0]
    assert int((scenario.map.lane_count > 0).sum()) >= 6 and not scenario.log.agents.valid.any()
    with pytest.raises(InputError, match="maps without traffic"):
        load(tmp_path / "set")


# --------------------------------------------------------------------------------------------------------- real maps

TOWNS = {  # file below the folder → most of the gaps between linked ends (95 %) and the largest, m
    "opendrive_carla/Town01.xodr.xz": (0.01, 0.05),
    "opendrive_carla/Town02.xodr.xz": (0.01, 0.05),
    "opendrive_carla/Town03.xodr.xz": (0.01, 0.3),
    "opendrive_carla/Town06.xodr.xz": (0.01, 0.6),
    "opendrive_carla/py123d/Town01.xodr.gz": (0.01, 0.05),
    "opendrive_carla/py123d/Town02.xodr.gz": (0.01, 0.05),
    "opendrive_carla/py123d/Town03.xodr.gz": (0.01, 0.3),
    "opendrive_carla/py123d/Town06.xodr.gz": (0.01, 0.05),
    "opendrive_real_intersections/maps/rdb2.xodr.xz": (0.01, 0.05),
    "opendrive_real_intersections/maps/rdb6.xodr.xz": (0.01, 0.2),
    "opendrive_real_intersections/maps/bendplatz.xodr.xz": (0.3, 0.4),  # drawn by hand, to two digits
}


SMALL = ("py123d/Town02", "rdb2", "bendplatz")  # the others take seconds each


@pytest.mark.parametrize(
    "name", [name if any(s in name for s in SMALL) else pytest.param(name, marks=pytest.mark.long) for name in TOWNS]
)
def test_linked_lanes_of_real_maps_meet(name):
    file = ELSEWHERE / name
    if not file.is_file():
        pytest.skip(f"no {file}")
    recording = opendrive.read(str(file))
    lanes = {x.id: x for x in recording.lanes}
    gaps = [
        max(np.linalg.norm(x.left[-1] - lanes[y].left[0]), np.linalg.norm(x.right[-1] - lanes[y].right[0]))
        for x in lanes.values()
        for y in x.successors
    ]
    usual, largest = TOWNS[name]
    assert len(gaps) > 20 and np.percentile(gaps, 95) < usual and max(gaps) < largest
    driven = [x for x in lanes.values() if x.drivable]
    assert sum(not x.successors for x in driven) < 0.1 * len(driven) or len(driven) < 100
    if "Town01" in name or "Town02" in name:  # closed circuits
        assert all(x.successors and x.predecessors for x in driven)


def test_lights_and_stop_lines_of_a_real_town():
    file = ELSEWHERE / "opendrive_carla/py123d/Town06.xodr.gz"
    if not file.is_file():
        pytest.skip(f"no {file}")
    recording = opendrive.read(str(file))
    lanes = {x.id: x for x in recording.lanes}
    assert len(recording.lights) == 19  # <signal> elements, all dynamic
    governed = {line.light for line in recording.control_lines if line.kind == ControlKind.LIGHT}
    assert governed == {light.id for light in recording.lights}
    assert sum(feature.kind == ElementKind.CROSSWALK for feature in recording.features) == 14
    for line in recording.control_lines:
        middle, on = line.ends.mean(axis=0), lanes[line.lane]
        start = 0.5 * (on.left[0] + on.right[0])
        if line.kind == ControlKind.LIGHT:
            assert np.linalg.norm(middle - start) < 16.0
        assert 2.0 < np.linalg.norm(line.ends[0] - line.ends[1]) < 6.0


def test_a_real_town_compiles():
    file = ELSEWHERE / "opendrive_carla/Town02.xodr.xz"
    if not file.is_file():
        pytest.skip(f"no {file}")
    scenario, report = compile_recording(opendrive.read(str(file)))
    assert not report.candidates and report.mending.lanes_dropped == 0 and report.mending.shift < 0.1
    assert (scenario.map.element_kind == ElementKind.ROAD_EDGE).sum() > 100


# ------------------------------------------------------------------------------------------------------ hostile files

GOOD = road(1)
BOMB = '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
HOSTILE = {
    "entities": (GOOD, {"head": BOMB}, "document type"),
    "another document": (GOOD, {"root": "commonRoad"}, "root element"),
    "no roads": ("", {}, "road: none"),
    "no geometry": (GOOD.replace("<planView>", "<planView/><x>").replace("</planView>", "</x>"), {}, "no geometry"),
    "an empty geometry": (GOOD.replace("<line/>", ""), {}, "not one line"),
    "two shapes at once": (GOOD.replace("<line/>", '<line/><arc curvature="0"/>'), {}, "not one line"),
    "not a number": (GOOD.replace('x="0.0"', 'x="nan"'), {}, "geometry: x"),
    "infinite": (GOOD.replace('hdg="0.0"', 'hdg="inf"'), {}, "geometry: hdg"),
    "an absurd length": (GOOD.replace('length="100.0"', 'length="1e8"'), {}, "length"),
    "a negative length": (GOOD.replace('length="100.0"', 'length="-5"'), {}, "length"),
    "a length that is missing": (GOOD.replace(' length="100.0"', ""), {}, "length"),
    "a hairpin of no radius": (GOOD.replace("<line/>", '<arc curvature="1e6"/>'), {}, "curvature"),
    "an unknown parameter": (
        GOOD.replace("<line/>", '<paramPoly3 aU="0" bU="1" cU="0" dU="0" aV="0" bV="0" cV="0" dV="0" pRange="x"/>'), {},
        "pRange"),
    "a polynomial into space": (
        GOOD.replace("<line/>", '<paramPoly3 aU="0" bU="9e8" cU="0" dU="0" aV="0" bV="0" cV="0" dV="0"/>'), {},
        "apart"),
    "two roads, one id": (GOOD + GOOD, {}, "two roads"),
    "two lanes, one id": (road(1, section(right=lane(-1) + lane(-1))), {}, "two lanes"),
    "a lane of a kilometre": (road(1, section(right=lane(-1, 1000.0))), {}, "width"),
    "a width of nothing": (road(1, section(right=lane(-1, '<width sOffset="0" a="nan"/>'))), {}, "not finite"),
    "a huge lane": (road(1, section(right=lane(-(10**9)))), {}, "lane: id"),
    "pavements only": (road(1, section(right=lane(-1, kind="sidewalk"))), {}, "drivable"),
    "a road without length": (road(1, length=0.0), {}, "drivable"),
    "an outlier": (GOOD + road(2, shapes=geometry("<line/>", x=5e5)), {}, "apart"),
    "an unknown rule": (road(1, extra=' rule="MIDDLE"'), {}, "rule"),
    "a thousand kilometres": (
        "".join(road(i, section(right="".join(lane(-j - 1) for j in range(300))),
                     geometry("<line/>", length=9e4), 9e4) for i in range(2)), {}, "lanes"),
    "an unclosed element": (GOOD + "<road>", {}, "not well-formed"),
}  # fmt: skip


LEFT_OUT = {
    "an unknown unit": (road(1, inside='<type s="0"><speed max="5" unit="knots"/></type>'), "speed_limits_unreadable"),
    "a limit beyond sense": (road(1, inside='<type s="0"><speed max="5000"/></type>'), "speed_limits_unreadable"),
    "a signal far off": (
        road(1, inside=f"<signals>{LIGHT.format('')}</signals>".replace('t="-6"', 't="1e6"')), "signals_unreadable"),
    "a signal nowhere": (
        road(1, inside=f"<signals>{LIGHT.format('')}</signals>".replace('s="5"', 's=""')), "signals_unreadable"),
    "a signal for lanes of no number": (
        road(1, inside=f"<signals>{LIGHT.format(VALIDITY.format('x'))}</signals>"), "signals_unreadable"),
    "an object of a mile": (
        road(1, inside='<objects><object type="crosswalk" s="1" t="0" length="9999" width="1"/></objects>'),
        "objects_unreadable"),
    "an object of nothing": (
        road(1, inside='<objects><object type="crosswalk" s="1" t="0" length="0" width="0"/></objects>'),
        "objects_unreadable"),
    "a link to words": (road(1, section(right=lane(-1, link='<successor id="x"/>'))), "links_unreadable"),
    "a contact in the middle": (
        JUNCTION.replace('connectingRoad="3" contactPoint="start"', 'connectingRoad="3" contactPoint="mid"'),
        "links_unreadable"),
    "a road without a reference line": (
        GOOD + road(2).replace("<planView>", "<planView/><x>").replace("</planView>", "</x>"), "roads_unreadable"),
    "a road of an unknown width": (
        GOOD + road(2, section(right=lane(-1, '<width sOffset="0" a="nan"/>'))), "roads_unreadable"),
    "a road of an empty length": (GOOD + road(2).replace('length="100.0"', 'length=""', 1), "roads_unreadable"),
    "an empty offset": (road(1, section(right=lane(-1, '<width sOffset="" a="3.5"/>'))), "empty_attributes"),
    "an empty rule": (road(1, extra=' rule=""'), "empty_attributes"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_concerns_one_element_is_left_out_and_counted(tmp_path, case):
    body, note = LEFT_OUT[case]
    recording = read(tmp_path, body)
    assert recording.notes[note] >= 1
    assert recording.lanes[0].drivable and not recording.features and not recording.control_lines
    if case != "a contact in the middle":
        assert len(recording.lanes) == 1 and recording.lanes[0].speed_limit == 0.0
        np.testing.assert_allclose(np.ptp(world(recording, recording.lanes[0].left), axis=0), [100.0, 0.0], atol=1e-9)


def test_a_reference_to_a_light_that_is_left_out_asks_for_nothing(tmp_path):
    """It would else be read as one to a stop sign."""
    far, reference = LIGHT.format("").replace('t="-6"', 't="1e6"'), '<signalReference id="L" s="12" t="0"/>'
    recording = read(tmp_path, road(1, inside=f"<signals>{far}{reference}</signals>"))
    assert recording.control_lines == () and recording.notes == {"signals_unreadable": 1, "dangling_references": 1}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_end_with_one_line(tmp_path, case):
    body, settings, words = HOSTILE[case]
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, body, **settings)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(tmp_path)) and len(line) < 400


def test_links_to_what_is_not_there_are_counted(tmp_path):
    link = '<successor elementType="road" elementId="404" contactPoint="start"/>'
    body = road(1, section(right=lane(-1, link='<successor id="-1"/>')), link=link)
    signals = '<signals><signalReference id="nobody" s="1" t="0"/></signals>'
    recording = read(tmp_path, body.replace("</road>", signals + "</road>"))
    assert recording.lanes[0].successors == () and recording.notes == {"dangling_references": 2}


def test_links_that_go_round_in_circles_end(tmp_path):
    """Sections too short to be lanes, each linked to all others by junctions, pass on what they can and no more."""
    tiny = "".join(road(i, section(right=lane(-1)), length=0.05) for i in range(2, 14))
    links = "".join(
        f'<connection incomingRoad="{a}" connectingRoad="{b}"><laneLink from="-1" to="-1"/></connection>'
        for a in range(1, 14)
        for b in range(2, 14)
    )
    recording = read(tmp_path, GOOD + tiny + f'<junction id="9">{links}</junction>')
    assert len(recording.lanes) == 1


MUTANTS = document(
    JUNCTION.replace("<!--three-->", f"<signals>{LIGHT.format('')}</signals>")
    + road(
        7,
        section(lane(1), lane(-1, inside='<roadMark sOffset="0" type="broken"/>')),
        geometry('<spiral curvStart="0" curvEnd="0.02"/>', length=50.0)
        + geometry(
            '<paramPoly3 aU="0" bU="50" cU="0" dU="0" aV="0" bV="0" cV="1" dV="1"/>', s=50.0, x=50.0, length=50.0
        ),
        inside='<objects><object id="1" type="crosswalk" s="30" t="1" hdg="0" length="4" width="10"/></objects>',
    )
)
ODD = ["nan", "-1", "0", "1e9", "1e300", "-inf", "", "1e-300", "99999999999999999999", "0x10", "start", "50", "-2", "é"]


def mutant(rng):
    """The document with some attribute values replaced, elements dropped or repeated."""
    text = MUTANTS
    for _ in range(rng.randint(1, 4)):
        spots = list(re.finditer(r'="([^"]*)"', text))
        spot = rng.choice(spots)
        choice = rng.random()
        if choice < 0.6:
            text = text[: spot.start(1)] + rng.choice(ODD) + text[spot.end(1) :]
        elif choice < 0.8:
            other = rng.choice(spots)
            text = text[: spot.start(1)] + other.group(1) + text[spot.end(1) :]
        else:
            element = rng.choice(list(re.finditer(r"<\w+[^<>]*/>", text)))
            again = element.group(0) * rng.choice([0, 2])
            text = text[: element.start()] + again + text[element.end() :]
    return text


def survives(tmp_path, seed):
    """Whether a mutant is read; it must end in a recording that holds together, or in one line."""
    file = tmp_path / "mutant.xodr"
    file.write_text(mutant(random.Random(seed)))
    try:
        recording = opendrive.read(str(file))
    except InputError as error:
        assert "\n" not in str(error) and str(error).startswith(str(file)), seed
        return False
    ids = {x.id for x in recording.lanes}
    for x in recording.lanes:
        assert np.isfinite(x.left).all() and np.isfinite(x.right).all() and set(x.successors) <= ids, seed
    for line in recording.control_lines:
        assert np.isfinite(line.ends).all() and line.lane in ids, seed
    for feature in recording.features:
        assert np.isfinite(feature.points).all(), seed
    return True


def test_mutants_end_well(tmp_path):
    read_whole = sum(survives(tmp_path, seed) for seed in range(150))
    assert 20 < read_whole < 150


@pytest.mark.long
def test_many_mutants_end_well_and_compile(tmp_path):
    for seed in range(1000, 4000):
        if survives(tmp_path, seed) and seed % 10 == 0:
            compile_recording(opendrive.read(str(tmp_path / "mutant.xodr")))
