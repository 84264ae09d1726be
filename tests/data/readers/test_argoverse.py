"""Argoverse 2 scenarios against hand-written ones, and against what the data set's own scenario must satisfy."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from fixtures_mutation import bytes_changed, survive

from drivetrain.data.readers.argoverse import forecasting as argoverse
from drivetrain.data.readers.argoverse import vector_map
from drivetrain.data.recordings.provenance import faults
from drivetrain.types import AgentKind, ElementKind, InputError

DATA = Path(__file__).resolve().parents[4] / "shared/data/argoverse2"
X, Y = -400.0, 1300.0  # where the scene lies
STEPS = 50


def line(*corners):
    return [{"x": X + x, "y": Y + y, "z": 20.0} for x, y in corners]


def segment(id, left, right, ahead=(), behind=(), beside=(None, None), kind="VEHICLE", marks=("NONE", "NONE")):
    return {
        "id": id,
        "is_intersection": False,
        "lane_type": kind,
        "left_lane_boundary": line(*left),
        "right_lane_boundary": line(*right),
        "left_lane_mark_type": marks[0],
        "right_lane_mark_type": marks[1],
        "successors": list(ahead),
        "predecessors": list(behind),
        "left_neighbor_id": beside[0],
        "right_neighbor_id": beside[1],
    }


def street():
    """Two lanes east, one west, a bicycle lane beside them, and a lane that ends in a turn."""
    double, dashed = "DOUBLE_SOLID_YELLOW", "DASHED_WHITE"
    one = segment(1, [(0, 3.5), (50, 3.5)], [(0, 0), (50, 0)], [4], beside=(3, 2), marks=(double, dashed))
    two = segment(2, [(0, 0), (50, 0)], [(0, -3.5), (50, -3.5)], [5, 77], beside=(1, 6), marks=(dashed, "SOLID_WHITE"))
    lanes = [
        one,
        two,
        segment(3, [(50, 3.5), (0, 3.5)], [(50, 7), (0, 7)], beside=(1, None), marks=(double, "NONE")),
        segment(4, [(50, 3.5), (100, 3.5)], [(50, 0), (100, 0)]),
        segment(5, [(50, 0), (57, -3.5), (60, -10)], [(50, -3.5), (54, -5), (56, -10)], kind="BUS"),
        segment(6, [(0, -3.5), (50, -3.5)], [(0, -5), (50, -5)], beside=(2, None), kind="BIKE"),
        segment(7, [(0, 0), (0, 0)], [(0, 1), (0, 1)]),  # no length
    ]
    area = [(0, 7), (100, 7), (100, 0), (60, 0), (60, -10), (56, -10), (54, -5), (0, -5), (0, 7)]
    return {
        "lane_segments": {str(lane["id"]): lane for lane in lanes},
        "drivable_areas": {"9": {"id": 9, "area_boundary": line(*area)}},
        "pedestrian_crossings": {"8": {"id": 8, "edge1": line((40, -5), (40, 7)), "edge2": line((43, 7), (43, -5))}},
    }


def rows(name, kind, start, velocity, first=0, steps=STEPS):
    for step in range(first, steps):
        x, y = (start[axis] + 0.1 * step * velocity[axis] for axis in (0, 1))
        heading = float(np.arctan2(velocity[1], velocity[0]))
        yield {"track_id": name, "object_type": kind, "timestep": step, "position_x": X + x, "position_y": Y + y,
               "heading": heading, "velocity_x": velocity[0], "velocity_y": velocity[1]}  # fmt: skip


def scenario():
    table = [
        *rows("AV", "vehicle", (5.0, 1.75), (8.0, 0.0)),
        *rows("138951", "vehicle", (45.0, 5.25), (-6.0, 0.0)),
        *rows("7", "cyclist", (5.0, -4.25), (4.0, 0.0), first=10),
        *rows("8", "pedestrian", (41.0, -6.0), (0.0, 1.4)),
        *rows("9", "bus", (2.0, -1.75), (5.0, 0.0), first=30),
        *rows("10", "background", (20.0, 20.0), (0.0, 0.0)),
    ]
    whole = {
        "focal_track_id": "138951",
        "scenario_id": "s-1",
        "slice_id": "slice-3",
        "start_timestamp": 3.15986559459579e17,
        "end_timestamp": 3.15986559459579e17 + 1.09e10,
        "num_timestamps": 110,
    }
    return [row | whole for row in table]


def write(folder, table=None, streets=None, id="s-1"):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    file = folder / f"scenario_{id}.parquet"
    pyarrow.parquet.write_table(pa.Table.from_pylist(scenario() if table is None else table), file)
    document = street() if streets is None else streets
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / f"log_map_archive_{id}.json").write_text(text)
    return str(file)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return argoverse.read(write(tmp_path_factory.mktemp("scenario")))


def test_tracks_keep_what_was_measured(recording):
    tracks = recording.tracks
    assert (recording.name, recording.dt, recording.group) == ("scenario_s-1", 0.1, "slice-3")
    assert dict(zip(tracks.id.tolist(), tracks.kind.tolist(), strict=True)) == {
        0: AgentKind.CAR,
        138951: AgentKind.CAR,
        7: AgentKind.BICYCLE,
        8: AgentKind.PEDESTRIAN,
        9: AgentKind.BUS,
    }
    assert recording.marked == (0,)  # the recording vehicle; the focal track is one of the others
    row = tracks.id.tolist().index(7)
    assert tracks.valid[row].sum() == 40 and not tracks.position[row, :10].any()
    np.testing.assert_allclose(tracks.position[row, 20] + recording.origin, [X + 13.0, Y - 4.25])
    assert recording.notes["background_left_out"] == 1 and recording.notes["objects_without_size"] == 4
    assert tracks.length[tracks.id == 0] == 4.869 and (tracks.length > 0).all()


def test_lanes_keep_borders_marks_links_and_neighbours_of_their_direction(recording):
    lanes = {lane.id: lane for lane in recording.lanes}
    assert sorted(lanes) == [1, 2, 3, 4, 5, 6] and recording.notes["lanes_degenerate"] == 1
    assert lanes[1].successors == (4,) and lanes[4].predecessors == (1,) and lanes[2].successors == (5,)
    assert recording.notes["links_out_of_the_map"] == 1 and recording.notes["one_sided_links_mended"] == 2
    assert (lanes[1].left_neighbour, lanes[1].right_neighbour, lanes[2].left_neighbour) == (None, 2, 1)
    assert lanes[3].left_neighbour is None and recording.notes["neighbours_of_opposite_direction"] == 2
    assert lanes[1].left_border == ElementKind.LINE_SOLID and lanes[1].right_border == ElementKind.LINE_DASHED
    assert not lanes[6].drivable and lanes[5].drivable
    np.testing.assert_allclose(lanes[2].right + recording.origin, [[X, Y - 3.5], [X + 50, Y - 3.5]])


def test_the_map_has_heights_and_the_tracks_have_none(recording):
    crosswalks = [f for f in recording.features if f.kind == ElementKind.CROSSWALK]
    assert {z for one in (*recording.lanes, *crosswalks) for z in one.height.tolist()} == {20.0}
    assert recording.tracks.height is None


def test_the_outline_is_the_edge_and_opens_where_lanes_leave(recording):
    edges = [feature.points for feature in recording.features if feature.kind == ElementKind.ROAD_EDGE]
    road = shapely.MultiLineString([edge + recording.origin - (X, Y) for edge in edges])
    for x, y in ((0, 1.75), (100, 1.75), (0, 5.25), (58, -10)):  # ends of lanes
        assert shapely.distance(road, shapely.Point(x, y)) > 1.0
    for x, y in ((30, 7), (30, -5), (80, 0)):
        assert shapely.distance(road, shapely.Point(x, y)) < 0.2
    for edge in edges:
        middle = (edge[:-1] + edge[1:]) / 2
        along = np.diff(edge, axis=0)
        inside = middle + 0.3 * np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1)[:, None]
        area = shapely.Polygon([(p["x"], p["y"]) for p in street()["drivable_areas"]["9"]["area_boundary"]])
        assert shapely.contains_xy(area, *(inside + recording.origin).T).all()  # drivable side on the left


def test_the_crosswalk_is_a_ring_whichever_way_its_edges_run(recording, tmp_path):
    streets = street()
    streets["pedestrian_crossings"]["8"]["edge2"].reverse()
    for read in (recording, argoverse.read(write(tmp_path, streets=streets))):
        (walk,) = [feature.points for feature in read.features if feature.kind == ElementKind.CROSSWALK]
        assert shapely.Polygon(walk).area == pytest.approx(36.0) and (walk[0] == walk[-1]).all()


def test_files_are_found_by_name(tmp_path):
    (tmp_path / "a").mkdir()
    file = write(tmp_path / "a")
    assert argoverse.find(str(tmp_path)) == [file] == argoverse.find(file)
    with pytest.raises(InputError, match="no such"):
        argoverse.find(str(tmp_path / "missing"))
    (tmp_path / "a" / "log_map_archive_s-1.json").unlink()
    with pytest.raises(InputError, match=r"log_map_archive_s-1\.json"):
        argoverse.read(file)


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "scenario_a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"drivetrain\[argoverse\]"):
        argoverse.read(str(tmp_path / "scenario_a.parquet"))


def changed(where, value):
    """A scenario with the value of one row replaced; or of all rows, or a column taken out."""
    table = scenario()
    row, name = where
    for item in table if row is None else [table[row]]:
        if value is ...:
            del item[name]
        else:
            item[name] = value
    return table


TABLES = {
    "no rows of objects": changed((None, "object_type"), "background"),
    "no column": changed((None, "heading"), ...),
    "text for numbers": changed((None, "position_x"), "far"),
    "numbers for text": changed((None, "track_id"), 7),
    "far away": changed((3, "position_x"), 1e7),
    "time backwards": changed((3, "timestep"), -1),
    "absurd time": changed((3, "timestep"), 2**40),
    "no time": changed((None, "timestep"), 0),
    "absurd span": changed((None, "end_timestamp"), 3.2e17),
}


ODD_OBJECTS = {
    "not finite": changed((3, "position_x"), float("nan")),
    "a gap": changed((3, "position_x"), None),
    "absurd": changed((3, "velocity_x"), 1e300),
    "unknown type": changed((3, "object_type"), "x" * 500),
    "two rows": changed((1, "timestep"), 0),
}


@pytest.mark.parametrize("name", ODD_OBJECTS)
def test_an_object_with_an_odd_row_is_left_out_and_counted(tmp_path, name):
    whole, found = argoverse.read(write(tmp_path)), argoverse.read(write(tmp_path, table=ODD_OBJECTS[name]))
    assert found.notes["objects_unreadable"] == 1 and "objects_unreadable" not in whole.notes
    assert len(found.tracks.id) == len(whole.tracks.id) - 1
    (gone,) = set(whole.tracks.id.tolist()) - set(found.tracks.id.tolist())
    kept = whole.tracks.id != gone
    away = np.array(whole.origin) - found.origin
    np.testing.assert_allclose(
        found.tracks.position, whole.tracks.position[kept] + away * whole.tracks.valid[kept][..., None]
    )
    assert faults(found.notes) == faults(whole.notes) | {"objects_unreadable": 1}


@pytest.mark.parametrize("name", TABLES)
def test_hostile_tables_give_one_line(tmp_path, name):
    file = write(tmp_path, table=TABLES[name])
    with pytest.raises(InputError) as caught:
        argoverse.read(file)
    assert str(caught.value).startswith(file) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def spoil(path, value):
    document = street()
    item = document
    for key in path[:-1]:
        item = item[key]
    item[path[-1]] = value
    return document


LANE = ("lane_segments", "1")
MAPS = {
    "nothing": "",
    "truncated": json.dumps(street())[:900],
    "a list": "[]",
    "nesting": "[" * 100_000,
    "no lanes": spoil(["lane_segments"], None),
    "a lane of text": spoil(LANE, "lane"),
    "two ids": spoil([*LANE, "id"], 2),
    "not finite": spoil([*LANE, "left_lane_boundary", 0, "x"], float("nan")),
    "area of text": spoil(["drivable_areas", "9", "area_boundary"], 7),
    "crossing of text": spoil(["pedestrian_crossings", "8", "edge1"], {}),
}


ODD_LANES = {
    "no id": spoil([*LANE, "id"], None),
    "unknown type": spoil([*LANE, "lane_type"], "TRAM"),
    "unknown mark": spoil([*LANE, "left_lane_mark_type"], ["x"]),
    "no border": spoil([*LANE, "left_lane_boundary"], None),
    "border of text": spoil([*LANE, "left_lane_boundary"], "here"),
    "overflow": spoil([*LANE, "left_lane_boundary", 0, "x"], 10**400),
    "far away": spoil([*LANE, "left_lane_boundary", 0, "x"], 1e8),
    "links of text": spoil([*LANE, "successors"], ["2"]),
    "neighbour of text": spoil([*LANE, "left_neighbor_id"], "3"),
}


@pytest.mark.parametrize("name", ODD_LANES)
def test_an_odd_lane_is_left_out_and_counted(tmp_path, name):
    whole, found = argoverse.read(write(tmp_path)), argoverse.read(write(tmp_path, streets=ODD_LANES[name]))
    assert found.notes["map_features_unreadable"] == 1
    assert {lane.id for lane in whole.lanes} - {lane.id for lane in found.lanes} == {1}
    assert all(1 not in (*lane.successors, *lane.predecessors, lane.left_neighbour) for lane in found.lanes)


def test_a_map_with_too_many_points_is_refused_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_map, "MAX_POINTS", 5)
    with pytest.raises(InputError, match="more than 5 points"):
        argoverse.read(write(tmp_path))


@pytest.mark.parametrize("name", MAPS)
def test_hostile_maps_give_one_line(tmp_path, name):
    file = write(tmp_path, streets=MAPS[name])
    with pytest.raises(InputError) as caught:
        argoverse.read(file)
    assert "log_map_archive" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def damaged(tmp_path, seed, rounds):
    """Tables with a few bytes changed or cut: read, or refused in one line."""
    file, source = write(tmp_path), random.Random(seed)
    honest = Path(file).read_bytes()
    survive(lambda: argoverse.read(file), file, lambda: bytes_changed(honest, source), rounds)


def test_damaged_tables_are_read_or_refused(tmp_path):
    damaged(tmp_path, seed=5, rounds=60)


@pytest.mark.long
def test_many_damaged_tables(tmp_path):
    for seed in range(20, 40):
        damaged(tmp_path, seed, rounds=500)


@pytest.mark.skipif(not DATA.is_dir(), reason="no scenarios in ../shared/data/argoverse2")
def test_a_real_scenario_drives_on_its_road():
    pytest.importorskip("pyarrow")
    (file,) = argoverse.find(str(DATA))
    read = argoverse.read(file)
    lanes = {lane.id: lane for lane in read.lanes}
    assert len(lanes) == 71 and read.tracks.valid.shape[1] == 110 and len(read.marked) == 1
    for lane in lanes.values():
        if lane.right_neighbour is not None:
            assert lanes[lane.right_neighbour].left_neighbour == lane.id
    moving = read.tracks.valid & (np.linalg.norm(read.tracks.velocity, axis=-1) > 2.0)
    course = np.arctan2(read.tracks.velocity[..., 1], read.tracks.velocity[..., 0])
    assert np.median(np.cos(course - read.tracks.heading)[moving]) > 0.99
