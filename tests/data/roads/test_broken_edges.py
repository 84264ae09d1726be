import dataclasses

import jax
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.compile.drafting import draft
from drivetrain.data.recordings.recording import Feature
from drivetrain.data.roads.broken_edges import marks, opened
from drivetrain.types import ElementKind

EDGE = ElementKind.ROAD_EDGE
WIDTH = scenes.WIDTH


def lanes_of(recording):
    return draft(recording).lanes


@pytest.fixture(scope="module")
def straight():
    return lanes_of(scenes.straight_road(lanes=1, length=200.0))


def test_an_edge_across_a_lane_is_opened_from_border_to_border(straight):
    across = np.array([[100.0, -20.0], [100.0, 20.0]])
    left, places = opened([across], straight)
    assert places == 1 and len(left) == 2
    np.testing.assert_allclose(sorted(line.tolist() for line in left), [
        [[100.0, -20.0], [100.0, 0.0]], [[100.0, WIDTH], [100.0, 20.0]],
    ])  # fmt: skip


def test_an_edge_along_a_lane_stays_wherever_it_is(straight):
    for y in (-1.0, 0.4, WIDTH / 2 + 0.01):
        edge = np.array([[0.0, y], [200.0, y + 0.001]])
        left, places = opened([edge], straight)
        assert places == 0 and left[0] is edge


def test_an_edge_on_another_level_stays():
    lanes = lanes_of(scenes.bridge())
    edges = [np.array([[-30.0, 0.5, z], [30.0, 0.5, z]]) for z in (0.0, 6.0)]  # across the bridge, below it and on it
    left, places = opened(edges, lanes)
    assert places == 1 and left[0] is edges[0] and len(left) == 3


def test_a_mark_stands_beyond_every_free_end(straight):
    chain = [[0.0, -1.0, 10.0, -1.0], [10.0, -1.0, 20.0, -1.0]]
    near = [[20.3, -1.0, 30.0, -1.0]]  # a gap narrower than a seam
    ring = [[60.0, 0.0, 70.0, 0.0], [70.0, 0.0, 65.0, 5.0], [65.0, 5.0, 60.0, 0.0]]
    found, height = marks(np.array(chain + near + ring), np.arange(6.0), straight, given=False)
    np.testing.assert_allclose(found, [[-0.01, -1.0, -0.02, -1.0], [30.01, -1.0, 30.02, -1.0]])
    assert height.tolist() == [0.0, 2.0]


def test_lanes_beyond_the_maps_edge_are_marked_where_edges_are_given(straight):
    found, _ = marks(np.zeros((0, 4)), np.zeros(0), straight, given=True)
    assert len(marks(np.zeros((0, 4)), np.zeros(0), straight, given=False)[0]) == 0
    ends = found.reshape(-1, 2)
    assert np.allclose(ends[:, 1], WIDTH / 2) and ((ends[:, 0] <= 0.0) | (ends[:, 0] >= 200.0)).all()
    assert ends[:, 0].min() == pytest.approx(-30.0) and ends[:, 0].max() == pytest.approx(320.0)


def test_marks_and_openings_are_part_of_what_is_compiled():
    gate = np.array([[100.0, 8.0], [100.0, -8.0]])
    kerb = np.array([[-50.0, -1.0], [250.0, -1.0]])
    recording = scenes.straight_road(lanes=1, length=200.0)
    features = (Feature(EDGE, gate), Feature(EDGE, kerb))
    scenario, report = compile_recording(dataclasses.replace(recording, features=features))
    assert report.notes["edges_opened_where_lanes_cross"] == 1
    kind = np.asarray(scenario.map.element_kind)
    assert (kind == ElementKind.NO_EDGE).sum() >= 4
    segments = np.asarray(scenario.map.elements)[kind == EDGE]
    upright = segments[segments[:, 0] == segments[:, 2]]
    assert sorted(np.abs(upright[:, [1, 3]]).tolist()) == [[0.0, 8.0], [8.0, 3.5]]
    assert jax.tree.leaves(scenario)
