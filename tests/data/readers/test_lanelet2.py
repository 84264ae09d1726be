"""Lanelet2: the projection against integrals, drawn maps and tables, a real map driven along, and hostile files."""

import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.readers.hardened_xml import parse
from drivetrain.data.readers.lanelet2 import reader as lanelet2
from drivetrain.data.readers.lanelet2.lanelets import read_lanelets, read_osm
from drivetrain.data.readers.lanelet2.projection import to_utm, zone_of
from drivetrain.data.readers.lanelet2.tracks import read_table
from drivetrain.data.store.converting import convert
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError

REAL = Path(__file__).resolve().parents[4] / "shared/data/lanelet2_maps/lanelet2_maps/res/mapping_example.osm.xz"


# --------------------------------------------------------------------------------------------------------- projection


def test_the_central_meridian_is_an_integral():
    a, e2 = 6378137.0, (2.0 - 1.0 / 298.257223563) / 298.257223563
    for degrees in (0.0, 12.0, 49.0, -33.0, 80.0):
        arc = quad(lambda phi: a * (1 - e2) / (1 - e2 * np.sin(phi) ** 2) ** 1.5, 0.0, np.radians(degrees))[0]
        (place,) = to_utm(np.array([degrees]), np.array([9.0]), 32)
        np.testing.assert_allclose(place, [500_000.0, 0.9996 * arc], atol=1e-6)


def test_the_projection_keeps_angles_and_scales_as_it_should():
    """Small steps east and north, against the ellipsoid's radii; the scale grows away from the meridian."""
    a, e2 = 6378137.0, (2.0 - 1.0 / 298.257223563) / 298.257223563
    for latitude, longitude, zone in ((49.0, 8.4, 32), (0.01, 0.009, 31), (-33.9, 151.2, 56), (60.0, 5.9, 31)):
        phi, h = np.radians(latitude), 1e-5
        places = to_utm(
            np.array([latitude - h, latitude + h, latitude, latitude]),
            np.array([longitude, longitude, longitude - h, longitude + h]),
            zone,
        )
        meridian = a * (1 - e2) / (1 - e2 * np.sin(phi) ** 2) ** 1.5
        parallel = a / np.sqrt(1 - e2 * np.sin(phi) ** 2) * np.cos(phi)
        north = (places[1] - places[0]) / (2 * np.radians(h) * meridian)
        east = (places[3] - places[2]) / (2 * np.radians(h) * parallel)
        assert abs(north @ east) < 1e-7
        off = np.radians(longitude - (6 * zone - 183)) * np.cos(phi)
        scale = 0.9996 * (1 + (1 + e2 / (1 - e2) * np.cos(phi) ** 2) * off**2 / 2)
        np.testing.assert_allclose([np.hypot(*north), np.hypot(*east)], scale, rtol=2e-6)


def test_zones():
    assert [zone_of(x) for x in (-180.0, -0.1, 0.0, 8.4, 179.9)] == [1, 30, 31, 32, 60]


# --------------------------------------------------------------------------------------------------------- drawn maps


class Drawing:
    """A map written down: points by place, ways by points, relations."""

    def __init__(self):
        self.nodes, self.ways, self.relations = {}, [], []

    def way(self, points, kind="line_thin", subtype="dashed"):
        """A way through points; equal points are one node."""
        refs = [self.nodes.setdefault(point, len(self.nodes) + 1) for point in points]
        self.ways.append((1000 + len(self.ways), refs, {"type": kind, "subtype": subtype}))
        return self.ways[-1][0]

    def relation(self, members, **tags):
        self.relations.append((5000 + len(self.relations), members, tags))
        return self.relations[-1][0]

    def lanelet(self, left, right, rules=(), subtype="road", **tags):
        members = [("way", "left", left), ("way", "right", right)]
        members += [("relation", "regulatory_element", rule) for rule in rules]
        return self.relation(members, type="lanelet", subtype=subtype, **tags)

    def rule(self, subtype, members, **tags):
        return self.relation(members, type="regulatory_element", subtype=subtype, **tags)

    def text(self, head=""):
        def tags(items):
            return "".join(f'<tag k="{k.replace("__", ":")}" v="{v}"/>' for k, v in items.items())

        nodes = "".join(
            f'<node id="{id}" lat="0" lon="0">{tags({"local_x": x, "local_y": y})}</node>'
            for (x, y), id in self.nodes.items()
        )
        ways = "".join(
            f'<way id="{id}">{"".join(f"<nd ref={chr(34)}{ref}{chr(34)}/>" for ref in refs)}{tags(items)}</way>'
            for id, refs, items in self.ways
        )
        relations = "".join(
            f'<relation id="{id}">'
            + "".join(f'<member type="{t}" role="{role}" ref="{ref}"/>' for t, role, ref in members)
            + f"{tags(items)}</relation>"
            for id, members, items in self.relations
        )
        return f'<?xml version="1.0"?>{head}<osm generator="by hand">{nodes}{ways}{relations}</osm>'


