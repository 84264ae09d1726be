import dataclasses

import numpy as np
import pytest
import scenes

from drivetrain.data.compile.coupled import GAP, coupled
from drivetrain.data.compile.drafting import draft

STEPS = 20


def pair(gap, across=0.0, speed=8.0, steps=50):
    """Two cars of 4.5 m, one `gap` behind the other's bumper and so far to its side; another far ahead."""
    agents = (
        scenes.along_x(1.75, 20.0, speed),
        scenes.along_x(1.75 + across, 20.0 + 4.5 + gap, speed),
        scenes.along_x(1.75, 120.0, speed),
    )
    return scenes.straight_road(lanes=2, length=400.0, agents=agents, steps=steps)


@pytest.mark.parametrize(
    ("gap", "across", "rows"),
    [
        (0.3, 0.0, [0, 1]),
        (-0.3, 0.0, [0, 1]),  # boxes that overlap, as those of a semi-trailer do
        (GAP + 0.1, 0.0, []),  # somebody follows close
        (-GAP - 0.1, 0.0, []),
        (-0.7, 2.1, []),  # as far from each other, but beside
    ],
)
def test_who_tows_and_who_is_towed(gap, across, rows):
    tracks = pair(gap, across).tracks
    assert coupled(tracks, [0, 1, 2], STEPS).tolist() == rows
    assert coupled(tracks, [0, 2], STEPS).tolist() == []


def test_a_moment_is_not_enough_and_one_step_apart_is_too_much():
    tracks = pair(0.2).tracks
    valid = tracks.valid.copy()
    valid[1, STEPS - 1 :] = False
    assert coupled(dataclasses.replace(tracks, valid=valid), [0, 1], STEPS).tolist() == []
    position = tracks.position.copy()
    position[1, 30:, 0] += 0.5
    assert coupled(dataclasses.replace(tracks, position=position), [0, 1], STEPS).tolist() == []


def test_order_and_direction_do_not_matter():
    tracks = pair(0.2).tracks
    turned = dataclasses.replace(
        tracks,
        position=tracks.position[[1, 0, 2]] @ np.array([[0.0, 1.0], [-1.0, 0.0]]),
        heading=tracks.heading[[1, 0, 2]] + np.pi / 2,
    )
    assert coupled(turned, [0, 1, 2], STEPS).tolist() == [0, 1]


def test_neither_is_driven_and_both_stay_on_the_road():
    drafted = draft(pair(0.2))
    assert [candidate.cause for candidate in drafted.candidates] == ["coupled", "coupled", ""]
    assert len(drafted.paths) == 1 and drafted.recording.tracks.valid.all()
    assert [candidate.cause for candidate in draft(pair(1.0)).candidates] == ["", "", ""]
