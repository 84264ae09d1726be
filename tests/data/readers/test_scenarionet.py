"""ScenarioNet scenes against hand-written ones, and against what nuScenes' own drives must satisfy."""

import copy
import lzma
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import shapely

from drivetrain.data.compile.drafting import draft
from drivetrain.data.readers.scenarionet import reader as scenarionet
from drivetrain.data.recordings.provenance import given_and_derived
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError, LightState

SCENES = Path(__file__).resolve().parents[4] / "shared/data/nuscenes_mini_scenarionet"
STEPS = 60
X, Y = 2000.0, -500.0  # where the scene lies


def line(*corners, spacing=1.0, dtype=np.float32):
    """Points along a polyline, moved to the scene's place, with a height as the format has it."""
    corners = np.array(corners, float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    at = np.linspace(0.0, along[-1], max(2, int(along[-1] / spacing) + 1))
    columns = [np.interp(at, along, corners[:, axis]) for axis in (0, 1)]
    return np.stack([columns[0] + X, columns[1] + Y, np.full(len(at), 7.0)], axis=1).astype(dtype)


def track(name, kind, start, velocity, size=(4.5, 1.9), first=0, subtype=None, square=False):
    """Something that moves evenly from its first step on."""
    valid = np.arange(STEPS) >= first
    time = 0.1 * np.arange(STEPS)[:, None]
    position = np.where(valid[:, None], np.array(start) + (X, Y) + time * velocity, 0.0)
    column = (-1, 1) if square else (-1,)
    return {
        "type": kind,
        "state": {
            "position": np.concatenate([position, np.zeros((STEPS, 1))], axis=1),
            "heading": np.where(valid, np.arctan2(velocity[1], velocity[0]) + 4 * np.pi, 0.0),
            "velocity": np.where(valid[:, None], velocity, 0.0),
            "valid": valid.astype(float) if square else valid,
            "length": np.where(valid, size[0], 0.0).reshape(column),
            "width": np.where(valid, size[1], 0.0).reshape(column),
        },
        "metadata": {"type": subtype or kind, "object_id": name, "track_length": STEPS},
    }


def lane(points, exits=(), entries=(), left=(), right=(), kind="LANE_SURFACE_STREET", **more):
    beside = {"left_neighbor": left, "right_neighbor": right}
    named = {key: [{"feature_id": name, "self_start_index": "0"} for name in names] for key, names in beside.items()}
    return {"type": kind, "polyline": points, "exit_lanes": list(exits), "entry_lanes": list(entries), **named, **more}


def waymo():
    """Two lanes eastwards that lead over a junction, with a light, a stop sign and a side lane that ends."""
    return {
        "id": "abc",
        "version": "1.2",
        "length": STEPS,
        "metadata": {
            "ts": np.arange(STEPS, dtype=np.float32) / 10,
            "coordinate": "waymo",
            "metadrive_processed": False,
            "dataset": "waymo",
            "scenario_id": "abc",
            "sdc_id": "7",
        },
        "tracks": {
            "7": track("7", "VEHICLE", (5, -1.75), (10, 0)),
            "12": track("12", "VEHICLE", (20, 1.75), (8, 0), first=20),
            "13": track("13", "CYCLIST", (20, -8), (4, 0), size=(1.8, 0.6)),
            "14": track("14", "PEDESTRIAN", (60, -9), (0, 1.5), size=(0.5, 0.5)),
            "15": track("15", "UNSET", (60, 9), (0, 0), size=(0, 0)),
        },
        "map_features": {
            "1": lane(line((0, 1.75), (60, 1.75)), exits=[3], right=["2"], speed_limit_mph=25.0),
            "2": lane(line((0, -1.75), (60, -1.75)), exits=[4, 99], left=["1"], speed_limit_mph=25.0),
            "3": lane(line((61.5, 1.75), (120, 1.75)), entries=[1]),
            "4": lane(line((60, -1.75), (120, -1.75)), entries=[2]),
            "5": lane(line((0, 5.25), (60, 5.25))),  # beside lane 1, but no neighbour of it
            "6": lane(line((0, -8), (100, -8)), kind="LANE_BIKE_LANE"),
            "20": {"type": "ROAD_LINE_BROKEN_SINGLE_WHITE", "polyline": line((0, 0), (60, 0))},
            "21": {"type": "ROAD_EDGE_BOUNDARY", "polyline": line((0, -3.6), (60, -3.6))},
            "22": {"type": "ROAD_EDGE_BOUNDARY", "polyline": line((0, 7.0), (60, 7.0))},
            "30": {"type": "STOP_SIGN", "lane": [2], "position": np.array([X + 59, Y - 4.5, 7.0], np.float32)},
            "31": {"type": "CROSSWALK", "polygon": line((62, -6), (65, -6), (65, 6), (62, 6), spacing=20)},
            "33": {"type": "DRIVEWAY", "polygon": line((40, -4), (44, -4), (44, -9), (40, -9), spacing=20)},
            "32": {"type": "SPEED_BUMP", "polygon": line((30, -3), (31, -3), (31, 3), (30, 3), spacing=20)},
        },
        "dynamic_map_states": {
            "4": {
                "type": "TRAFFIC_LIGHT",
                "lane": 4,
                "stop_point": np.array([X + 60.5, Y - 1.75, 7.0], np.float32),
                "state": {
                    "object_state": [None] * 10 + ["LANE_STATE_STOP"] * 30 + ["LANE_STATE_ARROW_GO"] * (STEPS - 40)
                },
                "metadata": {"type": "TRAFFIC_LIGHT", "object_id": "4"},
            }
        },
    }


def nuscenes(side=1.0):
    """A street between outlines, in lists, with the ego at its axle; side −1 mirrors it to left-hand traffic."""
    scene = {key: value for key, value in waymo().items() if key in ("id", "version", "length")}

    def listed(*corners):
        return [(x, y, 0.1) for x, y, _ in line(*((x, side * y) for x, y in corners), dtype=float).tolist()]

    def ring(low, high):
        return [[x + X, side * y + Y] for x, y in ((0, low), (60, low), (60, high), (0, high))]

    return scene | {
        "metadata": {"ts": np.arange(STEPS) * 100, "dataset": "nuscenes", "scenario_id": "scene-1", "sdc_id": "ego"},
        "tracks": {
            "a1": track("a1", "VEHICLE", (20, side * -1.75), (8, 0), (9.0, 2.5), subtype="vehicle.truck", square=True),
            "ego": track("ego", "VEHICLE", (5, side * -1.75), (8, 0), (1.73, 4.08), square=True),
            "b2": track("b2", "CYCLIST", (50, side * 1.75), (-8, 0), (2, 0.8), subtype="vehicle.motorcycle"),
            "c3": track(
                "c3", "TRAFFIC_CONE", (30, side * -3), (0, 0), (0.4, 0.4), subtype="movable_object.trafficcone"
            ),
        },
        "map_features": {
            "l-1": {
                "type": "LANE_SURFACE_STREET",
                "polyline": listed((0, -1.75), (60, -1.75)),
                "polygon": ring(-4.5, 0),
            },
            "l-2": {"type": "LANE_SURFACE_STREET", "polyline": listed((60, 1.75), (0, 1.75)), "polygon": ring(0, 4.5)},
            "l-3": {
                "type": "LANE_SURFACE_STREET",
                "polyline": listed((60, -1.75), (90, -1.75)),
                "speed_limit_kmh": 100,
            },
            "boundary_0": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.array(ring(-6, 6))[:, :2]},
            "d-1": {"type": "ROAD_LINE_SOLID_SINGLE_YELLOW", "polyline": listed((0, 0), (60, 0))},
            "far": {"type": "ROAD_LINE_SOLID_SINGLE_YELLOW", "polyline": listed((2000, 0), (2060, 0))},
        },
        "dynamic_map_states": {},
    }