def street():
    """Two lanes east (0 < y < 8) and their continuation, one lane west above them, a footpath, a crossing."""
    d = Drawing()
    top = d.way([(0, 12), (50, 12)], "curbstone", "high")
    middle = d.way([(50, 8), (0, 8)], "line_thin", "solid")  # drawn westwards
    between = d.way([(0, 4), (25, 4), (50, 4)])
    bottom = d.way([(0, 0), (50, 0)], "road_border", "")
    path = d.way([(0, -2), (50, -2)], "virtual", "")
    ahead = [d.way([(50, y), (90, y)], "virtual", "") for y in (8, 4, 0)]
    stop = d.way([(48, 0), (48, 8)], "stop_line", "")
    lamp = d.way([(60, 9), (60, 10)], "traffic_light", "red_yellow_green")
    sign = d.way([(47, -1), (47, -1.5)], "traffic_sign", "de274-30")
    light = d.rule("traffic_light", [("way", "refers", lamp), ("way", "ref_line", stop)])
    limit = d.rule("speed_limit", [("way", "refers", sign)])
    d.lanelet(middle, between, [light, limit], one_way="yes")
    d.lanelet(between, bottom, [light], speed_limit="20 mph")
    d.lanelet(ahead[0], ahead[1])
    d.lanelet(ahead[1], ahead[2])
    d.lanelet(middle, top)  # left and right as one drives west
    d.lanelet(bottom, path, subtype="walkway")
    d.lanelet(d.way([(70, 0), (70, 8)]), d.way([(73, 0), (73, 8)]), subtype="crosswalk")
    return d


def write(tmp_path, drawing, name="map.osm", **settings):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(drawing if isinstance(drawing, str) else drawing.text(**settings))
    return str(file)


def test_a_lanelet_is_as_high_as_its_left_borders_nodes(tmp_path):
    d = Drawing()
    d.lanelet(d.way([(50, 4), (0, 4)]), d.way([(0, 0), (50, 0)]))  # drawn either way round
    text = d.text()
    for point, height in (((50, 4), "7.5"), ((0, 4), "6"), ((0, 0), "5"), ((50, 0), "5")):
        id = d.nodes[point]
        text = text.replace(
            f'<node id="{id}" lat="0" lon="0">', f'<node id="{id}" lat="0" lon="0"><tag k="ele" v="{height}"/>'
        )
    file = tmp_path / "high.osm"
    file.write_text(text)
    (lane,) = lanelet2.read(str(file)).lanes
    np.testing.assert_array_equal(lane.height, [6.0, 7.5])
    for broken in ('v="7.5"', 'v="6"'):
        file.write_text(text.replace(broken, 'v="high"'))
        assert lanelet2.read(str(file)).lanes[0].height is None


