"""Recorded tracks are noisy; smooth them once, when a dataset is converted.

Each run of valid steps is fitted by the sequence x that minimises  Σ (xₜ − yₜ)² + λ Σ (Δ³xₜ)²,  each coordinate by
itself: Whittaker's smoother of order 3 (E. T. Whittaker, On a new method of graduation, 1923). It has no phase, keeps
parabolas as they are, and needs no padding, so that the ends of a run stay where they are. It passes a frequency f
with gain  1 / (1 + (sin πf·dt / sin πf_c·dt)⁶):  a half at the cut-off f_c, which fixes λ.

Velocity is the derivative of the fit. A heading follows the fit as a car does: the rear axle, `REAR_AXLE` of the length
behind the centre, moves along the heading only (a tractrix), so that it is continuous and holds while the car stands.
What never moves, or moves against its heading, keeps its recorded heading, smoothed.
"""

from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.recording import Recording, Tracks
from drivetrain.data.recordings.series import runs, wrapped
from drivetrain.types import InputError

CUTOFF_HZ = 0.4  # NGSIM: accelerations become a driver's, positions move by 0.1 m
ORDER = 3
DIFFERENCES = (-1.0, 3.0, -3.0, 1.0)
REAR_AXLE = 0.3  # of the length, behind the centre
STILL, MOVING = 0.5, 1.5  # m/s: below the first a heading holds; from the second on it follows the motion fully
ENTRY = 3.0  # m of path that tell the first heading and curvature


class SmoothingReport(NamedTuple):
    """What was done, and how far it moved things (m, over all valid states)."""

    method: str
    cutoff_hz: float
    states: int
    shift_rms: float
    shift_p50: float
    shift_p95: float
    shift_max: float


def smooth(recording: Recording, cutoff_hz: float = CUTOFF_HZ) -> tuple[Recording, SmoothingReport]:
    """The recording with smoothed tracks. Which steps are valid does not change.

    Raises:
        InputError: the cut-off is not between 0 and half the recording's rate.
    """
    cutoff = cutoff_hz * recording.dt
    if not 0.0 < cutoff < 0.5:
        limit = 0.5 / recording.dt
        raise InputError(f"{recording.file}: cutoff_hz: {cutoff_hz:g} (give a cut-off above 0 and below {limit:g} Hz)")
    tracks = recording.tracks
    position, velocity, heading = _fit(tracks, recording.dt, cutoff)
    shift = np.linalg.norm(position - tracks.position, axis=-1)[tracks.valid]
    shift = shift if shift.size else np.zeros(1)
    report = SmoothingReport(
        method=f"Whittaker, order {ORDER}",
        cutoff_hz=cutoff_hz,
        states=int(tracks.valid.sum()),
        shift_rms=float(np.sqrt(np.mean(shift**2))),
        shift_p50=float(np.percentile(shift, 50)),
        shift_p95=float(np.percentile(shift, 95)),
        shift_max=float(shift.max()),
    )
    return replace(recording, tracks=replace(tracks, position=position, velocity=velocity, heading=heading)), report


def _fit(
    tracks: Tracks, dt: float, cutoff: float
) -> tuple[Float[np.ndarray, "I T 2"], Float[np.ndarray, "I T 2"], Float[np.ndarray, "I T"]]:
    """Position, velocity and heading of every run; runs of one length share one solution of the linear system."""
    position, velocity, heading = np.copy(tracks.position), np.copy(tracks.velocity), np.copy(tracks.heading)
    alike: dict[int, list[tuple[int, slice]]] = defaultdict(list)
    for row, valid in enumerate(tracks.valid):
        for run in runs(valid):
            alike[run.stop - run.start].append((row, run))
    for members in alike.values():
        recorded = np.stack([tracks.heading[row, run] for row, run in members], axis=1)
        places = [tracks.position[row, run] for row, run in members]
        fitted = whittaker(np.concatenate([*places, np.cos(recorded), np.sin(recorded)], axis=1), cutoff)
        count = len(members)
        for k, (row, run) in enumerate(members):
            path = fitted[:, 2 * k : 2 * k + 2]
            position[row, run] = path
            if len(path) > 1:
                velocity[row, run] = np.gradient(path, dt, axis=0, edge_order=2 if len(path) > 2 else 1)
            steady = np.arctan2(fitted[:, 3 * count + k], fitted[:, 2 * count + k])
            lever = REAR_AXLE * float(tracks.length[row])
            heading[row, run] = follow(path, velocity[row, run], steady, lever)
    return position, velocity, heading


