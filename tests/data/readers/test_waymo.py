"""The Waymo Open Motion reader: a hand-made scene as both kinds of record, hostile records, and real ones."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import shapely
from waymo_records import (
    BICYCLE,
    DASHED,
    F32,
    LIGHT_AT,
    NOW,
    OBJECTS,
    SIGN,
    STEPS,
    STOP,
    STREET,
    X,
    Y,
    columns,
    example,
    feature,
    frame,
    line,
    message,
    outline,
    point,
    scenario,
    state,
    track,
    write,
)

from drivetrain.data.readers.waymo import reader as waymo
from drivetrain.data.recordings.provenance import faults
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError, LightState

REAL = Path(__file__).resolve().parents[4] / "shared/data/womd_samples/tfrecord"
KINDS = {"scenario": scenario, "example": example}


def read(folder, record, name="training.tfrecord-00000-of-00001"):
    return waymo.read(write(folder / name, record) + "#00000")


@pytest.fixture(scope="module", params=KINDS)
def either(request, tmp_path_factory):
    """The scene read from either kind of record."""
    return read(tmp_path_factory.mktemp("scene"), KINDS[request.param]())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The scene read from its Scenario message, which has a lane graph."""
    return read(tmp_path_factory.mktemp("scene"), scenario())


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """The scene read from its tf.Example, which has none."""
    return read(tmp_path_factory.mktemp("scene"), example())


def lane_at(recording, x, y, cosine=1.0):
    """The lane over a point of the scene that heads east (or as its cosine to the east says)."""
    where = np.array([x + X, y + Y]) - recording.origin
    found = []
    for lane in recording.lanes:
        chord = lane.left[-1] - lane.left[0]
        shape = shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]]))
        if shapely.contains_xy(shape, *where) and chord[0] / np.hypot(*chord) > cosine - 0.3:
            found.append(lane)
    return found


def in_scene(recording, points):
    return points + recording.origin - (X, Y)


def test_tracks_keep_what_was_measured_and_nothing_else(either):
    tracks = either.tracks
    assert (either.name, either.group, either.split, either.dt) == ("abc123", "abc123", "train", 0.1)
    assert either.marked == (7,) and tracks.id.tolist() == [7, 8, 9, 10, 11]
    kinds = [AgentKind.CAR, AgentKind.CAR, AgentKind.PEDESTRIAN, AgentKind.BICYCLE, AgentKind.OTHER]
    assert tracks.kind.tolist() == kinds
    for row, (_, _, start, velocity, heading, first, last) in enumerate(OBJECTS):
        expected = np.isin(np.arange(STEPS), range(first, last))
        np.testing.assert_array_equal(tracks.valid[row], expected)
        step = 0.1 * np.arange(STEPS)[:, None]
        place = np.array(start) + step * np.array(velocity)
        np.testing.assert_allclose(in_scene(either, tracks.position[row])[expected], place[expected], atol=1e-3)
        np.testing.assert_allclose(tracks.heading[row][expected], heading, atol=1e-6)
    for array in (tracks.position, tracks.heading, tracks.velocity):
        assert not array[~tracks.valid].any()
    np.testing.assert_allclose(tracks.length, 4.5)
    np.testing.assert_allclose(tracks.width, 1.8, atol=1e-6)


def test_road_users_stand_below_their_middle_and_a_bridge_above_the_road(either):
    """Middles at z = 0.5, boxes of 1.5 m. Lane 9 and its edge lie at 6 m, all else at 0."""
    tracks = either.tracks
    np.testing.assert_allclose(tracks.height, np.where(tracks.valid, -0.25, 0.0), atol=1e-6)
    high = [lane for lane in either.lanes if lane.height.max() > 3.0]
    assert high and all((lane.height == 6.0).all() for lane in high)
    np.testing.assert_allclose(
        [(lane.left + lane.right)[:, 1].mean() / 2 for lane in high], Y + 5.25 - either.origin[1], atol=0.2
    )
    edges = {f.height[0] for f in either.features if f.kind == ElementKind.ROAD_EDGE}
    assert edges == {0.0, 6.0}


def test_an_example_without_heights_of_objects_leaves_them_without(tmp_path):
    assert read(tmp_path, example({"state/future/z": None})).tracks.height is None