def write(tmp_path, scene, name="sd_test_1.pkl"):
    path = tmp_path / name
    path.write_bytes(scene if isinstance(scene, bytes) else pickle.dumps(scene))
    return str(path)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return scenarionet.read(write(tmp_path_factory.mktemp("scene"), waymo()))


def lane_at(recording, x, y):
    where = shapely.Point(x + X - recording.origin[0], y + Y - recording.origin[1])
    over = [
        lane
        for lane in recording.lanes
        if shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])).contains(where)
    ]
    assert len(over) == 1
    return over[0]


def test_tracks_keep_what_was_measured(recording):
    tracks = recording.tracks
    assert (recording.name, recording.dt, recording.group, recording.marked) == ("sd_test_1", 0.1, "waymo abc", (7,))
    assert tracks.id.tolist() == [7, 12, 13, 14, 15] and tracks.valid.sum(axis=1).tolist() == [60, 40, 60, 60, 60]
    kinds = [AgentKind.CAR, AgentKind.CAR, AgentKind.BICYCLE, AgentKind.PEDESTRIAN, AgentKind.OTHER]
    assert tracks.kind.tolist() == kinds and recording.notes["objects_without_size"] == 1
    np.testing.assert_allclose(tracks.position[1, 30] + recording.origin, [X + 44.0, Y + 1.75])
    np.testing.assert_allclose(tracks.heading[3], np.pi / 2)
    assert not tracks.position[1, :20].any()


