"""Runs of the camera's network: gone on with they are as if uninterrupted; other plans, other pictures are refused."""

import contextlib
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from drivetrain.perception.decoding import Decoding
from drivetrain.perception.matching import Judging
from drivetrain.perception.network import Small
from drivetrain.perception.training import Training
from drivetrain.perception.warping import Warping
from drivetrain.runs import perceiving
from drivetrain.runs.perceiving import Chosen, Perceiving
from drivetrain.types import InputError, replace

TINY = Training(Small((8, 8, 16, 16), (1, 1, 1), 16), steps=5, batch=2, warm=2, warping=Warping(64, 64, longest=64))


@contextlib.contextmanager
def quiet(*_, **__):
    yield lambda done, note: None


def write_set(folder, count: int) -> None:
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        Image.fromarray(np.full((48, 64, 3), 40 * number, np.uint8)).save(folder / "images" / f"{number}.png")
        rows.append({"image": f"{number}.png", "width": 64, "height": 48, "boxes": [[10, 10, 40, 40, "vehicle"]]})
    (folder / "boxes.json").write_text(json.dumps(rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures in the form of the project's own boxes."""
    folder = tmp_path_factory.mktemp("set")
    write_set(folder, 5)
    return folder


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    perceiving.train(run, plan_of(folder), quiet)
    return run


def plan_of(folder) -> Perceiving:
    return Perceiving((Chosen(str(folder)),), TINY)


def weights(run):
    return jax.tree.leaves(perceiving.restored(run))


def test_an_interrupted_run_is_as_one_that_was_not(folder, whole, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    calls, real = [], perceiving.advance

    def advance(*given):
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return real(*given)

    monkeypatch.setattr(perceiving, "KEPT", 2)
    monkeypatch.setattr(perceiving, "advance", advance)
    with pytest.raises(Killed):
        perceiving.train(tmp_path / "cut", plan_of(folder), quiet)
    assert (tmp_path / "cut" / "checkpoints" / "000000002.sha256").exists()
    monkeypatch.setattr(perceiving, "advance", real)
    perceiving.train(tmp_path / "cut", plan_of(folder), quiet)
    assert all(map(np.array_equal, weights(whole), weights(tmp_path / "cut")))


def test_another_plan_and_other_pictures_are_refused(folder, whole, tmp_path):
    with pytest.raises(InputError, match="another run than asked for"):
        perceiving.train(whole, replace(plan_of(folder), training=replace(TINY, seed=1)), quiet)
    with pytest.raises(InputError, match="not empty"):
        perceiving.train(folder, plan_of(folder), quiet)
    shutil.copytree(whole, tmp_path / "other")
    write_set(tmp_path / "fewer", 3)
    config = (tmp_path / "other" / "config.json").read_text()
    (tmp_path / "other" / "config.json").write_text(config.replace(str(folder), str(tmp_path / "fewer")))
    with pytest.raises(InputError, match="they have changed"):
        perceiving.train(tmp_path / "other", plan_of(tmp_path / "fewer"), quiet)


def test_few_pictures_and_a_network_to_begin_with(folder, whole):
    assert [one.file.name for one in Chosen(str(folder), every=2).read()] == ["0.png", "2.png", "4.png"]
    state, lines = perceiving._stand(whole.parent / "new", replace(plan_of(folder), after=str(whole)), "")
    assert lines == 0 and int(state.step) == 0
    for one, other in zip(weights(whole), jax.tree.leaves(state.network), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(InputError, match="another architecture"):
        large = replace(plan_of(folder), after=str(whole), training=replace(TINY, architecture=Small()))
        perceiving._stand(whole.parent / "new", large, "")


def test_a_page_is_written(folder, whole):
    pictures = Chosen(str(folder)).read()
    judged = perceiving.test(whole, [("set", pictures)], 64, Decoding(), Judging(), quiet)
    assert judged[0].scores.pictures == 5 and len(judged[0].found) == 5
    page = (whole / "report.html").read_text()
    assert "trained on" in page and "(share 1)" in page
    with pytest.raises(InputError, match=r"config\.json"):
        perceiving.restored(folder)