def test_light_states_are_recorded_and_stand_at_the_stop_point(either):
    (light,) = either.lights
    (stop,) = [line for line in either.control_lines if line.kind == ControlKind.LIGHT]
    assert light.recorded and stop.light == light.id
    assert light.states.tolist() == [LightState.RED] * 20 + [LightState.GREEN] * 25 + [LightState.UNKNOWN] * 5
    np.testing.assert_allclose(in_scene(either, light.position), np.array(LIGHT_AT) - (X, Y), atol=1e-3)
    turning = next(lane for lane in either.lanes if lane.id == stop.lane)
    assert turning.left[-1, 1] - turning.left[0, 1] > 5
    np.testing.assert_allclose(in_scene(either, stop.ends.mean(axis=0)), [80.0, 1.75], atol=0.2)


def test_the_sign_stops_the_lane_beside_it(either):
    (stop,) = [line for line in either.control_lines if line.kind == ControlKind.STOP_SIGN]
    ends = in_scene(either, stop.ends)
    np.testing.assert_allclose(ends[:, 0], 79.0, atol=0.01)
    assert ends[0, 1] > ends[1, 1]
    assert stop.lane in {lane.id for lane in lane_at(either, 78.5, -1.75)}


def test_features_keep_their_kinds(either):
    kinds = [feature.kind for feature in either.features]
    assert kinds.count(ElementKind.CROSSWALK) == kinds.count(ElementKind.SPEED_BUMP) == 1
    assert kinds.count(ElementKind.LINE_DASHED) == kinds.count(ElementKind.LINE_SOLID) == 1
    assert kinds.count(ElementKind.ROAD_EDGE) == 3
    assert kinds.count(ElementKind.DRIVEWAY) == either.notes["driveways_not_observed"] == 1
    crosswalk = next(feature for feature in either.features if feature.kind == ElementKind.CROSSWALK)
    np.testing.assert_allclose(
        in_scene(either, crosswalk.points), [[84, -5], [87, -5], [87, 8], [84, 8], [84, -5]], atol=1e-3
    )


def test_edges_keep_the_road_on_their_left(either):
    edges = [in_scene(either, f.points) for f in either.features if f.kind == ElementKind.ROAD_EDGE]
    lower, bridge, median = sorted(edges, key=lambda edge: edge[:, 1].mean())
    assert lower[-1, 0] > lower[0, 0] and median[-1, 0] < median[0, 0]
    assert bridge[-1, 0] > bridge[0, 0]  # the bridge's lane is on its left, the road below it on its right


def test_bicycle_lanes_are_not_for_cars(either):
    (lane,) = lane_at(either, 20.0, -12.0)
    assert not lane.drivable and all(other.drivable for other in either.lanes if other.id != lane.id)


def test_a_bridge_is_apart_from_the_road_below(either):
    (bridge,) = [lane for lane in either.lanes if abs(in_scene(either, lane.left)[0, 1] - 7.0) < 0.3]
    assert bridge.left_neighbour is None and bridge.right_neighbour is None
    assert bridge.right_border == ElementKind.ROAD_EDGE
    for lane in lane_at(either, 60.0, 1.75):
        assert lane.left_border == ElementKind.LINE_SOLID  # the double line, not the bridge's edge that lies nearer
        np.testing.assert_allclose(in_scene(either, lane.left)[:, 1], 4.0, atol=0.05)


def test_neighbours_and_successors_are_those_of_the_message(told):
    alone, beside, lower = (lane_at(told, *at)[0] for at in ((20, 1.75), (60, 1.75), (60, -1.75)))
    assert beside.right_neighbour == lower.id and lower.left_neighbour == beside.id
    assert alone.right_neighbour is None and alone.successors == (beside.id,)
    straight, turn = (next(lane for lane in told.lanes if lane.id == id) for id in beside.successors)
    assert {straight.left_neighbour, straight.right_neighbour} == {None}  # level with lane 4, which it may not enter
    assert turn.left[-1, 1] - turn.left[0, 1] > 5
    onward = next(lane for lane in told.lanes if lane.id == lower.successors[0])
    last = next(lane for lane in told.lanes if lane.id == onward.successors[0])  # over the lane of a single point
    np.testing.assert_allclose(in_scene(told, last.left)[[0, -1], 0], [140.0, 170.0], atol=1e-6)
    assert told.notes["lane_successors_given"] == 4 and told.notes["lane_successors_out_of_scene"] == 1
    assert told.notes["lane_neighbours_given"] == 2 and told.notes["lane_neighbours_derived"] == 0
    np.testing.assert_allclose([lane.speed_limit for lane in told.lanes], 25 * 1609.344 / 3600)


