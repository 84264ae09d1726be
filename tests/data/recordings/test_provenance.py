"""Counts of what was given and what was derived, against counts of the road itself."""

import dataclasses
from pathlib import Path

import pytest
import scenes
import waymo_records
from fixtures_drawn import Drawn, drive

from drivetrain.data.readers import READERS
from drivetrain.data.readers.waymo import reader as waymo
from drivetrain.data.recordings.provenance import FAULTS, given_and_derived
from drivetrain.data.recordings.recording_files import write_recording
from drivetrain.data.store.converting import Settings, convert
from drivetrain.data.store.dataset_info import info

ROOT = Path(__file__).resolve().parents[3]
OWN = "provenance.py"


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setitem(READERS, "drawn", Drawn())


def test_what_no_reader_derived_was_given():
    counts = given_and_derived(scenes.crossing())  # seven lanes, their links from both sides, one line
    assert counts == {
        "lane_borders_given": 14,
        "lane_borders_derived": 0,
        "lane_successors_given": sum(len(lane.successors) for lane in scenes.crossing().lanes),
        "lane_successors_derived": 0,
        "lane_neighbours_given": 0,
        "lane_neighbours_derived": 0,
        "stop_lines_given": 1,
        "stop_lines_derived": 0,
        "speed_limits_unknown": 0,
    }
    road = given_and_derived(scenes.straight_road(lanes=3))
    assert road["lane_neighbours_given"] == 4  # the middle one has two, the others one each


def test_a_border_on_an_outline_was_given_and_a_limit_of_zero_is_unknown():
    road = scenes.straight_road(lanes=2)
    notes = {"lane_borders_painted": 1, "lane_borders_by_default_width": 3, "lane_borders_by_outline": 2}
    lanes = tuple(dataclasses.replace(lane, speed_limit=0.0, drivable=lane.id == 1) for lane in road.lanes)
    counts = given_and_derived(dataclasses.replace(road, lanes=lanes, notes=notes))
    assert (counts["lane_borders_given"], counts["lane_borders_derived"]) == (2, 2)
    assert counts["speed_limits_unknown"] == 1, "a bicycle lane needs none"


@pytest.mark.parametrize("record", [waymo_records.scenario, waymo_records.example])
def test_a_waymo_record_says_both(tmp_path, record):
    recording = waymo.read(waymo_records.write(tmp_path / "a.tfrecord", record()) + "#00000")
    counts = given_and_derived(recording)
    assert min(counts.values()) >= 0
    assert counts["stop_lines_derived"] == len(recording.control_lines) > 0 == counts["stop_lines_given"]
    assert (counts["lane_successors_given"] > 0) == (record is waymo_records.scenario)
    assert recording.notes["lane_successors_given"] == counts["lane_successors_given"]
    assert recording.notes["lane_neighbours_given"] == counts["lane_neighbours_given"]


def test_every_fault_is_counted_somewhere():
    sources = "".join(file.read_text() for file in (ROOT / "drivetrain/data").rglob("*.py") if file.name != OWN)
    assert [name for name in sorted(FAULTS) if f'"{name}"' not in sources] == []


def test_a_strict_conversion_refuses_what_else_is_mended(tmp_path, monkeypatch):
    def read(self, file):
        notes = {"signals_unreadable": 2 * (file == "odd one"), "crosswalks": 3, "roads_unreadable": 0}
        return dataclasses.replace(drive(file), file=file, notes=notes)

    monkeypatch.setattr(Drawn, "read", read)
    mended = convert("drawn", ["fine", "odd one"], tmp_path / "mended")
    assert mended.skipped == () and mended.faults == {"signals_unreadable": 2}
    assert info(tmp_path / "mended").notes["signals_unreadable"] == 2
    summary = convert("drawn", ["fine", "odd one"], tmp_path / "strict", Settings(strict=True))
    (skipped,) = summary.skipped
    assert summary.recordings == 1 and skipped.reason == (
        "odd one: strict: 2 signals_unreadable (mend the file, or convert it without --strict)"
    )


def test_info_shows_them_and_a_recording_in_a_file_speaks_for_itself(tmp_path):
    convert("drawn", ["one", "two"], tmp_path / "drawn")
    notes = info(tmp_path / "drawn").notes
    assert (notes["lane_borders_given"], notes["lane_borders_derived"], notes["speed_limits_unknown"]) == (4, 0, 2)
    write_recording(tmp_path / "one.recording.xz", dataclasses.replace(drive("one"), notes={"lane_borders_derived": 2}))
    convert("recording", [str(tmp_path)], tmp_path / "file")
    notes = info(tmp_path / "file").notes
    assert notes["lane_borders_derived"] == 2 and "lane_borders_given" not in notes
