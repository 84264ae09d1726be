"""Files of recordings below a folder, and the ones that are shipped."""

import csv
from pathlib import Path

import numpy as np
import pytest

from drivetrain.data.readers import READERS, recorded
from drivetrain.data.recordings.recording import Recording
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError, LightState

BOLOGNA = Path(__file__).resolve().parents[3] / "datasets/bologna"


@pytest.fixture(scope="module")
def shipped() -> list[Recording]:
    return [recorded.read(file) for file in recorded.find(str(BOLOGNA))]


def test_files_are_told_by_their_ending(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.recording.xz", "deep/a.recording.xz", "index.csv", "other.xml.xz"):
        (tmp_path / name).touch()
    names = [str(Path(file).relative_to(tmp_path)) for file in recorded.find(str(tmp_path))]
    assert names == ["b.recording.xz", "deep/a.recording.xz"]
    with pytest.raises(InputError, match="no such file"):
        recorded.find(str(tmp_path / "nowhere"))
    assert READERS["recording"] is recorded


def test_the_shipped_index_says_what_the_files_say(shipped):
    with open(BOLOGNA / "index.csv", newline="") as stream:
        rows = {Path(row["file"]).name.removesuffix(recorded.SUFFIX): row for row in csv.DictReader(stream)}
    assert rows.keys() == {recording.name for recording in shipped}
    for recording in shipped:
        row = rows[recording.name]
        told = {name: row[name] for name in ("group", "split", "source", "licence")}
        assert told == {name: getattr(recording, name) for name in told}


def test_no_place_is_in_two_splits_and_no_shown_road_either(shipped):
    split = {}
    for recording in shipped:
        assert split.setdefault(recording.group, recording.split) == recording.split
    assert set(split.values()) == {"train", "val", "test"}
    for one in shipped:
        for other in shipped:
            same_network = one.group.split("_")[0] == other.group.split("_")[0]
            if same_network and one.split != other.split:
                assert np.linalg.norm(np.subtract(one.origin, other.origin)) > 170.0


def test_everything_that_they_are_shipped_for_is_in_them(shipped):
    kinds = {kind for recording in shipped for kind in recording.tracks.kind.tolist()}
    assert kinds == set(AgentKind) - {AgentKind.NONE, AgentKind.OTHER}
    states = {int(s) for recording in shipped for light in recording.lights for s in np.unique(light.states)}
    assert {LightState.GREEN, LightState.YELLOW, LightState.RED} <= states
    lines = {line.kind for recording in shipped for line in recording.control_lines}
    assert {ControlKind.LIGHT, ControlKind.LINE} <= lines
    drawn = {feature.kind for recording in shipped for feature in recording.features}
    assert drawn == {ElementKind.ROAD_EDGE, ElementKind.CROSSWALK}
    assert all(lane.speed_limit > 0 for recording in shipped for lane in recording.lanes)


def test_nobody_drives_over_a_line_whose_light_is_red(shipped):
    """Front bumpers of the raw tracks against every line: an independent reckoning of what the events judge."""
    crossed = 0
    for recording in shipped:
        tracks = recording.tracks
        lights = {light.id: light for light in recording.lights}
        vehicles = tracks.kind != AgentKind.PEDESTRIAN
        ahead = np.stack([np.cos(tracks.heading), np.sin(tracks.heading)], axis=-1)
        front = (tracks.position + 0.5 * tracks.length[:, None, None] * ahead)[vehicles]
        both = (tracks.valid[:, 1:] & tracks.valid[:, :-1])[vehicles]
        for line in recording.control_lines:
            if line.light is None:
                continue
            left, right = line.ends
            across = (left - right) / np.linalg.norm(left - right)
            past = (front - right) @ np.array([across[1], -across[0]])
            beside = (front - right) @ across
            on = (beside[:, 1:] > 0.3) & (beside[:, 1:] < np.linalg.norm(left - right) - 0.3)
            over = both & on & (past[:, :-1] <= 0) & (past[:, 1:] > 0) & (past[:, 1:] < 3.0)
            step = np.nonzero(over)[1]
            own = {light.light for light in recording.control_lines if np.allclose(light.ends[0], left, atol=0.5)}
            red = [np.all([lights[i].states[k] == LightState.RED for i in own if i is not None]) for k in step]
            crossed += len(step)
            assert not any(red), (recording.name, line.lane)
    assert crossed > 100


def test_they_say_what_was_derived(shipped):
    """SUMO gives centre lines and widths, and no stop lines; which lanes lead where, and which run side by side."""
    for recording in shipped:
        derived = {name: count for name, count in recording.notes.items() if name.endswith("_derived")}
        assert derived == {
            "lane_borders_derived": 2 * len(recording.lanes),
            "lane_successors_derived": 0,
            "lane_neighbours_derived": 0,
            "stop_lines_derived": len(recording.control_lines),
        }
        assert recording.notes["lane_borders_given"] == recording.notes["stop_lines_given"] == 0
        assert recording.notes["lane_successors_given"] == sum(len(lane.successors) for lane in recording.lanes) > 0
