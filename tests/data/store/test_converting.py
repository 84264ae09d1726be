"""From files to a dataset: a reader drawn here, real files of the project, and everything that may go wrong between."""

import dataclasses
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from fixtures_drawn import Drawn, drive

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.compile.compiling import compile_recording, measure
from drivetrain.data.compile.padding import from_arrays, pad, to_arrays
from drivetrain.data.readers import READERS
from drivetrain.data.store.converting import Settings, convert, find
from drivetrain.data.store.dataset_info import info
from drivetrain.data.store.shards import read_manifest, verify
from drivetrain.data.store.splitting import split_of
from drivetrain.types import InputError

NGSIM = Path(__file__).resolve().parents[3] / "datasets/ngsim/scenes"


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setitem(READERS, "drawn", Drawn())


def test_a_drive_becomes_a_scenario_with_its_ego(tmp_path):
    told = []
    summary = convert("drawn", ["one"], tmp_path / "data", Settings(dt=0.2), progress=lambda *news: told.append(news))
    (entry,) = verify(tmp_path / "data").recordings
    assert (summary.recordings, summary.egos) == (1, 1)
    work = [
        "reading",
        "smoothing",
        "1 lanes",
        "the outline of 3 lanes",
        "borders",
        "routes 0/2",
        "routes 1/2",
        "corridors",
    ]
    assert told == [(0, 1, ""), *((0, 1, f"one: {words}") for words in work), (1, 1, "one")]
    assert entry.name == "one" and entry.group == "one" and entry.steps == 30 and entry.agents == {"car": 2}
    assert [(ego.track_id, ego.first, ego.last, ego.cause) for ego in entry.egos] == [(5, 0, 29, "")]
    assert entry.notes["not_driven_parked"] == 1


def test_bad_files_are_skipped_and_counted(tmp_path):
    summary = convert("drawn", ["bad", "odd", "one", "parked"], tmp_path / "data")
    assert summary.recordings == 1 and [skipped.file for skipped in summary.skipped] == ["bad", "odd", "parked"]
    reasons = info(tmp_path / "data").skipped
    assert reasons["bad"] == "bad: lanes: none (draw some)" and "KeyError" in reasons["odd"]
    assert "2 moving less than 5 m" in reasons["parked"]
    assert all("\n" not in reason for reason in reasons.values())


def test_nothing_left_and_too_many_failures_are_errors(tmp_path):
    with pytest.raises(InputError, match="lanes: none"):
        convert("drawn", ["bad"], tmp_path / "data")
    with pytest.raises(InputError, match="unknown format"):
        convert("papyrus", ["one"], tmp_path / "data")
    with pytest.raises(InputError, match="0.02 to 1 s"):
        convert("drawn", ["one"], tmp_path / "data", Settings(dt=0.0))
    assert os.listdir(tmp_path) == []


def test_a_group_stays_in_one_split(tmp_path):
    files = [f"{name}|{group}" for group in "abcdefgh" for name in (f"{group}1", f"{group}2")]
    convert("drawn", files, tmp_path / "data")
    by_group: dict[str, set[str]] = {}
    for entry in read_manifest(tmp_path / "data").recordings:
        by_group.setdefault(entry.group, set()).add(entry.split)
    assert len(by_group) == 8 and all(len(splits) == 1 for splits in by_group.values())
    with pytest.raises(InputError, match="group g is in train and test"):
        convert("drawn", ["one|g|train", "two|g|test"], tmp_path / "other")
    convert("drawn", ["one|g|train", "two|g|test"], tmp_path / "other", Settings(split="val"))
    assert {entry.split for entry in read_manifest(tmp_path / "other").recordings} == {"val"}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "/root", "a\\b", "a\0b", "a\nb", "\ud800", "\u202etxt", "x" * 201]
)
def test_names_that_lead_away_or_do_not_print_are_refused(tmp_path, monkeypatch, name):
    reads = lambda self, file: dataclasses.replace(drive("one"), name=name, file=file)  # noqa: E731
    monkeypatch.setattr(Drawn, "read", reads)
    with pytest.raises(InputError, match="^one: name: .* is no plain name") as caught:
        convert("drawn", ["one"], tmp_path / "deep" / "data")
    assert str(caught.value).isprintable() and [path.name for path in tmp_path.rglob("*")] == ["deep"]


def test_files_whose_names_do_not_print_are_skipped_in_one_line(tmp_path):
    odd = ["two\nlines", "bytes\udcff", "\x1bred"]
    told = []
    summary = convert("drawn", ["one", *odd], tmp_path / "data", progress=lambda *news: told.append(news))
    assert summary.recordings == 1 and len(summary.skipped) == 3 and told[-1][:2] == (4, 4)
    lines = [skipped.reason for skipped in summary.skipped] + [note for *_, note in told]
    assert all(line.isprintable() for line in lines) and sum("rename the file" in line for line in lines) == 3


def test_a_recording_without_lanes_is_no_scene(tmp_path, monkeypatch):
    monkeypatch.setattr(Drawn, "read", lambda self, file: dataclasses.replace(drive("one"), lanes=()))
    with pytest.raises(InputError, match="^one: lanes: none"):
        convert("drawn", ["one"], tmp_path / "data")