def test_a_drawn_street(tmp_path):
    recording = lanelet2.read(write(tmp_path, street()))
    upper, lower, on_upper, on_lower, west, path = recording.lanes
    assert upper.right_neighbour == lower.id and lower.left_neighbour == upper.id
    assert upper.left_neighbour is None and west.left_neighbour is None and path.left_neighbour is None
    assert upper.successors == (on_upper.id,) and lower.successors == (on_lower.id,) and west.successors == ()
    assert on_lower.predecessors == (lower.id,)
    o = np.array(recording.origin)
    np.testing.assert_allclose(upper.left + o, [[0, 8], [50, 8]])  # turned round
    np.testing.assert_allclose(west.left + o, [[50, 8], [0, 8]])
    np.testing.assert_allclose(west.right + o, [[50, 12], [0, 12]])
    assert (upper.left_border, upper.right_border) == (ElementKind.LINE_SOLID, ElementKind.LINE_DASHED)
    assert (lower.right_border, on_upper.left_border) == (ElementKind.LINE_SOLID, ElementKind.LINE_VIRTUAL)
    assert upper.speed_limit == pytest.approx(30 / 3.6) and lower.speed_limit == pytest.approx(20 * 0.44704)
    assert west.speed_limit == 0.0 and [lane.drivable for lane in recording.lanes] == [True] * 5 + [False]
    (crossing,) = recording.features
    assert crossing.kind == ElementKind.CROSSWALK and np.ptp(crossing.points, axis=0).tolist() == [3.0, 8.0]
    assert [(line.kind, line.lane, line.light) for line in recording.control_lines] == [
        (ControlKind.LIGHT, upper.id, 0),
        (ControlKind.LIGHT, lower.id, 0),
    ]
    np.testing.assert_allclose(recording.control_lines[0].ends + o, [[48, 8], [48, 0]])  # left end first
    np.testing.assert_allclose(recording.lights[0].position + o, [60, 9.5])
    assert recording.notes == {"crosswalks": 1, "stop_lines_as_painted": 2}
    assert not len(recording.tracks.id) and recording.tracks.valid.shape == (0, 1)


def test_who_may_use_a_lanelet_and_which_way(tmp_path):
    d = street()
    left, right = d.way([(0, 30), (50, 30)]), d.way([(0, 26), (50, 26)])
    d.lanelet(left, right, one_way="no")
    far = d.way([(0, 34), (50, 34)])
    d.lanelet(far, left, participant__bicycle="yes", participant__pedestrian="yes")
    d.lanelet(d.way([(0, 50), (9, 50)]), d.way([(0, 48), (9, 48)]), subtype="rail")
    d.relation([("way", "outer", left)], type="multipolygon", subtype="parking")
    recording = lanelet2.read(write(tmp_path, d))
    forth, back, cycled = recording.lanes[-3:]
    assert forth.drivable and back.drivable and not cycled.drivable
    np.testing.assert_allclose(forth.left, back.right[::-1])
    assert forth.left_neighbour is None and cycled.right_neighbour is None
    notes = recording.notes
    assert (notes["lanelets_used_both_ways"], notes["lanelets_of_other_types"], notes["areas_left_out"]) == (1, 1, 1)


@pytest.mark.parametrize("sign", ["de206", "stop_sign", "usR1-1"])
def test_stop_signs_yield_lines_and_bare_lines(tmp_path, sign):
    d = Drawing()
    lanes = []
    for y in (0, 10, 20, 30):
        lanes.append((d.way([(0, y + 4), (40, y + 4)]), d.way([(0, y), (40, y)])))
    lines = [d.way([(38, y + 4), (38, y)], "stop_line", "") for y in (0, 10, 20)]
    stop, give_way = (
        d.way([(38, -1), (38, -2)], "traffic_sign", sign),
        d.way([(1, 9), (1, 8)], "traffic_sign", "de205"),
    )
    ids = [d.lanelet(*pair) for pair in lanes]
    d.rule("right_of_way", [("relation", "yield", ids[0]), ("way", "refers", stop), ("way", "ref_line", lines[0])])
    d.rule("right_of_way", [("relation", "yield", ids[1]), ("way", "refers", give_way), ("way", "ref_line", lines[1])])
    d.rule("all_way_stop", [("relation", "yield", ids[3])])
    recording = lanelet2.read(write(tmp_path, d))
    found = {line.lane: (line.kind, (line.ends + recording.origin).tolist()) for line in recording.control_lines}
    assert found == {
        0: (ControlKind.STOP_SIGN, [[38, 4], [38, 0]]),
        1: (ControlKind.LINE, [[38, 14], [38, 10]]),
        2: (ControlKind.LINE, [[38, 24], [38, 20]]),
        3: (ControlKind.STOP_SIGN, [[40, 34], [40, 30]]),
    }
    assert recording.notes == {"stop_lines_as_painted": 2, "stop_lines_derived": 1}


