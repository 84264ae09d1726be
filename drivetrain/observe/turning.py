"""Rows of points and directions into an agent's frame, in one expression: XLA then writes them in one loop."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from drivetrain.types import Array

Pose = tuple[Array, Array, Array, Array]
"""x, y, m, and the heading's cos and sin, of the agent whose frame it is."""


def turn_rows(
    rows: Float[Array, "k *n"], pose: Pose, points: int, directions: int, there: Float[Array, "*n"]
) -> Float[Array, "k *n"]:
    """An even number of rows: x and y of points in turn, then of directions, then what does not turn.

    `there` is 1 where a column exists and 0 where its rows are zeros, which stay zeros.
    """
    x, y, cos, sin = pose
    pairs = rows.reshape(-1, 2, *rows.shape[1:])[:, ::-1].reshape(rows.shape)
    turning, even = points + directions, np.arange(len(rows)) % 2 == 0

    def column(first: Array, second: Array, until: int, rest: float) -> Array:
        numbers = jnp.where(np.arange(len(rows)) < until, jnp.where(even, first, second), rest)
        return numbers.reshape(-1, *[1] * there.ndim)

    offset = rows - column(x, y, points, 0.0) * there
    across = pairs - column(y, x, points, 0.0) * there
    return column(cos, cos, turning, 1.0) * offset + column(sin, -sin, turning, 0.0) * across


def scale_rows(
    rows: Float[Array, "k *n"], scales: Float[np.ndarray, "k"], bends: Float[np.ndarray, "k"]
) -> Float[Array, "k *n"]:
    """Each row by its scale, far numbers less: row · scale / (1 + |row| · bend). `compress` is one such."""
    column = (-1, *[1] * (rows.ndim - 1))
    return rows * scales.reshape(column) / (1.0 + jnp.abs(rows) * bends.reshape(column))