def test_map_and_tracks_keep_their_heights(tmp_path, recording):
    """The map lies at z = 7; tracks' middles at z = 8, boxes of 1.6 m. A track without a z leaves all without."""
    assert {z for one in (*recording.lanes, *recording.features) for z in one.height.tolist()} == {7.0}
    scene = waymo()
    for item in scene["tracks"].values():
        item["state"]["position"][:, 2] = 8.0
        item["state"]["height"] = np.full(STEPS, 1.6)
    tracks = scenarionet.read(write(tmp_path, scene)).tracks
    np.testing.assert_allclose(tracks.height, np.where(tracks.valid, 7.2, 0.0))
    scene["metadata"]["dataset"] = "nuscenes"  # whose third coordinate is no height
    other = scenarionet.read(write(tmp_path, scene))
    assert other.tracks.height is None and not any(lane.height.any() for lane in other.lanes)
    scene["metadata"]["dataset"] = "waymo"
    scene["tracks"]["14"]["state"]["position"] = scene["tracks"]["14"]["state"]["position"][:, :2]
    assert scenarionet.read(write(tmp_path, scene)).tracks.height is None


def test_given_links_hold_where_geometry_would_not_join(recording):
    upper, lower = lane_at(recording, 55, 1.75), lane_at(recording, 55, -1.75)
    assert upper.successors == (lane_at(recording, 70, 1.75).id,)  # 1.5 m apart
    assert lower.successors == (lane_at(recording, 70, -1.75).id,)  # a lane that is not there is no successor
    assert lane_at(recording, 70, 1.75).predecessors == (upper.id,)
    assert recording.notes["lane_successors_given"] == 2 and "lane_successors_derived" not in recording.notes


def test_a_lane_beside_is_a_neighbour_unless_the_scene_denies_it(recording):
    upper, lower, apart = (lane_at(recording, 30, y) for y in (1.75, -1.75, 5.25))
    assert upper.right_neighbour == lower.id and lower.left_neighbour == upper.id
    assert upper.left_neighbour is None and apart.right_neighbour is None
    assert recording.notes["lane_neighbours_denied"] == 2  # and lanes 3 and 4, which list none
    counts = given_and_derived(recording)  # the pair that is left was recovered
    assert (counts["lane_neighbours_given"], counts["lane_neighbours_derived"]) == (0, 2)


def test_limits_bicycle_lanes_and_borders(recording):
    assert (
        lane_at(recording, 30, 1.75).speed_limit == pytest.approx(11.176)
        and not lane_at(recording, 80, 1.75).speed_limit
    )
    assert not lane_at(recording, 50, -8).drivable
    lower = lane_at(recording, 30, -1.75)
    assert (lower.left_border, lower.right_border) == (ElementKind.LINE_DASHED, ElementKind.ROAD_EDGE)