@pytest.mark.parametrize(
    "text, limit",
    [("50", 50 / 3.6), ("50 km/h", 50 / 3.6), ("10 m/s", 10), ("30mph", 30 * 0.44704), ("de274-60", 60 / 3.6),
     ("de274.1", 30 / 3.6), ("us35", 35 * 0.44704), ("walking pace", 0.0)],
)  # fmt: skip
def test_speed_limits(tmp_path, text, limit):
    d = street()
    d.relations[3] = (*d.relations[3][:2], {**d.relations[3][2], "speed_limit": text})
    assert lanelet2.read(write(tmp_path, d)).lanes[1].speed_limit == pytest.approx(limit)


# ------------------------------------------------------------------------------------------------------------- tracks

HEADER = "track_id,frame_id,timestamp_ms,agent_type,x,y,vx,vy,psi_rad,length,width"


def drive(id, kind, start, velocity, frames, size=(4.4, 1.8), rest=True):
    angle = np.arctan2(velocity[1], velocity[0])
    for frame in frames:
        x, y = np.array(start) + np.array(velocity) * 0.1 * (frame - frames[0])
        row = f"{id},{frame},{100 * frame},{kind},{x:.3f},{y:.3f},{velocity[0]:.3f},{velocity[1]:.3f}"
        yield row + (f",{angle:.4f},{size[0]},{size[1]}" if rest else "")


def layout(tmp_path, rows, walkers=(), drawing=None):
    write(tmp_path, drawing or street(), "maps/CROSS.osm")
    folder = tmp_path / "recorded_trackfiles" / "CROSS"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vehicle_tracks_000.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    if walkers:
        head = HEADER.rsplit(",", 3)[0]
        (folder / "pedestrian_tracks_000.csv").write_text("\n".join([head, *walkers]) + "\n")
    return str(folder / "vehicle_tracks_000.csv")


def test_a_table_is_cut_into_clips_that_share_a_group(tmp_path):
    rows = [
        *drive(1, "car", (5, 2), (5.0, 0.0), range(1, 101)),
        *drive(2, "truck", (5, 6), (0.5, 0.0), range(51, 430), (9.0, 2.5)),
    ]
    walkers = list(drive("P1", "pedestrian/bicycle", (71, 0), (0.0, 1.2), range(1, 60), rest=False))
    layout(tmp_path, rows, walkers)
    items = lanelet2.find(str(tmp_path))
    assert [Path(item).name for item in items] == ["vehicle_tracks_000.csv#00000", "vehicle_tracks_000.csv#00001"]
    first, second = (lanelet2.read(item) for item in items)  # 429 frames: 200, and 229 for want of 4 s
    assert (first.name, second.name, first.group, second.group) == (
        "CROSS_000_00000",
        "CROSS_000_00001",
        "CROSS_000",
        "CROSS_000",
    )
    assert first.dt == second.dt == pytest.approx(0.1)
    assert (first.tracks.valid.shape, second.tracks.valid.shape) == ((3, 200), (1, 229))
    assert first.tracks.id.tolist() == [1, 2, 3] and second.tracks.id.tolist() == [2]
    assert first.tracks.kind.tolist() == [AgentKind.CAR, AgentKind.TRUCK, AgentKind.PEDESTRIAN]
    assert first.tracks.valid.sum(axis=1).tolist() == [100, 150, 59] and second.tracks.valid.all()
    assert (first.tracks.length[1], first.tracks.width[1]) == (9.0, 2.5)
    assert (first.tracks.length[2], first.tracks.width[2]) == (0.6, 0.6)
    np.testing.assert_allclose(first.tracks.position[0, 50] + first.origin, [30.0, 2.0])
    np.testing.assert_allclose(first.tracks.heading[2, :59], np.pi / 2)  # the course of the velocity
    np.testing.assert_allclose(second.tracks.position[0, 0] + second.origin, [5 + 0.05 * 150, 6])
    assert first.notes["sizes_by_default"] == 1 and first.notes["pedestrians_or_bicycles"] == 1
    assert "sizes_by_default" not in second.notes
    assert all(light.states.shape == (200,) for light in first.lights)


