"""Measures of difficulty on scenes whose answer is known by hand."""

import dataclasses

import numpy as np
import pytest
from fixtures_drawn import drive

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.recordings.recording import ControlLine, Light
from drivetrain.data.store.difficulty import dense, near, signals, turning
from drivetrain.types import ControlKind


def scene(position=None, velocity=None, heading=None, **parts):
    """The drawn drive at 10 Hz (a car at 10 m/s, from x = 20 on; another parked at x = 150), changed."""
    recording = drive("one")
    changes = {"position": position, "velocity": velocity, "heading": heading}
    tracks = dataclasses.replace(recording.tracks, **{k: v for k, v in changes.items() if v is not None})
    return compile_recording(dataclasses.replace(recording, tracks=tracks, **parts))[0]


def test_dense_counts_who_is_within_30_m():
    tracks = drive("one").tracks
    assert dense(scene(), 0) == 0.0  # the nearest it gets to the parked car is 71 m
    there = tracks.position.copy()
    there[1] = [60.0, 0.0]  # from x = 30 to 79 (the last step), 50 of 60 steps
    assert dense(scene(there), 0) == pytest.approx(50 / 60)


def test_turning_is_the_largest_change_of_heading():
    tracks = drive("one").tracks
    assert turning(scene(), 0) == pytest.approx(0.0, abs=1e-6)
    heading = tracks.heading.copy()
    heading[0] = np.pi - 0.1 + np.concatenate([np.linspace(0.0, 0.3, 30), np.linspace(0.3, -0.1, 30)])  # across ±pi
    heading[0] = np.arctan2(np.sin(heading[0]), np.cos(heading[0]))
    scenario = scene()
    agents = scenario.log.agents
    turned = np.stack([np.cos(heading.T), np.sin(heading.T)], axis=-1).astype(np.float32)
    log = dataclasses.replace(scenario.log, agents=dataclasses.replace(agents, heading=turned))
    assert turning(dataclasses.replace(scenario, log=log), 0) == pytest.approx(0.4, abs=1e-5)


def test_near_is_the_inverse_of_gap_over_closing_speed():
    # At the last step: centres 150 − 79 = 71 m apart, less two half lengths of 2.25 m, at 10 m/s.
    assert near(scene(), 0) == pytest.approx(10.0 / (71.0 - 4.5), rel=1e-5)
    tracks = drive("one").tracks
    beside, speed = tracks.position.copy(), tracks.velocity.copy()
    beside[1, :, 1] = 1.9  # 0.1 m between the sides: never
    assert near(scene(beside), 0) == 0.0
    following = tracks.position.copy()
    following[1] = following[0] + [8.0, 0.0]
    speed[1] = speed[0]
    assert near(scene(following, speed), 0) == 0.0
    touching = tracks.position.copy()
    touching[1] = [40.0, 0.5]
    assert near(scene(touching), 0) == 10.0


def test_signals_counts_lights_met():
    def line(x):
        return ControlLine(np.array([[x, 1.75], [x, -1.75]]), 1, ControlKind.LIGHT, 7)

    light = Light(7, np.full(60, 3), recorded=True)
    # The drive goes from x = 20 to 79: met, met, within 30 m ahead, beyond, behind; and a stop sign.
    lines = tuple(line(x) for x in (30.0, 79.0, 105.0, 115.0, 10.0))
    sign = dataclasses.replace(line(50.0), kind=ControlKind.STOP_SIGN, light=None)
    assert signals(scene(control_lines=(*lines, sign), lights=(light,)), 0) == 3.0
    assert signals(scene(), 0) == 0.0
