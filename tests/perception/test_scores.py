"""Scores against a slow reading of their definitions that shares nothing with them, and against cases made by hand."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point

from drivetrain.camera.pinhole import of_field
from drivetrain.evaluate.intervals import ratio
from drivetrain.perception.found import Detection, Found, FoundLine
from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.perception.matching import Judging, iou, match_lines, match_things, off_path
from drivetrain.perception.scores import bootstrapped, score

ANY = Judging(kinds=None, least_height=0.0, least_visible=0.0)


def labelled(things=(), lines=None, width=1280, height=720, camera=None, **other):
    return Labelled(Path("a.png"), width, height, tuple(things), lines, camera=camera, **other)


def car(x0, y0, x1, y1, depth=math.nan, **other):
    return Boxed((float(x0), float(y0), float(x1), float(y1)), other.pop("kind", "car"), depth, **other)


def seen(x0, y0, x1, y1, sure=0.9, depth=math.nan, kind=""):
    return Detection((float(x0), float(y0), float(x1), float(y1)), sure, depth, kind)


# ------------------------------------------------------------------------------------------------------ things by hand


def test_overlap_of_two_squares():
    one, other = (
        np.array([[0.0, 0.0, 2.0, 2.0]]),
        np.array([[1.0, 1.0, 3.0, 3.0], [5.0, 5.0, 6.0, 6.0], [0.0, 0.0, 2.0, 2.0]]),
    )
    np.testing.assert_allclose(iou(one, other), [[1 / 7, 0.0, 1.0]])


def test_a_thing_is_found_once():
    picture = labelled([car(0, 0, 100, 100)])
    match = match_things(picture, Found((seen(0, 0, 100, 90, 0.6), seen(0, 0, 100, 100, 0.8))), 0.5, ANY)
    assert match.score.tolist() == [0.8, 0.6] and match.right.tolist() == [True, False]


def test_what_does_not_count_counts_neither_way():
    low, hidden, dog = car(0, 0, 30, 15), car(200, 0, 300, 100, visible=0.1), car(400, 0, 500, 100, kind="dog")
    picture = labelled([low, hidden, dog, car(600, 0, 700, 100)], ignored=np.array([[800.0, 0.0, 1000.0, 200.0]]))
    found = [seen(*thing.box) for thing in picture.things]
    found += [
        seen(850, 10, 950, 110),
        seen(10, 300, 40, 310),
        seen(950, 10, 1040, 110, 0.4),
        seen(960, 0, 1060, 100, 0.3),
    ]
    match = match_things(picture, Found(tuple(found)), 0.5, Judging())
    assert match.right.tolist() == [True, False] and match.score.tolist() == [0.9, 0.3]
    assert len(match.things) == 1 and match.counts.tolist() == [False, False, False, True]
    assert match.which.tolist() == [3, 7] and match.is_thing.tolist() == [3, -1]


def test_heights_are_those_of_a_wide_picture():
    picture = labelled([car(0, 0, 30, 12)], width=640, height=360)
    assert len(match_things(picture, Found(), 0.5, Judging()).things) == 1
    assert len(match_things(dataclasses.replace(picture, width=1280), Found(), 0.5, Judging()).things) == 0


def test_precision_recall_and_average_precision_of_a_known_order():
    """Right, wrong, right, and one missed: precision 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3."""
    picture = labelled([car(0, 0, 50, 50, 10.0), car(100, 0, 150, 50, 30.0), car(200, 0, 250, 50, 50.0)])
    found = (seen(0, 0, 50, 50, 0.9, 11.0), seen(500, 0, 550, 50, 0.8, 25.0), seen(100, 0, 150, 50, 0.7, 24.0))
    scores = score([picture], [Found(found)], Judging())
    every = scores.things["0.5"]["all"]
    assert (every.things, every.detections) == (3, 3)
    assert every.precision.value == pytest.approx(2 / 3) and every.recall.value == pytest.approx(2 / 3)
    assert every.average_precision.value == pytest.approx(1 / 3 + 2 / 9)
    assert every.depth_median.value == pytest.approx(0.1) and every.depth_mean.value == pytest.approx(0.15)
    near, middle, far = (scores.things["0.5"][band] for band in ("0-20", "20-40", "40-80"))
    assert (near.things, middle.things, far.things) == (1, 1, 1)
    assert near.average_precision.value == 1.0 and middle.average_precision.value == pytest.approx(0.5)
    assert far.average_precision.value == 0.0 and far.depth_median.value is None
    assert [point[:2] for point in scores.curve] == [(1 / 3, 1.0), (1 / 3, 0.5), (2 / 3, 2 / 3)]
    assert scores.mistakes == [2]
    json.dumps(scores.as_json(), allow_nan=False)


def test_wrong_detections_without_depth_leave_bands_without_precision():
    picture = labelled([car(0, 0, 50, 50, 10.0)])
    scores = score([picture], [Found((seen(0, 0, 50, 50), seen(500, 0, 550, 50)))], Judging()).things["0.5"]
    assert scores["0-20"].precision.value is None and scores["0-20"].average_precision.value is None
    assert scores["0-20"].recall.value == 1.0 and scores["all"].precision.value == 0.5


def test_recall_by_kind_whatever_a_detection_is_called():
    dog, other = car(0, 0, 50, 50, kind="dog"), car(100, 0, 150, 50, kind="dog")
    picture = labelled([dog, other, car(200, 0, 250, 50)])
    found = Found((seen(0, 0, 50, 50, kind="cat"), seen(200, 0, 250, 50), seen(100, 0, 150, 50, 0.3)))
    kinds = score([picture, labelled([dog])], [found, Found()], ANY).kinds
    assert list(kinds) == ["dog", "car"] and (kinds["dog"].things, kinds["car"].things) == (3, 1)
    assert kinds["dog"].recall.value == pytest.approx(1 / 3) and kinds["car"].recall.value == 1.0
    assert kinds["dog"].recall.low == 0.0 and kinds["dog"].recall.high == 0.5
    assert list(score([picture], [found]).kinds) == ["car"]


def test_nothing_labelled_gives_no_figures():
    scores = score([Labelled(Path("a.png"), 64, 40)], [Found((seen(0, 0, 9, 9),))])
    assert scores.things == {} and scores.lines == {} and scores.mistakes == [0]
    scores = score([labelled([], ())], [Found()])
    assert scores.things["0.5"]["all"].recall.value is None and scores.lines["pixels"]["all"].f1.value is None


# ------------------------------------------------------------------------------------------------- things by definition


def plain_iou(a, b):
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high)


def plain_average_precision(pictures, found, least):
    """At each recall k/T the best precision of all thresholds that reach it, by trying every threshold."""
    hits, total = [], 0
    for picture, one in zip(pictures, found, strict=True):
        free = [thing.box for thing in picture.things]
        total += len(free)
        for detection in sorted(one.things, key=lambda d: d.score, reverse=True):
            best = max(free, key=lambda box: plain_iou(detection.box, box), default=None)
            right = best is not None and plain_iou(detection.box, best) >= least
            if right:
                free.remove(best)
            hits.append((detection.score, right))
    if not total:
        return None
    reached = []
    for threshold in {sure for sure, _ in hits}:
        over = [right for sure, right in hits if sure >= threshold]
        reached.append((sum(over), sum(over) / len(over)))
    return sum(max([p for count, p in reached if count >= k], default=0.0) for k in range(1, total + 1)) / total


SIDE = st.integers(0, 12)


@st.composite
def boxes(draw):
    x, y = draw(SIDE), draw(SIDE)
    return (float(x), float(y), float(x + draw(st.integers(1, 8))), float(y + draw(st.integers(1, 8))))


PICTURE = st.tuples(
    st.lists(boxes(), max_size=4), st.lists(st.tuples(boxes(), st.sampled_from([0.1, 0.4, 0.5, 0.7, 0.9])), max_size=6)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PICTURE, min_size=1, max_size=4))
def test_average_precision_is_what_its_definition_says(cases):
    pictures = [labelled([car(*box) for box in truths]) for truths, _ in cases]
    found = [Found(tuple(Detection(box, sure) for box, sure in detections)) for _, detections in cases]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drivetrain.perception.scores.DRAWS", 2)
        scores = score(pictures, found, ANY)
    for least in (0.5, 0.7):
        got = scores.things[f"{least}"]["all"].average_precision.value
        want = plain_average_precision(pictures, found, least)
        assert (got is None) == (want is None) and (want is None or got == pytest.approx(want))


# --------------------------------------------------------------------------------------------------------------- lines


def straight(column, far, role="", bottom=700.0, top=420.0, depths=True):
    """A line of the ground, from a column at the bottom to one at the top of what is seen of it."""
    rows = np.linspace(bottom, top, 15)
    columns = np.interp(rows, [top, bottom], [far, column])
    depth = 1.5 * 1108.5 / (rows - 359.5) if depths else np.full(15, np.nan)
    return Line(np.stack([columns, rows, depth], -1), np.ones(15, bool), role)


def shifted(line, by, role=None, depth=1.0):
    return dataclasses.replace(
        line, points=line.points * [1.0, 1.0, depth] + [by, 0.0, 0.0], role=line.role if role is None else role
    )


LEFT, RIGHT = straight(200.0, 600.0, "ego_left"), straight(1100.0, 680.0, "ego_right")
BEYOND = straight(1279.0, 760.0, "right2")


def tally(match):
    """How many are right, wrong and missed."""
    return len(match.right), len(match.wrong), len(match.missed)


def found_lines(*lines, sure=0.9):
    return Found(lines=tuple(FoundLine(line, sure) for line in lines))


def test_lines_within_twenty_pixels_are_found_and_others_are_not():
    picture = labelled(lines=(LEFT, RIGHT, BEYOND))
    near, off = shifted(LEFT, 15.0), shifted(RIGHT, 40.0)
    match = match_lines(picture, found_lines(near, off, near), Judging(), "pixels", False)
    assert (match.right, match.wrong, match.missed) == ((0,), (1, 2), (1, 2))
    path = LineString(near.points[:, :2])
    rows = np.linspace(700.0, 420.0, 29)
    truth = np.stack([np.interp(rows, LEFT.points[::-1, 1], LEFT.points[::-1, 0]), rows], -1)
    np.testing.assert_allclose(match.offsets, [path.distance(Point(at)) for at in truth], atol=1e-9)


def test_pixels_are_those_of_a_wide_picture():
    small = dataclasses.replace(LEFT, points=LEFT.points * [0.5, 0.5, 1.0])
    picture = labelled(lines=(small,), width=640, height=360)
    for by, right in ((9.0, 1), (20.0, 0)):
        assert tally(match_lines(picture, found_lines(shifted(small, by)), Judging(), "pixels", False))[0] == right


def test_a_line_that_ends_early_is_not_found():
    rows = slice(0, 9)
    half = dataclasses.replace(LEFT, points=LEFT.points[rows], visible=LEFT.visible[rows])
    assert tally(match_lines(labelled(lines=(LEFT,)), found_lines(half), Judging(), "pixels", False))[0] == 0
    assert tally(match_lines(labelled(lines=(half,)), found_lines(LEFT), Judging(), "pixels", False))[0] == 1


def test_what_is_hidden_and_what_is_short_counts_neither_way():
    hidden = dataclasses.replace(LEFT, visible=np.zeros(15, bool))
    short = straight(900.0, 890.0, bottom=500.0, top=490.0)
    picture = labelled(lines=(hidden, short))
    match = match_lines(picture, found_lines(LEFT, short), Judging(), "pixels", False)
    assert tally(match) == (0, 0, 0)
    half = dataclasses.replace(LEFT, visible=np.arange(15) < 8)
    bent = dataclasses.replace(LEFT, points=LEFT.points + np.where(np.arange(15) < 8, 0.0, 300.0)[:, None] * [1, 0, 0])
    assert tally(match_lines(labelled(lines=(half,)), found_lines(bent), Judging(), "pixels", False))[0] == 1


def test_metres_are_those_of_the_ground():
    """A column at a depth is depth / fx metres; 0.25 m aside is right, 0.35 m is not, and so is one that is too far."""
    camera = of_field(1280, 720, 60.0)
    picture = labelled(lines=(LEFT,), camera=camera)
    for metres, depth, right in ((0.25, 1.0, 1), (0.35, 1.0, 0), (0.0, 1.5, 0), (0.0, math.nan, 0)):
        aside = metres * camera.fx / LEFT.points[:, 2:]
        line = dataclasses.replace(LEFT, points=LEFT.points * [1, 1, depth] + aside * [1.0, 0.0, 0.0])
        match = match_lines(picture, found_lines(line), Judging(), "metres", False)
        assert tally(match)[:2] == (right, 1 - right)
        if right:
            assert np.median(match.offsets) == pytest.approx(metres * math.cos(_turn(camera)), rel=1e-3)
    assert match_lines(labelled(lines=(LEFT,)), Found(), Judging(), "metres", False) is None
    untold = labelled(lines=(straight(200.0, 600.0, depths=False),), camera=camera)
    assert match_lines(untold, Found(), Judging(), "metres", False) is None


def _turn(camera):
    """How far LEFT runs off the optical axis on the ground."""
    right = (LEFT.points[:, 0] - camera.cx) / camera.fx * LEFT.points[:, 2]
    return math.atan2(right[-1] - right[0], LEFT.points[-1, 2] - LEFT.points[0, 2])


def test_where_only_the_own_lane_is_labelled_others_are_not_wrong():
    own = labelled(lines=(LEFT, RIGHT), only_named=True)
    inside, outside = straight(650.0, 640.0), straight(1279.0, 760.0)
    for line, wrong in ((inside, 1), (outside, 0), (shifted(outside, 0.0, role="ego_right"), 1), (LEFT, 0)):
        match = match_lines(own, found_lines(LEFT, RIGHT, line), Judging(), "pixels", False)
        assert tally(match)[:2] == (2, 1 if line is LEFT else wrong)
    every = dataclasses.replace(own, only_named=False)
    assert tally(match_lines(every, found_lines(LEFT, RIGHT, outside), Judging(), "pixels", False))[1] == 1


def test_the_own_lane_is_judged_by_role():
    picture = labelled(lines=(LEFT, RIGHT, BEYOND))
    swapped = found_lines(shifted(LEFT, 0.0, "ego_right"), shifted(RIGHT, 0.0, "ego_left"), BEYOND)
    match = match_lines(picture, swapped, Judging(), "pixels", True)
    assert tally(match) == (0, 2, 2)
    match = match_lines(picture, found_lines(LEFT, shifted(BEYOND, 0.0, "ego_right")), Judging(), "pixels", True)
    assert tally(match) == (1, 1, 1)
    unsure = match_lines(picture, found_lines(LEFT, RIGHT, sure=0.4), Judging(), "pixels", True)
    assert tally(unsure) == (0, 0, 2)


def test_scores_of_lines_are_summed_over_pictures():
    pictures = [labelled(lines=(LEFT, RIGHT)), labelled(lines=(LEFT, RIGHT)), Labelled(Path("a.png"), 1280, 720)]
    found = [found_lines(LEFT, RIGHT), found_lines(shifted(LEFT, 3.0), straight(640.0, 640.0)), Found()]
    scores = score(pictures, found)
    every = scores.lines["pixels"]["all"]
    assert (every.pictures, every.lines) == (2, 4) and "metres" not in scores.lines
    assert every.f1.value == pytest.approx(0.75) and every.precision.value == every.recall.value == 0.75
    assert every.f1.low == 0.5 and every.f1.high == 1.0
    assert scores.mistakes == [0, 2, 0]


POINTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=6, unique=True)


@settings(max_examples=100, deadline=None)
@given(POINTS, POINTS)
def test_points_are_as_far_from_a_line_as_shapely_says(points, path):
    far = off_path(np.array(points, float), np.array(path, float))
    np.testing.assert_allclose(far, [LineString(path).distance(Point(at)) for at in points], atol=1e-9)


# ------------------------------------------------------------------------------------------------------------ intervals


def test_intervals_are_those_of_a_ratio_of_sums():
    random = np.random.default_rng(5)
    below = random.integers(1, 9, 40).astype(float)
    above = random.binomial(below.astype(int), 0.7).astype(float)
    mine = bootstrapped(lambda weight: (weight @ above) / (weight @ below), 40, seed=1)
    other = ratio(above, below, np.arange(40))
    assert mine.value == other.value
    assert mine.low == pytest.approx(other.low, abs=0.01) and mine.high == pytest.approx(other.high, abs=0.01)


def test_an_interval_does_not_depend_on_how_many_draws_are_made_at_once():
    values = np.random.default_rng(0).normal(size=30)
    one = bootstrapped(lambda weight: weight @ values, 30, seed=3)
    other = bootstrapped(lambda weight: weight @ values, 30, seed=3, numbers=1 << 21)
    assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(other))


def test_depth_medians_count_pictures_as_often_as_they_are_drawn():
    pictures = [labelled([car(0, 0, 50, 50, 10.0)]) for _ in range(9)]
    found = [Found((seen(0, 0, 50, 50, 0.9, 10.0 + n),)) for n in range(9)]
    median = score(pictures, found).things["0.5"]["all"].depth_median
    assert median.value == pytest.approx(0.4) and 0.0 < median.low < 0.4 < median.high < 0.8
