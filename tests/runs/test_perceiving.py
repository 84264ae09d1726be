"""Runs of the camera's network: gone on with they are as if uninterrupted; other plans, other pictures are refused."""

import contextlib
import json

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

TINY = Training(Small((8, 8, 16, 16), (1, 1, 1), 16), steps=6, batch=2, warm=2, warping=Warping(64, 64, longest=64))


@contextlib.contextmanager
def quiet(*_, **__):
    yield lambda done, note: None


@pytest.fixture
def folder(tmp_path):
    """Pictures in the form of the project's own boxes."""
    (tmp_path / "set" / "images").mkdir(parents=True)
    rows = []
    for number in range(5):
        pixels = np.full((48, 64, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "images" / f"{number}.png")
        boxes = [[10, 10, 40, 40, "vehicle"]]
        rows.append({"image": f"{number}.png", "width": 64, "height": 48, "boxes": boxes})
    (tmp_path / "set" / "boxes.json").write_text(json.dumps(rows))
    return tmp_path / "set"


def _weights(run):
    return jax.tree.leaves(perceiving.restored(run))


def test_an_interrupted_run_is_as_one_that_was_not(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(perceiving, "KEPT", 2)
    plan = Perceiving((Chosen(str(folder)),), TINY)
    perceiving.train(tmp_path / "whole", plan, quiet)

    class Killed(Exception):
        pass

    @contextlib.contextmanager
    def dying(*_, **__):
        yield lambda done, note: None

    calls = []
    real = perceiving.advance

    def advance(*given):
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return real(*given)

    monkeypatch.setattr(perceiving, "advance", advance)
    with pytest.raises(Killed):
        perceiving.train(tmp_path / "cut", plan, dying)
    monkeypatch.setattr(perceiving, "advance", real)
    perceiving.train(tmp_path / "cut", plan, quiet)
    assert all(map(np.array_equal, _weights(tmp_path / "whole"), _weights(tmp_path / "cut")))


def test_another_plan_and_other_pictures_are_refused(folder, tmp_path):
    plan = Perceiving((Chosen(str(folder)),), replace(TINY, steps=2))
    perceiving.train(tmp_path / "run", plan, quiet)
    with pytest.raises(InputError, match="another run than asked for"):
        perceiving.train(tmp_path / "run", replace(plan, training=TINY), quiet)
    rows = json.loads((folder / "boxes.json").read_text())
    (folder / "boxes.json").write_text(json.dumps(rows[:3]))
    with pytest.raises(InputError, match="they have changed"):
        perceiving.train(tmp_path / "run", plan, quiet)
    with pytest.raises(InputError, match="not empty"):
        perceiving.train(folder, plan, quiet)


def test_few_pictures_and_a_network_to_begin_with(folder, tmp_path):
    assert [one.file.name for one in Chosen(str(folder), every=2).read()] == ["0.png", "2.png", "4.png"]
    first = Perceiving((Chosen(str(folder)),), replace(TINY, steps=2))
    perceiving.train(tmp_path / "first", first, quiet)
    after = replace(first, after=str(tmp_path / "first"), training=replace(TINY, steps=1, rate=0.0))
    perceiving.train(tmp_path / "after", after, quiet)
    for one, other in zip(_weights(tmp_path / "first"), _weights(tmp_path / "after"), strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_a_page_is_written(folder, tmp_path):
    plan = Perceiving((Chosen(str(folder)),), replace(TINY, steps=2))
    perceiving.train(tmp_path / "run", plan, quiet)
    pictures = Chosen(str(folder)).read()
    judged = perceiving.test(tmp_path / "run", [("set", pictures)], 64, Decoding(), Judging(), quiet)
    assert judged[0].scores.pictures == 5 and len(judged[0].found) == 5
    page = (tmp_path / "run" / "report.html").read_text()
    assert "one picture" not in page and "trained on" in page and "set (share 1)" in page
    with pytest.raises(InputError, match=r"config\.json"):
        perceiving.restored(folder)
