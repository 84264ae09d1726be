import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivetrain.view.plotting import Level, Series, line_chart, short, ticks


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
    chart = line_chart("t", [Series("a", [0, 10], [0.0, 1.0])], "steps")
    (first, last) = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)
    assert (float(first[0]), float(first[1])) == (56, 228)  # left and bottom of the frame
    assert (float(last[0]), float(last[1])) == (546, 12)


def test_what_is_not_finite_is_left_out():
    chart = line_chart("t", [Series("a", [0, 1, 2], [1.0, float("nan"), float("inf")])], "steps")
    assert chart.count("<circle") == 1 and "nan" not in chart and "inf" not in chart
    assert line_chart("t", [Series("a", [0], [float("nan")])], "steps") == ""
    assert line_chart("t", [], "steps", levels=[Level("BC", 1.0, 1)]) == ""


def test_text_is_escaped():
    series = [Series('"><i>', [0, 1], [0, 1]), Series("b", [0], [1])]
    chart = line_chart("<b>", series, "<u>", levels=[Level("<s>", 1, 0)])
    assert not re.search(r"<[bius]>", chart)


@pytest.mark.parametrize(
    ("value", "text"), [(1.5e6, "1.5M"), (20000, "20k"), (0.05, "0.05"), (2e9, "2B"), (-3000, "-3k")]
)
def test_short_numbers(value, text):
    assert short(value) == text
