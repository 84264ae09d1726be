"""The nearest road elements: edges, painted lines, stop lines, crosswalks, as typed segments."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.geometry import line_square, root
from drivetrain.observe.nearest import nearest
from drivetrain.observe.scales import LENGTH, compress
from drivetrain.sim.bank import Bank
from drivetrain.sim.levels import STEEPEST
from drivetrain.sim.reading import road_lines, road_rows
from drivetrain.types import OBSERVED, Array, ElementKind, State, Tokens

KINDS = np.asarray(OBSERVED)
FEATURES = 8 + len(KINDS)
"""start x, y · end x, y · direction cos, sin · length · distance · kind."""


def observe_road(bank: Bank, state: State, c: Int[Array, ""] | int, count: int) -> Tokens:
    """The `count` road elements nearest to the centre of controlled agent `c`, in its frame, of its cell's block."""
    own = jnp.maximum(state.controlled[c], 0)
    (x, y), (cos, sin) = state.agents.position[own], state.agents.heading[own]
    height = None if state.agents.height is None else state.agents.height[own]
    block = road_rows(bank, state.episode, state.agents.position[own], height, STEEPEST)
    square = line_square(road_lines(block), x, y)
    index, mask = nearest(jax.lax.stop_gradient(square), (block[4] > 0.0) & (block[4] != ElementKind.NO_EDGE), count)

    chosen = [jnp.take(row, index, mode="clip") for row in (*block[:5], square)]
    x0, y0, x1, y1, kind, square = (jnp.where(mask, row, 0.0) for row in chosen)
    x0, y0, x1, y1 = x0 - x, y0 - y, x1 - x, y1 - y
    start, end = (x0 * cos + y0 * sin, y0 * cos - x0 * sin), (x1 * cos + y1 * sin, y1 * cos - x1 * sin)
    along = end[0] - start[0], end[1] - start[1]
    length = root(along[0] ** 2 + along[1] ** 2)
    inverse = 1.0 / jnp.maximum(length, 1e-3)
    rows = [compress(row) for row in (*start, *end)]
    rows += [along[0] * inverse, along[1] * inverse, length / LENGTH, compress(root(square))]
    kinds = (kind == KINDS[:, None]).astype(jnp.float32)
    return Tokens(features=jnp.where(mask, jnp.concatenate([jnp.stack(rows), kinds]), 0.0), mask=mask)
