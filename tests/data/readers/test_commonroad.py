"""CommonRoad: real files against a plain reading of the XML, a drawn scene against its drawing, and hostile files."""

import csv
import gzip
import itertools
import lzma
import random
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fixtures_mutation import elements_changed, survive

from drivetrain.data.readers.commonroad import reader as commonroad
from drivetrain.data.recordings import unpacking
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError, LightState

DATASET = Path(__file__).resolve().parents[3] / "datasets" / "ngsim"
ELSEWHERE = Path(__file__).resolve().parents[4] / "shared" / "data"


def lanelet(id, x0=0.0, x1=20.0, y=0.0, width=4.0, inside="", left_end="", points=None):
    def border(tag, pairs, marking):
        text = "".join(f"<point><x>{x!r}</x><y>{y!r}</y></point>" for x, y in pairs)
        return f"<{tag}>{text}{marking}</{tag}>"

    left, right = points or ([(x0, y + width), (x1, y + width)], [(x0, y), (x1, y)])
    return (
        f'<lanelet id="{id}">{border("leftBound", left, "<lineMarking>dashed</lineMarking>")}'
        f"{border('rightBound', right, '<lineMarking>solid</lineMarking>')}{inside}</lanelet>"
    )


def exact(value):
    return f"<exact>{value}</exact>"


def state(tag, time, x, y, heading=0.0, speed=5.0):
    place = f"<position><point><x>{x}</x><y>{y}</y></point></position>"
    motion = f"<orientation>{exact(heading)}</orientation><velocity>{exact(speed)}</velocity>"
    return f"<{tag}><time>{exact(time)}</time>{place}{motion}</{tag}>"


BOX = "<rectangle><length>4.0</length><width>2.0</width></rectangle>"


def obstacle(id, kind="car", tag="dynamicObstacle", shape=BOX, role="", first=0, states=None):
    start = state("initialState", first, 5.0, 2.0)
    rest = states if states is not None else state("state", first + 1, 5.5, 2.0) + state("state", first + 2, 6.0, 2.0)
    path = "" if tag == "staticObstacle" or role == "static" else f"<trajectory>{rest}</trajectory>"
    role = role and f"<role>{role}</role>"
    return f'<{tag} id="{id}">{role}<type>{kind}</type><shape>{shape}</shape>{start}{path}</{tag}>'


def document(body, version="2020a", dt="0.1", name="USA_Test-1_1_T-1", head=""):
    return (
        f'<?xml version="1.0"?>{head}<commonRoad benchmarkID="{name}" commonRoadVersion="{version}" '
        f'timeStepSize="{dt}" source="drawn by hand">{body}</commonRoad>'
    )


def read(tmp_path, body, **settings):
    file = tmp_path / "scene.xml"
    file.write_text(document(body, **settings))
    return commonroad.read(str(file))


def test_one_odd_lanelet_is_left_out_and_counted(tmp_path):
    body = lanelet(1, inside='<successor ref="7"/>') + SWAPPED.replace('id="1"', 'id="7"') + obstacle(2)
    recording = read(tmp_path, body)
    assert [lane.id for lane in recording.lanes] == [1] and recording.lanes[0].successors == ()
    assert recording.notes["lanelets_with_odd_borders"] == 1


def test_a_map_without_road_users_is_a_map(tmp_path):
    recording = read(tmp_path, lanelet(1))
    assert len(recording.lanes) == 1 and not len(recording.tracks.id)


def test_a_state_given_twice_alike_is_one(tmp_path):
    again = state("state", 0, 5.0, 2.0) + state("state", 1, 5.5, 2.0)
    recording = read(tmp_path, lanelet(1) + obstacle(2, states=again))
    assert recording.tracks.valid.tolist() == [[True, True]] and recording.notes["states_given_twice"] == 1


