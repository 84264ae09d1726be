"""Argoverse 2 sensor logs against hand-written ones, and against what a real log must satisfy."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import shapely
from fixtures_mutation import bytes_changed, survive

from drivetrain.data.readers.argoverse import sensor as argoverse_sensor
from drivetrain.types import AgentKind, InputError

DATA = Path(__file__).resolve().parents[4] / "shared/data/argoverse2"
X, Y = -400.0, 1300.0  # where the log lies
START = 315_971_916_960_141_000  # ns
SWEEPS = 40
TURN = 0.2  # rad/s: the recording vehicle drives round a circle
RADIUS = 20.0


def ego_pose(time):
    """Where the rear axle is, and where the vehicle heads, while it drives round a circle."""
    angle = TURN * time
    return X + 30 + RADIUS * np.sin(angle), Y - RADIUS * np.cos(angle), angle


def quaternion(yaw):
    return {"qw": float(np.cos(yaw / 2)), "qx": 0.0, "qy": 0.0, "qz": float(np.sin(yaw / 2))}


def street():
    """One lane eastwards."""
    left, right = ([{"x": X + x, "y": Y + y, "z": 0.0} for x in (0, 100)] for y in (3.5, 0))
    lane = {"id": 1, "lane_type": "VEHICLE", "left_lane_boundary": left, "right_lane_boundary": right}
    return {"lane_segments": {"1": lane}, "drivable_areas": {}}


def poses():
    table = []
    for step in range(-10, 10 * SWEEPS):
        x, y, yaw = ego_pose(0.01 * step)
        sign = 1.0 if step % 2 else -1.0  # q and −q are one rotation
        turn = {key: sign * value for key, value in quaternion(yaw).items()}
        table.append({"timestamp_ns": START + 10_000_000 * step, **turn, "tx_m": x, "ty_m": y, "tz_m": -20.0})
    return table


def box(step, name, category, x, y, yaw, size):
    """A box given in the city's frame, told in the frame of the recording vehicle."""
    time = 0.1 * step
    px, py, turn = ego_pose(time)
    dx, dy = x - px, y - py
    local = np.cos(turn) * dx + np.sin(turn) * dy, -np.sin(turn) * dx + np.cos(turn) * dy
    return {
        "timestamp_ns": START + 100_000_000 * step,
        "track_uuid": name,
        "category": category,
        "length_m": size[0],
        "width_m": size[1],
        "height_m": 1.5,
        **quaternion(yaw - turn),
        "tx_m": float(local[0]),
        "ty_m": float(local[1]),
        "tz_m": 0.5,
        "num_interior_pts": 9,
    }


def annotations():
    table = []
    for step in range(SWEEPS):
        table.append(box(step, "b-car", "REGULAR_VEHICLE", X + 5 + 0.8 * step, Y + 1.75, 0.0, (4.5, 1.9)))
        table.append(box(step, "c-sign", "STOP_SIGN", X + 45, Y - 6, 1.0, (0.5, 0.5)))
        if step != 12:  # a sweep in which it was hidden
            table.append(box(step, "a-bus", "ARTICULATED_BUS", X + 40 - 0.5 * step, Y + 5.25, np.pi, (18.0, 2.6)))
    return table


def write(folder, boxes=None, path=None, name="annotations.feather"):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.feather

    (folder / "map").mkdir(parents=True, exist_ok=True)
    (folder / "map" / "log_map_archive_l____PIT_city_1.json").write_text(json.dumps(street()))
    for file, table in ((name, boxes or annotations()), ("city_SE3_egovehicle.feather", path or poses())):
        pyarrow.feather.write_feather(pa.Table.from_pylist(table), str(folder / file))
    return str(folder / name)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return argoverse_sensor.read(write(tmp_path_factory.mktemp("logs") / "log-7"))


