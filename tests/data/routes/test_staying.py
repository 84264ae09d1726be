import numpy as np
import pytest
import scenes

from drivetrain.data.compile.drafting import draft
from drivetrain.data.routes.staying import corners_of, kept_steps, on_lanes, on_route

WIDTH = scenes.WIDTH


def drafted_of(*agents):
    return draft(scenes.straight_road(lanes=1, length=200.0, agents=agents))


def boxes(y):
    """Four corners of a box 4.5 m long and 2 m wide, at x = 50 and some heights."""
    offset = np.array([[2.25, 1.0], [2.25, -1.0], [-2.25, -1.0], [-2.25, 1.0]])
    return np.stack([offset + (50.0, each) for each in y])


def test_corners_are_those_of_the_box():
    drafted = drafted_of(scenes.along_x(1.75, 20.0))
    np.testing.assert_allclose(
        corners_of(drafted.recording.tracks, 0, slice(0, 1))[0],
        [[22.25, 2.75], [22.25, 0.75], [17.75, 0.75], [17.75, 2.75]],
    )


def test_on_the_route_with_and_without_its_corridor():
    """The lane lies between y = 0 and 3.5, its borders are solid: the corridor goes 0.5 m beyond them."""
    drafted = drafted_of(scenes.along_x(1.75, 20.0))
    (path,) = drafted.paths
    y = [1.75, 1.0, 0.99, 0.51, 0.49, 2.5, 2.99, 3.01]
    bare = on_route(drafted.lanes, path, None, boxes(y))
    wide = on_route(drafted.lanes, path, drafted.corridors, boxes(y))
    assert bare.tolist() == [True, True, False, False, False, True, False, False]
    assert wide.tolist() == [True, True, True, True, False, True, True, False]
    assert on_lanes(drafted.lanes, boxes([1.75, -5.0, 0.5])).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("inside", "on_road", "kept"),
    [
        ("0011", "0011", slice(2, 4)),  # out of a driveway
        ("1100", "1110", slice(0, 2)),  # into one
        ("0110", "0110", slice(1, 3)),
        ("0011", "1111", slice(0, 4)),  # begins on a lane, but not on its route: that is no driveway
        ("1001", "1001", slice(0, 4)),  # what happens between is left as it was
        ("0000", "0000", slice(0, 4)),
    ],
)
def test_a_drive_is_kept_from_where_it_comes_on_to_the_road(inside, on_road, kept):
    marks = [np.array([mark == "1" for mark in marks]) for marks in (inside, on_road)]
    assert kept_steps(*marks) == kept


@pytest.mark.parametrize("start", [46.5, 38.0])  # the second is further from any lane than a route reaches
def test_who_pulls_out_of_a_driveway_begins_on_the_road(start):
    turn = [(start, start - 48.0), (48.0, 0.0), (50.0, 0.8), (56.0, 1.75), (190.0, 1.75)]
    drafted = drafted_of(scenes.Agent(turn, 8.0), scenes.along_x(1.75, 20.0))
    out, whole = drafted.candidates
    assert out.cause == whole.cause == "" and whole.trimmed == 0 and not whole.widened
    assert 0 < out.trimmed == out.first < 15 and out.last == 49
    corners = corners_of(drafted.recording.tracks, 0, slice(out.first, out.last + 1))
    assert on_route(drafted.lanes, drafted.paths[0], drafted.corridors, corners).all()
    before = corners_of(drafted.recording.tracks, 0, slice(out.first - 1, out.first))
    if start == 46.5:
        assert not on_route(drafted.lanes, drafted.paths[0], drafted.corridors, before).any()
    assert not on_lanes(drafted.lanes, before).any()


def test_who_needs_the_corridor_says_so():
    (straddling, inside) = drafted_of(scenes.along_x(0.8, 20.0), scenes.along_x(1.75, 20.0)).candidates
    assert straddling.widened and not inside.widened


def two_way(points, speed=8.0, steps=50):
    """A street of 200 m, 0 < y < 3.5 forth and 3.5 < y < 7 back, and the drive of one car, at 0.2 s."""
    low, middle, high = (np.array([[0.0, y], [200.0, y]]) for y in (0.0, WIDTH, 2 * WIDTH))
    lanes = (scenes.lane_along(1, middle, low), scenes.lane_along(2, middle[::-1], high[::-1]))
    return draft(scenes.recording(lanes, (scenes.Agent(points, speed),), steps))


def test_who_comes_out_of_a_driveway_across_the_other_lane_begins_on_its_own():
    """It is on lanes sooner, on those of the others: there nobody begins who was on no lane before."""
    drafted = two_way([(40.0, 25.0), (46.0, 12.0), (52.0, 5.0), (58.0, 2.0), (64.0, 1.75), (190.0, 1.75)])
    (drive,) = drafted.candidates
    assert drive.cause == "" and drive.trimmed == drive.first > 0
    corners = corners_of(drafted.recording.tracks, 0, slice(0, drive.last + 1))
    assert on_route(drafted.lanes, drafted.paths[0], drafted.corridors, corners[drive.first :]).all()
    assert not on_route(drafted.lanes, drafted.paths[0], drafted.corridors, corners[: drive.first]).any()
    assert on_lanes(drafted.lanes, corners)[drive.first - 1]


@pytest.mark.parametrize(("start", "trimmed"), [(130.0, True), (90.0, False)])
def test_beyond_the_map_a_drive_ends_where_it_leaves_its_route(start, trimmed):
    """A car goes over into the other lane. Within the map that is off its route; beyond it nobody knows the lanes."""
    wide = [(start, 1.75), (start + 70.0, 1.75), (start + 80.0, 5.5), (start + 120.0, 5.5)]
    drafted = two_way(wide, 10.0)
    (drive,) = drafted.candidates
    assert drive.cause == "" and (drive.trimmed > 0) == trimmed
    corners = corners_of(drafted.recording.tracks, 0, slice(drive.first, drive.last + 1))
    assert on_route(drafted.lanes, drafted.paths[0], drafted.corridors, corners).all() == trimmed