def test_headings_that_are_not_given_are_those_of_the_path(tmp_path):
    """Up and to the left, then it stands: its last heading holds."""
    places = [(5.0, 2.0), (4.5, 2.5), (4.0, 3.0), (4.0, 3.0), (4.0, 3.0)]
    states = "".join(state("state", t, *place) for t, place in enumerate(places) if t)
    body = lanelet(1) + obstacle(2, states=states).replace(COURSE, "")
    recording = read(tmp_path, body)
    np.testing.assert_allclose(recording.tracks.heading[0], 0.75 * np.pi)
    assert recording.notes["headings_derived"] == 5


# ------------------------------------------------------------------------------------------------------ real files


@pytest.mark.parametrize("name", ["USA_US101-3_3_T-1", "USA_Peach-4_8_T-1", "USA_Lanker-1_3_T-1"])
def test_a_real_file_says_what_a_plain_reading_of_its_xml_says(name):
    file = DATASET / "scenes" / f"{name}.xml.xz"
    root = plain(file)
    recording = commonroad.read(str(file))
    moving = root.findall("dynamicObstacle") + root.findall("obstacle")
    states = {
        (int(element.get("id")), int(part.findtext("time/exact"))): (
            float(part.findtext("position/point/x")),
            float(part.findtext("position/point/y")),
            float(part.findtext("orientation/exact")),
            float(part.findtext("velocity/exact")),
        )
        for element in moving
        for part in [*element.findall("initialState"), *element.findall("trajectory/state")]
    }
    tracks = recording.tracks
    assert recording.name == name and recording.dt == float(root.get("timeStepSize"))
    assert set(tracks.id.tolist()) == {int(element.get("id")) for element in moving}
    assert int(tracks.valid.sum()) == len(states)
    row = {int(id): i for i, id in enumerate(tracks.id)}
    for (id, step), (x, y, heading, speed) in itertools.islice(states.items(), 0, None, 37):
        assert tracks.valid[row[id], step]
        np.testing.assert_allclose(tracks.position[row[id], step] + recording.origin, (x, y), atol=1e-9)
        np.testing.assert_allclose(np.cos(tracks.heading[row[id], step] - heading), 1.0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(tracks.velocity[row[id], step]), abs(speed), atol=1e-9)
    assert not tracks.position[~tracks.valid].any() and not tracks.velocity[~tracks.valid].any()

    lanelets = {int(element.get("id")): element for element in root.findall("lanelet")}
    assert {lane.id for lane in recording.lanes} == set(lanelets)
    limits = {sign.get("id"): sign.findtext(".//additionalValue") for sign in root.findall("trafficSign")}
    for lane in recording.lanes:
        element = lanelets[lane.id]
        assert len(lane.left) == len(element.findall("leftBound/point"))
        first = element.find("leftBound/point")
        np.testing.assert_allclose(
            lane.left[0] + recording.origin, (float(first.findtext("x")), float(first.findtext("y"))), atol=1e-9
        )
        assert {int(e.get("ref")) for e in element.findall("successor")} <= set(lane.successors)
        wanted = [float(limits[e.get("ref")]) for e in element.findall("trafficSignRef") if limits[e.get("ref")]]
        assert lane.speed_limit == min(wanted, default=0.0)
        beside = element.find("adjacentLeft")
        same = beside is not None and beside.get("drivingDir") == "same"
        assert lane.left_neighbour == (int(beside.get("ref")) if same else None)
    assert len(recording.lights) == len(root.findall("trafficLight"))
    drawn = {int(element.get("id")) for element in root.findall("lanelet") if element.find("stopLine") is not None}
    assert {line.lane for line in recording.control_lines} == drawn
    assert all(line.kind == ControlKind.LIGHT for line in recording.control_lines)


