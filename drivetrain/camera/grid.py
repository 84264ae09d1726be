"""Texels of a map while its ground is laid out, and which segments pass near them. NumPy."""

import numpy as np
from jaxtyping import Float, Int

TEXEL = 0.5
"""Side of a texel, m."""
REACH = 0.64
"""A texel knows of lines that pass its centre within this distance, m."""
VERGE = 2.4
"""And of edges within this one."""


class Grid:
    """Texels of a map, while they are laid out."""

    def __init__(self, origin: Float[np.ndarray, "2"], size: Int[np.ndarray, "2"]):
        """`size` texels along x and y from `origin` on."""
        self.origin, self.size, self.count = origin, size, int(size.prod())

    def texel(self, points: Float[np.ndarray, "*n 2"]) -> Int[np.ndarray, "*n"]:
        """The row of the texel in which each point lies; points beyond the grid are in its nearest."""
        at = np.clip(np.floor((points - self.origin) / TEXEL).astype(np.int64), 0, self.size - 1)
        return at[..., 0] + at[..., 1] * self.size[0]

    def centre(self, texel: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
        """Centres of texels."""
        return self.origin + TEXEL * (np.stack([texel % self.size[0], texel // self.size[0]], -1) + 0.5)


def nearest_segments(
    grid: Grid, segments: Float[np.ndarray, "n 4"], radius: float, step: float
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"], Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Texels whose centres are within `radius` of a segment: the nearest, m to the left of its line, m along it.

    Where several are equally near (a shared end), the one from whose line the centre is farther is taken: at a corner,
    the line of the other may pass on the wrong side.
    """
    chord = segments[:, 2:] - segments[:, :2]
    length = np.maximum(np.linalg.norm(chord, axis=1), 1e-9)
    count = np.ceil(length / step).astype(int) + 1
    row = np.repeat(np.arange(len(segments)), count)
    share = (np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)) / np.maximum(count - 1, 1)[row]
    samples = segments[row, :2] + share[:, None] * chord[row]
    reach = int(np.ceil((radius + 0.5 * step) / TEXEL)) + 1
    stamp = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), -1).reshape(-1, 2)
    stamp = stamp[np.linalg.norm(stamp, axis=1) * TEXEL <= radius + 0.5 * step + TEXEL]
    at = np.floor((samples - grid.origin) / TEXEL).astype(np.int64)[:, None] + stamp
    inside = np.all((at >= 0) & (at < grid.size), axis=-1)
    texel = (at[..., 0] + at[..., 1] * grid.size[0])[inside]
    pair = np.unique(texel * max(len(segments), 1) + np.broadcast_to(row[:, None], inside.shape)[inside])
    texel, row = pair // max(len(segments), 1), pair % max(len(segments), 1)
    offset = grid.centre(texel) - segments[row, :2]
    unit = chord[row] / length[row][:, None]
    along = np.sum(offset * unit, axis=1)
    aside = unit[:, 0] * offset[:, 1] - unit[:, 1] * offset[:, 0]
    beyond = along - np.clip(along, 0.0, length[row])
    square = aside**2 + beyond**2
    order = np.lexsort((square + 1e-3 * beyond**2, texel))
    texel, row, square, aside, along = texel[order], row[order], square[order], aside[order], along[order]
    first = np.concatenate([[True], texel[1:] != texel[:-1]]) if len(texel) else np.zeros(0, bool)
    kept = first & (square <= radius**2)
    return texel[kept], row[kept], aside[kept], along[kept]
