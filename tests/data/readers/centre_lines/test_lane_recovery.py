"""Lanes from centre lines: closed forms on straights and arcs, and that a rigid motion changes nothing."""

import numpy as np
import pytest

from drivetrain.data.readers.centre_lines.lane_borders import Paint
from drivetrain.data.readers.centre_lines.lane_recovery import recover
from drivetrain.data.readers.centre_lines.lane_sampling import CentreLine, Links, Stretch
from drivetrain.types import ElementKind


def arc(radius, first=0.0, last=90.0):
    angle = np.radians(np.linspace(first, last, 120))
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def straight(y, first, last):
    x = np.linspace(first, last, 60)
    return np.stack([x, np.full_like(x, y)], axis=1)


def by_source(pieces, source):
    return [piece.lane for piece in pieces if piece.source == source]


def test_the_border_of_concentric_lanes_lies_half_way():
    pieces, notes = recover(
        [CentreLine(4, arc(30.0)), CentreLine(9, arc(33.6))], [Paint(arc(28.1), ElementKind.ROAD_EDGE)]
    )
    (inner,), (outer,) = by_source(pieces, 4), by_source(pieces, 9)
    assert inner.right_neighbour == outer.id and outer.left_neighbour == inner.id
    np.testing.assert_allclose(np.linalg.norm(inner.right, axis=1), 31.8, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(outer.left, axis=1), 31.8, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(inner.left, axis=1), 28.1, atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(outer.right, axis=1), 33.6 + 1.75, atol=0.02)
    assert (inner.left_border, outer.right_border) == (ElementKind.ROAD_EDGE, ElementKind.LINE_VIRTUAL)
    assert notes["lane_borders_painted"] == 1 and notes["lane_borders_by_default_width"] == 1


def test_a_cut_spreads_over_all_lanes_abreast():
    lines = [straight(0.0, 0, 100), straight(3.5, 0, 100), straight(7.0, 40, 100)]
    pieces, _ = recover([CentreLine(number, line) for number, line in enumerate(lines)], [])
    assert [len(by_source(pieces, number)) for number in range(3)] == [2, 2, 1]
    for number in (0, 1):
        before, after = by_source(pieces, number)
        assert after.id in before.successors and abs(before.left[-1, 0] - 40.0) < 1.5
        np.testing.assert_allclose(before.left[-1], after.left[0], atol=1e-9)
    row = [by_source(pieces, 0)[1], by_source(pieces, 1)[1], by_source(pieces, 2)[0]]
    assert [lane.left_neighbour for lane in row] == [row[1].id, row[2].id, None]
    assert [lane.right_neighbour for lane in row] == [None, row[0].id, row[1].id]


@pytest.mark.parametrize(
    ("gap", "turn", "follows"), [(0.2, 0.0, True), (0.8, 0.0, False), (0.0, 30.0, True), (0.0, 60.0, False)]
)
def test_a_lane_follows_where_it_begins_and_heads_on(gap, turn, follows):
    start, heading = np.array([50.0 + gap, 0.0]), np.radians(turn)
    onward = start + np.linspace(0, 40, 30)[:, None] * np.array([np.cos(heading), np.sin(heading)])
    pieces, _ = recover([CentreLine(1, straight(0.0, 0, 50)), CentreLine(2, onward)], [])
    (first,), (second,) = by_source(pieces, 1), by_source(pieces, 2)
    assert first.successors == ((second.id,) if follows else ())
    assert second.predecessors == ((first.id,) if follows else ())


def test_paint_too_near_or_too_far_is_no_border():
    paint = [Paint(straight(0.9, 0, 50), ElementKind.LINE_SOLID), Paint(straight(-2.8, 0, 50), ElementKind.LINE_SOLID)]
    ((piece,), _) = recover([CentreLine(1, straight(0.0, 0, 50))], paint)
    np.testing.assert_allclose(piece.lane.left[:, 1], 1.75)
    np.testing.assert_allclose(piece.lane.right[:, 1], -1.75)


def test_a_bicycle_lane_is_narrow_and_not_for_driving():
    ((piece,), _) = recover([CentreLine(1, straight(0.0, 0, 50), bicycle=True)], [])
    assert not piece.lane.drivable
    np.testing.assert_allclose(piece.lane.left[:, 1] - piece.lane.right[:, 1], 1.5)