def test_a_real_light_plays_its_cycle():
    """Peachtree's light 43918: green 400, yellow 30, red 570 steps, offset 590: step 0 is 410 into the cycle."""
    recording = commonroad.read(str(DATASET / "scenes" / "USA_Peach-4_8_T-1.xml.xz"))
    light = next(light for light in recording.lights if light.id == 43918)
    assert not light.recorded and light.states.shape == (61,)
    assert light.states[:20].tolist() == [LightState.YELLOW] * 20
    assert light.states[20:].tolist() == [LightState.RED] * 41


def test_a_left_turn_lane_obeys_the_left_light():
    """Lanelet 3440 refers to a straight-right light and a left light, and leads to a left turn alone."""
    recording = commonroad.read(str(DATASET / "scenes" / "USA_Lanker-1_3_T-1.xml.xz"))
    assert [line.light for line in recording.control_lines if line.lane == 3440] == [11527]


def plain(file):
    """A scene's XML, read without any of ours."""
    with lzma.open(file) as stream:
        return ElementTree.fromstring(stream.read())


def speed_prints(root):
    """Where each run of ten recorded speeds that vary occurs, with the size of its vehicle: {print: [(id, step)]}."""
    prints = {}
    for element in root.findall("dynamicObstacle") + root.findall("obstacle"):
        size = element.findtext("shape/rectangle/length"), element.findtext("shape/rectangle/width")
        speeds = [round(float(part.text), 3) for part in element.findall("trajectory/state/velocity/exact")]
        for step in range(len(speeds) - 9):
            window = speeds[step : step + 10]
            if min(window) > 0.5 and max(window) - min(window) > 0.1:
                prints.setdefault((size, *window), []).append((element.get("id"), step))
    return prints


