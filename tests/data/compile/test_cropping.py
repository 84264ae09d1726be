"""What exceeds a capacity: kept by the documented rule, counted, and nothing touched where nothing exceeds."""

import dataclasses
import math

import numpy as np
import pytest
import scenes
import shapely
from fixtures_drawn import Drawn, drive

from drivetrain.banks.part import Part
from drivetrain.commands import data as command
from drivetrain.data.compile.capacity import MOST, Capacity
from drivetrain.data.compile.compiling import compile_recording, compile_within, draft, measure
from drivetrain.data.compile.padding import to_arrays
from drivetrain.data.readers import READERS
from drivetrain.data.recordings.recording import ControlLine, Feature
from drivetrain.data.store.converting import Settings, convert
from drivetrain.data.store.dataset_info import info
from drivetrain.data.store.loading import load
from drivetrain.data.store.shards import read_manifest, read_scenarios, set_causes, verify
from drivetrain.data.store.streaming import Stream
from drivetrain.types import ControlKind, ElementKind, InputError


def crowd(seed: int = 0):
    """Four moving cars and twenty parked ones beside a road of 400 m, in an order that means nothing."""
    draw = np.random.default_rng(seed)
    moving = [scenes.along_x(1.75 + 3.5 * (row % 3), 20.0 + 15.0 * row, speed=4.0 + 2.0 * row) for row in range(4)]
    parked = [scenes.along_x(float(draw.uniform(-40, 50)), float(draw.uniform(0, 400)), speed=0.0) for _ in range(20)]
    cars = [*moving, *parked]
    return scenes.straight_road(agents=[cars[row] for row in draw.permutation(24)], length=400.0)


def crossing():
    """The crossing, with lines on both roads: one on the route, the others not."""
    drawn = scenes.crossing(ControlKind.STOP_SIGN)
    places = [(scenes.CROSS_OUT, 10.0, 90.0), (scenes.CROSS_IN, 10.0, -20.0), (scenes.CROSS_OUT, 10.0, 40.0)]
    more = [ControlLine(np.array([[x - 1.75, y], [x + 1.75, y]]), lane, ControlKind.STOP_SIGN) for lane, x, y in places]
    return dataclasses.replace(drawn, control_lines=(*more[:2], *drawn.control_lines, *more[2:]))


def squeezed(recording, **changes):
    return compile_recording(recording, dataclasses.replace(measure([recording]), **changes))


def same(one, two) -> bool:
    first, second = to_arrays(one), to_arrays(two)
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.mark.parametrize("recording", [crowd(), crossing(), scenes.curve()], ids=["crowd", "crossing", "curve"])
def test_what_fits_is_compiled_to_the_same_bytes(recording):
    whole, report = compile_recording(recording)
    assert set(report.cropped.values()) == {0} and not any("cropped" in note for note in report.notes)
    within, report = compile_within(recording, MOST)
    assert same(whole, within) and set(report.cropped.values()) == {0}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agents_that_come_nearest_to_an_ego_are_kept(seed):
    recording, room = crowd(seed), 9
    scenario, report = squeezed(recording, agents=room)
    tracks, egos = recording.tracks, [c.track for c in report.candidates if not c.cause]
    assert len(egos) == 4 and report.cropped["agents"] == report.notes["cropped_agents"] == 24 - room

    def nearest(row: int) -> float:
        return min(math.dist(tracks.position[row, t], tracks.position[ego, t]) for ego in egos for t in range(50))

    others = sorted((row for row in range(24) if row not in egos), key=nearest)
    kept = sorted([*egos, *others[: room - 4]])
    np.testing.assert_allclose(scenario.log.agents.position[0], tracks.position[kept, 0], atol=1e-4)
    assert [kept[track] for track in scenario.egos.track] == egos


def test_only_moments_that_both_are_there_count():
    """One parks on the ego's way, and is gone when it comes; the other stands 12 m beside it all the time."""
    brief = scenes.along_x(1.75, 90.0, speed=0.0, last=5)
    beside = scenes.along_x(13.75, 60.0, speed=0.0)
    recording = scenes.straight_road(agents=[brief, scenes.along_x(1.75, 20.0), beside], length=400.0)
    scenario, report = squeezed(recording, agents=2)
    assert report.cropped["agents"] == 1
    np.testing.assert_allclose(scenario.log.agents.position[0, 1], [60.0, 13.75], atol=1e-4)


