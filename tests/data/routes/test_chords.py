import dataclasses

import numpy as np
import pytest
import scenes
import shapely

from drivetrain.data.compile.drafting import draft
from drivetrain.data.recordings.recording import Feature
from drivetrain.data.routes.chords import REACH, chord_depths
from drivetrain.data.routes.corridors import LIMITS, Rule
from drivetrain.types import ElementKind, RouteFlag

WIDTH, MOST = scenes.WIDTH, LIMITS[Rule.CHORD]


def outward_of(lanes):
    across = (lanes.left - lanes.right) / np.linalg.norm(lanes.left - lanes.right, axis=1, keepdims=True)
    return across, -across


def depths(drafted, most=MOST):
    return chord_depths(drafted.lanes, outward_of(drafted.lanes), drafted.paths, most)


def test_a_straight_road_has_none():
    assert depths(draft(scenes.straight_road(lanes=3, length=200.0))).max() < 1e-9


def test_between_two_lanes_of_a_route_there_are_none():
    """Where borders along a gap between lanes are open: a chord of the outer lane's border is none of the inner's."""
    drafted = draft(scenes.straight_road(lanes=2, length=200.0))
    gaps = tuple(
        dataclasses.replace(path, flags=np.where(path.flags > 0, path.flags | int(RouteFlag.OPEN_LEFT), 0))
        for path in drafted.paths
    )
    assert chord_depths(drafted.lanes, outward_of(drafted.lanes), gaps, MOST).max() < 1e-9


@pytest.mark.parametrize("radius", [12.0, 25.0, 60.0])
def test_inside_of_a_turn_they_are_as_deep_as_a_circle_says(radius):
    """The sagitta of the inner border's longest chord, ten stations long; outside of the turn there is none."""
    drafted = draft(scenes.curve(radius))
    lanes = drafted.lanes
    found = depths(drafted, 9.0)
    inner = lanes.stations(lanes.row[2])
    r = radius - 1.5 * WIDTH
    on_arc = [q for q in range(inner.start, inner.stop) if lanes.left[q, 0] > 0.0 and lanes.left[q, 1] < radius]
    chord = np.linalg.norm(np.diff(lanes.left[on_arc], axis=0), axis=1).mean()
    angle = 2.0 * np.arcsin(chord / (2.0 * r))  # of one station
    if len(on_arc) > 2 * REACH + 1:
        middle = on_arc[len(on_arc) // 2]
        assert found[middle, 0] == pytest.approx(r * (1.0 - np.cos(REACH * angle)), rel=0.05)
    else:  # the chord joins the straights
        assert found[on_arc[len(on_arc) // 2], 0] > 1.0
    assert found[:, 1].max() < 1e-6


def step(ahead):
    """Lane 1 along x, and from x = 100 on lane 3 to its right, both after a lane that leads to lane 1 alone."""
    x = np.array([[0.0, 100.0], [100.0, 200.0]])

    def strip(id, place, y, **fields):
        return scenes.lane_along(
            id, np.stack([x[place], np.full(2, y + WIDTH)], 1), np.stack([x[place], np.full(2, y)], 1), **fields
        )

    lanes = (
        strip(1, 0, 0.0, successors=(2,)),
        strip(2, 1, 0.0, predecessors=(1,), right_neighbour=3),
        strip(3, 1, -WIDTH, left_neighbour=2),
    )
    edges = Feature(ElementKind.ROAD_EDGE, np.array([[-50.0, -WIDTH - 0.5], [250.0, -WIDTH - 0.5]]))
    return draft(scenes.recording(lanes, (scenes.along_x(WIDTH / 2, 20.0, ahead),), features=(edges,)))


def test_one_may_be_on_the_way_to_a_lane_before_it_begins():
    """Along the straight line that begins 10 m before one, and leads to the outer corner of the lane at x = 100."""
    drafted = step(14.0)
    lanes, width = drafted.lanes, drafted.corridors.width
    first = lanes.stations(lanes.row[1])
    assert width[lanes.stations(lanes.row[2]).start, 1] == pytest.approx(WIDTH)  # where lane 1 ends
    for q in range(first.start, first.stop - 1):
        x = lanes.right[q, 0]
        line = WIDTH * 10.0 / (10.0 + 100.0 - x)
        expected = max(LIMITS[Rule.SURFACE], line) if x >= 90.0 else LIMITS[Rule.SURFACE]
        assert width[q, 1] == pytest.approx(expected, abs=1e-6), x
        assert drafted.corridors.rule[q, 1] == (Rule.CHORD if expected > 2.0 else Rule.SURFACE)


def test_a_chord_ends_at_a_given_edge():
    inner = np.array([[-60.0, 6.25], [0.5, 6.25], [1.75, 7.5], [1.75, 70.0]])
    tight = scenes.curve(8.0)
    kerb = Feature(ElementKind.ROAD_EDGE, inner)
    far = Feature(ElementKind.ROAD_EDGE, np.array([[60.0, -6.0], [-60.0, -6.0]]))
    drafted = draft(dataclasses.replace(tight, features=(kerb, far)))
    (path, *_) = drafted.paths
    left, right = drafted.corridors.borders(drafted.lanes, path.stations, path.flags)
    row, slot = np.nonzero(path.flags & int(RouteFlag.LINKED))
    corners = np.stack([left[row, slot], left[row + 1, slot], right[row + 1, slot], right[row, slot]], 1)
    lanes = [drafted.lanes.left[path.stations], drafted.lanes.right[path.stations]]
    bare = np.stack([lanes[0][row, slot], lanes[0][row + 1, slot], lanes[1][row + 1, slot], lanes[1][row, slot]], 1)
    added = shapely.union_all(shapely.make_valid(shapely.polygons(corners))).difference(
        shapely.union_all(shapely.make_valid(shapely.polygons(bare))).buffer(0.01)
    )
    beyond = shapely.Polygon([*inner.tolist(), [-60.0, 70.0]])
    assert added.area > 20.0 and added.intersection(beyond.buffer(-0.05)).area < 0.05


@pytest.mark.parametrize("radius", [7.0, 9.0, 12.0])
def test_borders_moved_as_far_as_chords_do_not_cross(radius):
    drafted = draft(scenes.curve(radius))
    depth, lanes = depths(drafted), drafted.lanes
    for lane in range(len(lanes.count)):
        own = lanes.stations(lane)
        for side, border in enumerate((lanes.left, lanes.right)):
            moved = border[own] + depth[own, side][:, None] * outward_of(lanes)[side][own]
            ahead = (np.diff(moved, axis=0) * lanes.tangent[own][:-1]).sum(axis=1)
            looked = (depth[own, side][:-1] > 0.0) & (depth[own, side][1:] > 0.0)
            assert (ahead[looked] > -0.3).all()