def test_borders_lie_at_the_lines_that_the_message_names(told):
    lower = lane_at(told, 60, -1.75)[0]
    np.testing.assert_allclose(in_scene(told, lower.right)[:, 1], -3.9, atol=1e-6)  # 2.15 m: named, and an edge
    assert lower.right_border == ElementKind.ROAD_EDGE and lower.left_border == ElementKind.LINE_DASHED
    assert told.notes["lane_borders_given"] == 4


def test_a_border_that_is_named_may_lie_further_away(tmp_path):
    def moved(fields):
        far = feature(20, 15, line((0, -5.2), (140, -5.2)))
        return [(8, far) if number == 8 and value[:2] == b"\x08\x14" else (number, value) for number, value in fields]

    lower = lane_at(recording := read(tmp_path, scenario(moved)), 60, -1.75)[0]
    np.testing.assert_allclose(in_scene(recording, lower.right)[:, 1], -5.2, atol=1e-6)
    onward = lane_at(recording, 100, -1.75)[0]  # names no border, and nothing lies within 2.5 m
    np.testing.assert_allclose(in_scene(recording, onward.right)[:, 1], -3.5, atol=1e-6)


def test_without_a_lane_graph_geometry_decides(sampled):
    straight, lower = lane_at(sampled, 100, 1.75)[0], lane_at(sampled, 100, -1.75)[0]
    assert straight.right_neighbour == lower.id
    assert sampled.notes["lane_neighbours_given"] == sampled.notes["lane_successors_given"] == 0


def test_paths_of_the_ego_show_lanes_that_the_samples_miss(tmp_path):
    whole = columns()
    kept = [row for row, id in enumerate(whole["roadgraph_samples/id"]) if id != 5]
    short = {
        f"roadgraph_samples/{name}": [whole[f"roadgraph_samples/{name}"][row] for row in kept]
        for name in ("id", "type", "valid")
    }
    xyz = whole["roadgraph_samples/xyz"]
    short["roadgraph_samples/xyz"] = [value for row in kept for value in xyz[3 * row : 3 * row + 3]]
    before = read(tmp_path, example(short))
    assert not before.lights and before.notes["lights_without_a_lane"] == 1
    turn = [p for row, id in enumerate(whole["roadgraph_samples/id"]) if id == 5 for p in [xyz[3 * row : 3 * row + 3]]]
    path = [(1, (X + x, Y + 1.75, 0.0)) for x in (60.0, 70.0, 80.0)] + [(5, p) for p in turn]
    none = [(-1, (-1.0, -1.0, -1.0))] * len(path)
    short["path_samples/xyz"] = [float(value) for _, p in path + none for value in p]
    short["path_samples/id"] = [id for id, _ in path + none]
    short["path_samples/valid"] = [int(id >= 0) for id, _ in path + none]
    short["path_samples/arc_length"] = [0.0] * len(path + none)
    short["path_samples/on_route"] = [1, 0]
    after = read(tmp_path, example(short), "b.tfrecord")
    assert len(after.lanes) == len(before.lanes) + 1 and len(after.lights) == 1
    assert after.notes["lanes_drawn_from_ego_paths"] == after.notes["lane_successors_given"] == 1
    assert after.notes["ego_paths_given"] == after.notes["ego_paths_on_route"] == 1


def test_samples_cut_off_in_the_middle_leave_a_gap(tmp_path):
    whole = columns()
    row = whole["roadgraph_samples/id"].index(9) + 20
    valid = [0 if row <= at < row + 5 else value for at, value in enumerate(whole["roadgraph_samples/valid"])]
    recording = read(tmp_path, example({"roadgraph_samples/valid": valid}))
    assert recording.notes["road_lines_with_gaps"] == 1
    bridge = sorted(
        in_scene(recording, lane.left)[[0, -1], 0].tolist()
        for lane in recording.lanes
        if abs(in_scene(recording, lane.left)[0, 1] - 7.0) < 0.3
    )
    np.testing.assert_allclose(bridge, [[0.0, 38.0], [50.0, 80.0]], atol=0.01)


def test_a_scene_known_at_its_present_alone_keeps_its_lights(tmp_path):
    changed = {
        name: None for name in columns() if name.startswith(("traffic_light_state/past", "traffic_light_state/future"))
    }
    recording = read(tmp_path, example(changed))
    expected = np.full(STEPS, LightState.UNKNOWN)
    expected[NOW] = LightState.RED
    np.testing.assert_array_equal(recording.lights[0].states, expected)
    for name in ("x", "y", "length", "width", "bbox_yaw", "velocity_x", "velocity_y", "valid", "timestamp_micros"):
        changed[f"state/future/{name}"] = None  # a scene of the official test split: no future
    changed["traffic_light_state/future/state"] = None
    assert read(tmp_path, example(changed), "testing.tfrecord").tracks.valid.shape == (5, NOW + 1)


