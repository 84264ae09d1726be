"""The Nocturne/GPUDrive reader: a hand-written crossing, hostile files, and real scenes where there are any."""

import copy
import gzip
import json
import lzma
import math
import random
from pathlib import Path

import numpy as np
import pytest
import shapely
from fixtures_mutation import VALUES, survive, values_changed

from drivetrain.data.readers.nocturne import reader as nocturne
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError, LightState

SCENES = Path(__file__).resolve().parents[4] / "shared/data/womd_samples/gpudrive_nocturne_json"
X, Y = 5000.0, -3000.0  # where the hand-written scene lies in its source's frame
STEPS = 50


def points(*pairs):
    return [{"x": X + x, "y": Y + y, "z": 1.0} for x, y in pairs]


def line(first, last, count=41):
    return points(*zip(np.linspace(first[0], last[0], count), np.linspace(first[1], last[1], count), strict=True))


def road(kind, id, geometry, mark=0):
    return {"type": kind, "id": id, "geometry": geometry, "map_element_id": mark}


def thing(id, start, velocity, kind="vehicle", heading=0.0, valid=None):
    valid = [True] * STEPS if valid is None else valid
    at = [points((start[0] + 0.1 * t * velocity[0], start[1] + 0.1 * t * velocity[1]))[0] for t in range(STEPS)]
    nowhere = {"x": -10000.0, "y": -10000.0, "z": -10000.0}
    return {
        "id": id,
        "type": kind,
        "position": [p if ok else nowhere for p, ok in zip(at, valid, strict=True)],
        "velocity": [{"x": velocity[0], "y": velocity[1]} if ok else {"x": -10000.0, "y": -10000.0} for ok in valid],
        "heading": [heading if ok else -10000.0 for ok in valid],
        "valid": valid,
        "length": 4.5,
        "width": 1.8,
        "height": 1.5,
        "goalPosition": at[-1],
    }


def test_what_is_seen_stands_on_the_ground_below_its_middle(tmp_path):
    """Positions at z = 1, boxes of 1.5 m, lines at z = 1; without a z somewhere, tracks have no height."""
    scene = crossing()
    file = tmp_path / "scene.json"
    file.write_text(json.dumps(scene))
    recording = nocturne.read(str(file))
    assert set(recording.tracks.height[recording.tracks.valid].tolist()) == {0.25}
    assert not recording.tracks.height[~recording.tracks.valid].any()
    assert {z for one in (*recording.lanes, *recording.features) for z in one.height.tolist()} == {1.0}
    del scene["objects"][0]["position"][3]["z"]
    file.write_text(json.dumps(scene))
    assert nocturne.read(str(file)).tracks.height is None


def crossing():
    """Two lanes east, the upper of 80 m, the lower beside its last 40 m; then a lane each, and a turn to the north."""
    turn = [(80 + 12 * math.sin(a), 1.75 + 12 * (1 - math.cos(a))) for a in np.linspace(0, math.pi / 2, 20)]
    return {
        "name": "crossing.json",
        "scenario_id": "abc",
        "objects": [
            thing(7, (0.0, 1.75), (10.0, 0.0)),
            thing(8, (45.0, -1.75), (6.0, 0.0), valid=[20 <= t < 48 for t in range(STEPS)]),
            thing(9, (82.0, 9.0), (0.0, -1.0), kind="pedestrian", heading=-math.pi / 2),
            thing(10, (10.0, 4.0), (3.0, 0.0), kind="cyclist"),
        ],
        "roads": [
            road("lane", 100, line((0, 1.75), (80, 1.75)), 2),
            road("lane", 101, line((40, -1.75), (80, -1.75)), 2),
            road("lane", 102, line((80, 1.75), (140, 1.75)), 2),
            road("lane", 103, line((80, -1.75), (140, -1.75)), 2),
            road("lane", 104, points(*turn), 2),
            road("lane", 105, line((140, 5.0), (0, 5.0)), 2),
            road("road_edge", 200, line((0, -3.75), (140, -3.75)), 15),
            road("road_edge", 201, line((0, 7.0), (70, 7.0)), 16),
            road("road_line", 300, line((0, 3.4), (70, 3.4)), 12),
            road("crosswalk", 400, points((84, -5), (87, -5), (87, 8), (84, 8)), 18),
            road("speed_bump", 401, points((20, -4), (22, -4), (22, 4), (20, 4)), 19),
            road("driveway", 402, points((20, -4), (22, -4), (22, -9), (20, -9)), 20),
            road("stop_sign", 500, points((79.0, -6.0)), 17),
        ],
        "tl_states": {
            "104": {
                "state": ["stop"] * 20 + ["go"] * 10 + ["caution"] * 5,
                "time_index": list(range(5, 40)),
                "x": [X + 80.5] * 35,
                "y": [Y + 1.75] * 35,
            }
        },
        "metadata": {"sdc_track_index": 0},
    }


