"""The on-disk format: what comes back, what is refused, and that nothing damaged is ever loaded."""

import dataclasses
import hashlib
import json
import os

import jax
import numpy as np
import pytest
from fixtures_dataset import entry, read_one, scenario, sizes

from drivetrain.data.store.atomic_folder import fresh_folder
from drivetrain.data.store.manifest import Skipped, encode
from drivetrain.data.store.shards import read_manifest, set_causes, verify, write_dataset
from drivetrain.types import InputError

SHARD = "scenarios-00000.array_record"
PADDED_WITH_MINUS_ONE = {  # the columns of indices that `types` describes
    "map.station_lane",
    "map.lane_successors",
    "map.lane_neighbours",
    "egos.track",
    "egos.route.stations",
    "egos.route.lines",
}


@pytest.fixture
def folder(tmp_path):
    results = [(entry(f"r{i}"), scenario(i)) for i in range(3)]
    write_dataset(tmp_path / "data", [*results, Skipped("bad.xml", "bad.xml: no lanes (draw some)")], dt=0.2)
    return tmp_path / "data"


def test_a_scenario_comes_back_padded_by_the_documented_rule(folder):
    manifest = read_manifest(folder)
    assert manifest.capacity.agents == sizes(2).agents and manifest.capacity.stations == sizes(0).stations
    assert [s.file for s in manifest.skipped] == ["bad.xml"]
    read, written = read_one(folder, "r1"), scenario(1)
    assert jax.tree.structure(read) == jax.tree.structure(written)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(read)]
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path in paths]
    for name, has, was in zip(names, jax.tree.leaves(read), jax.tree.leaves(written), strict=True):
        inner = tuple(slice(size) for size in was.shape)
        np.testing.assert_array_equal(has[inner], was)
        assert has.dtype == was.dtype
        rest = np.ones(has.shape, bool)
        rest[inner] = False
        assert (has[rest] == (-1 if name in PADDED_WITH_MINUS_ONE else 0)).all(), name