def test_the_shipped_dataset_is_whole_and_no_two_splits_share_two_vehicles():
    """One vehicle may match by chance: recorded speeds rest on multiples of 5 ft/s for seconds."""
    with open(DATASET / "index.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert commonroad.find(str(DATASET)) == sorted(str(DATASET / row["file"]) for row in rows) and len(rows) == 38
    assert Counter(row["split"] for row in rows) == {"train": 21, "val": 7, "test": 10}
    assert len({(row["group"], row["split"]) for row in rows}) == len({row["group"] for row in rows}) == 20
    prints = [speed_prints(plain(DATASET / row["file"])) for row in rows]
    overlapping = set()
    for (one, a), (two, b) in itertools.combinations(enumerate(prints), 2):
        matches = {
            (step - other, id)
            for key in a.keys() & b.keys()
            for (id, step), (_, other) in itertools.product(a[key], b[key])
        }
        if matches and Counter(shift for shift, _ in matches).most_common(1)[0][1] >= 2:
            overlapping.add((rows[one]["group"], rows[two]["group"]))
    assert ("USA_US101-13", "USA_US101-13") in overlapping  # the check does find overlaps
    assert all(one == two for one, two in overlapping)


def test_the_shipped_index_reaches_the_recordings():
    recording = commonroad.read(str(DATASET / "scenes" / "USA_US101-17_1_T-1.xml.xz"))
    assert (recording.group, recording.split, recording.licence) == ("USA_US101-12", "test", "BSD-3-Clause")
    assert "NGSIM" in recording.source and recording.name == "USA_US101-17_1_T-1"


@pytest.mark.parametrize("folder", ["commonroad_ind_highd_exid_mona", "commonroad_osm_maps_simulated_traffic"])
def test_files_of_other_sites_read(folder):
    source = ELSEWHERE / folder / "scenarios"
    if not source.is_dir():
        pytest.skip("the files of other sites are not on this machine")
    files = commonroad.find(str(source))[::3]
    kinds = Counter()
    for file in files:
        recording = commonroad.read(file)
        kinds.update(recording.tracks.kind.tolist())
        assert np.isfinite(recording.tracks.position).all() and np.isfinite(recording.tracks.velocity).all()
    assert kinds[AgentKind.CAR] and len(kinds) > 1


# ----------------------------------------------------------------------------------------------------- drawn scenes


def test_a_drawn_scene_of_2020a(tmp_path):
    body = (
        lanelet(1, inside='<successor ref="2"/><adjacentLeft ref="4" drivingDir="same"/><trafficSignRef ref="10"/>')
        + lanelet(2, 20.0, 40.0, inside="<stopLine><lineMarking>solid</lineMarking></stopLine>"
                  '<adjacentLeft ref="5" drivingDir="opposite"/><trafficSignRef ref="11"/>')
        + lanelet(4, y=4.0, inside='<adjacentRight ref="1" drivingDir="same"/><trafficLightRef ref="20"/>')
        + lanelet(5, 20.0, 40.0, y=4.0, inside="<stopLine><point><x>39.0</x><y>3.0</y></point>"
                  "<point><x>39.0</x><y>9.0</y></point></stopLine>")
        + lanelet(6, y=8.0, width=2.0, inside="<userOneWay>bicycle</userOneWay>")
        + lanelet(7, y=-3.0, width=2.0, inside="<laneletType>sidewalk</laneletType>")
        + lanelet(8, 10.0, 12.0, inside="<laneletType>crosswalk</laneletType>")
        + '<trafficSign id="10"><trafficSignElement><trafficSignID>R2-1</trafficSignID>'
        "<additionalValue>13.4</additionalValue></trafficSignElement></trafficSign>"
        '<trafficSign id="11"><trafficSignElement><trafficSignID>R1-1</trafficSignID>'
        "</trafficSignElement></trafficSign>"
        '<trafficLight id="20"><cycleElement><duration>2</duration><color>green</color></cycleElement>'
        "<cycleElement><duration>1</duration><color>redYellow</color></cycleElement></trafficLight>"
        + obstacle(30) + obstacle(31, "bus", states="")
        + obstacle(32, "pedestrian", shape="<circle><radius>0.4</radius></circle>")
        + obstacle(33, "train", shape="<polygon><point><x>0</x><y>-1</y></point><point><x>6</x><y>-1</y></point>"
                   "<point><x>6</x><y>1</y></point></polygon>")
        + obstacle(34, "parkedVehicle", tag="staticObstacle") + obstacle(35, "building", tag="staticObstacle")
    )  # fmt: skip
    recording = read(tmp_path, body)
    lanes = {lane.id: lane for lane in recording.lanes}
    assert set(lanes) == {1, 2, 4, 5, 6, 7}
    assert [id for id, lane in lanes.items() if not lane.drivable] == [6, 7]
    assert lanes[1].successors == (2,) and lanes[2].predecessors == (1,)
    assert lanes[1].left_neighbour == 4 and lanes[4].right_neighbour == 1 and lanes[2].left_neighbour is None
    assert lanes[1].speed_limit == 13.4 and lanes[2].speed_limit == 0.0
    assert (lanes[1].left_border, lanes[1].right_border) == (ElementKind.LINE_DASHED, ElementKind.LINE_SOLID)
    assert [feature.kind for feature in recording.features] == [ElementKind.CROSSWALK]

    lines = {line.lane: line for line in recording.control_lines}
    assert {id: line.kind for id, line in lines.items()} == {
        2: ControlKind.STOP_SIGN,
        4: ControlKind.LIGHT,
        5: ControlKind.LINE,
    }
    np.testing.assert_allclose(lines[2].ends + recording.origin, [[40.0, 4.0], [40.0, 0.0]])
    np.testing.assert_allclose(lines[5].ends + recording.origin, [[39.0, 9.0], [39.0, 3.0]])  # left end first
    assert recording.lights[0].states.tolist() == [LightState.GREEN, LightState.GREEN, LightState.RED_YELLOW]

    tracks = recording.tracks
    row = {int(id): i for i, id in enumerate(tracks.id)}
    assert [int(tracks.kind[row[id]]) for id in (30, 31, 32, 33, 34)] == [
        AgentKind.CAR,
        AgentKind.BUS,
        AgentKind.PEDESTRIAN,
        AgentKind.OTHER,
        AgentKind.CAR,
    ]
    assert tracks.valid[row[31]].tolist() == [True, False, False] and tracks.valid[row[34]].all()
    assert tracks.length[row[32]] == 0.8 and (tracks.length[row[33]], tracks.width[row[33]]) == (6.0, 2.0)
    np.testing.assert_allclose(tracks.position[row[33], 0] + recording.origin, [8.0, 2.0])  # the polygon's box centre
    assert recording.notes["scenery_left_out"] == 1 and recording.notes["crosswalks"] == 1


def test_a_drawn_scene_of_2018b_that_starts_late(tmp_path):
    interval = "<time><intervalStart>13</intervalStart><intervalEnd>15</intervalEnd></time>"
    late = state("state", 99, 7.0, 2.0).replace("<time><exact>99</exact></time>", interval)
    body = lanelet(1, inside="<speedLimit>25.0</speedLimit><successor ref='77'/>") + obstacle(
        3, "motorcycle", "obstacle", role="dynamic", first=12, states=late
    )
    recording = read(tmp_path, body + obstacle(4, "car", "obstacle", role="static"), version="2018b")
    assert recording.lanes[0].speed_limit == 25.0 and recording.lanes[0].successors == ()
    assert recording.tracks.valid.tolist() == [[True, False, True], [True, True, True]]
    assert recording.tracks.kind.tolist() == [AgentKind.MOTORCYCLE, AgentKind.CAR]
    assert recording.notes["dangling_references"] == 1 and recording.notes["tracks_with_gaps"] == 1


def test_a_scene_far_from_the_origin_keeps_millimetres(tmp_path):
    far = 1e7
    points = ([(far, far + 4.0), (far + 20.0, far + 4.0)], [(far, far), (far + 20.0, far)])
    body = lanelet(1, points=points)
    track = obstacle(2, states=state("state", 1, far + 0.501, far + 2.0)).replace("<x>5.0</x>", f"<x>{far}</x>")
    recording = read(tmp_path, body + track.replace("<y>2.0</y>", f"<y>{far + 2.0}</y>"))
    step = np.diff(recording.tracks.position[0].astype(np.float32), axis=0)[0]
    np.testing.assert_allclose(step, [0.501, 0.0], atol=1e-5)


def test_packed_files_and_the_index_beside_them(tmp_path):
    text = document(lanelet(1) + obstacle(2)).encode()
    (tmp_path / "a.xml").write_bytes(text)
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress(text))
    (tmp_path / "c.xml.xz").write_bytes(lzma.compress(text))
    (tmp_path / "index.csv").write_text("file,group,split,source,licence\nb.xml.gz,g,val,somewhere,CC0-1.0\n")
    files = commonroad.find(str(tmp_path))
    recordings = [commonroad.read(file) for file in files]
    assert [recording.name for recording in recordings] == ["a", "b", "c"]
    assert (recordings[1].group, recordings[1].split) == ("g", "val")
    assert (recordings[1].source, recordings[1].licence) == ("somewhere", "CC0-1.0")
    assert recordings[0].split == "" and recordings[0].source == "drawn by hand"
    (tmp_path / "index.csv").write_text("file,group,split\na.xml,g,exam\n")
    with pytest.raises(InputError, match="index.csv: split"):
        commonroad.read(files[0])