def write(folder, scene, name="crossing.json"):
    path = folder / name
    path.write_text(scene if isinstance(scene, str) else json.dumps(scene))
    return str(path)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return nocturne.read(write(tmp_path_factory.mktemp("scene"), crossing()))


def piece_at(recording, x, y):
    """The drivable lane over a point of the scene, heading east."""
    where = shapely.Point(x + X - recording.origin[0], y + Y - recording.origin[1])
    over = [
        lane
        for lane in recording.lanes
        if shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])).contains(where)
        and lane.left[-1, 0] > lane.left[0, 0]
    ]
    assert len(over) == 1
    return over[0]


def test_tracks_keep_what_was_measured_and_nothing_else(recording):
    tracks = recording.tracks
    assert recording.name == "crossing" and recording.group == "abc" and recording.marked == (7,)
    assert tracks.id.tolist() == [7, 8, 9, 10]
    assert tracks.kind.tolist() == [AgentKind.CAR, AgentKind.CAR, AgentKind.PEDESTRIAN, AgentKind.BICYCLE]
    assert tracks.valid.sum(axis=1).tolist() == [50, 28, 50, 50]
    for array in (tracks.position, tracks.heading, tracks.velocity):
        assert not array[~tracks.valid].any()
    np.testing.assert_allclose(tracks.position[0, 30] + recording.origin, [X + 30.0, Y + 1.75])
    np.testing.assert_allclose(tracks.heading[2], -math.pi / 2)


def test_a_long_lane_is_cut_where_a_neighbour_begins(recording):
    alone, beside, lower = (piece_at(recording, *at) for at in ((20, 1.75), (60, 1.75), (60, -1.75)))
    assert alone.id != beside.id and beside.id in alone.successors and alone.id in beside.predecessors
    assert alone.left_neighbour is None and alone.right_neighbour is None
    assert beside.right_neighbour == lower.id and lower.left_neighbour == beside.id
    np.testing.assert_allclose(beside.right[:, 1], lower.left[:, 1], atol=1e-6)


def test_lanes_that_meet_end_to_start_follow_each_other(recording):
    upper, lower = piece_at(recording, 60, 1.75), piece_at(recording, 60, -1.75)
    ahead = {lane.id: lane for lane in recording.lanes if lane.id in upper.successors}
    assert len(ahead) == 2 and sorted(lane.left[-1, 1] - lane.left[0, 1] > 5 for lane in ahead.values()) == [
        False,
        True,
    ]
    assert lower.successors == (piece_at(recording, 100, -1.75).id,)
    oncoming = [lane for lane in recording.lanes if lane.left[-1, 0] < lane.left[0, 0] - 1]
    assert oncoming and all(lane.left_neighbour is None and lane.right_neighbour is None for lane in oncoming)