def test_the_official_split_is_read_from_names(tmp_path):
    (tmp_path / "validation").mkdir()
    names = {"a.tfrecord": "", "testing.tfrecord-00001-of-00150": "test", "validation/x.tfrecord": "val"}
    for name, split in names.items():
        assert read(tmp_path, scenario(), name).split == split


def test_a_shard_may_mix_both_kinds(tmp_path):
    other = scenario(lambda fields: [(n, b"other") if n == 5 else (n, v) for n, v in fields])
    file = write(tmp_path / "mixed.tfrecord", example(), other)
    assert [waymo.read(item).name for item in waymo.find(file)] == ["abc123", "other"]


def test_a_record_without_an_id_is_named_by_its_place(tmp_path):
    bare = scenario(lambda fields: [(n, v) for n, v in fields if n != 5])
    assert read(tmp_path, bare, "a.tfrecord").name == "a.tfrecord#00000"


def without(*numbers):
    return lambda fields: [(n, v) for n, v in fields if n not in numbers]


def replaced(number, value, which=0):
    """The scene's message with one of the fields of a number replaced (or dropped)."""

    def change(fields):
        rows = [row for row, (n, _) in enumerate(fields) if n == number]
        out = list(fields)
        out[rows[which] : rows[which] + 1] = [] if value is None else [(number, value)]
        return out

    return change


def alone(fields):
    """One track, which is nowhere."""
    return [*without(2)(fields), (2, a_track(*[state((math.nan, 0.0), (0.0, 0.0), 0.0, 0, True)] * STEPS))]


def a_track(*states):
    return message((1, 7), (2, 1), *((3, one) for one in states))


CROWD = range(1000, 1400)
HOSTILE_SCENARIOS = {
    "nothing": lambda fields: [],
    "no tracks": without(2),
    "no times": without(1),
    "one step": lambda fields: [*without(1, 2, 7)(fields), (1, 0.0), (2, track(*OBJECTS[0], steps=1))],
    "time goes back": replaced(1, -1.0, 7),
    "time stands": replaced(1, 0.6, 7),
    "time leaps": replaced(1, 99.0, STEPS - 1),
    "time is no number": replaced(1, math.nan, 7),
    "a year a step": lambda fields: [*without(1)(fields), *((1, 3e7 * step) for step in range(STEPS))],
    "a state missing": replaced(2, track(*OBJECTS[0], steps=STEPS - 1)),
    "two ids": replaced(2, track(*OBJECTS[1])),
    "negative id": replaced(2, track(-5, *OBJECTS[0][1:])),
    "never valid": lambda fields: [*without(2)(fields), (2, track(*OBJECTS[0][:5], 0, 0))],
    "two features": replaced(8, feature(2, STREET, line((0, 0), (9, 0)))),
    "crosswalk of nan": replaced(8, feature(40, 18, [(math.nan, Y, 0.0)] * 3)),
    "sign far off": replaced(8, feature(50, SIGN, [(1e12, Y, 0.0)])),
    "more light steps": lambda fields: [*fields, (7, message((1, message((1, 5), (2, 4), (3, point((X, Y, 0)))))))],
    "an id that is no word": replaced(5, b"../../etc\n"),
    "a long id": replaced(5, b"x" * 1000),
    "crowded": lambda fields: [
        *fields,
        *((8, feature(1000 + n, DASHED, line((0, 0), (400, 0), step=400))) for n in range(400)),
    ],
    "endless": replaced(8, feature(1, STREET, line((-4e4, 0), (4e4, 0), step=8e4) * 20)),
}
LEFT_OUT = {
    "nan position": replaced(2, a_track(*[state((math.nan, 0.0), (0.0, 0.0), 0.0, 0, True)] * STEPS)),
    "infinite speed": replaced(2, a_track(*[state((0.0, 0.0), (math.inf, 0.0), 0.0, 0, True)] * STEPS)),
    "giant": replaced(2, a_track(*[message((2, X), (3, Y), (5, F32(1e6)), (6, F32(2.0)), (11, 1))] * STEPS)),
    "ego out of range": replaced(6, 99),
    "ego below range": replaced(6, -1),
    "lane far off": replaced(8, feature(1, STREET, line((0, 0), (1e9, 0), step=1e8))),
    "lane of nan": replaced(8, feature(1, STREET, [(X, math.nan, 0.0), (X, Y, 0.0)])),
    "lane of infinite height": replaced(8, feature(1, STREET, [(X, Y, math.inf), (X + 9, Y, 0.0)])),
    "absurd speed limit": replaced(
        8,
        message((1, 1), (3, message((1, 1e9), (8, point((X, Y, 0)))))),
    ),
    "stop point of nan": replaced(7, message((1, message((1, 5), (2, STOP), (3, point((math.nan, Y, 0.0))))))),
}