def test_the_same_scenarios_give_the_same_bytes(tmp_path, folder):
    results = [(entry(f"r{i}"), scenario(i)) for i in range(3)]
    write_dataset(tmp_path / "again", [*results, Skipped("bad.xml", "bad.xml: no lanes (draw some)")], dt=0.2)
    for name in os.listdir(folder):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_flipped_bit_names_recording_and_shard(folder):
    assert len(verify(folder).recordings) == 3
    data = bytearray((folder / SHARD).read_bytes())
    complaints = []
    used = np.flatnonzero(np.frombuffer(bytes(data), np.uint8))
    for place in used[:: max(len(used) // 20, 1)]:
        damaged = bytearray(data)
        damaged[place] ^= 16
        (folder / SHARD).write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            verify(folder)
        complaints.append(str(caught.value))
    assert all(SHARD in words and "\n" not in words for words in complaints)
    assert all(any(f": {name}:" in words for words in complaints) for name in ("r0", "r1", "r2"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_shard_is_not_read(folder, share):
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=f"{SHARD}: r2: the shard has"):
        read_one(folder, "r2")


def test_a_missing_shard_is_named(folder):
    (folder / SHARD).unlink()
    with pytest.raises(InputError, match=f"{SHARD}: r0: the shard is missing"):
        verify(folder)


def test_a_swapped_record_is_not_taken_for_another(folder):
    manifest = read_manifest(folder)
    first, *others = manifest.recordings
    lying = dataclasses.replace(manifest, recordings=(dataclasses.replace(first, position=1), *others))
    (folder / "manifest.json").write_bytes(encode(lying))
    with pytest.raises(InputError, match="r0: the record's checksum is wrong"):
        read_one(folder, "r0")


def spoiled(folder, change):
    """The manifest's JSON changed, with a digest that fits: as a careless tool would."""
    body = json.loads((folder / "manifest.json").read_text())
    change(body)
    body.pop("digest")
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["digest"] = hashlib.sha256(canonical.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(body))


CHANGES = {
    "capacity.agents: missing": lambda body: body["capacity"].pop("agents"),
    "recordings.0.split: missing": lambda body: body["recordings"][0].pop("split"),
    "recordings.1.steps: unexpected str": lambda body: body["recordings"][1].update(steps="ten"),
    "extra: unknown": lambda body: body.update(extra=1),
    "format: 99": lambda body: body.update(format=99),
    "named twice": lambda body: body["recordings"][0].update(name="r1"),
    "not one of train, val, test": lambda body: body["recordings"][0].update(split="dev"),
    "no record 7": lambda body: body["recordings"][0].update(position=7),
    "not a plain file name": lambda body: body["shards"].append(
        {"file": "../x", "records": 0, "bytes": 0, "sha256": ""}
    ),
    "straddles": lambda body: body["recordings"][0].update(group="g-r1", split="test"),
}


@pytest.mark.parametrize("words", CHANGES)
def test_a_manifest_that_is_wrong_says_where(folder, words):
    spoiled(folder, CHANGES[words])
    with pytest.raises(InputError, match=words) as caught:
        read_manifest(folder)
    assert "\n" not in str(caught.value)


def test_a_manifest_whose_digest_does_not_fit_is_refused(folder):
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"steps": 10', '"steps": 11', 1))
    with pytest.raises(InputError, match="digest"):
        read_manifest(folder)
    with pytest.raises(InputError, match="No such file"):
        read_manifest(folder / "nowhere")


def test_causes_replace_the_manifest_and_nothing_else(folder):
    before = (folder / SHARD).read_bytes()
    set_causes(folder, {"r1": [None, "collision"]})
    causes = {e.name: [ego.cause for ego in e.egos] for e in verify(folder).recordings}
    assert causes == {"r0": ["", ""], "r1": [None, "collision"], "r2": ["", ""]}
    assert (folder / SHARD).read_bytes() == before and sorted(os.listdir(folder)) == ["manifest.json", SHARD]
    with pytest.raises(InputError, match="1 causes for 2 egos"):
        set_causes(folder, {"r1": [None]})
    with pytest.raises(InputError, match="no such recording"):
        set_causes(folder, {"r9": [None]})


def test_nothing_is_overwritten_unasked(tmp_path, folder):
    again = [(entry("new"), scenario(0))]
    with pytest.raises(InputError, match="not empty"):
        write_dataset(folder, again, dt=0.2)
    write_dataset(folder, again, dt=0.2, overwrite=True)
    assert [e.name for e in verify(folder).recordings] == ["new"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    with pytest.raises(InputError, match="not a dataset"):
        write_dataset(tmp_path / "home", again, dt=0.2, overwrite=True)
    assert (tmp_path / "home" / "letter").read_text() == "dear"
    assert sorted(os.listdir(tmp_path)) == ["data", "home"]


def test_a_failure_midway_leaves_nothing_and_keeps_what_was_there(tmp_path, folder):
    def failing():
        yield entry("a"), scenario(0)
        raise InputError("disk full of surprises")

    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    for out in (folder, tmp_path / "other"):
        with pytest.raises(InputError, match="surprises"):
            write_dataset(out, failing(), dt=0.2, overwrite=True)
    assert os.listdir(tmp_path) == ["data"]
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


def test_a_killed_writer_is_cleaned_up_after_and_a_living_one_is_not(tmp_path):
    (tmp_path / ".data.part").mkdir()
    (tmp_path / ".data.part" / SHARD).write_bytes(b"half")
    write_dataset(tmp_path / "data", [(entry("a"), scenario(0))], dt=0.2)
    assert len(verify(tmp_path / "data").recordings) == 1 and os.listdir(tmp_path) == ["data"]
    with fresh_folder(tmp_path / "two", overwrite=False) as part:
        (part / "mine").write_text("x")
        with pytest.raises(InputError, match="another process"), fresh_folder(tmp_path / "two", overwrite=False):
            pass
        assert (part / "mine").exists()
