"""The commands of the camera's network, from words to figures and a page."""

import json

import numpy as np
import pytest
from PIL import Image

from drivetrain.cli import main

SMALL = ["--training.steps", "2", "--training.batch", "2", "--training.warping.width", "64"]
SMALL += ["--training.warping.height", "64", "training.architecture:small", "--training.architecture.widths", "8", "8"]
SMALL += ["8", "8", "--training.architecture.blocks", "1", "1", "1", "--training.architecture.head", "8"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set" / "images").mkdir(parents=True)
    rows = []
    for number in range(5):
        Image.fromarray(np.full((48, 64, 3), 40 * number, np.uint8)).save(tmp_path / f"set/images/{number}.png")
        rows.append({"image": f"{number}.png", "width": 64, "height": 48, "boxes": [[10, 10, 40, 40, "vehicle"]]})
    (tmp_path / "set" / "boxes.json").write_text(json.dumps(rows))
    return tmp_path / "set"


def test_train_and_test(folder, tmp_path, capsys):
    run = str(tmp_path / "run")
    words = ["perception", "train", "--few", str(folder), "--every", "2", "--out", run, *SMALL]
    assert main(words) == 0
    assert main(words) == 0  # it is done
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["sets"][0]["every"] == 2 and config["training"]["architecture"]["head"] == 8
    figures = tmp_path / "figures.json"
    words = ["perception", "test", run, str(folder), "--few", str(folder), "--every", "2", "--longest", "64"]
    assert main([*words, "--json", str(figures)]) == 0
    told = capsys.readouterr().out
    assert "set: 5 pictures" in told and "average precision" in told and "report.html" in told
    told = json.loads(figures.read_text())
    assert told["set"]["pictures"] == 5 and told["set, not learnt from"]["pictures"] == 2
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "--out", "run"], "no pictures"),
        (["train", "nowhere", "--out", "run"], "nowhere"),
        (["train", "nowhere", "--out", "run", "--every", "0"], "at least 1"),
        (["test", "nowhere", "nowhere"], "nowhere"),
    ],
)
def test_bad_words_are_one_line(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["perception", *words]) == 1
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1