# --------------------------------------------------------------------------------------------------- hostile files

GOOD = lanelet(1) + obstacle(2)
COURSE = f"<orientation>{exact(0.0)}</orientation>"
BOMB = '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
LONE = lanelet(1, points=([(0.0, 4.0)], [(0.0, 0.0), (9.0, 0.0)]))
SWAPPED = lanelet(1, points=([(0.0, 0.0), (9.0, 0.0)], [(0.0, 4.0), (9.0, 4.0)]))
CROSSED = lanelet(1, points=([(0.0, 4.0), (9.0, -1.0)], [(0.0, 0.0), (9.0, 0.0)]))
LIGHT = '<trafficLight id="9"><cycle><cycleElement><duration>0</duration></cycleElement></cycle></trafficLight>'
HOSTILE = {
    "entities": (GOOD, {"head": BOMB}, "document type"),
    "external entity": (GOOD, {"head": '<!DOCTYPE c SYSTEM "file:///etc/passwd">'}, "document type"),
    "not a number": (GOOD.replace("<x>5.5</x>", "<x>nan</x>"), {}, "position"),
    "infinite": (GOOD.replace("<x>5.5</x>", "<x>inf</x>"), {}, "position"),
    "overflowing": (GOOD.replace("<x>20.0</x>", "<x>1e308</x>"), {}, "leftBound"),
    "words": (GOOD.replace("<x>5.5</x>", "<x>left\nof it</x>"), {}, "not a number"),
    "a lane of one point": (LONE + obstacle(2), {}, "1 points"),
    "a lane without length": (lanelet(1, x1=0.0) + obstacle(2), {}, "coincide"),
    "swapped borders": (SWAPPED + obstacle(2), {}, "swapped"),
    "crossed borders": (CROSSED + obstacle(2), {}, "cross"),
    "two lanes, one id": (GOOD + lanelet(1), {}, "lanelet 1"),
    "two tracks, one id": (GOOD + obstacle(2), {}, "two elements with this id"),
    "static and moving, one id": (GOOD + obstacle(2, tag="staticObstacle"), {}, "two obstacles"),
    "an outlying lane": (GOOD + lanelet(7, x0=2e5, x1=3e5), {}, "apart"),
    "an outlying car": (GOOD.replace("<x>5.5</x>", "<x>2e5</x>"), {}, "obstacle 2: position"),
    "no road": (obstacle(2), {}, "lanelet: none"),
    "footpaths only": (lanelet(1, inside="<laneletType>sidewalk</laneletType>") + obstacle(2), {}, "drivable"),
    "no time step": (GOOD, {"dt": "0"}, "timeStepSize"),
    "a negative time step": (GOOD, {"dt": "-0.1"}, "timeStepSize"),
    "time that is no number": (GOOD, {"dt": "nan"}, "timeStepSize"),
    "a step of 1e9": (GOOD.replace("<exact>2</exact>", "<exact>1000000000</exact>"), {}, "time"),
    "a long recording": (GOOD.replace("<exact>2</exact>", "<exact>999999</exact>"), {}, "999999|1000000 steps"),
    "a huge integer": (GOOD.replace("<exact>2</exact>", f"<exact>{'9' * 5000}</exact>"), {}, "time"),
    "a step twice": (GOOD.replace("<exact>2</exact>", "<exact>1</exact>"), {}, "two states"),
    "no direction": (lanelet(1) + obstacle(2, tag="staticObstacle").replace(COURSE, ""), {}, "orientation"),
    "no width": (GOOD.replace("<width>2.0", "<width>0"), {}, "shape"),
    "a car of a kilometre": (GOOD.replace("<length>4.0", "<length>1000"), {}, "shape"),
    "no shape": (lanelet(1) + obstacle(2, shape=""), {}, "shape"),
    "a speed beyond sense": (GOOD.replace("<exact>5.0</exact>", "<exact>5e5</exact>"), {}, "velocity"),
    "a cycle of no length": (GOOD + LIGHT, {}, "trafficLight 9"),
    "an unknown version": (GOOD, {"version": "1999z"}, "commonRoadVersion"),
    "an unclosed element": (GOOD + "<lanelet>", {}, "not well-formed"),
}


