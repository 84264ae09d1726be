import dataclasses

import numpy as np
import pytest
import scenes
import shapely

from drivetrain.data.recordings.recording import Feature
from drivetrain.data.roads.elements import LONGEST, SIMPLIFIED, elements_of
from drivetrain.data.roads.lanes import stations_of
from drivetrain.data.roads.map_extension import AHEAD, BEHIND, extend_map
from drivetrain.types import ElementKind

WIDTH = scenes.WIDTH


def elements(recording):
    return elements_of(recording, extend_map(*stations_of(recording))[0])


def of_kind(found, kind):
    return found.segments[found.kind == kind]


def length(segments):
    return np.linalg.norm(segments[:, :2] - segments[:, 2:], axis=1)


def test_the_edges_of_a_straight_road_are_its_two_sides_open_at_both_ends():
    edges = of_kind(elements(scenes.straight_road(lanes=3, length=100.0)), ElementKind.ROAD_EDGE)
    drawn = shapely.union_all(shapely.linestrings(edges.reshape(-1, 2, 2)))
    sides = [shapely.LineString([(-BEHIND, y), (100.0 + AHEAD, y)]) for y in (0.0, 3 * WIDTH)]
    assert drawn.symmetric_difference(shapely.union_all(sides)).length < 1e-6


def test_the_drivable_side_of_every_edge_is_on_its_left():
    for recording in (scenes.straight_road(), scenes.curve(), scenes.crossing()):
        road = shapely.union_all([shapely.Polygon([*lane.left, *lane.right[::-1]]) for lane in recording.lanes])
        edges = of_kind(elements(recording), ElementKind.ROAD_EDGE)
        middle = (edges[:, :2] + edges[:, 2:]) / 2
        chord = (edges[:, 2:] - edges[:, :2]) / length(edges)[:, None]
        left = np.stack([-chord[:, 1], chord[:, 0]], 1)
        near = shapely.distance(road, shapely.points(middle)) < 0.05  # not those beyond the map's edge
        assert near.any()
        assert shapely.contains_xy(road, middle[near] + 0.2 * left[near]).all()
        assert not shapely.contains_xy(road, middle[near] - 0.2 * left[near]).any()


def test_segments_are_short_and_stay_near_what_was_drawn():
    radius = 40.0
    found = elements(scenes.curve(radius))
    assert length(found.segments).max() <= LONGEST + 1e-9
    inside = found.segments[(found.segments[:, :2] > [2.0, -10.0]).all(1) & (found.segments[:, 3] < radius - 2.0)]
    assert length(inside).mean() > 3.0  # simplified: stations stand every 2 m
    middle = (inside[:, :2] + inside[:, 2:]) / 2
    from_centre = np.hypot(middle[:, 0], middle[:, 1] - radius)
    circles = radius + WIDTH * np.array([-1.5, -0.5, 0.5])
    assert np.abs(from_centre[:, None] - circles).min(axis=1).max() < SIMPLIFIED + 0.05  # 0.05: chords of stations


def test_a_border_that_two_lanes_share_is_drawn_once():
    found = elements(scenes.straight_road(lanes=3, length=100.0))
    assert length(of_kind(found, ElementKind.LINE_DASHED)).sum() == 200.0
    assert length(of_kind(found, ElementKind.LINE_SOLID)).sum() == 200.0


def test_the_stronger_of_two_markings_of_a_shared_border_wins():
    road = scenes.straight_road(lanes=2, length=100.0)
    solid = dataclasses.replace(road.lanes[1], right_border=ElementKind.LINE_SOLID)
    found = elements(dataclasses.replace(road, lanes=(road.lanes[0], solid)))
    assert length(of_kind(found, ElementKind.LINE_SOLID)).sum() == 300.0
    assert not len(of_kind(found, ElementKind.LINE_DASHED))


def test_stop_lines_and_features_are_drawn():
    outline = np.array([[5.0, -4.0], [8.0, -4.0], [8.0, 4.0], [5.0, 4.0], [5.0, -4.0]])
    recording = scenes.crossing()
    recording = dataclasses.replace(recording, features=(Feature(ElementKind.CROSSWALK, outline),))
    found = elements(recording)
    np.testing.assert_allclose(of_kind(found, ElementKind.STOP_LINE), [[0.0, 1.75, 0.0, -1.75]])
    assert length(of_kind(found, ElementKind.CROSSWALK)).sum() == 22.0


def test_what_has_no_length_is_not_drawn():
    """As the borders of a lane of centimetres, or an outline of one point."""
    recording = scenes.straight_road()
    before = len(elements(recording).kind)
    point = Feature(ElementKind.CROSSWALK, np.tile([[5.0, 1.0]], (3, 1)))
    assert len(elements(dataclasses.replace(recording, features=(point,))).kind) == before


def test_edges_that_the_recording_draws_are_taken_as_they_are():
    edge = np.array([[0.0, -1.0], [100.0, -1.0]])
    recording = dataclasses.replace(scenes.straight_road(), features=(Feature(ElementKind.ROAD_EDGE, edge),))
    edges = of_kind(elements(recording), ElementKind.ROAD_EDGE)
    assert edges[0, :2].tolist() == [0.0, -1.0] and edges[-1, 2:].tolist() == [100.0, -1.0]
    assert (edges[:, 2] > edges[:, 0]).all() and (edges[:, [1, 3]] == -1.0).all()


def test_borders_that_are_edges_draw_no_second_edge():
    """The left kerb runs against the lane, drivable side on its left; the right one is interrupted, and stays so."""
    road = scenes.straight_road(lanes=1, length=100.0)
    (lane,) = road.lanes
    left, right = float(lane.left[0, 1]), float(lane.right[0, 1])
    kerbs = [((100.0, left), (0.0, left)), ((0.0, right), (40.0, right)), ((60.0, right), (100.0, right))]
    features = tuple(Feature(ElementKind.ROAD_EDGE, np.array(ends)) for ends in kerbs)
    lanes = (dataclasses.replace(lane, left_border=ElementKind.ROAD_EDGE, right_border=ElementKind.ROAD_EDGE),)
    found = elements(dataclasses.replace(road, lanes=lanes, features=features))
    edges = of_kind(found, ElementKind.ROAD_EDGE)
    assert length(edges).sum() == pytest.approx(180.0)
    assert (edges[edges[:, 1] == left][:, 2] < edges[edges[:, 1] == left][:, 0]).all()
    between = (edges[:, 1] == right) & (np.minimum(edges[:, 0], edges[:, 2]) > 39.0) & (edges[:, 2] < 61.0)
    assert not between.any()
    gap = of_kind(found, ElementKind.LINE_VIRTUAL)  # there the lane ends at no kerb
    assert gap.size and (gap[:, [1, 3]] == right).all()
