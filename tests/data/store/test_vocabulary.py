"""Motions of drawn drives, whose every pose is known, and vocabularies of them."""

import dataclasses
import json

import numpy as np
import pytest
import scenes
from fixtures_drawn import install
from safetensors import safe_open
from safetensors.numpy import save_file

from drivetrain.data.readers import READERS
from drivetrain.data.store.converting import convert
from drivetrain.data.store.motions import as_points, motions_of, nearest_motions, recorded_motions
from drivetrain.data.store.shards import read_manifest, set_causes
from drivetrain.data.store.vocabulary import (
    Plan,
    build_vocabulary,
    disks,
    k_disks,
    read_vocabulary,
    sizes,
    write_vocabulary,
)
from drivetrain.types import AgentKind, InputError, replace


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve drives at 10 m/s on a straight lane, all egos admitted."""
    known = dict(READERS)
    install()
    out = tmp_path_factory.mktemp("vocabulary") / "data"
    convert("drawn", ["many:12"], out)
    READERS.clear()
    READERS.update(known)
    set_causes(out, {entry.name: [None] for entry in read_manifest(out).recordings})
    return out


def fan(count, steps=5, seed=0):
    """Motions at random speeds and turns."""
    draw = np.random.default_rng(seed)
    speed, turn = draw.uniform(0.0, 20.0, count), draw.normal(0.0, 0.2, count)
    time = 0.2 * np.arange(1, steps + 1)
    angle = turn[:, None] * time
    x = speed[:, None] * time
    return np.stack([x * np.cos(angle), x * np.sin(angle), np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def rms(one, other):
    """The distance of two motions, by its definition."""
    square = np.sum((one[:, :2] - other[:, :2]) ** 2, axis=1) + 4.0 * np.sum((one[:, 2:] - other[:, 2:]) ** 2, axis=1)
    return np.sqrt(np.mean(square))


def test_motions_are_seen_from_where_they_begin():
    scenario = scenes.scenario(scenes.curve(steps=26))
    motions = motions_of(scenario, 0, 5)
    agents, track = scenario.log.agents, int(scenario.egos.track[0])
    lived = int(scenario.egos.last[0]) - int(scenario.egos.first[0]) + 1
    assert motions.shape == (lived - 5, 5, 4)
    for begun in (0, 7, lived - 6):
        x, y = np.asarray(agents.heading[begun, track], np.float64)
        turn = np.array([[x, y], [-y, x]])  # rows: ahead, to the left
        for step in range(5):
            moved = np.asarray(agents.position[begun + step + 1, track] - agents.position[begun, track], np.float64)
            np.testing.assert_allclose(motions[begun, step, :2], turn @ moved, atol=1e-4)
            facing = np.asarray(agents.heading[begun + step + 1, track], np.float64)
            np.testing.assert_allclose(motions[begun, step, 2:], turn @ facing, atol=1e-5)
    assert motions[:, -1, 0].min() > 5.0  # ahead, whatever way the road runs
    assert motions_of(scenario, 0, 100).shape == (0, 100, 4)


def test_a_motion_with_a_gap_is_none():
    scenario = scenes.scenario(scenes.straight_road(agents=(scenes.along_x(scenes.WIDTH / 2, 20.0),), steps=26))
    valid = np.asarray(scenario.log.agents.valid).copy()
    valid[10, int(scenario.egos.track[0])] = False
    gap = replace(scenario, log=replace(scenario.log, agents=replace(scenario.log.agents, valid=valid)))
    whole, without = motions_of(scenario, 0, 5), motions_of(gap, 0, 5)
    np.testing.assert_array_equal(without, np.delete(whole, range(5, 11), axis=0))


def test_the_motions_of_a_dataset_are_those_of_its_egos(folder):
    found = recorded_motions(folder, "train", 5)
    assert list(found) == [AgentKind.CAR]
    np.testing.assert_allclose(
        found[AgentKind.CAR][:, :, 0], np.tile(2.0 * np.arange(1, 6), (len(found[1]), 1)), atol=0.05
    )
    with pytest.raises(InputError, match="split"):
        recorded_motions(folder, "validation", 5)


def test_points_are_as_far_apart_as_their_motions():
    motions = fan(40)
    points = as_points(motions)
    for one, other in ((0, 1), (3, 30), (7, 7)):
        assert np.linalg.norm(points[one] - points[other]) == pytest.approx(rms(motions[one], motions[other]), abs=1e-6)
    away = nearest_motions(points, points[:10], at_once=64)
    expected = [min(rms(motion, entry) for entry in motions[:10]) for motion in motions]
    np.testing.assert_allclose(away, expected, atol=1e-5)


def test_disks_lie_apart_and_cover_everything():
    points = as_points(fan(300))
    kept = disks(points, 0.5, 300)
    apart = np.linalg.norm(points[kept][:, None] - points[kept], axis=-1) + 10.0 * np.eye(len(kept))
    assert kept[0] == 0 and 5 < len(kept) < 200 and apart.min() > 0.5
    assert np.linalg.norm(points[:, None] - points[kept], axis=-1).min(axis=1).max() <= 0.5
    greedy = []  # row by row, by the definition
    for row in range(300):
        if all(np.linalg.norm(points[row] - points[other]) > 0.5 for other in greedy):
            greedy.append(row)
    assert kept.tolist() == greedy


def test_a_vocabulary_has_as_many_entries_as_were_asked_for():
    points = as_points(fan(2000))
    errors = []
    for count in (20, 40, 80, 160):
        kept, radius = k_disks(points, count)
        assert len(set(kept.tolist())) == count
        away = nearest_motions(points, points[kept])
        assert away.max() < 1.5 * radius and (away > radius).mean() < 0.02
        errors.append(away.mean())
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.5 * errors[0]
    with pytest.raises(InputError, match="30 of 10 motions that differ"):
        k_disks(np.repeat(points[:10], 5, axis=0), 30)
    assert sizes(1024) == [64, 128, 256, 512, 1024] and sizes(4) == [2, 4]


def two_kinds(monkeypatch, few):
    """A dataset of cars, and of so many motions of lorries."""
    motions = {AgentKind.CAR: fan(500), AgentKind.TRUCK: fan(few, seed=1)}
    monkeypatch.setattr("drivetrain.data.store.vocabulary.recorded_motions", lambda *_: motions)


def test_kinds_with_enough_motions_have_a_table_of_their_own(folder, monkeypatch):
    two_kinds(monkeypatch, 200)
    many = build_vocabulary([folder], Plan(entries=64))
    assert many.motions.shape == (3, 64, 5, 4)
    assert many.table[AgentKind.CAR] == 1 and many.table[AgentKind.TRUCK] == 2 and many.table[AgentKind.BUS] == 0
    assert {row.table for row in many.coverage} == {"all", "car", "truck"}
    two_kinds(monkeypatch, 30)
    assert build_vocabulary([folder], Plan(entries=64)).table[AgentKind.TRUCK] == 0
    other = build_vocabulary([folder], Plan(entries=64, seed=1, most=100))
    assert not np.array_equal(other.motions[0], many.motions[0])
    assert max(row.motions for row in other.coverage if row.split == "train") == 100


def test_the_file_is_the_same_again_and_reads_back(folder, monkeypatch, tmp_path):
    two_kinds(monkeypatch, 200)
    for name in ("one", "two"):
        write_vocabulary(tmp_path / name, build_vocabulary([folder], Plan(entries=32)))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    vocabulary = read_vocabulary(tmp_path / "one")
    made = build_vocabulary([folder], Plan(entries=32))
    for field in dataclasses.fields(made):
        np.testing.assert_equal(getattr(vocabulary, field.name), getattr(made, field.name))
    assert vocabulary.dt == read_manifest(folder).dt and len(vocabulary.sources[0]) == 64


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(entries=1), "entries: 1 "),
        (Plan(entries=1 << 18), "entries: 262144 "),
        (Plan(entries=64, seconds=0.01), "seconds: 0.01"),
        (Plan(entries=64, seconds=9.0), "nobody drives for 45 steps"),
        (Plan(entries=64, most=10), "most: 10"),
        (Plan(entries=64, split="training"), "split"),
        (Plan(entries=64), "motions that differ"),  # all go straight on
    ],
)
def test_a_plan_that_cannot_be_is_refused(folder, plan, words):
    with pytest.raises(InputError, match=words):
        build_vocabulary([folder], plan)
    with pytest.raises(InputError, match="dt: none"):
        build_vocabulary([], plan)


def test_a_file_that_is_none_is_refused(folder, monkeypatch, tmp_path):
    two_kinds(monkeypatch, 200)
    file = tmp_path / "vocabulary.safetensors"
    write_vocabulary(file, build_vocabulary([folder], Plan(entries=32)))
    with safe_open(str(file), framework="numpy") as opened:
        metadata, arrays = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118

    def refused(words, arrays=arrays, **changes):
        about = json.loads(metadata["about"]) | changes
        save_file(arrays, tmp_path / "other", {"about": json.dumps(about)})
        with pytest.raises(InputError, match=words) as error:
            read_vocabulary(tmp_path / "other")
        assert "\n" not in str(error.value) and "run `data vocabulary` again" in str(error.value)

    refused("version 0", version="0")
    refused("dt: -1", dt=-1.0)
    refused("unexpected keyword", colour="red")
    refused("changed since", arrays | {"motions": arrays["motions"] + 1.0})
    refused("changed since", arrays | {"table": arrays["table"] + 9})
    data = file.read_bytes()
    for bad in (b"", b"nothing", data[:-9], data[: len(data) // 2]):
        (tmp_path / "other").write_bytes(bad)
        with pytest.raises(InputError, match="vocabulary"):
            read_vocabulary(tmp_path / "other")
    save_file(arrays, tmp_path / "other")
    with pytest.raises(InputError, match="about"):
        read_vocabulary(tmp_path / "other")
    with pytest.raises(InputError, match="nowhere"):
        read_vocabulary(tmp_path / "nowhere")
    with pytest.raises(InputError, match="--out"):
        write_vocabulary(tmp_path / "no" / "folder", read_vocabulary(file))
