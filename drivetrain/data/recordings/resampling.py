"""A recording at another time step."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.recordings.recording import Recording
from drivetrain.data.recordings.series import wrapped
from drivetrain.types import InputError

MAX_STEPS = 100_000
EXACT = 1e-6  # of a step: nearer than this, a new step is an old one


def resample(recording: Recording, dt: float) -> Recording:
    """The recording at steps 0, dt, 2 dt … up to its last recorded one.

    Between two recorded steps positions and velocities are linear, headings take the shorter way round, lights keep the
    state they had last. A new step is valid where both its recorded neighbours are (or the one it coincides with):
    nothing is made up across a gap. To a longer dt nothing is averaged: smooth first.

    Raises:
        InputError: dt is no positive number of seconds, or gives too many steps.
    """
    old = recording.tracks.valid.shape[1]
    if not (math.isfinite(dt) and dt > 0.0 and (old - 1) * recording.dt / dt < MAX_STEPS):
        raise InputError(f"{recording.file}: dt: {dt:g} s (give a positive time step; at most {MAX_STEPS} steps)")
    before, after, share = _places(old, dt / recording.dt)
    tracks = recording.tracks
    valid = tracks.valid[:, before] & tracks.valid[:, after]
    turn = wrapped(tracks.heading[:, after] - tracks.heading[:, before])
    heading = tracks.heading[:, before] + share * turn
    changed = replace(
        tracks,
        position=_between(tracks.position, before, after, share, valid),
        velocity=_between(tracks.velocity, before, after, share, valid),
        heading=np.where(valid, wrapped(heading), 0.0),
        valid=valid,
        height=None
        if tracks.height is None
        else _between(tracks.height[..., None], before, after, share, valid)[..., 0],
    )
    lights = tuple(replace(light, states=light.states[before]) for light in recording.lights)
    return replace(recording, dt=dt, tracks=changed, lights=lights)


def _places(old: int, ratio: float) -> tuple[Int[np.ndarray, "new"], Int[np.ndarray, "new"], Float[np.ndarray, "new"]]:
    """For each new step the old steps before and after it, and its share of the way between them."""
    count = int((old - 1) / ratio + EXACT) + 1
    place = np.arange(count) * ratio
    near = np.rint(place)
    place = np.minimum(np.where(np.abs(place - near) < EXACT * np.maximum(1.0, ratio), near, place), old - 1)
    before = np.floor(place).astype(np.int64)
    return before, np.ceil(place).astype(np.int64), place - before


def _between(
    values: Float[np.ndarray, "I old d"],
    before: Int[np.ndarray, "new"],
    after: Int[np.ndarray, "new"],
    share: Float[np.ndarray, "new"],
    valid: Bool[np.ndarray, "I new"],
) -> Float[np.ndarray, "I new d"]:
    first, second = values[:, before], values[:, after]
    return np.where(valid[..., None], first + share[:, None] * (second - first), 0.0)
