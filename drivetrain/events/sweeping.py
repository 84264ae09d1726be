"""Did boxes touch between two steps, which at neither of them do? Within a long step cars may pass through each other.

Cusumano-Towner et al. 2025 (arXiv 2502.03349, section on collisions, at steps of 0.3 s): the ways of one box's corners
against the other box, and the other way round; and of its middle, since corners of boxes alike may pass along the
sides. Ways are straight in the frame of the other, which is exact while neither turns.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.collision import collision
from drivetrain.geometry import Box, box, box_corners, seen_from
from drivetrain.sim.bank import Bank
from drivetrain.sim.levels import on_level
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State


def swept_collision(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """`collision`, or where boxes were nearer on the way, minus the depth of the deepest point midway through.

    Of those who were there before and after the step.
    """
    me = after.controlled[c]
    boxes = [
        box(state.agents.position, state.agents.heading, state.bodies.length, state.bodies.width)
        for state in (before, after)
    ]
    mine = [jax.tree.map(lambda row: row[me], each) for each in boxes]
    depth = jnp.maximum(
        _deepest([seen_from(own, other) for own, other in zip(mine, boxes, strict=True)], mine[1]),
        _deepest([seen_from(other, own) for own, other in zip(mine, boxes, strict=True)], boxes[1]),
    )
    other = before.agents.valid & after.agents.valid & (jnp.arange(after.agents.valid.shape[0]) != me)
    if after.agents.height is not None:
        other &= on_level(after.agents.height, after.agents.height[me])
    deepest = jnp.max(jnp.where(other, depth, 0.0), initial=0.0)
    at_steps = collision(bank, before, after, c)
    return jnp.where(deepest > 0.0, jnp.minimum(at_steps, -deepest), at_steps)


def _deepest(seen: list[Box], sizes: Box) -> Float[Array, "A"]:
    """How deep the corners and middles of boxes, seen before and after from others, come into these; 0: not at all."""
    long, wide = 0.5 * sizes.length, 0.5 * sizes.width
    depths = []
    for start, end in zip(*([*box_corners(each), (each.x, each.y)] for each in seen), strict=True):
        first, last = jnp.zeros(()), jnp.ones(())
        for here, there, half in ((start[0], end[0], long), (start[1], end[1], wide)):
            along = there - here
            still = jnp.abs(along) < 1e-6
            inverse = 1.0 / jnp.where(still, 1.0, along)
            near, far = (-half - here) * inverse, (half - here) * inverse
            within = jnp.abs(here) < half
            first = jnp.maximum(first, jnp.where(still, jnp.where(within, 0.0, 2.0), jnp.minimum(near, far)))
            last = jnp.minimum(last, jnp.where(still, 1.0, jnp.maximum(near, far)))
        middle = 0.5 * (first + last)
        x, y = start[0] + middle * (end[0] - start[0]), start[1] + middle * (end[1] - start[1])
        depth = jnp.minimum(long - jnp.abs(x), wide - jnp.abs(y))
        depths.append(jnp.where(first < last, jnp.maximum(depth, 0.0), 0.0))
    return jnp.max(jnp.stack(depths), axis=0)
