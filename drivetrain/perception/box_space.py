"""A discretised space of boxes: a network says of each how likely a thing fills it, whatever the thing is.

From Huval, Coates and Ng 2013 (arXiv 1312.6885): the recognition network's features, a softmax over boxes, trained to
Gaussians about the true ones. The paper's numbers of boxes are not known to us; ours stand in `BoxSpace`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from drivetrain.perception.matching import iou
from drivetrain.types import Array, component

CONSIDERED = 15
"""Boxes that proposals are chosen among, for each of them."""


@component
class BoxSpace:
    """Boxes of a square picture, in shares of its side: centres on a grid, sides that grow by one ratio.

    A distribution over it is [cells, cells, sides · sides], rows first, then columns; of the last axis, the height is
    the slower.
    """

    cells: int = 16  # centres along each side of the picture
    sides: int = 6  # lengths of each side of a box
    least: float = 0.12  # the shortest
    most: float = 0.9  # the longest
    width: float = 0.7  # of the Gaussians, in steps of the grid and of the lengths

    @property
    def lengths(self) -> Float[np.ndarray, "sides"]:
        """Of a side of a box."""
        return np.geomspace(self.least, self.most, self.sides)

    @property
    def centres(self) -> Float[np.ndarray, "cells"]:
        """Of a box, along one side of the picture."""
        return (np.arange(self.cells) + 0.5) / self.cells

    def steps(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """Boxes (x0, y0, x1, y1) as row, column, height and width, in steps of the space."""
        x0, y0, x1, y1 = np.asarray(boxes, np.float64).T
        step = np.log(self.most / self.least) / (self.sides - 1)
        tall, wide = (np.log(np.maximum(side, 1e-3) / self.least) / step for side in (y1 - y0, x1 - x0))
        return np.stack([self.cells * (y0 + y1) / 2 - 0.5, self.cells * (x0 + x1) / 2 - 0.5, tall, wide], -1)

    def boxes(self, steps: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """`steps` undone; between the steps too."""
        row, column, tall, wide = np.asarray(steps, np.float64).T
        ratio = (self.most / self.least) ** (1.0 / (self.sides - 1))
        half_tall, half_wide = (0.5 * self.least * ratio**side for side in (tall, wide))
        x, y = (column + 0.5) / self.cells, (row + 0.5) / self.cells
        return np.stack([x - half_wide, y - half_tall, x + half_wide, y + half_tall], -1)

    def target(self, steps: Float[Array, "n 4"], there: Float[Array, "n"]) -> Float[Array, "cells cells sizes"]:
        """The distribution that a picture with these boxes (`steps`) is trained to: as much of it about each.

        `there` is 1 of a box, and 0 of one that is none.
        """

        def bell(count: int, at: Float[Array, "n"]) -> Float[Array, "n count"]:
            off = jnp.arange(count) - jnp.clip(at, 0, count - 1)[:, None]
            return jax.nn.softmax(-0.5 * (off / self.width) ** 2)

        rows, columns = bell(self.cells, steps[:, 0]), bell(self.cells, steps[:, 1])
        tall, wide = bell(self.sides, steps[:, 2]), bell(self.sides, steps[:, 3])
        made = jnp.einsum("n,nr,nc,nt,nw->rctw", there, rows, columns, tall, wide) / jnp.maximum(jnp.sum(there), 1.0)
        return made.reshape(self.cells, self.cells, -1)

    def proposals(
        self, likely: Float[np.ndarray, "cells cells sizes"], count: int, overlap: float = 0.6
    ) -> tuple[Float[np.ndarray, "m 4"], Float[np.ndarray, "m"]]:
        """The likeliest boxes, at most `count`, none of which overlaps a likelier one by more than `overlap` (IoU).

        Each lies at the mean of its neighbours, one step in every direction, as likely as they are: since targets are
        Gaussians, the likelihoods say where between the steps it is. With how likely its own step is.
        """
        shape = (self.cells, self.cells, self.sides, self.sides)
        likely = np.asarray(likely, np.float64).reshape(shape)
        flat = likely.ravel()
        order = np.argpartition(-flat, min(CONSIDERED * count, flat.size - 1))[: CONSIDERED * count]
        order = order[np.argsort(-flat[order], kind="stable")]
        at = np.stack(np.unravel_index(order, shape), -1)
        offsets = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 4, indexing="ij"), -1).reshape(-1, 4)
        around = np.pad(likely, 1)[tuple((at[:, None] + 1 + offsets).transpose(2, 0, 1))]
        moved = around @ offsets / np.maximum(around.sum(-1, keepdims=True), 1e-12)
        boxes, free, kept = np.clip(self.boxes(at + moved), 0.0, 1.0), np.ones(len(at), bool), []
        while len(kept) < count and free.any():
            kept.append(int(np.argmax(free)))
            free &= iou(boxes[kept[-1:]], boxes)[0] <= overlap
            free[kept[-1]] = False
        return boxes[kept], flat[order[kept]]


def recall(
    truths: Sequence[np.ndarray], proposals: Sequence[np.ndarray], count: int, least: float = 0.5
) -> list[np.ndarray]:
    """Of each picture's boxes [n, 4], whether one of its first `count` proposals [m, 4] overlaps it enough (IoU)."""
    return [
        (iou(boxes, some[:count]).max(axis=1, initial=0.0) >= least) if len(boxes) else np.zeros(0, bool)
        for boxes, some in zip(truths, proposals, strict=True)
    ]