def test_borders_lie_at_paint_and_edges_where_there_are_any(recording):
    origin = np.array(recording.origin) - (X, Y)
    upper, lower = piece_at(recording, 60, 1.75), piece_at(recording, 60, -1.75)
    np.testing.assert_allclose((upper.left + origin)[:, 1], 3.4, atol=1e-6)
    np.testing.assert_allclose((lower.right + origin)[:, 1], -3.75, atol=1e-6)
    assert upper.left_border == ElementKind.LINE_SOLID and lower.right_border == ElementKind.ROAD_EDGE
    alone = piece_at(recording, 20, 1.75)
    np.testing.assert_allclose((alone.right + origin)[:, 1], 0.0, atol=1e-6)  # nothing within 2.5 m: 1.75 m
    assert alone.right_border == ElementKind.LINE_VIRTUAL


def test_edges_keep_the_road_on_their_left(recording):
    edges = [feature.points for feature in recording.features if feature.kind == ElementKind.ROAD_EDGE]
    lower, upper = sorted(edges, key=lambda edge: edge[:, 1].mean())
    assert lower[-1, 0] > lower[0, 0] and upper[-1, 0] < upper[0, 0]
    assert recording.notes["road_edges_turned"] == 1


def test_the_sign_stops_the_lane_that_has_it_on_its_right(recording):
    (line,) = [line for line in recording.control_lines if line.kind == ControlKind.STOP_SIGN]
    assert line.lane == piece_at(recording, 60, -1.75).id
    ends = line.ends + recording.origin - (X, Y)
    np.testing.assert_allclose(ends, [[79.0, 0.0], [79.0, -3.75]], atol=1e-6)


def test_the_light_is_recorded_and_stands_on_its_lane(recording):
    (light,) = recording.lights
    (line,) = [line for line in recording.control_lines if line.kind == ControlKind.LIGHT]
    expected = [LightState.UNKNOWN] * 5 + [LightState.RED] * 20 + [LightState.GREEN] * 10 + [LightState.YELLOW] * 5
    assert light.recorded and light.states.tolist() == expected + [LightState.UNKNOWN] * 10
    turning = next(lane for lane in recording.lanes if lane.id == line.lane)
    assert turning.left[-1, 1] - turning.left[0, 1] > 5 and line.light == light.id
    np.testing.assert_allclose(line.ends.mean(axis=0) + recording.origin, [X + 80.5, Y + 1.75], atol=0.1)


def test_other_features_and_what_was_left_out(recording):
    kinds = [feature.kind for feature in recording.features]
    assert kinds.count(ElementKind.CROSSWALK) == 1 and kinds.count(ElementKind.SPEED_BUMP) == 1
    assert kinds.count(ElementKind.LINE_SOLID) == 1
    (driveway,) = [feature for feature in recording.features if feature.kind == ElementKind.DRIVEWAY]
    outline = driveway.points + recording.origin - (X, Y)
    np.testing.assert_allclose(outline, [[20, -4], [22, -4], [22, -9], [20, -9], [20, -4]], atol=1e-3)
    assert recording.notes["driveways_not_observed"] == 1


def test_a_scene_moved_far_away_reads_the_same(tmp_path, recording, monkeypatch):
    monkeypatch.setitem(globals(), "X", X + 1e7)
    monkeypatch.setitem(globals(), "Y", Y - 1e7)
    far = nocturne.read(write(tmp_path, crossing()))
    np.testing.assert_allclose(far.origin, np.array(recording.origin) + (1e7, -1e7))
    np.testing.assert_allclose(far.tracks.position, recording.tracks.position, atol=1e-6)
    assert [lane.successors for lane in far.lanes] == [lane.successors for lane in recording.lanes]


def test_degrees_are_turned_to_radians(tmp_path):
    scene = crossing()
    for item in scene["objects"]:
        item["heading"] = [math.degrees(h) if h > -9999 else h for h in item["heading"]]
    read = nocturne.read(write(tmp_path, scene))
    np.testing.assert_allclose(read.tracks.heading[2], -math.pi / 2)
    assert read.notes["scenes_with_headings_in_degrees"] == 1