@pytest.mark.parametrize("name", HOSTILE_SCENARIOS)
def test_hostile_messages_give_one_line(tmp_path, name):
    refused(write(tmp_path / "a.tfrecord", scenario(HOSTILE_SCENARIOS[name])))


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_concerns_one_element_is_left_out_and_counted(tmp_path, name):
    whole, spoilt = read(tmp_path, scenario()), read(tmp_path, scenario(LEFT_OUT[name]))
    counted = {key for key, count in faults(spoilt.notes).items() if count > whole.notes.get(key, 0)}
    (kind,) = [kind for word, kind in KINDS_OF_FAULTS.items() if word in name]
    assert counted - {"road_lines_too_short"} == {kind} and spoilt.notes[kind] == whole.notes.get(kind, 0) + 1
    assert len(spoilt.tracks.id) == len(whole.tracks.id) - (kind == "objects_unreadable")
    assert np.isfinite(spoilt.tracks.position).all() and spoilt.lanes


KINDS_OF_FAULTS = {
    "position": "objects_unreadable",
    "infinite speed": "objects_unreadable",
    "giant": "objects_unreadable",
    "ego": "marks_at_no_object",
    "lane": "map_features_unreadable",
    "speed limit": "speed_limits_unreadable",
    "stop point": "lights_unreadable",
}


HOSTILE_EXAMPLES = {
    "no ids": {"state/id": None},
    "ids of nan": {"state/id": [math.nan] * 8},
    "ids of text": {"state/id": [b"x"] * 8},
    "two ids": {"state/id": [7.0] * 8},
    "no objects": {"state/id": [-1.0], "state/type": [-1.0]},
    "short x": {"state/past/x": [1.0, 2.0, 3.0]},
    "short y": {"state/past/y": [1.0] * 8},
    "no heading": {"state/current/bbox_yaw": None},
    "time goes back": {"state/current/timestamp_micros": [0] * 8},
    "nan x": {"state/current/x": [math.nan] * 8},
    "long ego": {"state/is_sdc": [1] * 99},
    "no road": {"roadgraph_samples/xyz": None},
    "road of other length": {"roadgraph_samples/id": [1, 2]},
    "road of nan": {"roadgraph_samples/xyz": [math.nan] * (3 * len(columns()["roadgraph_samples/id"]))},
    "lights of other length": {"traffic_light_state/past/id": [5]},
    "paths of other length": {f"path_samples/{n}": [1] for n in ("id", "valid", "on_route")}
    | {"path_samples/xyz": [1.0]},
    "a list for a name": {"scenario/id": [b"a", b"b"]},
    "numbers for a name": {"scenario/id": [1, 2]},
}


@pytest.mark.parametrize("name", HOSTILE_EXAMPLES)
def test_hostile_examples_give_one_line(tmp_path, name):
    refused(write(tmp_path / "a.tfrecord", example(HOSTILE_EXAMPLES[name])))


def test_a_feature_of_an_example_with_a_bad_point_is_left_out_and_counted(tmp_path):
    whole = columns()
    xyz, ids = list(whole["roadgraph_samples/xyz"]), list(whole["roadgraph_samples/id"])
    row = next(row for row, id in enumerate(ids) if ids.count(id) > 1)
    for bad in (math.nan, math.inf, 1e8):
        xyz[3 * row] = bad
        found = read(tmp_path, example({"roadgraph_samples/xyz": xyz}))
        assert found.notes["map_features_unreadable"] == 1 and found.lanes
        assert faults(found.notes)["map_features_unreadable"] == 1
    assert read(tmp_path, example()).notes["map_features_unreadable"] == 0


def refused(file):
    with pytest.raises(InputError) as caught:
        waymo.read(file + "#00000")
    assert str(caught.value).startswith(file) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_light_at_infinity_is_left_out_and_counted(tmp_path):
    data = example({"traffic_light_state/current/x": [math.inf, 0.0]})
    assert read(tmp_path, data).notes["lights_unreadable"] >= 1


