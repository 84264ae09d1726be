import json
import shutil

import numpy as np
import pytest
import scenes
from PIL import Image

from drivetrain.camera import sets
from drivetrain.camera.beside import Laying
from drivetrain.camera.kinds import Kind
from drivetrain.camera.peopling import people
from drivetrain.camera.sets import Plan, read_set, render_set
from drivetrain.commands.data import run
from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import write_dataset
from drivetrain.types import AgentKind, InputError, replace

PLAN = Plan(pictures=4, shard=2, width=32, height=24, oversampling=1, users=4, dense=True, laying=Laying(0.0, 0.0))


@pytest.fixture(scope="module", autouse=True)
def tiles_that_compile_soon():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "TOGETHER", 2)
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """One recording, and a map without traffic."""
    folder = tmp_path_factory.mktemp("pictures") / "drawn"
    driven, empty = scenes.scenario(scenes.straight_road()), scenes.scenario(scenes.straight_road(agents=()))
    egos = (EgoEntry(100, 1, 0, 49, None), EgoEntry(101, 1, 0, 49, None))
    entries = [
        Entry(name, f"{name}.xml", name, "test", "drawn", "CC0", 50, {}, {}, {}, own)
        for name, own in (("one", egos), ("two", ()))
    ]
    write_dataset(folder, list(zip(entries, (driven, empty), strict=True)), 0.2)
    return folder


@pytest.fixture(scope="module")
def made(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "out"
    done = []
    assert render_set(dataset, out, PLAN, lambda now, note: done.append((now, note))) == 4
    assert done == [(1, "one"), (2, "one"), (3, "two"), (4, "two")]
    return out


def content(folder):
    return {file.relative_to(folder): file.read_bytes() for file in sorted(folder.rglob("*.jpg"))}


def test_a_set_holds_pictures_and_their_labels(made):
    pictures = list(read_set(made))
    assert [label["recording"] for _, label in pictures] == ["one", "one", "two", "two"]
    for file, label in pictures:
        with Image.open(file) as picture:
            assert picture.size == (32, 24) == (label["width"], label["height"])
        dense = np.load(file.with_suffix(".npz"))
        for box in label["boxes"]:
            lines, columns = np.nonzero(dense["agent"] == box["agent"])
            np.testing.assert_allclose(
                box["box"], [columns.min() - 0.5, lines.min() - 0.5, columns.max() + 0.5, lines.max() + 0.5]
            )
            assert box["depth"] == pytest.approx(float(dense["depth"][dense["agent"] == box["agent"]].min()), abs=0.01)
    assert any(label["lanes"] for _, label in pictures)


def test_what_was_interrupted_goes_on_and_ends_the_same(dataset, made, tmp_path):
    out = tmp_path / "out"

    class Killed(Exception):
        pass

    def kill(now, note):
        if now == 3:
            raise Killed

    with pytest.raises(Killed):
        render_set(dataset, out, PLAN, kill)
    assert (out / "00000/labels.json").is_file() and not (out / "00001/labels.json").exists()
    assert render_set(dataset, out, PLAN, lambda now, note: None) == 2
    assert content(out) == content(made)
    assert render_set(dataset, out, PLAN, lambda now, note: None) == 0


def test_another_set_is_not_written_over(dataset, made, tmp_path):
    with pytest.raises(InputError, match="set.json: plan: another"):
        render_set(dataset, made, replace(PLAN, seed=1), lambda now, note: None)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        render_set(dataset, tmp_path, PLAN, lambda now, note: None)


@pytest.mark.parametrize(
    "wrong",
    [{"pictures": 0}, {"width": 4}, {"degrees": 190.0}, {"format": "gif"}, {"users": 500}, {"split": "nowhere"}],
)
def test_a_plan_that_makes_no_pictures_is_refused(dataset, tmp_path, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        render_set(dataset, tmp_path / "out", replace(PLAN, **wrong), lambda now, note: None)
    assert not (tmp_path / "out").exists()


def test_labels_that_are_none_are_named(made, tmp_path):
    with pytest.raises(InputError, match="no set of pictures"):
        list(read_set(tmp_path))
    (tmp_path / "set.json").write_text("{}")
    (tmp_path / "00000").mkdir()
    for text in ("{", "[]", json.dumps({"pictures": [{}]})):
        (tmp_path / "00000/labels.json").write_text(text)
        with pytest.raises(InputError, match="labels.json: not labels"):
            list(read_set(tmp_path))


def test_without_pillow_one_line_says_so(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(sets.importlib, "import_module", missing)
    with pytest.raises(InputError, match="pillow: not installed"):
        sets.pillow()


def test_the_command_goes_on_with_a_set(dataset, made, capsys):
    words = f"render {dataset} --out {made} --pictures 4 --shard 2 --width 32 --height 24 --oversampling 1 --users 4"
    run([*words.split(), "--dense", "--laying.buildings", "0.0", "--laying.trees", "0.0"])
    assert "4 pictures, 0 of them drawn now" in capsys.readouterr().out


def test_people_are_on_lanes_apart_and_seeded():
    map_ = scenes.scenario(scenes.straight_road(agents=())).map
    one, again = (people(map_, np.random.default_rng(3), 12) for _ in range(2))
    np.testing.assert_array_equal(one.agents.position, again.agents.position)
    there = np.asarray(one.agents.valid)
    assert there.sum() > 3 and one.bodies.kind[0] == AgentKind.CAR
    place = np.asarray(one.agents.position)[there]
    gap = np.linalg.norm(place[:, None] - place, axis=-1) + 99.0 * np.eye(len(place))
    assert gap.min() > 3.0
    assert (np.abs(place[:, 1] - 5.25) < 9.0).all()


def test_strewn_things_are_labelled_and_change_nothing_else(dataset, made, tmp_path):
    """Road users stay where they are, except that something may now hide them; the look is the same."""
    out = tmp_path / "strewn"
    assert render_set(dataset, out, replace(PLAN, strewn=12, least=0.0), lambda now, note: None) == 4
    kinds = set()
    for (_, one), (_, other) in zip(read_set(out), read_set(made), strict=True):
        assert {key: one[key] for key in ("recording", "step", "agent", "shift", "tilt")} == {
            key: other[key] for key in ("recording", "step", "agent", "shift", "tilt")
        }
        assert [lane["points"] for lane in one["lanes"]] == [lane["points"] for lane in other["lanes"]]
        kinds |= {box["kind"] for box in one["boxes"] if box["agent"] < 0}
    assert kinds and kinds <= {kind.name.lower() for kind in Kind}


def test_sets_from_before_things_could_be_strewn_go_on(dataset, made, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    about = json.loads((out / "set.json").read_text())
    assert about["plan"].pop("strewn") == 0
    (out / "set.json").write_text(json.dumps(about))
    assert render_set(dataset, out, PLAN, lambda now, note: None) == 0
    with pytest.raises(InputError, match="plan: another"):
        render_set(dataset, out, replace(PLAN, strewn=3), lambda now, note: None)
    with pytest.raises(InputError, match="strewn: 97"):
        render_set(dataset, tmp_path / "other", replace(PLAN, strewn=97), lambda now, note: None)