def test_a_recording_converts_and_its_cars_are_driven(tmp_path):
    rows = [
        *drive(1, "car", (2, 2), (6.0, 0.0), range(120)),
        *drive(2, "car", (2, 6), (5.0, 0.0), range(10, 120)),
        *drive(3, "car", (48, 10), (-4.0, 0.0), range(110)),
    ]
    layout(tmp_path, rows)
    summary = convert("lanelet2", [str(tmp_path)], tmp_path / "set")
    assert (summary.recordings, summary.maps, summary.egos, summary.skipped) == (1, 0, 3, ())


def test_maps_without_tables_are_found_beside_those_with(tmp_path):
    layout(tmp_path, drive(1, "car", (5, 2), (5.0, 0.0), range(1, 101)))
    write(tmp_path, street(), "maps/ALONE.osm")
    assert [Path(item).name for item in lanelet2.find(str(tmp_path))] == ["ALONE.osm", "vehicle_tracks_000.csv#00000"]
    table = str(tmp_path / "recorded_trackfiles/CROSS/vehicle_tracks_000.csv")
    assert lanelet2.find(table) == [table + "#00000"] == lanelet2.find(table + "#00000")
    for item, words in ((table + "#00001", "no such clip"), (table, "no such clip"), (table + "#x", "no such clip")):
        with pytest.raises(InputError, match=words):
            lanelet2.read(item)
    (tmp_path / "maps/CROSS.osm").unlink()
    assert lanelet2.find(str(tmp_path)) == [str(tmp_path / "maps/ALONE.osm"), table + "#00000"]
    with pytest.raises(InputError, match="no map"):
        lanelet2.read(table + "#00000")


# ----------------------------------------------------------------------------------------------------- a real map


@pytest.mark.skipif(not REAL.is_file(), reason=f"no {REAL}")
def test_the_karlsruhe_map():
    """Counts against the document; shared nodes make linked lanes meet exactly."""
    recording = lanelet2.read(str(REAL))
    text = lanelet2.parse(str(REAL))
    kinds = Counter(
        tag.get("v") for r in text.findall("relation") for tag in r.findall("tag") if tag.get("k") == "subtype"
    )
    assert sum(feature.kind == ElementKind.CROSSWALK for feature in recording.features) == kinds["crosswalk"] == 8
    assert len(recording.lights) == kinds["traffic_light"] == 6
    lanes = {lane.id: lane for lane in recording.lanes}
    links = [(lane, lanes[other]) for lane in recording.lanes for other in lane.successors]
    assert len(links) > 300
    for one, other in links:
        assert np.array_equal(one.left[-1], other.left[0]) and np.array_equal(one.right[-1], other.right[0])
    widths = [
        np.linalg.norm(lane.left[[0, -1]] - lane.right[[0, -1]], axis=1) for lane in lanes.values() if lane.drivable
    ]
    assert 2.5 < np.median(widths) < 5.0


