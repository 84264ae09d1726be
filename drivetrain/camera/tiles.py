"""Which things each tile of a picture need ask about: the nearest few whose outline in the picture touches it.

A ray that asks every thing costs as many tests as there are things. In a picture cut into tiles of 8 × 16 pixels most
tiles are touched by none or one, so that a ray asks K of them, the nearest first.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.camera.pinhole import NEAREST, Camera, Eye, project, slopes, to_camera
from drivetrain.camera.things import Things
from drivetrain.types import Array, component

CORNERS = np.array([(a, b, c) for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (0.0, 1.0)], np.float32)
FARTHEST_SHADOW = 3.0
"""A shadow is at most so many times as long as what casts it is high."""


@component
class Tiling:
    """How a picture is cut up."""

    height: int = 8  # pixels of a tile
    width: int = 16
    things: int = 4  # that a tile's pixels ask about, the nearest

    def across(self, camera: Camera) -> tuple[int, int]:
        """Tiles down and across; the last ones may reach beyond the picture."""
        return -(-camera.height // self.height), -(-camera.width // self.width)


def tiled_slopes(camera: Camera, tiling: Tiling) -> Float[np.ndarray, "2 T n"]:
    """The slopes of every pixel, by tile: the same in every picture. Beyond the picture its last ones are repeated."""
    down, across = tiling.across(camera)
    rows = np.minimum(np.arange(down * tiling.height), camera.height - 1)
    columns = np.minimum(np.arange(across * tiling.width), camera.width - 1)
    table = slopes(camera)[rows][:, columns]
    table = table.reshape(down, tiling.height, across, tiling.width, 2).transpose(4, 0, 2, 1, 3)
    return np.ascontiguousarray(table.reshape(2, down * across, tiling.height * tiling.width))


def outlines(
    camera: Camera, eye: Eye, things: Things, shadow: Float[Array, "2"], casts: Bool[Array, "N"]
) -> tuple[Float[Array, "N 4"], Float[Array, "N 4"]]:
    """The rectangle in the picture, pixels (x0, y0, x1, y1), that each thing's box fills, empty where it is behind; and
    that of it and, where it `casts` one, its shadow.

    `shadow` is where the sun throws a point at height 1 m to, on the ground.
    """
    corner = jnp.asarray(CORNERS)[None] * things.size[:, None]
    cos, sin = things.heading[:, :1], things.heading[:, 1:]
    x = things.place[:, :1] + corner[..., 0] * cos - corner[..., 1] * sin
    y = things.place[:, 1:] + corner[..., 0] * sin + corner[..., 1] * cos
    z = jnp.broadcast_to(corner[..., 2], x.shape)
    throw = jnp.where(casts[:, None], z, 0.0)
    shade = [x + throw * shadow[0], y + throw * shadow[1], jnp.where(casts[:, None], 0.0, z)]
    points = jnp.concatenate([jnp.stack([x, y, z], -1), jnp.stack(shade, -1)], 1)
    pixel, depth = project(camera, to_camera(eye, points))
    there = things.valid & jnp.any(depth[:, : len(CORNERS)] > NEAREST, axis=1)

    def round_of(pixel: Float[Array, "N k 2"]) -> Float[Array, "N 4"]:
        low, high = jnp.min(pixel, axis=1), jnp.max(pixel, axis=1)
        # A lens that bends bulges edges between corners: by less than a share of the outline.
        slack = 0.05 * (high - low) if camera.distorts else 0.0
        rim = jnp.concatenate([low - slack, high + slack], -1)
        return jnp.where(there[:, None], rim, jnp.asarray([1e9, 1e9, -1e9, -1e9]))

    return round_of(pixel[:, : len(CORNERS)]), round_of(pixel)


def touching(camera: Camera, tiling: Tiling, outline: Float[Array, "N 4"]) -> Int[Array, "K T"]:
    """The first K things whose outline touches each tile; N where there are fewer. Things stand nearest first."""
    down, across = tiling.across(camera)
    top = np.repeat(np.arange(down) * tiling.height, across).astype(np.float32)
    left = np.tile(np.arange(across) * tiling.width, down).astype(np.float32)
    bottom, right = top + tiling.height - 1.0, left + tiling.width - 1.0
    x0, y0, x1, y1 = (outline[:, column, None] for column in range(4))
    inside: Bool[Array, "N T"] = (x0 <= right) & (x1 >= left) & (y0 <= bottom) & (y1 >= top)
    count = len(outline)
    rank = jnp.where(inside, jnp.cumsum(inside.astype(jnp.int32), axis=0) - 1, -1)
    number = jnp.arange(count)[:, None] - count
    return jnp.stack([jnp.min(jnp.where(rank == k, number, 0), axis=0) + count for k in range(tiling.things)])
