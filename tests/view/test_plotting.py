import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivetrain.view.plotting import WIDTH, Chart, Level, Series, card, picture, short, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_cover_and_are_even(low, width):
    marks = ticks(low, low + width)
    gaps = [b - a for a, b in zip(marks, marks[1:], strict=False)]
    assert marks[0] <= low + 1e-6 * width and marks[-1] >= low + width - 1e-6 * width
    assert 2 <= len(marks) <= 9
    assert max(gaps) - min(gaps) <= 1e-6 * max(gaps) + 1e-9


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [(0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.0, 2.3, [0, 0.5, 1, 1.5, 2, 2.5]), (3.0, 3.0, [3, 4, 5, 6])],
)
def test_ticks_are_round(low, high, marks):
    assert ticks(low, high) == pytest.approx(marks)


def test_points_lie_where_they_belong():
    chart = card(Chart("t", [Series("a", [0, 10], [0.0, 1.0])], "steps"))
    (first, last) = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)
    assert (float(first[0]), float(first[1])) == (56, 228)  # left and bottom of the frame
    assert (float(last[0]), float(last[1])) == (546, 12)


def test_what_is_not_finite_is_left_out():
    chart = card(Chart("t", [Series("a", [0, 1, 2], [1.0, float("nan"), float("inf")])], "steps"))
    assert chart.count("<circle") == 1 and "nan" not in chart and "inf" not in chart
    assert card(Chart("t", [Series("a", [0], [float("nan")])], "steps")) == ""
    assert card(Chart("t", [], "steps", levels=[Level("BC", 1.0, 1)])) == ""


def test_text_is_escaped():
    series = [Series('"><i>', [0, 1], [0, 1]), Series("b", [0], [1])]
    chart = card(Chart("<b>", series, "<u>", levels=[Level("<s>", 1, 0)]))
    assert not re.search(r"<[bius]>", chart)


def test_a_picture_stands_alone():
    """Every chart with a curve once, in well-formed SVG without a variable or an address; keys within its frame."""
    long = [Series(f"a curve of a long name {i}", [0, 1], [0.0, i]) for i in range(5)]
    charts = [
        Chart("one <b>", [Series("a", [0, 10], [0, 1])], "steps"),
        Chart("none", [], "steps"),
        Chart("five", long, "s"),
    ]
    svg = picture(charts)
    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{name}text") if text.get("class") == "title"] == ["one <b>", "five"]
    assert len(list(root.iter(f"{name}polyline"))) == 6 and not list(root.iter(f"{name}circle"))
    assert "var(" not in svg and set(re.findall(r"https?://[^\"]+", svg)) == {"http://www.w3.org/2000/svg"}
    strokes = [line for line in root.iter(f"{name}line") if line.get("stroke-width")]
    assert len(strokes) == 5 and len({line.get("y1") for line in strokes}) > 1
    assert max(float(line.get("x2")) for line in strokes) < WIDTH
    assert all(float(root.get(side)) > 0 for side in ("width", "height"))
    assert ElementTree.fromstring(picture([])).tag == f"{name}svg"


@pytest.mark.parametrize(
    ("value", "text"), [(1.5e6, "1.5M"), (20000, "20k"), (0.05, "0.05"), (2e9, "2B"), (-3000, "-3k")]
)
def test_short_numbers(value, text):
    assert short(value) == text
