"""Whoever has no height of their own takes that of the road below."""

import scenes
from scenes import bridge

from drivetrain.data.compile.track_heights import with_heights
from drivetrain.data.roads.lanes import stations_of


def test_those_on_foot_take_the_height_of_the_nearest_lane():
    made = bridge(measured=False)
    walker = scenes.Agent(((30.0, 4.0), (60.0, 4.0)), 1.0, kind=scenes.AgentKind.PEDESTRIAN)
    on_foot = scenes.recording(made.lanes, (walker,)).tracks
    assert not with_heights(on_foot, stations_of(made)[0]).height.any()