def test_radians_that_run_on_past_a_full_circle_are_no_degrees(tmp_path):
    scene = crossing()
    scene["objects"][2]["heading"] = [-math.pi / 2 - 4 * math.pi] * STEPS
    read = nocturne.read(write(tmp_path, scene))
    np.testing.assert_allclose(np.sin(read.tracks.heading[2]), -1.0)
    assert read.notes["scenes_with_headings_in_degrees"] == 0


def alone():
    """The hand-written scene with its first object alone."""
    return crossing() | {"objects": crossing()["objects"][:1]}


def spoil(path, value):
    """A hand-written scene with one value replaced."""
    scene = copy.deepcopy(crossing())
    item = scene
    for key in path[:-1]:
        item = item[key]
    item[path[-1]] = value
    return json.dumps(scene)


HOSTILE = {
    "nothing": "",
    "truncated": json.dumps(crossing())[:5000],
    "no object": "[]",
    "nesting": "[" * 100_000,
    "nan": spoil(["objects", 0, "heading"], [math.nan] * STEPS),
    "infinity": spoil(["objects", 0, "position", 3, "x"], math.inf),
    "zero agents": spoil(["objects"], []),
    "agents of null": spoil(["objects"], [None]),
    "two ids": spoil(["objects", 1, "id"], 7),
    "two lanes": spoil(["roads", 1, "id"], 100),
    "never valid": spoil(["objects"], [thing(1, (0, 0), (0, 0), valid=[False] * STEPS)]),
    "roads of text": spoil(["roads"], "none"),
    "light of text": spoil(["tl_states", "104"], "red"),
    "light out of time": spoil(["tl_states", "104", "time_index"], list(range(100, 135))),
    "lights of one state": spoil(["tl_states", "104", "state"], ["stop"]),
}


LEFT_OUT = {
    "nested value": spoil(["objects", 0, "heading"], [[[[0.0]]]]),
    "overflow": json.dumps(crossing()).replace('"x": 5000.0', '"x": 1e999'),
    "huge integer": spoil(["objects", 0, "position", 3, "x"], 10**400),
    "id of text": spoil(["objects", 1, "id"], "7"),
    "short heading": spoil(["objects", 1, "heading"], [0.0]),
    "words for points": spoil(["objects", 1, "position"], "nowhere"),
    "giant": spoil(["objects", 1, "length"], 1e6),
    "road of text": spoil(["roads", 0], "lane"),
    "road far off": spoil(["roads", 0, "geometry", 0, "x"], 1e8),
    "geometry of null": spoil(["roads", 0, "geometry"], None),
    "lists under x and y": spoil(["objects", 1, "position"], {"x": [5000.0] * STEPS, "y": [-3000.0] * STEPS}),
    "lists for a point": spoil(["objects", 1, "position"], [{"x": [0.0, 1.0], "y": [0.0, 1.0]}] * STEPS),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_concerns_one_object_or_line_is_left_out_and_counted(tmp_path, recording, name):
    read = nocturne.read(write(tmp_path, LEFT_OUT[name]))
    objects, lines = read.notes["objects_unreadable"], read.notes["map_features_unreadable"]
    assert len(read.tracks.id) == len(recording.tracks.id) - objects and objects + lines >= 1
    assert read.lanes and np.isfinite(read.tracks.position).all()


def test_where_no_object_can_be_read_the_first_says_why(tmp_path):
    scene = alone()
    scene["objects"] = [item | {"heading": "north"} for item in crossing()["objects"]]
    with pytest.raises(InputError, match=r"objects\[0\]: heading: not a list of numbers"):
        nocturne.read(write(tmp_path, scene))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_give_one_line(tmp_path, name):
    file = write(tmp_path, HOSTILE[name])
    with pytest.raises(InputError) as caught:
        nocturne.read(file)
    assert str(caught.value).startswith(file) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_odd_roads_do_no_harm(tmp_path):
    scene = crossing()
    scene["roads"] += [
        road("lane", 900, points((5, 20)), 2),
        road("lane", 901, points((5, 20), (5, 20)), 2),
        road("road_line", 902, [], 7),
        road("stop_sign", 903, points((5, 300))),
        {"type": "stop_sign", "geometry": points((70.0, 1000.0))[0]},
    ]
    read = nocturne.read(write(tmp_path, scene))
    assert read.notes["road_lines_too_short"] == 3 and read.notes["stop_signs_without_a_lane"] == 2
    scene["roads"] = []
    read = nocturne.read(write(tmp_path, scene))
    assert not read.lanes and not read.control_lines and read.notes["lights_without_a_lane"] == 1


@pytest.mark.parametrize("mark", [99, -1, "first"])
def test_a_mark_at_no_object_is_counted_and_the_scene_read(tmp_path, mark):
    read = nocturne.read(write(tmp_path, spoil(["metadata", "sdc_track_index"], mark)))
    assert read.marked == () and read.notes["marks_at_no_object"] == 1
    assert len(read.tracks.id) == len(crossing()["objects"])


def test_packed_files_and_folders(tmp_path):
    text = json.dumps(crossing()).encode()
    (tmp_path / "a.json.xz").write_bytes(lzma.compress(text))
    (tmp_path / "b.json").write_bytes(text)
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(text[:999]) + gzip.compress(text[999:]))  # of two members
    (tmp_path / "c.txt").write_bytes(text)
    assert [Path(file).name for file in nocturne.find(str(tmp_path))] == ["a.json.xz", "b.json", "c.json.gz"]
    assert nocturne.read(str(tmp_path / "c.json.gz")).name == "c"
    assert nocturne.read(str(tmp_path / "a.json.xz")).name == "a"
    (tmp_path / "a.json.xz").write_bytes(lzma.compress(text)[:-40])
    with pytest.raises(InputError, match="archive"):
        nocturne.read(str(tmp_path / "a.json.xz"))
    with pytest.raises(InputError, match="no such"):
        nocturne.find(str(tmp_path / "missing"))


