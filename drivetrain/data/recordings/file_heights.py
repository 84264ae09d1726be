"""Heights in recording files: arrays that stand only where the recording has some.

A file without them is as one of before there were heights, and is read as before.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.json_fields import MAX_EXTENT, Fields, refuse
from drivetrain.data.recordings.recording import Recording

HEIGHTS = {"height": "int32", "elevation": "int32"}
"""Of tracks by step, and of the polylines that have `heights`, one after another: differences, mm."""
MILLIMETRE = 1e-3


def height_arrays(file: str, recording: Recording) -> dict[str, np.ndarray]:
    """The arrays of `HEIGHTS` that there is something for. Raises `InputError` on heights of more than 100 km."""
    arrays, tracks = {}, recording.tracks
    lines = [one.height for one in (*recording.lanes, *recording.features) if one.height is not None]
    for values in ([] if tracks.height is None else [tracks.height]) + lines:
        if values.size and not np.abs(values).max() <= MAX_EXTENT:
            refuse(f"{file}: height", f"further than {MAX_EXTENT:g} m from 0", "leave heights out, or measure them so")
    if tracks.height is not None:
        arrays["height"] = _steps(tracks.height)
    if lines:
        arrays["elevation"] = np.concatenate([_steps(line) for line in lines])
    return arrays


def marked(height: np.ndarray | None) -> dict[str, Any]:
    """What a polyline's description says of its heights; nothing where it has none."""
    return {} if height is None else {"heights": True}


def elevations(
    file: str, arrays: dict[str, np.ndarray], lines: list[Fields], counts: list[int]
) -> list[Float[np.ndarray, "_"] | None]:
    """The heights of polylines of so many points, m; None where a description names none."""
    counts = [
        count if "heights" in line.values and line.truth("heights") else 0
        for line, count in zip(lines, counts, strict=True)
    ]
    steps = arrays.get("elevation", np.zeros(0, np.int32))
    if sum(counts) != len(steps):
        refuse(f"{file}: elevation", "not the heights of the lines that have some")
    heights: list[Float[np.ndarray, "_"] | None] = []
    first = 0
    for count in counts:
        part = steps[first : first + count]
        first += count
        heights.append(np.cumsum(part, dtype=np.int32) * MILLIMETRE if count else None)
    return heights


def _steps(values: np.ndarray) -> np.ndarray:
    """Differences along the last axis, the first from zero, mm."""
    whole = np.rint(np.asarray(values, np.float64) / MILLIMETRE).astype(np.int32)
    return np.diff(whole, axis=-1, prepend=np.zeros_like(whole[..., :1]))