OTHER = obstacle(3)
OUTLYING = OTHER.replace("<x>5.5</x>", "<x>2e5</x>")
LEFT_OUT = {
    "a place that is no number": (GOOD + OTHER.replace("<x>5.5</x>", "<x>nan</x>"), "objects_unreadable"),
    "an outlying car": (GOOD + OUTLYING, "objects_unreadable"),
    "no width": (GOOD + OTHER.replace("<width>2.0", "<width>0"), "objects_unreadable"),
    "no shape": (GOOD + obstacle(3, shape=""), "objects_unreadable"),
    "a step twice": (GOOD + OTHER.replace("<exact>2</exact>", "<exact>1</exact>"), "objects_unreadable"),
    "no direction": (GOOD + obstacle(3, tag="staticObstacle").replace(COURSE, ""), "objects_unreadable"),
    "a limit of nothing": (lanelet(1, inside="<speedLimit>-3</speedLimit>") + obstacle(2), "speed_limits_unreadable"),
    "a limit of words": (lanelet(1, inside="<speedLimit>fast</speedLimit>") + obstacle(2), "speed_limits_unreadable"),
    "a cycle of no length": (
        GOOD + LIGHT + LIGHT.replace('id="9"', 'id="10"').replace("<duration>0<", "<duration>30<"),
        "lights_unreadable",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_concerns_one_element_is_left_out_and_counted(tmp_path, case):
    body, note = LEFT_OUT[case]
    recording = read(tmp_path, body)
    assert recording.notes[note] == 1 and recording.tracks.id.tolist() == [2]
    assert recording.lanes[0].speed_limit == 0.0 and len(recording.lights) == (note == "lights_unreadable")


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_end_with_one_line(tmp_path, case):
    body, settings, words = HOSTILE[case]
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, body, **settings)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(tmp_path)) and len(line) < 400