def test_boxes_have_the_height_of_the_ground_below_them(recording):
    """Poses lie at −20 m, boxes' middles 0.5 m above them, boxes are 1.5 m tall; this map has no heights."""
    np.testing.assert_allclose(recording.tracks.height[2], -20.0 + 0.5 - 0.75, atol=1e-9)
    np.testing.assert_allclose(recording.tracks.height[0], -20.0, atol=1e-9)  # the recording vehicle, from its poses
    assert recording.tracks.height[1, 12] == 0.0  # not seen
    assert {z for lane in recording.lanes for z in lane.height.tolist()} == {0.0}


def test_boxes_stand_in_the_city_whatever_the_vehicle_does(recording):
    tracks = recording.tracks
    assert (recording.name, recording.dt, recording.group) == ("log-7", 0.1, "log-7")
    kinds = [AgentKind.CAR, AgentKind.BUS, AgentKind.CAR, AgentKind.OTHER]  # EGO_VEHICLE sorts first
    assert tracks.kind.tolist() == kinds and tracks.valid.sum(axis=1).tolist() == [40, 39, 40, 40]
    steps = np.arange(SWEEPS)
    expected = np.stack([X + 5 + 0.8 * steps, np.full(SWEEPS, Y + 1.75)], axis=1)
    np.testing.assert_allclose(tracks.position[2] + recording.origin, expected, atol=2e-3)
    np.testing.assert_allclose(tracks.heading[2], 0.0, atol=1e-3)
    np.testing.assert_allclose(tracks.velocity[2], [[8.0, 0.0]] * SWEEPS, atol=0.05)
    np.testing.assert_allclose(np.cos(tracks.heading[1][tracks.valid[1]]), -1.0, atol=1e-5)
    assert not tracks.position[1, 12].any() and not tracks.valid[1, 12]
    np.testing.assert_allclose(tracks.velocity[1, [11, 13]], [[-5.0, 0.0]] * 2, atol=0.05)


def test_the_vehicle_is_its_poses_moved_to_its_middle(recording):
    row = recording.tracks.id.tolist().index(recording.marked[0])
    x, y, yaw = ego_pose(0.1 * np.arange(SWEEPS))
    middle = np.stack([x + 1.339 * np.cos(yaw), y + 1.339 * np.sin(yaw)], axis=1)
    np.testing.assert_allclose(recording.tracks.position[row] + recording.origin, middle, atol=2e-3)
    np.testing.assert_allclose(recording.tracks.heading[row], yaw, atol=1e-4)
    assert recording.tracks.length[row] == 4.869 and recording.notes["ego_from_poses"] == 1


def test_a_vehicle_that_is_annotated_is_read_once(tmp_path):
    own = [box(step, "me", "EGO_VEHICLE", *ego_pose(0.1 * step), (4.877, 2.0)) for step in range(SWEEPS)]
    read = argoverse_sensor.read(write(tmp_path, [*annotations(), *own], name="annotations_with_ego.feather"))
    row = read.tracks.id.tolist().index(read.marked[0])
    x, y, yaw = ego_pose(0.0)
    np.testing.assert_allclose(read.tracks.position[row, 0] + read.origin, [x + 1.339, y], atol=2e-3)
    assert len(read.tracks.id) == 4 and read.notes["ego_moved_from_axle_to_centre"] == 1


def test_logs_are_found_one_file_each(tmp_path):
    plain, both = tmp_path / "a", tmp_path / "b"
    write(plain)
    write(both)
    write(both, name="annotations_with_ego.feather")
    found = argoverse_sensor.find(str(tmp_path))
    assert found == [str(plain / "annotations.feather"), str(both / "annotations_with_ego.feather")]
    assert argoverse_sensor.find(found[0]) == [found[0]]
    (plain / "map" / "log_map_archive_l____PIT_city_1.json").unlink()
    with pytest.raises(InputError, match="0 vector maps"):
        argoverse_sensor.read(found[0])


def changed(table, where, value):
    row, name = where
    for item in table if row is None else [table[row]]:
        item[name] = value
    return table


