"""The nearest other road users: pose, velocity and size relative to the agent, and the clearance between the boxes."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.geometry import box_clearance, norm, to_frame, unrotate
from drivetrain.observe.nearest import nearest
from drivetrain.observe.scales import LENGTH, SPEED, WIDTH, compress
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
    position, heading = agents.position[own], agents.heading[own]
    radius = 0.5 * norm(jnp.stack([bodies.length, bodies.width], axis=-1))
    gap = norm(agents.position - position) - radius
    others = agents.valid & (jnp.arange(agents.valid.shape[0]) != own)
    index, mask = nearest(jax.lax.stop_gradient(gap), others, count)

    features = jax.vmap(
        lambda i: jnp.concatenate(
            [
                compress(to_frame(agents.position[i], position, heading)),
                unrotate(agents.heading[i], heading),
                unrotate(agents.velocity[i] - agents.velocity[own], heading) / SPEED,
                jnp.stack(
                    [
                        bodies.length[i] / LENGTH,
                        bodies.width[i] / WIDTH,
                        compress(
                            box_clearance(
                                position,
                                heading,
                                bodies.length[own],
                                bodies.width[own],
                                agents.position[i],
                                agents.heading[i],
                                bodies.length[i],
                                bodies.width[i],
                            )
                        ),
                    ]
                ),
                (bodies.kind[i] == KINDS).astype(jnp.float32),
            ]
        )
    )(index)
    return Tokens(features=jnp.where(mask[:, None], features, 0.0), mask=mask)