def test_the_first_steps_are_kept():
    states = [1, 3] * 25
    recording = scenes.crossing(states=states)
    scenario, report = squeezed(recording, steps=30)
    assert report.cropped["steps"] == 20
    assert int(scenario.log.steps) == 30 and scenario.log.agents.valid.shape == (30, 1)
    assert scenario.log.lights[:, 0].tolist() == states[:30]
    assert scenario.egos.last.tolist() == [29]
    assert scenario.egos.log_distance[0] == pytest.approx(58.0, abs=0.01)
    with pytest.raises(InputError, match=r"lanes: \d+ in a capacity of 4"):
        squeezed(recording, lanes=4)


def test_elements_nearest_to_the_egos_paths_are_kept():
    recording, room = crowd(), 30
    whole = draft(recording).elements
    scenario, report = squeezed(recording, elements=room)
    ways = [recording.tracks.position[c.track, c.first : c.last + 1] for c in report.candidates if not c.cause]
    segments = [shapely.LineString(ends) for ends in whole.segments.reshape(-1, 2, 2)]
    distance = np.array([round(min(one.distance(shapely.LineString(way)) for way in ways), 3) for one in segments])
    assert report.cropped["elements"] == len(segments) - room
    kept = np.sort(np.argsort(distance, kind="stable")[:room])
    np.testing.assert_array_equal(scenario.map.elements, whole.segments[kept].astype(np.float32))
    np.testing.assert_array_equal(scenario.map.element_kind, whole.kind[kept])


def test_what_is_not_observed_goes_first():
    """A driveway across the egos' paths is cropped before the farthest line."""
    recording = crowd()
    room = len(draft(recording).elements.kind)
    outline = np.array([[100.0, -10.0], [104.0, -10.0], [104.0, 30.0], [100.0, -10.0]])
    beside = dataclasses.replace(recording, features=(Feature(ElementKind.DRIVEWAY, outline), *recording.features))
    whole = draft(beside).elements
    scenario, report = squeezed(beside, elements=room)
    assert report.cropped["elements"] == (whole.kind == ElementKind.DRIVEWAY).sum() > 0
    assert same(scenario, compile_recording(recording)[0])
    roomier, _ = squeezed(beside, elements=room + 1)
    assert (roomier.map.element_kind == ElementKind.DRIVEWAY).sum() == 1


def test_lines_on_a_route_are_kept_before_the_nearest():
    """The car drives along y = 0 to x = 38: the line at y = -20 is 20 m off, that at y = 40 is 40 m off."""
    recording = crossing()
    for room, expected in ((1, [2]), (2, [1, 2]), (3, [1, 2, 3])):
        scenario, report = squeezed(recording, lines=room)
        assert report.cropped["lines"] == 4 - room
        ends = np.stack([recording.control_lines[row].ends.ravel() for row in expected])
        np.testing.assert_allclose(scenario.map.lines, ends, atol=1e-5)
        assert scenario.egos.route.lines[0, 0] == expected.index(2)  # the same line, at its new place
        assert scenario.log.lights.shape == (50, room)


def test_egos_that_drive_farthest_are_kept_and_the_others_are_there():
    recording = crowd()
    scenario, report = squeezed(recording, egos=2)
    assert report.cropped["egos"] == report.notes["not_driven_no_room"] == 2
    speed = recording.tracks.velocity[:, 0, 0]
    assert sorted(speed[scenario.egos.track]) == [8.0, 10.0]
    assert scenario.log.agents.valid.shape[1] == 24
    few, report = squeezed(recording, agents=3)  # no room for all egos among the agents
    assert report.cropped["egos"] == 1 and len(few.egos.track) == 4 and (few.egos.track >= 0).sum() == 3


def test_without_an_ego_elements_near_everybody_are_kept():
    parked = [scenes.along_x(1.75, 300.0, speed=0.0)]
    scenario, report = squeezed(scenes.straight_road(agents=parked, length=400.0), elements=4)
    assert report.cropped["elements"] > 0
    assert np.abs(scenario.map.elements[:, [0, 2]] - 300.0).max() < 20.0


