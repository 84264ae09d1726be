"""The page of a detector as text: what stands in it, in which order, and that it asks for nothing."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from drivetrain.evaluate.perception_page import WIDE, Judged, embedded, figure, perception_page, training_charts
from drivetrain.perception.found import Detection, Found, FoundLine
from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.perception.matching import Judging
from drivetrain.perception.scores import score

HOSTILE = "<img src=x onerror='alert(1)'>"
LINE = Line(np.array([[100.0, 700.0, np.nan], [600.0, 420.0, np.nan]]), np.ones(2, bool), "ego_left")
OTHER = Line(LINE.points + [300.0, 0.0, 0.0], LINE.visible, "ego_right")


@pytest.fixture
def judged(tmp_path):
    """Three pictures: nothing wrong, one thing missed, and two wrong of which one is a line."""
    things = (Boxed((100.0, 300.0, 200.0, 400.0), "car", 15.0), Boxed((600.0, 300.0, 700.0, 400.0), "car", 30.0))
    labels, found = [], []
    hits = [Detection(thing.box, 0.9, thing.depth * 1.2) for thing in things]
    wrong = Detection((900.0, 300.0, 990.0, 400.0), 0.8, 25.0)
    for name, seen, line in (("right", hits, LINE), ("missed", hits[:1], LINE), ("wrong", [*hits, wrong], OTHER)):
        file = tmp_path / f"{name}&.png"
        Image.new("RGB", (1280, 720), (90, 90, 90)).save(file)
        labels.append(Labelled(file, 1280, 720, things, (LINE,), ignored=np.array([[0.0, 0.0, 50.0, 50.0]])))
        found.append(Found(tuple(seen), (FoundLine(line, 0.7),)))
    return Judged(HOSTILE, labels, found, score(labels, found))


def test_the_worst_pictures_come_first(judged):
    page = perception_page("A run", "Lead", [judged])
    assert re.findall(r"<figcaption><b>(\w+)&amp;\.png", page) == ["wrong", "missed", "right"]
    assert perception_page("A run", "Lead", [judged], most=1).count("<figure") == 1
    assert "things: 1 found, 1 missed, 0 wrong; lines: 1 found, 0 missed, 0 wrong" in page
    assert "things: 2 found, 0 missed, 1 wrong; lines: 0 found, 1 missed, 1 wrong" in page


def test_what_is_drawn_says_what_it_is(judged):
    drawn = ElementTree.fromstring(
        re.search(r"<svg.*</svg>", figure(judged.labels[2], judged.found[2], Judging())).group()
    )
    assert drawn.get("role") == "img" and "2 found, 0 missed, 1 wrong" in drawn.get("aria-label")
    boxes = [
        (group.get("class"), len(group.findall("rect"))) for group in drawn.iter("g") if group.find("rect") is not None
    ]
    assert sorted(boxes) == [("found", 2), ("found", 2), ("spare", 2), ("truth", 2), ("truth", 2), ("wrong", 2)]
    lines = [group.get("class") for group in drawn.iter("g") if group.find("path") is not None]
    assert lines == ["missed", "wrong"]
    assert [text.text for text in drawn.iter("text")] == ["15 m", "30 m", "0.90 18 m", "0.90 36 m", "0.80 25 m"]
    first = next(group for group in drawn.iter("g") if group.get("class") == "truth").find("rect")
    assert (float(first.get("x")), float(first.get("y")), float(first.get("width"))) == (100.5, 300.5, 100.0)


def test_pictures_are_small_and_in_the_page(judged):
    kind, _, data = embedded(judged.labels[0]).partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        assert small.size == (WIDE, WIDE * 720 // 1280)


def test_the_figures_are_those_of_the_scores(judged):
    page = perception_page("A run", "Lead", [judged])
    assert "<th scope='row'>overlap 0.5, all</th><td>6</td><td>6</td><td>83.3 % (66.7 to 100.0)</td>" in page
    assert "overlap 0.5, 20–40 m" in page and "40–80 m" not in page
    assert "own lane, within 20 px" in page and "within 0.3 m" not in page
    assert "Precision over recall" in page and "20.0 %" in page


def test_nothing_runs_and_nothing_is_fetched(judged):
    page = perception_page(HOSTILE, HOSTILE, [judged], [{"step": 1, HOSTILE: 2.0}], [(HOSTILE, HOSTILE)])
    assert "<img" not in page and page.count("<script") == page.count("</script>") == 2
    assert set(re.findall(r"(?:href|src)=['\"](.{5})", page)) == {"data:"}


def test_curves_of_training():
    rows = [
        {"step": n, "loss_boxes": 1.0 / (n + 1), "loss_lines": 2.0, "f1": float("nan") if n else 0.5} for n in range(3)
    ]
    losses, other = training_charts([*rows, {"note": "no step"}, {"step": 9, "seconds": 4.0}])
    assert [series.name for series in losses.series] == ["loss boxes", "loss lines"] and list(losses.series[0].x) == [
        0,
        1,
        2,
    ]
    assert other.title == "f1"


def test_without_pictures_or_labels(tmp_path):
    page = perception_page("A run", "Lead", [Judged("none", [], [], score([], []))])
    assert "<h2>none</h2>" in page and "<figure" not in page and "How it learnt" not in page
