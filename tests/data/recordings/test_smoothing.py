"""Smoothing: against a dense solution, closed-form gains and circles, and what it does to recorded tracks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import diags, eye

from drivetrain.data.readers.commonroad import reader as commonroad
from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.data.recordings.series import runs
from drivetrain.data.recordings.smoothing import CUTOFF_HZ, REAR_AXLE, smooth, whittaker
from drivetrain.types import AgentKind, InputError

SCENES = Path(__file__).resolve().parents[3] / "datasets" / "ngsim" / "scenes"
DT = 0.1


def recorded(paths, headings=None, valid=None, length=4.5):
    """A recording of some paths [I, T, 2] with headings along them unless given."""
    paths = np.asarray(paths, np.float64)
    count, steps, _ = paths.shape
    velocity = np.gradient(paths, DT, axis=1)
    tracks = Tracks(
        id=np.arange(count),
        kind=np.full(count, int(AgentKind.CAR)),
        length=np.full(count, float(length)),
        width=np.full(count, 1.8),
        position=paths,
        heading=np.arctan2(velocity[..., 1], velocity[..., 0])
        if headings is None
        else np.asarray(headings, np.float64),
        velocity=velocity,
        valid=np.ones((count, steps), bool) if valid is None else np.asarray(valid),
    )
    return Recording("drawn", "drawn", DT, tracks)


def test_the_banded_solution_is_the_dense_one():
    values = np.random.default_rng(0).normal(size=(60, 3)).cumsum(axis=0)
    cutoff = 0.05
    third = diags([-1.0, 3.0, -3.0, 1.0], [0, 1, 2, 3], shape=(57, 60)).toarray()
    weight = (2.0 * np.sin(np.pi * cutoff)) ** -6
    dense = np.linalg.solve(eye(60).toarray() + weight * third.T @ third, values)
    np.testing.assert_allclose(whittaker(values, cutoff), dense, atol=1e-8)


def test_half_of_a_wave_at_the_cutoff_passes_and_none_of_it_is_delayed():
    time = np.arange(600)
    wave = np.sin(2.0 * np.pi * 0.05 * time)
    smoothed = whittaker(wave[:, None], 0.05)[:, 0]
    np.testing.assert_allclose(smoothed[200:400], 0.5 * wave[200:400], atol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 30])
def test_parabolas_keep_their_shape_and_their_ends(steps):
    time = DT * np.arange(steps)
    path = np.stack([3.0 + 8.0 * time - 0.9 * time**2, 0.2 * time**2], axis=-1)
    smoothed, report = smooth(recorded([path])) if steps > 1 else smooth(stationary(path))
    np.testing.assert_allclose(smoothed.tracks.position[0], path, atol=1e-9)
    assert report.shift_max < 1e-9
    if steps > 2:
        exact = np.stack([8.0 - 1.8 * time, 0.4 * time], axis=-1)
        np.testing.assert_allclose(smoothed.tracks.velocity[0], exact, atol=1e-6)


def stationary(path):
    """A recording of a single step."""
    pair = recorded(np.repeat(path[None], 2, axis=1))
    names = ("position", "heading", "velocity", "valid")
    return replace(pair, tracks=replace(pair.tracks, **{name: getattr(pair.tracks, name)[:, :1] for name in names}))


def test_noise_shrinks_and_a_run_is_not_smeared_into_the_next():
    rng = np.random.default_rng(1)
    clean = np.stack([10.0 * DT * np.arange(100), np.zeros(100)], axis=-1)
    clean[50:] += (0.0, 500.0)  # a gap, then somewhere else
    valid = np.ones((1, 100), bool)
    valid[0, 45:50] = False
    noisy = np.where(valid[0][:, None], clean + rng.normal(scale=0.1, size=clean.shape), 0.0)
    smoothed, report = smooth(recorded(noisy[None], valid=valid, headings=np.zeros((1, 100))))
    error = (smoothed.tracks.position[0] - clean)[valid[0]]
    assert np.abs(error).max() < 0.15 and np.sqrt(np.mean(error**2)) < 0.04
    assert 0.08 < report.shift_rms < 0.2 and report.shift_p50 <= report.shift_p95 <= report.shift_max
    assert report.states == 95 and report.cutoff_hz == CUTOFF_HZ
    assert (smoothed.tracks.valid == valid).all() and not smoothed.tracks.position[0, 45:50].any()
    assert [(run.start, run.stop) for run in runs(valid[0])] == [(0, 45), (50, 100)]


def test_the_heading_on_a_circle_is_that_of_a_car_whose_rear_axle_does_not_slip():
    radius, speed, length = 12.0, 6.0, 4.5
    angle = speed / radius * DT * np.arange(80)
    path = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    smoothed, _ = smooth(recorded([path], length=length), cutoff_hz=2.0)
    course = angle + 0.5 * np.pi
    wanted = course - np.arcsin(REAR_AXLE * length / radius)
    error = np.angle(np.exp(1j * (smoothed.tracks.heading[0] - wanted)))
    assert np.abs(error[3:-3]).max() < np.deg2rad(0.3)


def test_a_heading_holds_while_the_car_stands_and_turns_no_faster_than_it_moves():
    time = DT * np.arange(120)
    forward = np.where(time < 4.0, 0.0, 1.0 * (time - 4.0) ** 2)
    path = np.stack([forward, np.zeros(120)], axis=-1) + np.random.default_rng(2).normal(scale=0.02, size=(120, 2))
    spinning = np.linspace(-3.0, 3.0, 120)
    smoothed, _ = smooth(recorded([path], headings=[spinning]))
    heading = smoothed.tracks.heading[0]
    assert np.ptp(heading[:30]) < 1e-6 and np.abs(heading[30:]).max() < np.deg2rad(4.0)
    assert np.abs(np.diff(heading)).max() < np.deg2rad(2.0)


def test_what_reverses_or_never_moves_keeps_its_recorded_heading():
    time = DT * np.arange(50)
    back = np.stack([-3.0 * time, np.zeros(50)], axis=-1)
    smoothed, _ = smooth(recorded([back, np.zeros((50, 2))], headings=[np.zeros(50), np.full(50, 3.1)]))
    np.testing.assert_allclose(smoothed.tracks.heading[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(smoothed.tracks.heading[1], 3.1, atol=1e-9)


@pytest.mark.parametrize("name", ["USA_US101-9_1_T-1", "USA_Peach-2_1_T-1"])
def test_recorded_cars_accelerate_as_drivers_do_and_stay_near_where_they_were_seen(name):
    recording = commonroad.read(str(SCENES / f"{name}.xml.xz"))
    smoothed, report = smooth(recording)
    before, after = (acceleration(r) for r in (recording, smoothed))
    assert np.percentile(after, 99) < 5.0 < np.percentile(before, 99)
    assert report.shift_p50 < 0.1 and report.shift_p95 < 0.4
    assert np.isfinite(smoothed.tracks.heading).all()


def acceleration(recording):
    along = [
        np.linalg.norm(np.diff(recording.tracks.position[i, run], 2, axis=0), axis=1) / recording.dt**2
        for i, valid in enumerate(recording.tracks.valid)
        for run in runs(valid)
    ]
    return np.concatenate(along)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, 5.0, float("nan")])
def test_a_cutoff_that_cannot_be_is_refused(cutoff):
    with pytest.raises(InputError, match="cutoff_hz"):
        smooth(recorded(np.zeros((1, 5, 2))), cutoff)
