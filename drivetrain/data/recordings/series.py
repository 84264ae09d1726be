"""Series of one value a step: angles in their range, unbroken runs of steps."""

import numpy as np
from jaxtyping import Bool


def wrapped(angle: np.ndarray | float) -> np.ndarray:
    """Angles in −π … π, rad."""
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)


def runs(valid: Bool[np.ndarray, "T"]) -> list[slice]:
    """The maximal runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