def test_a_rigid_motion_of_the_scene_changes_nothing():
    angle = 1.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lines = [straight(0.0, 0, 101.3), straight(3.5, 20.4, 101.3), arc(30.0) + (100.0, -30.0), straight(-3.2, 0, 61.1)]
    here, _ = recover([CentreLine(number, line) for number, line in enumerate(lines)], [])
    there, _ = recover([CentreLine(number, line @ turn.T + (70.0, -9.0)) for number, line in enumerate(lines)], [])
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert one.lane.successors == other.lane.successors and one.lane.left_neighbour == other.lane.left_neighbour
        np.testing.assert_allclose(one.lane.left @ turn.T + (70.0, -9.0), other.lane.left, atol=1e-6)


def test_no_lanes_are_no_lanes():
    assert recover([], [Paint(straight(0.0, 0, 50), ElementKind.ROAD_EDGE)]) == ((), {})


def level(line, height):
    return np.full(len(line), float(height))


@pytest.mark.parametrize(("height", "apart"), [(0.0, False), (2.0, False), (6.0, True), (-6.0, True)])
def test_what_lies_on_another_level_neither_follows_nor_neighbours_nor_borders(height, apart):
    lines = [straight(0.0, 0, 50), straight(3.5, 0, 50), straight(0.0, 50, 90)]
    heights = [0.0, height, height]
    centres = [CentreLine(n, p, height=level(p, h)) for n, (p, h) in enumerate(zip(lines, heights, strict=True))]
    edge = straight(-2.0, 0, 90)
    pieces, _ = recover(centres, [Paint(edge, ElementKind.ROAD_EDGE, height=level(edge, height))])
    (own,), (onward,) = by_source(pieces, 0), by_source(pieces, 2)
    assert (own.left_neighbour is None) == apart and own.successors == (() if apart else (onward.id,))
    assert own.right_border == (ElementKind.LINE_VIRTUAL if apart else ElementKind.ROAD_EDGE)


def test_a_ramp_leads_from_one_level_to_the_other():
    up = straight(0.0, 50, 110)
    lines = [(straight(0.0, 0, 50), 0.0), (up, np.linspace(0.0, 6.0, len(up))), (straight(0.0, 110, 150), 6.0)]
    centres = [CentreLine(n, p, height=np.broadcast_to(h, len(p)).astype(float)) for n, (p, h) in enumerate(lines)]
    pieces, _ = recover(centres, [])
    assert [piece.lane.successors for piece in pieces] == [(1,), (2,), ()]


def test_what_the_source_gives_goes_before_geometry():
    links = [
        Links(successors=(2, 9), left=(Stretch(1, 20.0, 60.0),), right_lines=(Stretch(7, 0.0, 60.0),)),
        Links(right=(Stretch(0, 20.0, 60.0),)),
        Links(successors=(0,)),
    ]
    lines = [straight(0.0, 0, 60), straight(3.5, 0, 60), straight(0.0, 61.5, 99)]  # 1.5 m further on, and far back
    centres = [CentreLine(n, p, speed_limit=9.0, links=k) for n, (p, k) in enumerate(zip(lines, links, strict=True))]
    pieces, notes = recover(centres, [Paint(straight(-3.2, 0, 60), ElementKind.LINE_SOLID, id=7)])
    before, beside = by_source(pieces, 0)
    (onward,) = by_source(pieces, 2)
    assert before.left_neighbour is None and abs(before.left[-1, 0] - 20.0) < 2.0
    assert beside.left_neighbour == by_source(pieces, 1)[-1].id and beside.successors == (onward.id,)
    np.testing.assert_allclose(before.right[:, 1], -3.2, atol=1e-6)
    assert before.right_border == ElementKind.LINE_SOLID and before.speed_limit == 9.0
    given = [notes[f"lane_successors_{word}"] for word in ("given", "apart", "out_of_scene")]
    assert given == [1, 1, 1] and notes["lane_borders_given"] == 2 and notes["lane_neighbours_derived"] == 0


def test_successors_that_are_not_the_whole_truth_add_to_geometry():
    lines = [straight(0.0, 0, 50), straight(0.0, 50, 90), straight(0.0, 51, 90)]
    links = Links(successors=(2,), whole=False)
    pieces, _ = recover([CentreLine(n, p, links=links if n == 0 else None) for n, p in enumerate(lines)], [])
    assert pieces[0].lane.successors == (1, 2)
