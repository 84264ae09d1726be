"""The height of the ground below road users, from what a source says of the middle of their boxes."""

import numpy as np
from jaxtyping import Bool, Float

MAX_HEIGHT = 1e5  # m
MAX_TALL = 10.0  # m; a box said to be taller is not believed


def ground_heights(
    middle: Float[np.ndarray, "I T"], tall: Float[np.ndarray, "I T"], valid: Bool[np.ndarray, "I T"]
) -> Float[np.ndarray, "I T"] | None:
    """Heights of the ground, m, zeros where a track is not valid; None where some are no heights: all, or none."""
    tall = np.where((tall > 0.0) & (tall < MAX_TALL), tall, 0.0)
    height = np.where(valid, middle - tall / 2.0, 0.0)
    return height if (np.abs(height) < MAX_HEIGHT).all() else None
