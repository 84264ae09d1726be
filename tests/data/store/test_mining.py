"""Subsets that nest, egos that are hard, clips that fit: each a dataset of its own."""

import dataclasses
import hashlib

import numpy as np
import pytest
from fixtures_dataset import read_one
from fixtures_drawn import install

from drivetrain.data.readers import READERS
from drivetrain.data.store.converting import convert
from drivetrain.data.store.difficulty import MEASURES
from drivetrain.data.store.mining import by_clips, by_difficulty, by_hours
from drivetrain.data.store.shards import read_manifest, set_causes, verify
from drivetrain.types import InputError

SECONDS = 6.0  # of a drawn drive: 30 steps of 0.2 s


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 drives of 6 s, one ego each, all admitted."""
    known = dict(READERS)
    install()
    out = tmp_path_factory.mktemp("mining") / "data"
    convert("drawn", ["many:24"], out)
    READERS.clear()
    READERS.update(known)
    set_causes(out, {entry.name: [None] for entry in read_manifest(out).recordings})
    return out


def names(folder, split="train"):
    return {entry.name for entry in verify(folder).recordings if entry.split == split}


def test_subsets_by_hours_nest_and_last_as_long_as_asked(folder, tmp_path):
    asked = [2, 5, 9]
    for count in asked:
        by_hours(folder, tmp_path / str(count), count * SECONDS / 3600.0, seed=1)
    found = [names(tmp_path / str(count)) for count in asked]
    assert [len(some) for some in found] == asked and found[0] < found[1] < found[2]
    assert names(tmp_path / "2", "val") == names(folder, "val") and names(tmp_path / "2", "test") == names(
        folder, "test"
    )
    by_hours(folder, tmp_path / "other", 2 * SECONDS / 3600.0, seed=2)
    assert names(tmp_path / "other") != found[0]
    with pytest.raises(InputError, match="hours asked for"):
        by_hours(folder, tmp_path / "more", 1.0)
    assert not (tmp_path / "more").exists()


def test_a_mined_dataset_names_its_parent_and_repeats_to_the_byte(folder, tmp_path):
    for out in ("one", "two"):
        by_hours(folder, tmp_path / out, SECONDS / 3600.0)
    manifest = read_manifest(tmp_path / "one")
    assert manifest.parent == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert manifest.selection == {"by": "hours", "hours": SECONDS / 3600.0, "seed": 0, "split": "train"}
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    name = next(iter(names(tmp_path / "one")))
    before, after = read_one(folder, name), read_one(tmp_path / "one", name)
    np.testing.assert_array_equal(before.log.agents.position, after.log.agents.position)
    with pytest.raises(InputError, match="not empty"):
        by_hours(folder, tmp_path / "one", SECONDS / 3600.0)


def test_the_hardest_share_is_the_hardest(folder, tmp_path, monkeypatch):
    hardness = {name: int(name[4:]) for name in names(folder) | names(folder, "val") | names(folder, "test")}
    order = iter(sorted(hardness))
    monkeypatch.setitem(MEASURES, "dense", lambda *_: float(hardness[next(order)]))
    manifest = by_difficulty(folder, tmp_path / "hard", "dense", 0.25)
    assert sorted(entry.name for entry in manifest.recordings) == sorted(hardness)[-6:]
    assert manifest.selection["least"] == 18.0


def test_egos_that_are_not_hard_are_kept_out_and_zero_is_never_hard(folder, tmp_path):
    with pytest.raises(InputError, match="signals: 0 for every ego"):
        by_difficulty(folder, tmp_path / "lit", "signals", 0.5)
    with pytest.raises(InputError, match="use more than 0"):
        by_difficulty(folder, tmp_path / "lit", "signals", 0.0)
    with pytest.raises(InputError, match="unknown measure"):
        by_difficulty(folder, tmp_path / "lit", "boring", 0.5)
    by_difficulty(folder, tmp_path / "val", "near", 0.5, split="val")
    assert names(tmp_path / "val", "val") == names(folder, "val") and not names(tmp_path / "val", "train")


def test_clips_are_cut_and_their_egos_drive_all_of_them(folder, tmp_path):
    by_clips(folder, tmp_path / "cut", 6, seconds=4.0, seed=3, split="train")
    manifest = verify(tmp_path / "cut")
    begun = set()
    for entry in manifest.recordings:
        name, start = entry.name.split("@")
        begun.add(int(start))
        whole, clip = read_one(folder, name), read_one(tmp_path / "cut", entry.name)
        assert entry.steps == int(clip.log.steps) == 21 == len(clip.log.lights)
        position = whole.log.agents.position[int(start) : int(start) + 21]
        np.testing.assert_array_equal(clip.log.agents.position, position)
        (ego,) = entry.egos
        assert (ego.first, ego.last, ego.cause) == (0, 20, "")
        assert float(clip.egos.log_distance[0]) == pytest.approx(40.0, abs=0.3)  # 10 m/s for 4 s
        moved = float(whole.egos.cursor[0]) + int(start)  # 2 m a step, 2 m a station
        assert abs(int(clip.egos.cursor[0]) - moved) <= 1
    assert len(begun) > 1 and len(manifest.recordings) == 6
    by_clips(folder, tmp_path / "fewer", 3, seconds=4.0, seed=3, split="train")
    assert names(tmp_path / "fewer") < names(tmp_path / "cut")
    with pytest.raises(InputError, match="0 recordings have a clip of 10 s"):
        by_clips(folder, tmp_path / "long", 1, split="train")


def test_a_dataset_without_admission_is_not_mined(folder, tmp_path):
    by_clips(folder, tmp_path / "cut", 2, seconds=4.0, split="train")
    with pytest.raises(InputError, match="no ego may be driven"):
        by_clips(tmp_path / "cut", tmp_path / "again", 1, seconds=2.0, split="train")


def test_only_egos_that_may_be_driven_begin_a_clip(folder, tmp_path):
    by_hours(folder, tmp_path / "some", 4 * SECONDS / 3600.0)
    entries = [entry for entry in read_manifest(tmp_path / "some").recordings if entry.split == "train"]
    set_causes(tmp_path / "some", {entry.name: ["collision"] for entry in entries[1:]})
    manifest = by_clips(tmp_path / "some", tmp_path / "cut", 1, seconds=3.0, split="train")
    assert manifest.recordings[0].name.split("@")[0] == entries[0].name
    assert dataclasses.replace(entries[0].egos[0], cause="", first=0, last=15) == manifest.recordings[0].egos[0]