def test_the_light_stands_on_its_lane_and_was_recorded(recording):
    (light,) = recording.lights
    (stop,) = [line for line in recording.control_lines if line.kind == ControlKind.LIGHT]
    expected = [LightState.UNKNOWN] * 10 + [LightState.RED] * 30 + [LightState.GREEN] * 20
    assert light.recorded and light.states.tolist() == expected
    assert stop.lane == lane_at(recording, 70, -1.75).id and stop.light == light.id
    np.testing.assert_allclose(stop.ends.mean(axis=0) + recording.origin, [X + 60.5, Y - 1.75], atol=0.1)


def test_the_sign_and_the_areas_are_there(recording):
    (stop,) = [line for line in recording.control_lines if line.kind == ControlKind.STOP_SIGN]
    assert stop.lane == lane_at(recording, 55, -1.75).id
    kinds = [feature.kind for feature in recording.features]
    assert kinds.count(ElementKind.CROSSWALK) == kinds.count(ElementKind.SPEED_BUMP) == 1
    assert kinds.count(ElementKind.ROAD_EDGE) == 2 and kinds.count(ElementKind.DRIVEWAY) == 1


@pytest.mark.parametrize("side", [1.0, -1.0], ids=["right-hand", "left-hand"])
def test_a_scene_of_lists_and_outlines(tmp_path, side):
    read = scenarionet.read(write(tmp_path, nuscenes(side)))
    tracks = read.tracks
    assert read.dt == 0.1 and read.marked == (1,) and read.notes["track_ids_renumbered"] == 4
    assert tracks.kind.tolist() == [AgentKind.TRUCK, AgentKind.CAR, AgentKind.MOTORCYCLE, AgentKind.OTHER]
    assert (tracks.length[1], tracks.width[1]) == (4.08, 1.73) and read.notes["vehicle_sizes_turned"] == 1
    np.testing.assert_allclose(tracks.position[1, 0] + read.origin, [X + 5 + 1.385, Y - side * 1.75])
    ahead = lane_at(read, 30, side * -1.75)
    outer = ahead.right if side > 0 else ahead.left
    np.testing.assert_allclose((outer + read.origin)[:, 1], Y - side * 4.5, atol=1e-6)  # its outline, not 1.75 m off
    assert not any(lane.speed_limit for lane in read.lanes)  # the writer's constant
    assert lane_at(read, 70, side * -1.75).id in ahead.successors
    kinds = [feature.kind for feature in read.features]
    assert kinds.count(ElementKind.ROAD_EDGE) == 1 and kinds.count(ElementKind.LINE_SOLID) == 1
    assert read.notes["map_features_far_away"] == 1


def test_lights_of_nuplan_stand_at_the_start_of_their_lane(tmp_path):
    scene = waymo()
    scene["metadata"]["dataset"] = "nuplan"
    scene["dynamic_map_states"]["4"] |= {"stop_point": [X + 68.0, Y - 1.75], "lane": "4"}
    scene["dynamic_map_states"]["4"]["state"]["object_state"] = ["TRAFFIC_LIGHT_RED"] * STEPS
    read = scenarionet.read(write(tmp_path, scene))
    (stop,) = [line for line in read.control_lines if line.kind == ControlKind.LIGHT]
    np.testing.assert_allclose(stop.ends.mean(axis=0) + read.origin, [X + 60.0, Y - 1.75], atol=0.1)
    assert set(read.lights[0].states.tolist()) == {LightState.RED}