def test_lanes_of_a_route_beyond_its_slots_are_counted():
    recording = scenes.straight_road()
    _, whole = squeezed(recording)
    scenario, report = squeezed(recording, route_lanes=2)
    assert whole.lanes_left_out == 0 and report.lanes_left_out >= 1 and report.notes["route_lanes_left_out"] >= 1
    assert scenario.egos.route.stations.shape[-1] == 2


# ----------------------------------------------------------------------------------------------------------- datasets


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.setitem(READERS, "drawn", Drawn())


def test_a_dataset_is_cropped_and_says_so(tmp_path, drawn, capsys):
    small = dataclasses.replace(MOST, agents=1, steps=25, elements=10)
    summary = convert("drawn", ["one", "two"], tmp_path / "small", Settings(capacity=small))
    manifest = read_manifest(tmp_path / "small")
    whole = len(draft(drive("one")).elements.kind)
    assert summary.cropped == {"agents": 2, "elements": 2 * (whole - 10), "steps": 2 * 5}
    assert info(tmp_path / "small").cropped == summary.cropped
    assert (manifest.capacity.agents, manifest.capacity.steps, manifest.capacity.elements) == (1, 25, 10)
    assert [entry.steps for entry in manifest.recordings] == [25, 25]
    assert manifest.recordings[0].agents == {"car": 1} and manifest.recordings[0].notes["cropped_steps"] == 5
    (first, *_) = read_scenarios(tmp_path / "small", manifest, manifest.recordings)
    assert first.log.agents.valid.shape == (25, 1)
    large = convert("drawn", ["one"], tmp_path / "large")
    assert large.cropped == info(tmp_path / "large").cropped == {}


def test_a_map_without_road_users_is_whole_and_makes_no_bank_larger(tmp_path, drawn):
    small = dataclasses.replace(MOST, elements=10, lines=2)
    summary = convert("drawn", ["one", "town"], tmp_path / "both", Settings(capacity=small))
    manifest = verify(tmp_path / "both")
    assert summary.cropped == {"elements": len(draft(drive("one")).elements.kind) - 10}
    assert summary.maps == 1 and summary.capacity.lines == manifest.capacity.lines == 100
    assert manifest.capacity.elements > 100
    assert manifest.driven is not None and (manifest.driven.elements, manifest.driven.lines) == (10, 1)
    (_, town) = load(tmp_path / "both", admitted_only=False).scenarios
    assert (town.map.line_kind == ControlKind.LINE).sum() == 100
    parts = Part((str(tmp_path / "both"),), None, admitted_only=False)
    assert parts.whole.names == ("one",) and parts.whole.bank.lines.ends.shape == (1, 1, 4)
    set_causes(tmp_path / "both", {"one": [None]})
    assert load(tmp_path / "both").capacity == manifest.driven
    samples = Stream(str(tmp_path / "both"), split=None, threads=1).open()
    assert samples.capacity == manifest.driven and next(samples).scenario.map.line_kind.shape == (1,)
    samples.close()
    convert("drawn", ["town"], tmp_path / "alone")
    assert read_manifest(tmp_path / "alone").driven is None


def test_what_cannot_be_cropped_is_skipped_with_its_reason(tmp_path, drawn):
    with pytest.raises(InputError, match=r"route_stations: \d+ in a capacity of 5"):
        convert("drawn", ["one"], tmp_path / "data", Settings(capacity=dataclasses.replace(MOST, route_stations=5)))


def test_an_interrupted_conversion_goes_on_at_its_own_capacity_alone(tmp_path):
    from drivetrain.data.store.work_folder import Plan

    one, two = (Plan("drawn", 0.2, "1", ("one",), capacity) for capacity in (MOST, dataclasses.replace(MOST, agents=8)))
    assert one.describe() != two.describe()


def test_capacities_are_flags(tmp_path, drawn, capsys, monkeypatch):
    monkeypatch.setattr(command, "admit", lambda out: None)
    command.run(
        ["convert", "drawn", "one", "--out", str(tmp_path / "data"), "--workers", "1", "--capacity.agents", "1"]
    )
    assert "cropped: 1 agents" in capsys.readouterr().out
    assert isinstance(read_manifest(tmp_path / "data").capacity, Capacity)
