"""A road along +x under a bridge along +y, 6 m above it, drawn by hand: z = 0 below, z = 6 above."""

import dataclasses

import numpy as np
import pytest
import scenes
from scenes import HIGH, LOW, OVER, UNDER, bridge, sloped_lane

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.compile.drafting import draft
from drivetrain.data.compile.padding import extent, pad, to_arrays
from drivetrain.data.recordings.recording import Feature
from drivetrain.data.recordings.resampling import resample
from drivetrain.data.roads.lanes import stations_of
from drivetrain.data.roads.levels import has_levels
from drivetrain.data.routes.map_matching import match
from drivetrain.types import ElementKind, InputError


def test_a_bridge_gives_everything_a_height():
    scenario, _ = compile_recording(bridge())
    edge = scenario.map.element_kind == ElementKind.ROAD_EDGE
    along_y = scenario.map.elements[:, 0] == scenario.map.elements[:, 2]
    assert set(scenario.map.element_height[edge & along_y].tolist()) == {6.0}
    assert set(scenario.map.element_height[edge & ~along_y].tolist()) == {0.0}
    lanes = scenario.map.station_lane
    run_outs = np.flatnonzero(scenario.map.station_height > 3.0)
    assert {0.0, 6.0} == set(scenario.map.station_height.tolist())
    assert set(lanes[run_outs].tolist()).isdisjoint(lanes[scenario.map.station_height == 0.0].tolist())
    np.testing.assert_array_equal(scenario.log.agents.height, np.tile([0.0, 6.0], (50, 1)))


def test_unmeasured_road_users_take_the_height_of_the_lane_they_are_matched_to():
    given, _ = compile_recording(bridge())
    derived, _ = compile_recording(bridge(measured=False))
    np.testing.assert_array_equal(derived.log.agents.height, given.log.agents.height)


def test_a_climbing_lane_lifts_whoever_drives_on_it():
    lanes = [sloped_lane(LOW, (-100, 0), (100, 0)), sloped_lane(HIGH, (0, -100), (0, 100), (2.0, 10.0))]
    made = scenes.recording(lanes, (UNDER, OVER))
    scenario, _ = compile_recording(made)
    y = made.tracks.position[1, :, 1]
    np.testing.assert_allclose(scenario.log.agents.height[:, 1], 6.0 + 0.04 * y, atol=0.05)


def test_a_hill_has_no_levels():
    """30 m up over 200 m: nothing crosses above, and nothing is compared."""
    made = scenes.recording([sloped_lane(LOW, (-100, 0), (100, 0), (0.0, 30.0))], (UNDER,))
    scenario, _ = compile_recording(made)
    assert scenario.map.element_height is None and scenario.log.agents.height is None


@pytest.mark.parametrize("z", [0.0, 2.4])
def test_crossings_of_one_level_compile_to_the_bytes_of_none(z):
    def at(height):
        lanes = [
            sloped_lane(LOW, (-100, 0), (100, 0), height and (0.0, 0.0)),
            sloped_lane(HIGH, (0, -100), (0, 100), height),
        ]
        return to_arrays(compile_recording(scenes.recording(lanes, (UNDER, OVER)))[0])

    flat, given = at(None), at((z, z))
    assert flat.keys() == given.keys() and not any("height" in path for path in flat)
    assert all(flat[path].tobytes() == given[path].tobytes() for path in flat)


def test_the_outline_of_lanes_is_drawn_level_by_level():
    """Without edges of its own: each road has its two sides, 200 m and more each, and none ends at the other."""
    scenario, _ = compile_recording(bridge(drawn=False))
    edge = scenario.map.element_kind == ElementKind.ROAD_EDGE
    height, segments = scenario.map.element_height[edge], scenario.map.elements[edge]
    assert set(height.tolist()) == {0.0, 6.0}
    for z, axis in ((0.0, 0), (6.0, 1)):
        own = segments[height == z]
        across = own[:, 1 - axis]
        np.testing.assert_allclose(np.abs(across), 1.75, atol=1e-3)
        inside = own[(np.abs(own[:, [axis, axis + 2]]) <= 100.0).all(axis=1)]
        length = np.abs(inside[:, axis] - inside[:, axis + 2]).sum()
        assert 360.0 < length <= 401.0, z
        # The drivable side is on the left: the edge at −1.75 of the road along +x runs along +x.
        forward = (own[:, axis + 2] - own[:, axis]) * np.sign(across) * (-1.0 if axis == 0 else 1.0)
        assert (forward > 0.0).all()