@pytest.mark.long
@pytest.mark.skipif(not REAL.is_file(), reason=f"no {REAL}")
def test_cars_driven_along_the_karlsruhe_map_are_egos(tmp_path):
    """Tracks in INTERACTION's frame, made by following lanelets of that frame, find their lanes again."""
    root = parse(str(REAL))
    lanelets = read_lanelets("map", read_osm("map", root, True, Counter()), Counter())
    long = [x for x in lanelets if x.drivable and np.linalg.norm(np.diff(x.left.points, axis=0), axis=1).sum() > 60.0][
        :6
    ]
    rows = []
    for id, lanelet in enumerate(long):
        share = np.linspace(0.05, 0.9, 80)
        ends = [np.array([np.interp(share, np.linspace(0, 1, len(b.points)), b.points[:, k]) for k in (0, 1)]).T
                for b in (lanelet.left, lanelet.right)]  # fmt: skip
        path = 0.5 * (ends[0] + ends[1])
        velocity = np.gradient(path, 0.1, axis=0)
        for frame, (p, v) in enumerate(zip(path, velocity, strict=True)):
            angle = np.arctan2(v[1], v[0])
            rows.append(f"{id + 1},{frame},{frame * 100},car,{p[0]},{p[1]},{v[0]},{v[1]},{angle},4.5,1.8")
    folder = tmp_path / "recorded_trackfiles/KA"
    folder.mkdir(parents=True)
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/KA.osm.xz").write_bytes(REAL.read_bytes())
    (folder / "vehicle_tracks_000.csv").write_text("\n".join([HEADER, *rows]))
    (item,) = lanelet2.find(str(tmp_path))
    _, report = compile_recording(lanelet2.read(item))
    assert len(report.candidates) == len(long) > 3 and all(not candidate.cause for candidate in report.candidates)


# ------------------------------------------------------------------------------------------------------ hostile files