def odd(tmp_path, seed, rounds):
    file, source = write(tmp_path, crossing()), random.Random(seed)
    mutants = lambda: json.dumps(values_changed(crossing(), source)).encode()  # noqa: E731
    return survive(lambda: nocturne.read(file), file, mutants, rounds)


def test_odd_values_are_read_or_refused(tmp_path):
    assert 0 < odd(tmp_path, seed=1, rounds=40) < 40


def test_changes_within_changes_stay_in_their_own_scene():
    """A list put in the place of a value may be changed again, and holds nothing of what came before."""
    before = copy.deepcopy(VALUES)
    for seed in range(300):
        scene = {"a": [[1.0]], "b": {"c": 0}}
        assert json.dumps(values_changed(scene, random.Random(seed)))
        assert scene == {"a": [[1.0]], "b": {"c": 0}} and before == VALUES


@pytest.mark.long
def test_many_odd_values(tmp_path):
    for seed in range(2, 12):
        odd(tmp_path, seed, rounds=300)


@pytest.mark.skipif(not SCENES.is_dir(), reason="no Waymo scenes in ../shared/data/womd_samples")
def test_real_scenes_drive_on_their_lanes():
    inside, total, turned, edges = 0, 0, 0, 0
    for file in nocturne.find(str(SCENES))[::12]:
        recording = nocturne.read(file)
        shapes = [shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])) for lane in recording.lanes]
        road = shapely.union_all(shapely.make_valid(np.array(shapes, object)))
        row = recording.tracks.id.tolist().index(recording.marked[0])
        position = recording.tracks.position[row][recording.tracks.valid[row]]
        inside += int(shapely.contains_xy(road, *position.T).sum())
        total += len(position)
        edges += sum(feature.kind == ElementKind.ROAD_EDGE for feature in recording.features)
        turned += recording.notes["road_edges_turned"]
    assert inside > 0.9 * total
    assert turned < 0.1 * edges  # the dataset's own edges already run this way: an independent check of the rule
