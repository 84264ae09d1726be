"""The study of things of any class, on coloured squares: all of its parts, and that it goes on where it stood."""

import json

import numpy as np
import pytest
from fixtures_runs import silent
from PIL import Image

from drivetrain.perception.box_space import BoxSpace
from drivetrain.perception.crops import Cutting
from drivetrain.perception.generic import Teaching
from drivetrain.perception.network import Small
from drivetrain.studies.things import comparing
from drivetrain.studies.things.comparing import Things, mean_and_interval, things, unboxed
from drivetrain.types import InputError, replace

COLOURS = {"brick": (230, 40, 40), "leaf": (40, 200, 40), "pool": (40, 40, 230), "sun": (240, 220, 30)}
TEACHING = Teaching(Small((8, 8, 8, 8), (1, 1, 1), 8), BoxSpace(8, 3, 0.2, 0.8), steps=20, batch=16)


def draw(folder, count, seed):
    """A set of pictures, each of one square of every colour."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    labels = []
    for number in range(count):
        pixels = random.integers(100, 130, (80, 120, 3)).astype(np.uint8)
        boxes = []
        for place, (kind, colour) in enumerate(COLOURS.items()):
            side = int(random.integers(14, 24))
            x, y = 30 * place + int(random.integers(0, 6)), int(random.integers(0, 80 - side))
            pixels[y : y + side, x : x + side] = colour
            boxes.append([x, y, x + side, y + side, kind])
        Image.fromarray(pixels).save(folder / "images" / f"{number:03d}.png")
        labels.append({"image": f"{number:03d}.png", "width": 120, "height": 80, "boxes": boxes})
    (folder / "boxes.json").write_text(json.dumps(labels))
    return str(folder)


@pytest.fixture
def plan(tmp_path):
    sets = (draw(tmp_path / "train", 40, 0),), (draw(tmp_path / "test", 8, 1),)
    return Things(*sets, seeds=2, teaching=TEACHING, cutting=Cutting(size=32, small=0.2, alone=9.0))


def test_all_is_measured_and_a_study_goes_on_where_it_stood(plan, tmp_path, monkeypatch):
    out = tmp_path / "out"
    page = things(plan, out, silent)
    results = json.loads((out / "results.json").read_text())
    assert results["kinds"] == sorted(COLOURS) and results["cuts"] == [160, 32]
    seeds = results["seeds"]
    assert sorted(kind for one in seeds for kind in one["unboxed"]) == sorted(COLOURS)
    for one in seeds:
        assert set(one["recall"]) == {"blind", "scratch", "recognised", "all boxes"}
        for recalls in one["recall"].values():
            rates = [recalls[count]["unboxed"]["value"] for count in ("1", "10", "100")]
            assert rates == sorted(rates) and recalls["10"]["unboxed"]["n"] + recalls["10"]["boxed"]["n"] >= 32
        assert set(one["recognition"]) == {"alone", "twice as long", "after boxes"}
    words = page.read_text()
    assert all(kind in words for kind in COLOURS) and "Do boxes help" in words

    (out / "seed-1.json").unlink()
    monkeypatch.setattr(comparing, "_measured", lambda plan, train, test, seed: seeds[seed] | {"measured": "now"})
    things(plan, out, silent)
    again = json.loads((out / "results.json").read_text())["seeds"]
    assert "measured" not in again[0] and again[1]["measured"] == "now"
    with pytest.raises(InputError, match=r"plan\.json: another study"):
        things(replace_seeds(plan), out, silent)


def replace_seeds(plan):
    return Things(plan.train, plan.test, 1, replace(plan.teaching, steps=10), plan.cutting)


def test_too_few_kinds_are_refused(plan, tmp_path):
    few = Things(plan.train, plan.test, 3, plan.teaching, plan.cutting)
    with pytest.raises(InputError, match=r"4 kinds with 40 cuts each \(draw more pictures\)"):
        things(few, tmp_path / "few", silent)


def test_every_kind_is_without_boxes_for_one_seed():
    for kinds, seeds in ((29, 3), (10, 2), (7, 3)):
        assert np.array_equal(sum(unboxed(kinds, seeds, seed).astype(int) for seed in range(seeds)), np.ones(kinds))


def test_intervals_over_seeds_are_students():
    told = mean_and_interval([0.5, 0.6, 0.7])
    assert told["value"] == pytest.approx(0.6) and told["n"] == 3
    assert told["high"] - told["value"] == pytest.approx(4.303 * 0.1 / 3**0.5)
    assert mean_and_interval([0.5]) == {"value": 0.5, "low": None, "high": None, "n": 1}
