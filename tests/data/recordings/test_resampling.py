"""Resampling: against straight lines, hand-counted validity and light states, and its own refusals."""

from dataclasses import replace

import numpy as np
import pytest

from drivetrain.data.recordings.recording import Light, Recording, Tracks
from drivetrain.data.recordings.resampling import resample
from drivetrain.types import InputError


def recording(steps=11, dt=0.1, valid=None, heading=None):
    time = dt * np.arange(steps)
    valid = np.ones((1, steps), bool) if valid is None else np.asarray([valid], bool)
    position = np.stack([3.0 * time, 1.0 - time], axis=-1)[None] * valid[..., None]
    tracks = Tracks(
        id=np.array([7]),
        kind=np.array([1]),
        length=np.array([4.0]),
        width=np.array([2.0]),
        position=position,
        heading=np.zeros((1, steps)) if heading is None else np.asarray([heading], np.float64),
        velocity=np.broadcast_to([3.0, -1.0], (1, steps, 2)) * valid[..., None],
        valid=valid,
    )
    lights = (Light(1, np.arange(steps, dtype=np.int32), recorded=True),)
    return Recording("drawn", "drawn", dt, tracks, lights=lights)


@pytest.mark.parametrize(("dt", "steps"), [(0.2, 6), (0.1, 11), (0.04, 26), (0.3, 4), (0.15, 7), (5.0, 1)])
def test_a_straight_track_stays_straight_at_any_step(dt, steps):
    result = resample(recording(), dt)
    time = dt * np.arange(steps)
    assert result.dt == dt and result.tracks.valid.shape == (1, steps) and result.tracks.valid.all()
    np.testing.assert_allclose(result.tracks.position[0], np.stack([3.0 * time, 1.0 - time], axis=-1), atol=1e-9)
    np.testing.assert_allclose(result.tracks.velocity[0], np.broadcast_to([3.0, -1.0], (steps, 2)))


def test_every_second_step_is_the_recorded_one_bit_for_bit_however_long():
    long = recording(steps=3001)
    noisy = replace(long.tracks, position=np.random.default_rng(0).normal(size=(1, 3001, 2)))
    result = resample(replace(long, tracks=noisy), 0.2)
    assert (result.tracks.position == noisy.position[:, ::2]).all() and result.tracks.valid.shape == (1, 1501)


def test_nothing_is_made_up_across_a_gap():
    valid = [1, 1, 0, 0, 1, 1, 1, 0, 1]
    result = resample(recording(9, valid=valid), 0.05)
    assert result.tracks.valid[0].astype(int).tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1]
    gap = ~result.tracks.valid
    assert not result.tracks.position[gap].any() and not result.tracks.velocity[gap].any()
    assert resample(recording(9, valid=valid), 0.2).tracks.valid[0].astype(int).tolist() == [1, 0, 1, 1, 1]


def test_headings_go_the_shorter_way_round():
    result = resample(recording(3, heading=[3.0, -3.0, -2.0]), 0.05)
    unwrapped = np.unwrap(result.tracks.heading[0])
    turn = 2.0 * np.pi - 6.0
    np.testing.assert_allclose(unwrapped, [3.0, 3.0 + turn / 2, 3.0 + turn, 3.5 + turn, 4.0 + turn], atol=1e-9)
    assert np.abs(result.tracks.heading).max() <= np.pi


def test_a_light_keeps_the_state_it_had_last():
    assert resample(recording(5), 0.15).lights[0].states.tolist() == [0, 1, 3]
    assert resample(recording(3), 0.05).lights[0].states.tolist() == [0, 0, 1, 1, 2]
    assert resample(recording(11), 0.2).lights[0].states.tolist() == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("dt", [0.0, -0.1, float("nan"), float("inf"), 1e-9])
def test_a_step_that_cannot_be_is_refused(dt):
    with pytest.raises(InputError, match="dt"):
        resample(recording(), dt)