def test_archives_that_are_bombs_or_damaged_end_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_BYTES", 1 << 20)
    text = document(GOOD).encode()
    packed = {
        "bomb.xml.xz": (lzma.compress(bytes(4 << 20)), "unpacks to more"),
        "bomb.xml.gz": (gzip.compress(bytes(4 << 20)), "unpacks to more"),
        "large.xml": (bytes(2 << 20), "larger than"),
        "cut.xml.xz": (lzma.compress(text)[:-20], "truncated"),
        "cut.xml.gz": (gzip.compress(text)[:-20], "truncated"),
        "noise.xml.xz": (b"no archive at all", "damaged"),
        "noise.xml.gz": (b"no archive at all", "damaged"),
        "empty.xml": (b"", "not well-formed"),
        "other.xml": (b"<html/>", "root element"),
    }
    for name, (content, words) in packed.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            commonroad.read(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        commonroad.read(str(tmp_path / "absent.xml"))
    with pytest.raises(InputError, match="no such file"):
        commonroad.find(str(tmp_path / "absent"))


WHOLE = (
    lanelet(1, x1=90.0, inside='<successor ref="3"/><trafficLightRef ref="9"/>')
    + lanelet(3, x0=90.0, x1=150.0, inside='<predecessor ref="1"/><speedLimit>13.9</speedLimit>')
    + obstacle(2)
    + obstacle(4, "pedestrian", shape="<circle><radius>0.4</radius></circle>", first=2, states=state("state", 3, 9, 9))
    + obstacle(5, tag="staticObstacle")
    + LIGHT.replace("<duration>0<", "<duration>30<")
)


def odd(tmp_path, seed, rounds):
    source, file = random.Random(seed), str(tmp_path / "scene.xml")
    mutants = lambda: elements_changed(document(WHOLE), source).encode()  # noqa: E731
    return survive(lambda: commonroad.read(file), file, mutants, rounds)


def test_odd_values_are_read_or_refused(tmp_path):
    assert len(read(tmp_path, WHOLE).tracks.id) == 3
    assert 0 < odd(tmp_path, seed=1, rounds=80) < 80


@pytest.mark.long
def test_many_odd_values(tmp_path):
    for seed in range(2, 12):
        odd(tmp_path, seed, rounds=1000)