def test_a_loop_and_a_u_turn_can_be_driven(tmp_path):
    angle = np.linspace(0, np.pi, 20)
    scene = waymo()
    around = [(60 + 6 * np.sin(a), 4.25 - 6 * np.cos(a)) for a in angle]
    scene["map_features"] = {
        "1": lane(line((0, -1.75), (60, -1.75)), exits=["2"]),
        "2": lane(line(*around), exits=["3"]),
        "3": lane(line((60, 10.25), (0, 10.25)), exits=["4"]),
        "4": lane(line((0, 10.25), (-6, 4.25), (0, -1.75)), exits=["1"]),
    }
    scene["dynamic_map_states"] = {}
    scene["tracks"] = {"7": track("7", "VEHICLE", (5, -1.75), (8, 0))}
    read = scenarionet.read(write(tmp_path, scene))
    ahead = {lane.id: lane.successors for lane in read.lanes}
    at, seen = read.lanes[0].id, []
    while at not in seen:
        seen.append(at)
        (at,) = ahead[at]
    assert at == seen[0] and len(seen) == len(read.lanes)  # round the loop and back
    assert [candidate.cause for candidate in draft(read).candidates] == [""]


def test_files_are_scenes_and_not_summaries(tmp_path):
    for name in ("sd_a_1.pkl", "17.pkl", "dataset_summary.pkl", "dataset_mapping.pkl", "notes.txt"):
        write(tmp_path, waymo(), name)
    (tmp_path / "sd_b.pkl.xz").write_bytes(lzma.compress(pickle.dumps(waymo())))
    found = scenarionet.find(str(tmp_path))
    assert [Path(file).name for file in found] == ["17.pkl", "sd_a_1.pkl", "sd_b.pkl.xz"]
    assert scenarionet.read(found[2]).name == "sd_b"
    with pytest.raises(InputError, match="no such"):
        scenarionet.find(str(tmp_path / "missing"))


def spoil(path, value):
    """A scene with one value replaced, or taken out where the value is `Ellipsis`."""
    scene = copy.deepcopy(waymo())
    item = scene
    for key in path[:-1]:
        item = item[key]
    if value is ...:
        del item[path[-1]]
    else:
        item[path[-1]] = value
    return scene


def alone(scene):
    """A scene with its track 7 alone."""
    return scene | {"tracks": {"7": scene["tracks"]["7"]}}


DEEP: list = [1.0, 1.0]
for _ in range(60):
    DEEP = [DEEP, DEEP]  # 2**60 numbers to anything that flattens it
STATE = ("tracks", "7", "state")
HOSTILE = {
    "no dict": [1, 2],
    "no tracks": spoil(["tracks"], ...),
    "empty scene": spoil(["tracks"], {}),
    "two ids": spoil(["tracks", 7], track("7", "VEHICLE", (0, 0), (1, 0))),
    "length of text": spoil(["length"], "60"),
    "absurd length": spoil(["length"], 10**12),
    "another length": spoil(["length"], 61),
    "time backwards": spoil(["metadata", "ts"], np.arange(STEPS)[::-1] / 10),
    "time stands": spoil(["metadata", "ts"], np.zeros(STEPS)),
    "time of no unit": spoil(["metadata", "ts"], np.arange(STEPS) * 4.0),
    "time with a gap": spoil(["metadata", "ts"], np.r_[np.arange(30), np.arange(30) + 90.0] / 10),
    "time not a number": spoil(["metadata", "ts"], np.full(STEPS, np.nan)),
    "no time": spoil(["metadata", "ts"], ...),
    "far away": spoil([*STATE, "position"], np.full((STEPS, 3), 1e7)),
    "never valid": spoil(["tracks"], {"7": spoil([*STATE, "valid"], np.zeros(STEPS))["tracks"]["7"]}),
    "two features": spoil(["map_features", 1], lane(line((0, 0), (9, 0)))),
    "light of text": spoil(["dynamic_map_states", "4"], "red"),
    "light without states": spoil(["dynamic_map_states", "4", "state"], {}),
    "light for ever": spoil(["dynamic_map_states", "4", "state", "object_state"], ["LANE_STATE_GO"] * 500),
    "light at no point": spoil(["dynamic_map_states", "4", "stop_point"], np.zeros((0, 3))),
    "light nowhere": spoil(["dynamic_map_states", "4", "stop_point"], "here"),
    "a call": b"cos\nsystem\n(S'true'\ntR.",
    "truncated": pickle.dumps(waymo())[:9000],
}