def test_a_lane_that_ends_under_a_bridge_ends_at_the_edge_of_the_map():
    """The map stops 4 m before the middle of the bridge: a dead end on the plane, the map's edge on its own level."""
    ends = [sloped_lane(LOW, (-100, 0), (-4, 0)), sloped_lane(HIGH, (0, -100), (0, 100), (6.0, 6.0))]
    plane = [dataclasses.replace(lane, height=None) for lane in ends]
    drafts = [draft(scenes.recording(lanes, (UNDER, OVER))) for lanes in (ends, plane)]
    assert [each.mending.lanes_added_ahead for each in drafts] == [2, 1]


def test_a_path_is_matched_on_its_level_alone():
    """A road straight above another: the plane cannot tell them apart."""
    lanes, _ = stations_of(
        scenes.recording([sloped_lane(LOW, (0, 0), (100, 0)), sloped_lane(HIGH, (0, 0), (100, 0), (6, 6))], ())
    )
    position = np.stack([np.linspace(5.0, 90.0, 40), np.zeros(40)], 1)
    heading = np.tile([1.0, 0.0], (40, 1))
    for z, lane in ((0.4, 0), (5.2, 1)):
        found = match(lanes, position, heading, np.full(40, z))
        assert not isinstance(found, str) and found.lanes == (lane,)
    assert match(lanes, position, heading, np.full(40, 20.0)) == "no_lane"


def test_heights_from_another_zero_are_none():
    """Tracks 40 m above every lane: their heights are of another zero, and those of the lanes count."""
    made = bridge()
    moved = dataclasses.replace(made, tracks=dataclasses.replace(made.tracks, height=made.tracks.height + 40.0))
    scenario, report = compile_recording(moved)
    np.testing.assert_array_equal(scenario.log.agents.height, np.tile([0.0, 6.0], (50, 1)))
    assert [candidate.cause for candidate in report.candidates] == ["", ""]


def test_a_lane_without_height_makes_the_map_flat():
    made = bridge()
    lanes = (dataclasses.replace(made.lanes[0], height=None), made.lanes[1])
    scenario, _ = compile_recording(dataclasses.replace(made, lanes=lanes))
    assert scenario.map.station_height is None and scenario.log.agents.height is None


def test_flat_and_levelled_scenes_share_a_capacity():
    levelled, flat = (to_arrays(compile_recording(bridge(heights))[0]) for heights in (True, False))
    room = extent(levelled)
    assert (room.levels, extent(flat).levels) == (1, 0)
    padded = pad(flat, dataclasses.replace(room, elements=300, stations=900, lines=3), "flat")
    assert padded["map.element_height"].shape == (300,) and not padded["map.element_height"].any()
    assert padded["log.agents.height"].shape == padded["log.agents.valid"].shape
    with pytest.raises(InputError, match="levels: 1 in a capacity of 0"):
        compile_recording(bridge(), dataclasses.replace(room, levels=0))


def test_heights_are_resampled_as_positions_are():
    made = bridge(steps=51)
    climbing = np.tile(np.arange(51.0) * 0.1, (2, 1))
    half = resample(dataclasses.replace(made, tracks=dataclasses.replace(made.tracks, height=climbing)), 0.1)
    np.testing.assert_allclose(half.tracks.height[0], np.arange(101) * 0.05, atol=1e-9)


def test_a_footbridge_drawn_with_few_points_makes_levels():
    """Its outline has points only 40 m off the road, and passes above it."""
    outline = np.array([[-2.0, -40.0], [2.0, -40.0], [2.0, 40.0], [-2.0, 40.0], [-2.0, -40.0]])
    for z, expected in ((5.0, True), (2.0, False)):
        walk = Feature(ElementKind.CROSSWALK, outline, np.full(5, z))
        made = scenes.recording([sloped_lane(LOW, (-100, 0), (100, 0))], (UNDER,), features=(walk,))
        assert has_levels(made, stations_of(made)[0]) is expected


def test_a_driveway_makes_no_levels():
    """It is part of no observation, so whether heights are compared does not hang on it."""
    outline = np.array([[-2.0, -40.0], [2.0, -40.0], [2.0, 40.0], [-2.0, 40.0], [-2.0, -40.0]])
    driveway = Feature(ElementKind.DRIVEWAY, outline, np.full(5, 5.0))
    made = scenes.recording([sloped_lane(LOW, (-100, 0), (100, 0))], (UNDER,), features=(driveway,))
    assert not has_levels(made, stations_of(made)[0])
