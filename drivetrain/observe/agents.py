"""The nearest other road users: pose, velocity and size relative to the agent, and the clearance between the boxes."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.geometry import Box, box_clearance, root
from drivetrain.observe.nearest import nearest
from drivetrain.observe.scales import LENGTH, SPEED, WIDTH, compress
from drivetrain.sim.levels import on_level
from drivetrain.types import AgentKind, Array, State, Tokens

KINDS = np.asarray([kind for kind in AgentKind if kind != AgentKind.NONE])
FEATURES = 9 + len(KINDS)
"""x, y · cos, sin of the heading · relative velocity x, y · length · width · clearance · kind."""


def observe_agents(state: State, c: Int[Array, ""] | int, count: int) -> Tokens:
    """The `count` road users nearest to controlled agent `c`, in its frame.

    Nearest by the gap between its centre and the other's bounding circle: a lower bound of the way to the other's box
    that costs one square root an agent, so that the exact clearance is computed for the chosen alone.
    """
    own = jnp.maximum(state.controlled[c], 0)
    agents, bodies = state.agents, state.bodies
    sizes = jnp.stack([bodies.length, bodies.width, bodies.kind.astype(jnp.float32)])
    table = jnp.concatenate([agents.position.T, agents.heading.T, agents.velocity.T, sizes])  # a column an agent
    me = table[:, own]
    x, y = table[0] - me[0], table[1] - me[1]
    radius = 0.5 * root(table[6] ** 2 + table[7] ** 2)
    gap = root(x * x + y * y) - radius
    others = agents.valid & (jnp.arange(agents.valid.shape[0]) != own)
    if agents.height is not None:
        others &= on_level(agents.height, agents.height[own], x * x + y * y)
    if state.traits is not None and state.traits.odd is not None:
        others &= ~state.traits.odd.blind[c]
    index, mask = nearest(jax.lax.stop_gradient(gap), others, count)

    rows = [jnp.take(row, index, mode="clip") for row in table]
    x, y, cos, sin = rows[0] - me[0], rows[1] - me[1], me[2], me[3]
    across, up = rows[4] - me[4], rows[5] - me[5]
    there = Box(
        x=x * cos + y * sin,
        y=y * cos - x * sin,
        cos=rows[2] * cos + rows[3] * sin,
        sin=rows[3] * cos - rows[2] * sin,
        length=rows[6],
        width=rows[7],
    )
    zero = jnp.zeros(())
    here = Box(zero, zero, jnp.ones(()), zero, me[6], me[7])
    features = [
        compress(there.x),
        compress(there.y),
        there.cos,
        there.sin,
        (across * cos + up * sin) / SPEED,
        (up * cos - across * sin) / SPEED,
        there.length / LENGTH,
        there.width / WIDTH,
        compress(box_clearance(here, there)),
        *[(rows[8] == kind).astype(jnp.float32) for kind in KINDS.tolist()],
    ]
    return Tokens(features=jnp.where(mask, jnp.stack(features), 0.0), mask=mask)
