"""What every reader owes, on real files of its format: see `recording.Reader`."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from drivetrain.data.readers import recorded
from drivetrain.data.readers.argoverse import forecasting as argoverse
from drivetrain.data.readers.argoverse import sensor as argoverse_sensor
from drivetrain.data.readers.commonroad import reader as commonroad
from drivetrain.data.readers.lanelet2 import reader as lanelet2
from drivetrain.data.readers.nocturne import reader as nocturne
from drivetrain.data.readers.opendrive import reader as opendrive
from drivetrain.data.readers.scenarionet import reader as scenarionet
from drivetrain.data.readers.waymo import reader as waymo
from drivetrain.data.recordings.provenance import given_and_derived
from drivetrain.data.roads.elements import elements_of
from drivetrain.data.roads.lanes import stations_of
from drivetrain.data.roads.map_extension import extend_map
from drivetrain.types import AgentKind, ElementKind, InputError, LightState

MAPS = (lanelet2, opendrive)  # their files may hold no traffic

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared/data"
SOURCES = {
    "commonroad, shipped": (commonroad, ROOT / "datasets/ngsim/scenes", 4),
    "commonroad, others": (commonroad, DATA / "commonroad_ind_highd_exid_mona/scenarios", 3),
    "lanelet2": (lanelet2, DATA / "lanelet2_maps/lanelet2_maps/res/mapping_example.osm.xz", 1),
    "opendrive, towns": (opendrive, DATA / "opendrive_carla/py123d", 1),
    "opendrive, real": (opendrive, DATA / "opendrive_real_intersections/maps", 3),
    "recording, shipped": (recorded, ROOT / "datasets/bologna/recordings", 4),
    "nocturne": (nocturne, DATA / "womd_samples/gpudrive_nocturne_json", 4),
    "scenarionet": (scenarionet, DATA / "nuscenes_mini_scenarionet", 1),
    "argoverse2": (argoverse, DATA / "argoverse2", 1),
    "argoverse2-sensor": (argoverse_sensor, DATA / "argoverse2", 1),
    "waymo": (waymo, DATA / "womd_samples/tfrecord", 2),
}


@pytest.fixture(scope="module", params=SOURCES)
def source(request):
    reader, folder, number = SOURCES[request.param]
    if reader in (argoverse, argoverse_sensor):
        pytest.importorskip("pyarrow")
    if not folder.exists():
        pytest.skip(f"no files in {folder.relative_to(ROOT.parent)}")
    files = reader.find(str(folder))
    picked = files[:: max(len(files) // number, 1)][:number]
    return reader, files, [reader.read(file) for file in picked]


def test_files_are_found_in_order_and_a_file_finds_itself(source):
    reader, files, recordings = source
    assert files == sorted(set(files)) and files
    assert reader.find(files[0]) == [files[0]]
    assert len({recording.name for recording in recordings}) == len(recordings)


def test_tracks_are_whole(source):
    for recording in source[2]:
        tracks = recording.tracks
        assert 0.01 <= recording.dt <= 1.0 and recording.name and recording.source
        assert len(set(tracks.id.tolist())) == len(tracks.id) and (len(tracks.id) > 0 or source[0] in MAPS)
        assert set(tracks.kind.tolist()) <= set(AgentKind) - {AgentKind.NONE}
        assert (tracks.length > 0).all() and (tracks.width > 0).all()
        assert tracks.valid.any(axis=1).all()
        for array in (tracks.position, tracks.heading, tracks.velocity):
            assert np.isfinite(array).all() and not array[~tracks.valid].any()
        assert np.abs(tracks.position).max(initial=0.0) < 5000.0
        assert set(recording.marked) <= set(tracks.id.tolist())


def test_measured_speed_is_the_speed_of_the_positions(source):
    for recording in source[2]:
        tracks = recording.tracks
        if not len(tracks.id):
            continue
        both = tracks.valid[:, 1:] & tracks.valid[:, :-1]
        driven = np.diff(tracks.position, axis=1)[both] / recording.dt
        told = (tracks.velocity[:, 1:] + tracks.velocity[:, :-1])[both] / 2
        assert np.median(np.linalg.norm(driven - told, axis=1)) < 1.0
        moving = tracks.valid & (np.linalg.norm(tracks.velocity, axis=-1) > 3.0)
        course = np.arctan2(tracks.velocity[..., 1], tracks.velocity[..., 0])
        if moving.any():
            assert np.median(np.cos(tracks.heading - course)[moving]) > 0.95


def test_the_lane_graph_holds_together(source):
    for recording in source[2]:
        lanes = {lane.id: lane for lane in recording.lanes}
        assert len(lanes) == len(recording.lanes) > 0
        for lane in recording.lanes:
            assert len(lane.left) >= 2 and len(lane.right) >= 2
            assert np.isfinite(lane.left).all() and np.isfinite(lane.right).all() and lane.speed_limit >= 0
            assert set(lane.successors) | set(lane.predecessors) <= lanes.keys()
            middle = [(line[0] + line[-1]) / 2 for line in (lane.left, lane.right)]
            assert np.linalg.norm(middle[0] - middle[1]) > 0.2 or len(lane.left) > 2
        for lane in recording.lanes:
            for other in lane.successors:
                gap = lanes[other].left[0] + lanes[other].right[0] - lane.left[-1] - lane.right[-1]
                assert np.linalg.norm(gap) / 2 < 4.0


def test_the_drivable_side_of_an_edge_is_where_the_lanes_are(source):
    """Half a metre beside an edge that has a lane on one side alone, the lane is on its left."""
    agree, beside = 0, 0
    for recording in source[2]:
        drawn = elements_of(recording, extend_map(*stations_of(recording))[0])
        edges = drawn.segments[drawn.kind == ElementKind.ROAD_EDGE]
        rings = [np.concatenate([lane.left, lane.right[::-1]]) for lane in recording.lanes if lane.drivable]
        road = shapely.union_all([shapely.Polygon(ring).buffer(0.0) for ring in rings])
        middle, chord = (edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]
        aside = 0.5 * np.column_stack([-chord[:, 1], chord[:, 0]]) / np.linalg.norm(chord, axis=1, keepdims=True)
        left, right = (shapely.contains_xy(road, *(middle + side).T) for side in (aside, -aside))
        agree, beside = agree + int((left & ~right).sum()), beside + int((left ^ right).sum())
    assert beside > 30 and agree / beside > 0.95


def test_lines_lights_and_features_belong(source):
    for recording in source[2]:
        lanes = {lane.id for lane in recording.lanes}
        lights = {light.id: light for light in recording.lights}
        assert len(lights) == len(recording.lights)
        for line in recording.control_lines:
            assert line.lane in lanes and np.isfinite(line.ends).all()
            assert line.light is None or line.light in lights
        for light in recording.lights:
            assert light.states.shape == recording.tracks.valid.shape[1:] and set(light.states.tolist()) <= set(
                LightState
            )
        for feature in recording.features:
            assert feature.kind in ElementKind and len(feature.points) >= 2 and np.isfinite(feature.points).all()


def test_what_was_derived_is_no_more_than_there_is(source):
    for recording in source[2]:
        counts = given_and_derived(recording)
        assert min(counts.values()) >= 0
        for fact in ("lane_borders", "lane_successors", "lane_neighbours", "stop_lines"):
            assert recording.notes.get(f"{fact}_given", counts[f"{fact}_given"]) <= counts[f"{fact}_given"]


def test_half_a_file_is_refused_in_one_line(source, tmp_path):
    reader, files, _ = source
    name, mark, record = files[0].partition("#")  # an item names a record of a file
    broken = tmp_path / Path(name).name
    broken.write_bytes(Path(name).read_bytes()[: Path(name).stat().st_size // 2])
    with pytest.raises(InputError) as caught:
        reader.read(f"{broken}{mark}{record}")
    assert str(caught.value).startswith(str(broken)) and "\n" not in str(caught.value)