GOOD = street().text()
BOMB = '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
NODE = re.search(r"<node .*?</node>", GOOD).group(0)
WAY = re.search(r"<way .*?</way>", GOOD).group(0)
RELATION = re.search(r"<relation .*?</relation>", GOOD).group(0)
GEO = re.sub(r'<tag k="local_[xy]" v="[^"]*"/>', "", GOOD)
HOSTILE = {
    "entities": (street().text(BOMB), "document type"),
    "another document": (GOOD.replace("<osm ", "<html ").replace("</osm>", "</html>"), "root element"),
    "nothing": ("<osm/>", "node: none"),
    "no lanelets": (re.sub(r"<relation.*</relation>", "", GOOD), "no lanelet"),
    "footpaths only": (GOOD.replace('v="road"', 'v="walkway"'), "no lanelet"),
    "two nodes, one id": (GOOD.replace(NODE, NODE * 2), "two nodes"),
    "two ways, one id": (GOOD.replace(WAY, WAY * 2), "two ways"),
    "two relations, one id": (GOOD.replace(RELATION, RELATION * 2), "two relations"),
    "not a number": (GOOD.replace('k="local_x" v="50"', 'k="local_x" v="nan"'), "local_x"),
    "infinite": (GOOD.replace('k="local_x" v="50"', 'k="local_x" v="inf"'), "local_x"),
    "an outlier": (GOOD.replace('k="local_x" v="90"', 'k="local_x" v="9e6"'), "apart"),
    "a huge id": (GOOD.replace('node id="1"', f'node id="{"9" * 60}"'), "a huge integer"),
    "a member that is a word": (GOOD.replace('role="left" ref="1001"', 'role="left" ref="x"'), "not an integer"),
    "a latitude beyond the pole": (GEO.replace('lat="0"', 'lat="95"', 1), "latitude"),
    "nodes on two continents": (GEO.replace('lat="0"', 'lat="45"', 1), "apart"),
    "a longitude of nothing": (GEO.replace('lon="0"', 'lon="nan"', 1), "lon"),
    "an unclosed element": (GOOD.replace("</osm>", "<way></osm>"), "not well-formed"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_maps_end_with_one_line(tmp_path, case):
    text, words = HOSTILE[case]
    file = write(tmp_path, text)
    with pytest.raises(InputError, match=words) as caught:
        lanelet2.read(file)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(tmp_path)) and len(line) < 400


@pytest.mark.parametrize("limit", ["20000 mph", "0", "1.2.3 km/h"])
def test_a_limit_beyond_sense_is_unknown_and_counted(tmp_path, limit):
    recording = lanelet2.read(write(tmp_path, GOOD.replace("20 mph", limit)))
    assert recording.notes["speed_limits_unreadable"] == 1
    assert 0.0 in {lane.speed_limit for lane in recording.lanes if lane.drivable}


def test_what_is_missing_is_left_out_and_counted(tmp_path):
    gone = GOOD.replace(WAY, "").replace('<nd ref="3"/>', '<nd ref="999"/>', 1)
    recording = lanelet2.read(write(tmp_path, gone))
    assert recording.notes["lanelets_without_borders"] >= 1 and recording.notes["dangling_references"] >= 2
    d = Drawing()
    d.lanelet(d.way([(0, 4), (9, 4)]), d.way([(0, 0), (9, 0)]), [77], one_way="yes")
    d.lanelet(d.way([(5, 5), (5, 5)]), d.way([(5, 5), (6, 5)]))  # of no length
    line = d.way([(0, 8), (9, 8)])
    d.lanelet(line, line)  # encloses nothing
    recording = lanelet2.read(write(tmp_path, d))
    assert recording.notes == {"dangling_references": 1, "lanelets_without_borders": 2}


def test_a_ring_of_lanelets_goes_round(tmp_path):
    d = Drawing()
    corners = [(0, 0), (40, 0), (40, 40), (0, 40)]
    inner = [(4, 4), (36, 4), (36, 36), (4, 36)]
    for i in range(4):
        j = (i + 1) % 4
        d.lanelet(d.way([inner[i], inner[j]]), d.way([corners[i], corners[j]]))
    recording = lanelet2.read(write(tmp_path, d))
    assert [lane.successors for lane in recording.lanes] == [(1,), (2,), (3,), (0,)]
    compile_recording(recording)


ROWS = list(drive(1, "car", (5, 2), (5.0, 0.0), range(1, 101)))
TABLES = {
    "a column too few": ([HEADER.replace("psi_rad", "x9").replace(",vy", ""), *ROWS], "no column vy"),
    "no rows": ([HEADER], "no rows"),
    "a short row": ([HEADER, *ROWS, "2,5,500,car,1"], "not a table"),
    "words": ([HEADER, *ROWS, "2,5,500,car,left,2,0,0,0,4,2"], "not a table"),
    "not finite": ([HEADER, "2,5,500,car,nan,2,0,0,0,4,2"], "x: nan"),
    "infinite": ([HEADER, "2,5,500,car,1,2,inf,0,0,4,2"], "vx: inf"),
    "a heading of nothing": ([HEADER, "2,5,500,car,1,2,0,0,nan,4,2"], "psi_rad"),
    "a speed beyond sense": ([HEADER, "2,5,500,car,1,2,9999,0,0,4,2"], "vx"),
    "no width": ([HEADER, "2,5,500,car,1,2,0,0,0,4,0"], "width: 0"),
    "a car of a kilometre": ([HEADER, "2,5,500,car,1,2,0,0,0,1000,2"], "length"),
    "a row twice": ([HEADER, *ROWS, ROWS[7]], "two rows"),
    "half a frame": ([HEADER, *ROWS, "2,5.5,550,car,1,2,0,0,0,4,2"], "frame_id"),
    "a frame before the first": ([HEADER, *ROWS, "2,-5,-500,car,1,2,0,0,0,4,2"], "frame_id"),
    "a frame of next year": ([HEADER, *ROWS, "2,1e9,1e11,car,1,2,0,0,0,4,2"], "frame_id"),
    "time that stands": ([HEADER, *(re.sub(r",\d+,car", ",0,car", row) for row in ROWS)], "timestamp_ms"),
    "time going backwards": ([HEADER, *ROWS, "2,60,100,car,1,2,0,0,0,4,2"], "timestamp_ms"),
    "one frame": ([HEADER, ROWS[0]], "one frame"),
    "an endless name": ([HEADER, *ROWS, f"{'9' * 80},5,500,car,1,2,0,0,0,4,2"], "24 characters"),
    "a car off the map": ([HEADER, *ROWS, "2,5,500,car,90000,2,0,0,0,4,2"], "off the map"),
}


ODD_ROWS = {
    "not finite": "2,5,500,car,nan,2,0,0,0,4,2",
    "infinite": "2,5,500,car,1,2,inf,0,0,4,2",
    "a heading of nothing": "2,5,500,car,1,2,0,0,nan,4,2",
    "a speed beyond sense": "2,5,500,car,1,2,9999,0,0,4,2",
    "no width": "2,5,500,car,1,2,0,0,0,4,0",
    "a car of a kilometre": "2,5,500,car,1,2,0,0,0,1000,2",
}


@pytest.mark.parametrize("case", [*ODD_ROWS, "a row twice"])
def test_a_track_with_an_odd_row_is_left_out_and_counted(tmp_path, case):
    other = list(drive(2, "car", (5, 2), (5.0, 0.0), range(6, 60)))
    extra = other[7] if case == "a row twice" else ODD_ROWS[case]
    table = layout(tmp_path, [])
    Path(table).write_text("\n".join([HEADER, *ROWS, *other, extra]) + "\n")
    recording = lanelet2.read(lanelet2.find(table)[0])
    assert recording.notes["objects_unreadable"] == 1 and recording.tracks.id.tolist() == [1]


@pytest.mark.parametrize("case", TABLES)
def test_hostile_tables_end_with_one_line(tmp_path, case):
    rows, words = TABLES[case]
    table = layout(tmp_path, [])
    Path(table).write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match=words) as caught:
        for item in lanelet2.find(table):
            lanelet2.read(item)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(tmp_path)) and len(line) < 400


