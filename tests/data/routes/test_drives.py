"""Drives along hand-drawn lanes: what they follow, and their outline where they come back to where they were."""

import numpy as np
import pytest
import scenes

from drivetrain.data.compile.drafting import draft
from drivetrain.data.routes.drives import LEAST, LENGTH, drives
from drivetrain.types import RouteFlag


@pytest.fixture(scope="module")
def crossing():
    return draft(scenes.crossing(agents=())).lanes


def lanes_of(lanes, path):
    """The lanes of a drive, in order."""
    on = path.stations[np.arange(len(path.reference)), path.reference]
    driven = lanes.lane[on]
    return [int(lane) for at, lane in enumerate(driven) if at == 0 or lane != driven[at - 1]]


def test_a_drive_follows_successors_and_every_way_is_taken(crossing):
    found = drives(crossing, 40, seed=3)
    assert len(found) == 40
    taken = set()
    for path in found:
        driven = lanes_of(crossing, path)
        assert all(b in crossing.successors[a] for a, b in zip(driven, driven[1:], strict=False))
        assert path.distance >= LEAST - 1.0
        taken.update(driven)
    assert {crossing.row[scenes.STRAIGHT], crossing.row[scenes.LEFT]} <= taken


def test_drives_are_the_same_for_the_same_seed_and_others_for_another(crossing):
    one, same, other = (drives(crossing, 20, seed=seed) for seed in (1, 1, 2))
    assert [lanes_of(crossing, path) for path in one] == [lanes_of(crossing, path) for path in same]
    assert [lanes_of(crossing, path) for path in one] != [lanes_of(crossing, path) for path in other]


def test_lanes_that_lead_nowhere_give_none():
    drafted = draft(scenes.straight_road(lanes=1, length=20.0, agents=()))
    assert drives(drafted.lanes, 5) == [] or all(path.distance >= LEAST - 1.0 for path in drives(drafted.lanes, 5))
    assert drives(draft(scenes.recording([], ())).lanes, 5) == []


def test_an_empty_map_offers_drives_and_a_recording_none():
    assert len(draft(scenes.ring()).paths) > 100
    assert len(draft(scenes.straight_road()).paths) == 2


def test_round_and_round_both_borders_are_the_outline_all_the_way():
    """600 m on a ring of 251 m: the route lies on itself more than twice, and no seam of it is inside."""
    lanes = draft(scenes.ring()).lanes
    path = drives(lanes, 1)[0]
    assert path.distance >= LENGTH
    flags = path.flags[np.arange(len(path.reference)), path.reference]
    linked = (flags & int(RouteFlag.LINKED)) != 0
    assert linked.sum() >= LENGTH / 2.1
    for border in (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_RIGHT):
        assert ((flags[linked] & int(border)) != 0).all()
    ends = np.flatnonzero(linked)
    for border, at in ((RouteFlag.OPEN_START, ends[0]), (RouteFlag.OPEN_END, ends[-1])):
        opened = np.flatnonzero((flags & int(border)) != 0)
        assert opened.tolist() == [at]