def test_a_signalling_nan_is_refused_without_a_warning(tmp_path):
    data = example().replace(struct.pack("<f", 4.5), struct.pack("<I", 0x7FA00001))
    refused(write(tmp_path / "a.tfrecord", data))


def test_odd_roads_do_no_harm(tmp_path):
    def odd(fields):
        items = [
            feature(900, STREET, line((5, 20), (5, 20))[:1]),
            feature(901, BICYCLE, []),
            feature(902, DASHED, [(X, Y, 0.0)] * 5),
            feature(903, 18, []),
            feature(904, SIGN, outline((5, 300))),
            message((1, 905)),
            message((1, 906), (3, message((11, message((1, 1), (2, -7), (3, 10**6)))))),
        ]
        return [*fields, *((8, item) for item in items)]

    recording = read(tmp_path, scenario(odd))
    assert recording.notes["road_lines_too_short"] == 5
    bare = read(tmp_path, scenario(without(7, 8)), "b.tfrecord")
    assert not bare.lanes and not bare.features and not bare.lights


def test_a_scene_moved_far_away_reads_the_same(tmp_path, told, monkeypatch):
    import waymo_records

    monkeypatch.setattr(waymo_records, "X", X + 1e7)
    far = read(tmp_path, scenario(lambda fields: [f for f in waymo_records.scenario_fields() if f[0] not in (7, 8)]))
    np.testing.assert_allclose(far.tracks.position, told.tracks.position, atol=1e-6)
    np.testing.assert_allclose(far.origin, np.array(told.origin) + (1e7, 0.0))


def mutants(numbers, count):
    """The scene's records with a few bytes changed, cut out, or repeated."""
    honest = scenario(), example()
    for trial in range(count):
        data = bytearray(honest[trial % 2])
        for _ in range(int(numbers.integers(1, 6))):
            at, what = int(numbers.integers(len(data))), int(numbers.integers(4))
            if what == 0:
                data[at] = int(numbers.integers(256))
            elif what == 1:
                data[at] ^= 1 << int(numbers.integers(8))
            elif what == 2:
                del data[at : at + int(numbers.integers(1, 200))]
            else:
                data[at:at] = data[at : at + int(numbers.integers(1, 200))]
        yield bytes(data)


def survive(folder, seed, count):
    """Read mutants; each gives a recording or one line. Returns how many of either."""
    read_well = told_off = 0
    for record in mutants(np.random.default_rng(seed), count):
        file = folder / "a.tfrecord"
        file.write_bytes(frame(record))
        try:
            recording = waymo.read(f"{file}#00000")
            assert np.isfinite(recording.tracks.position).all()
            read_well += 1
        except InputError as error:
            assert "\n" not in str(error)
            told_off += 1
    return read_well, told_off


def test_mutants_are_read_or_refused_in_one_line(tmp_path):
    assert min(survive(tmp_path, seed=1, count=40)) > 0


@pytest.mark.long
def test_many_mutants_are_read_or_refused_in_one_line(tmp_path):
    assert min(survive(tmp_path, seed=2, count=20_000)) > 0


def test_a_message_of_nothing_but_empty_parts_is_refused(tmp_path):
    refused(write(tmp_path / "a.tfrecord", scenario(lambda fields: [*fields, *[(8, b"")] * 100_000])))
    refused(write(tmp_path / "b.tfrecord", struct.pack("BB", 0x12, 0) * 5000))


@pytest.mark.skipif(not REAL.is_dir(), reason="no Waymo records in ../shared/data/womd_samples")
def test_real_records_drive_on_their_lanes():
    for item in waymo.find(str(REAL)):
        recording = waymo.read(item)
        assert recording.tracks.valid.shape[1] == 91 and recording.dt == 0.1 and recording.marked
        if recording.notes["lane_successors_given"]:  # the tf.Example's road has holes
            shapes = [shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])) for lane in recording.lanes]
            road = shapely.union_all(shapely.make_valid(np.array(shapes, object)))
            row = recording.tracks.id.tolist().index(recording.marked[0])
            assert shapely.contains_xy(road, *recording.tracks.position[row][recording.tracks.valid[row]].T).all()
            assert recording.notes["lane_successors_apart"] == recording.notes["lights_without_a_lane"] == 0
        edges = sum(feature.kind == ElementKind.ROAD_EDGE for feature in recording.features)
        assert recording.notes["road_edges_turned"] < 0.1 * edges  # the dataset directs its own edges this way