def test_a_recording_that_comes_twice_is_taken_once(tmp_path):
    summary = convert("drawn", ["one|a", "one|b"], tmp_path / "data")
    assert summary.recordings == 1 and "one is also in one|a, alike" in summary.skipped[0].reason


def test_recordings_of_one_name_are_named_by_their_folders_and_stay_in_one_split(tmp_path, monkeypatch):
    def read(self, file):
        made = drive("one" if "one" in file else "two")
        wider = dataclasses.replace(made.tracks, width=made.tracks.width + 0.1 * ("b/" in file))
        return dataclasses.replace(made, file=file, tracks=wider)

    monkeypatch.setattr(Drawn, "read", read)
    summary = convert("drawn", ["a/one", "b/one", "c/one", "two"], tmp_path / "data")
    recordings = read_manifest(tmp_path / "data").recordings
    assert [entry.name for entry in recordings] == ["a-one", "b-one", "two"]
    assert [skipped.file for skipped in summary.skipped] == ["c/one"], "it is the same as a/one"
    assert {entry.group for entry in recordings} == {"one", "two"}
    assert [entry.notes.get("named_by_path", 0) for entry in recordings] == [1, 1, 0]
    assert verify(tmp_path / "data") == read_manifest(tmp_path / "data")


def test_splits_have_the_shares_they_claim():
    splits = [split_of(f"group {number}") for number in range(4000)]
    for split, share in {"train": 0.7, "val": 0.1, "test": 0.2}.items():
        assert abs(splits.count(split) / 4000 - share) < 4 * np.sqrt(share * (1 - share) / 4000)


def test_splits_stay_as_a_dataset_grows(tmp_path):
    splits = []
    for count in (5, 12):
        convert("drawn", [f"many:{count}"], tmp_path / str(count))
        splits.append({entry.name: entry.split for entry in read_manifest(tmp_path / str(count)).recordings})
    few, all_ = splits
    assert len(few) == 5 and len(all_) == 12 and few.items() <= all_.items() and len(set(all_.values())) > 1


def test_files_folders_and_globs_are_found_once_in_order(tmp_path):
    for name in ("b.xml", "a.xml", "c.xml"):
        (tmp_path / name).touch()
    paths = [str(tmp_path / f"{name}.xml") for name in "abc"]
    assert find("commonroad", [str(tmp_path / "*.xml"), paths[1], str(tmp_path)]) == tuple(paths)
    assert find("drawn", ["x#10", "x#9", "w", "x"]) == ("w", "x", "x#9", "x#10")
    with pytest.raises(InputError, match="no commonroad files"):
        find("commonroad", [str(tmp_path / "*.xls")])


def test_info_sums_up(tmp_path):
    convert("drawn", ["one", "two"], tmp_path / "data", Settings(split="test"))
    told = info(tmp_path / "data")
    assert (told.scenes, told.egos, told.unchecked, told.admitted) == (2, 2, 2, 0)
    assert told.scenes_by_split == {"train": 0, "val": 0, "test": 2} and told.agents == {"car": 4}
    assert told.hours == pytest.approx(2 * 30 * 0.2 / 3600) and told.licences == {"CC0": 2}


def test_the_vehicle_that_recorded_is_kept_where_the_source_names_it(tmp_path, monkeypatch):
    class Marking(Drawn):
        def read(self, file):
            return dataclasses.replace(drive(file), marked=(5, 6) if file == "named" else ())

    monkeypatch.setitem(READERS, "drawn", Marking())
    convert("drawn", ["named", "other"], tmp_path / "data")
    assert {entry.name: entry.recorder for entry in read_manifest(tmp_path / "data").recordings} == {
        "named": 5,
        "other": None,
    }


def test_padding_on_reading_is_padding_on_compiling():
    recording = drive("one")
    small = measure([recording])
    large = Capacity(*(size + 3 for size in dataclasses.astuple(small)))
    padded = from_arrays(pad(to_arrays(compile_recording(recording, small)[0]), large, "one"))
    compiled = compile_recording(recording, large)[0]
    for one, other in zip(jax.tree.leaves(padded), jax.tree.leaves(compiled), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not NGSIM.is_dir(), reason="the shipped recordings are not in this copy")
def test_any_number_of_workers_gives_the_same_bytes(tmp_path):
    files = [str(path) for path in sorted(NGSIM.glob("USA_Peach*"))[:3]]
    assert len(files) == 3
    for workers in (1, 2):
        told: list[tuple[int, int, str]] = []
        settings = Settings(workers=workers)
        convert("commonroad", files, tmp_path / str(workers), settings, lambda *news, told=told: told.append(news))
        assert [done for done, *_ in told] == sorted(done for done, *_ in told) and told[-1][0] == len(files)
        assert any(note.endswith(": reading") for *_, note in told), "what a process is about is heard here"
    names = sorted(os.listdir(tmp_path / "1"))
    assert names == sorted(os.listdir(tmp_path / "2"))
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)