def follow(
    path: Float[np.ndarray, "n 2"],
    velocity: Float[np.ndarray, "n 2"],
    recorded: Float[np.ndarray, "n"],
    lever: float,
) -> Float[np.ndarray, "n"]:
    """Headings (rad, in −π..π) of a car whose centre takes a path, its rear axle `lever` metres behind.

    Along a straight piece of length s the angle φ between heading and piece obeys  tan φ/2 ∝ e^(−s/lever).
    """
    speed = np.linalg.norm(velocity, axis=1)
    course = np.arctan2(velocity[:, 1], velocity[:, 0])
    moving = speed > MOVING
    if not moving.any() or np.median(np.cos(course - recorded)[moving]) < 0.0:
        return recorded
    pieces = np.diff(path, axis=0)
    bearing = np.arctan2(pieces[:, 1], pieces[:, 0])
    weight = np.clip((0.5 * (speed[1:] + speed[:-1]) - STILL) / (MOVING - STILL), 0.0, 1.0)
    decay = np.exp(-weight * np.linalg.norm(pieces, axis=1) / lever)
    start = int(np.argmax(moving))
    angle = course[start] - _slip(path[start:], course[start:], lever)
    heading = np.full(len(path), angle)
    for step in range(start, len(path) - 1):
        off = float(wrapped(angle - bearing[step]))
        if abs(off) < 0.5 * np.pi:  # rolling backwards turns nothing
            angle += 2.0 * np.arctan(np.tan(0.5 * off) * decay[step]) - off
        heading[step + 1] = angle
    return wrapped(heading)


def _slip(path: Float[np.ndarray, "n 2"], course: Float[np.ndarray, "n"], lever: float) -> float:
    """Angle from heading to course at the start of a path: asin(lever · curvature) of its first metres."""
    travelled = np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))
    end = int(np.searchsorted(travelled, ENTRY))
    if end >= len(travelled):
        return 0.0
    curvature = float(wrapped(course[end + 1] - course[0])) / float(travelled[end])
    return float(np.arcsin(np.clip(lever * curvature, -0.5, 0.5)))


def whittaker(values: Float[np.ndarray, "n k"], cutoff: float) -> Float[np.ndarray, "n k"]:
    """Smooth k sequences along the first axis; `cutoff` in cycles per step. Fewer than 4 values stay as they are."""
    size = len(values)
    if size <= ORDER:
        return values.copy()
    time = np.linspace(-1.0, 1.0, size)
    basis = np.stack([np.ones(size), time, time**2], axis=1)
    trend = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]  # passes unchanged; the rest keeps more digits
    lower = _factor(size, cutoff)
    rest = values - trend
    for i in range(size):
        for j in range(max(0, i - ORDER), i):
            rest[i] -= lower[i, i - j] * rest[j]
    rest /= lower[:, :1]
    for i in range(size - 1, -1, -1):
        for j in range(i + 1, min(size, i + ORDER + 1)):
            rest[i] -= lower[j, j - i] * rest[j]
    return trend + rest


@lru_cache(maxsize=256)
def _factor(size: int, cutoff: float) -> Float[np.ndarray, "n 4"]:
    """I + λ DᵀD = L diag(d) Lᵀ, D the third differences: column 0 holds d, column k the k-th diagonal below."""
    weight = (2.0 * np.sin(np.pi * cutoff)) ** (-2 * ORDER)
    matrix = np.zeros((size, ORDER + 1))  # entry [i, k] is row i, column i - k
    matrix[:, 0] = 1.0
    for row in range(ORDER + 1):
        for column in range(row + 1):
            matrix[row : size - ORDER + row, row - column] += weight * DIFFERENCES[row] * DIFFERENCES[column]
    lower = matrix.tolist()  # plain floats: the loop below is scalar
    for i in range(size):
        first = max(0, i - ORDER)
        for j in range(first, i + 1):
            entry = lower[i][i - j] - sum(lower[i][i - k] * lower[j][j - k] * lower[k][0] for k in range(first, j))
            lower[i][i - j] = entry if j == i else entry / lower[j][0]
    return np.array(lower)
