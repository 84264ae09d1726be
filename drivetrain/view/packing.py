"""Numbers for a page: quantised integers, delta-coded along their first axis, in base64 (little endian)."""

import base64

import numpy as np

from drivetrain.types import Array

Packed = dict[str, object]
"""`t`: i1, i2 or i4 · `w`: values a row · `d`: base64 of the rows · `s`: the first row, if the rows are differences."""

CENTIMETRES = 100.0
MILLIRADIANS = 1000.0
MISSING = -32768
"""Stands for "no value" in packed figures."""


def pack(values: Array) -> Packed:
    """Integers, one row after another, in the smallest type that holds them. One column makes rows of width 1."""
    values = np.asarray(values).astype(np.int64)
    width = int(np.prod(values.shape[1:], dtype=np.int64)) if values.ndim > 1 else 1
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kind = next(size for size in (1, 2, 4) if -(1 << (8 * size - 1)) <= low and high < 1 << (8 * size - 1))
    encoded = base64.b64encode(values.astype(f"<i{kind}").tobytes()).decode("ascii")
    return {"t": f"i{kind}", "w": width, "d": encoded}


def pack_path(values: Array) -> Packed:
    """Integers [n, w] that change slowly along n: the first row, then the differences, zero for the first."""
    values = np.asarray(values).astype(np.int64)
    if len(values) == 0:
        return pack(values)
    difference = np.diff(values, axis=0, prepend=values[:1])
    return {**pack(difference), "s": [int(value) for value in values[0].ravel()]}


def centimetres(metres: Array) -> np.ndarray:
    """Whole centimetres, rounded down, so that a margin below zero stays below zero."""
    return np.floor(np.asarray(metres, dtype=np.float64) * CENTIMETRES).astype(np.int64)


def pose_rows(position: Array, heading: Array, valid: Array) -> np.ndarray:
    """Poses [n, 3] as x, y in cm and the heading in mrad without jumps; where not valid, the pose before holds.

    `position` [n, 2] in m, `heading` [n, 2] as (cos, sin), `valid` [n].
    """
    position, heading, valid = np.asarray(position), np.asarray(heading), np.asarray(valid, bool)
    if not valid.any():
        return np.zeros((len(valid), 3), np.int64)
    held = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), int(np.argmax(valid))))
    angle = np.unwrap(np.arctan2(heading[held, 1], heading[held, 0]).astype(np.float64))
    return np.column_stack([centimetres(position[held]), np.round(angle * MILLIRADIANS).astype(np.int64)])