BOXES = {
    "one sweep": changed(annotations(), (None, "timestamp_ns"), START)[:1],
    "uneven": changed(annotations(), (0, "timestamp_ns"), START - 53_000_000),
    "no pose": changed(annotations(), (0, "timestamp_ns"), START - 5_000_000_000),
    "for ever": changed(annotations(), (0, "timestamp_ns"), START + 2**61),
    "giant": changed(annotations(), (None, "length_m"), 400.0),
    "flat": changed(annotations(), (None, "width_m"), -1.0),
    "two vehicles": changed(annotations(), (None, "category"), "EGO_VEHICLE"),
    "time of text": changed(annotations(), (None, "timestamp_ns"), "now"),
}
POSES = {
    "one pose": poses()[:1],
    "time backwards": poses()[::-1],
    "a hole": [*poses()[:20], *poses()[250:]],
    "no rotation": changed(poses(), (None, "qz"), 9.0),
    "not finite": changed(poses(), (50, "ty_m"), float("nan")),
}


ODD_OBJECTS = {
    "two boxes": [*annotations(), annotations()[0]],
    "not finite": changed(annotations(), (5, "tx_m"), float("inf")),
    "far away": changed(annotations(), (5, "tx_m"), 1e8),
    "no rotation": changed(annotations(), (0, "qw"), 0.0),
    "giant": changed(annotations(), (4, "length_m"), 400.0),
    "no width": changed(annotations(), (4, "width_m"), None),
}


@pytest.mark.parametrize("name", ODD_OBJECTS)
def test_an_object_with_an_odd_box_is_left_out_and_counted(tmp_path, name):
    whole = argoverse_sensor.read(write(tmp_path / "whole"))
    found = argoverse_sensor.read(write(tmp_path / "odd", boxes=ODD_OBJECTS[name]))
    assert found.notes["objects_unreadable"] == 1 and "objects_unreadable" not in whole.notes
    assert len(found.tracks.id) == len(whole.tracks.id) - 1 and len(found.marked) == 1


@pytest.mark.parametrize("name", [*BOXES, *(f"poses: {name}" for name in POSES)])
def test_hostile_logs_give_one_line(tmp_path, name):
    pose = name.removeprefix("poses: ")
    file = write(tmp_path, path=POSES[pose]) if pose != name else write(tmp_path, boxes=BOXES[name])
    with pytest.raises(InputError) as caught:
        argoverse_sensor.read(file)
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def damaged(tmp_path, seed, rounds):
    """Tables with a few bytes changed or cut: read, or refused in one line."""
    file, source = write(tmp_path), random.Random(seed)
    honest = Path(file).read_bytes()
    survive(lambda: argoverse_sensor.read(file), file, lambda: bytes_changed(honest, source), rounds)


def test_damaged_logs_are_read_or_refused(tmp_path):
    damaged(tmp_path, seed=6, rounds=60)


@pytest.mark.long
def test_many_damaged_logs(tmp_path):
    for seed in range(40, 60):
        damaged(tmp_path, seed, rounds=500)


@pytest.mark.skipif(not DATA.is_dir(), reason="no logs in ../shared/data/argoverse2")
def test_a_real_log_drives_on_its_road():
    pytest.importorskip("pyarrow")
    (file,) = argoverse_sensor.find(str(DATA))
    read = argoverse_sensor.read(file)
    shapes = [shapely.Polygon(np.concatenate([lane.left, lane.right[::-1]])) for lane in read.lanes]
    road = shapely.union_all(shapely.make_valid(np.array(shapes, object)))
    row = read.tracks.id.tolist().index(read.marked[0])
    assert shapely.contains_xy(road, *read.tracks.position[row].T).all()
    still = [
        np.ptp(read.tracks.position[other][read.tracks.valid[other]], axis=0).max()
        for other in np.flatnonzero(read.tracks.kind == AgentKind.OTHER)
    ]
    assert np.median(still) < 1.0  # what stands stays where it is while the vehicle turns