def test_many_tracks_over_many_steps_are_refused_before_they_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr("drivetrain.data.readers.lanelet2.tracks.MAX_STATES", 500)
    table = layout(tmp_path, [*ROWS, *(f"{i},{i},{i}00,car,1,2,0,0,0,4,2" for i in range(2, 12))])
    with pytest.raises(InputError, match="11 tracks over 100 steps"):
        lanelet2.read(table + "#00000")


def test_a_table_that_changed_is_read_again(tmp_path):
    table = layout(tmp_path, ROWS)
    assert len(read_table((table,)).names) == 1
    layout(tmp_path, [*ROWS, *drive(2, "car", (5, 6), (5.0, 0.0), range(1, 90))])
    assert len(read_table((table,)).names) == 2


ODD = ["nan", "-1", "0", "1e9", "-inf", "", "99999999999999999999", "no", "50", "1003", "5001", "crosswalk", "é"]


def survives(tmp_path, seed):
    """Whether a mutant is read; it must end in a recording that holds together, or in one line."""
    rng = random.Random(seed)
    text = GOOD
    for _ in range(rng.randint(1, 4)):
        spots = list(re.finditer(r'="([^"]*)"', text))
        spot = rng.choice(spots)
        choice = rng.random()
        if choice < 0.5:
            text = text[: spot.start(1)] + rng.choice(ODD) + text[spot.end(1) :]
        elif choice < 0.8:
            text = text[: spot.start(1)] + rng.choice(spots).group(1) + text[spot.end(1) :]
        else:
            element = rng.choice(list(re.finditer(r"<(nd|tag|member)[^<>]*/>", text)))
            text = text[: element.start()] + element.group(0) * rng.choice([0, 2]) + text[element.end() :]
    rows = [HEADER, *ROWS[:60]]
    if rng.random() < 0.5:
        row = rng.randrange(1, len(rows))
        cells = rows[row].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(ODD)
        rows[row] = ",".join(cells)
    table = layout(tmp_path, rows[1:], drawing=text)
    try:
        recording = lanelet2.read(table + "#00000")
    except InputError as error:
        assert "\n" not in str(error) and str(error).startswith(str(tmp_path)), seed
        return None
    ids = {lane.id for lane in recording.lanes}
    for lane in recording.lanes:
        assert np.isfinite(lane.left).all() and np.isfinite(lane.right).all() and set(lane.successors) <= ids, seed
    for line in recording.control_lines:
        assert np.isfinite(line.ends).all() and line.lane in ids, seed
    for array in (recording.tracks.position, recording.tracks.velocity, recording.tracks.heading):
        assert np.isfinite(array).all(), seed
    assert (recording.tracks.length > 0).all()
    return recording


def test_mutants_end_well(tmp_path):
    read_whole = sum(survives(tmp_path, seed) is not None for seed in range(80))
    assert 10 < read_whole < 75


@pytest.mark.long
def test_many_mutants_end_well_and_compile(tmp_path):
    for seed in range(1000, 9000):
        recording = survives(tmp_path, seed)
        if recording is not None and seed % 10 == 0:
            compile_recording(recording)