LEFT_OUT = {
    "tracks of text": spoil(["tracks", "7"], "car"),
    "no state": spoil(["tracks", "7", "state"], None),
    "ego of nobody": spoil(["metadata", "sdc_id"], "99"),
    "not finite": spoil([*STATE, "position"], np.full((STEPS, 3), np.nan)),
    "infinite heading": spoil([*STATE, "heading"], np.full(STEPS, np.inf)),
    "position of text": spoil([*STATE, "position"], np.array(["a"] * STEPS)),
    "position of lists": spoil([*STATE, "position"], DEEP),
    "flat position": spoil([*STATE, "position"], np.zeros(STEPS)),
    "short heading": spoil([*STATE, "heading"], np.zeros(3)),
    "giant": spoil([*STATE, "length"], np.full(STEPS, 1e6)),
    "feature of text": spoil(["map_features", "1"], "lane"),
    "lane without a line": spoil(["map_features", "1", "polyline"], ...),
    "nested line": spoil(["map_features", "1", "polyline"], DEEP),
    "line of text": spoil(["map_features", "1", "polyline"], [("a", "b")]),
    "line far off": spoil(["map_features", "1", "polyline"], np.full((3, 2), 1e12)),
    "line not finite": spoil(["map_features", "1", "polyline"], np.full((3, 2), np.nan)),
    "wide line": spoil(["map_features", "1", "polyline"], np.zeros((3, 9))),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_concerns_one_track_or_feature_is_left_out_and_counted(tmp_path, recording, name):
    read = scenarionet.read(write(tmp_path, LEFT_OUT[name]))
    tracks, features = (read.notes.get(f"{what}_unreadable", 0) for what in ("objects", "map_features"))
    assert len(read.tracks.id) == len(recording.tracks.id) - tracks
    assert len(read.lanes) < len(recording.lanes) if features else len(read.lanes) == len(recording.lanes)
    assert read.notes.get("marks_at_no_object", 0) == (tracks or name == "ego of nobody"), "track 7 is the ego"
    assert tracks + features == (name != "ego of nobody")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scenes_give_one_line(tmp_path, name):
    file = write(tmp_path, HOSTILE[name])
    with pytest.raises(InputError) as caught:
        scenarionet.read(file)
    assert str(caught.value).startswith(file) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


ODD = [None, "", "x" * 50, -1, 10**9, 2.5, float("nan"), [], {}, DEEP, np.zeros((0, 3)), np.zeros((2, 2, 2)), b"\x00"]


def survive(tmp_path, seed, rounds):
    """Scenes with values replaced at random places: read, or refused in one line."""
    source = random.Random(seed)
    for _ in range(rounds):
        scene = source.choice([waymo, nuscenes])()
        for _ in range(source.randint(1, 3)):
            item, key = scene, source.choice(list(scene))
            while isinstance(item[key], dict) and item[key] and source.random() < 0.85:
                item = item[key]
                key = source.choice(list(item))
            item[key] = source.choice(ODD)
        try:
            scenarionet.read(write(tmp_path, scene))
        except InputError as error:
            assert "\n" not in str(error)


def test_odd_values_are_read_or_refused(tmp_path):
    survive(tmp_path, seed=3, rounds=40)


@pytest.mark.long
def test_many_odd_values(tmp_path):
    for seed in range(10, 20):
        survive(tmp_path, seed, rounds=200)


@pytest.mark.skipif(not SCENES.is_dir(), reason="no scenes in ../shared/data/nuscenes_mini_scenarionet")
def test_the_egos_of_nuscenes_drive_on_their_lanes_along_their_heading():
    for file in scenarionet.find(str(SCENES))[1:2]:
        read = scenarionet.read(file)
        shapes = [shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])) for lane in read.lanes]
        road = shapely.union_all(shapely.make_valid(np.array(shapes, object)))
        row = read.tracks.id.tolist().index(read.marked[0])
        position = read.tracks.position[row][read.tracks.valid[row]]
        assert shapely.contains_xy(road, *position.T).mean() > 0.9
        assert read.tracks.length[row] == pytest.approx(4.08)
