"""The nearest road elements: edges, painted lines, stop lines, crosswalks, as typed segments."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from drivetrain.geometry import norm, point_segment_distance, to_frame, unrotate
from drivetrain.observe.nearest import nearest
from drivetrain.observe.scales import LENGTH, compress
from drivetrain.sim.bank import Bank, road_block
from drivetrain.types import Array, ElementKind, State, Tokens

KINDS = np.asarray([kind for kind in ElementKind if kind != ElementKind.NONE])
FEATURES = 8 + len(KINDS)
"""start x, y · end x, y · direction cos, sin · length · distance · kind."""


def observe_road(bank: Bank, state: State, c: Int[Array, ""] | int, count: int) -> Tokens:
    """The `count` road elements nearest to the centre of controlled agent `c`, in its frame, of its cell's block."""
    own = jnp.maximum(state.controlled[c], 0)
    position, heading = state.agents.position[own], state.agents.heading[own]
    segments, kind = road_block(bank, state.episode, position)
    distance = jax.vmap(point_segment_distance, in_axes=(None, 0, 0))(position, segments[:, :2], segments[:, 2:])
    index, mask = nearest(jax.lax.stop_gradient(distance), kind > 0, count)

    def token(segment: Float[Array, "4"], kind: Array, distance: Float[Array, ""]) -> Float[Array, "f"]:
        along = unrotate(segment[2:] - segment[:2], heading)
        length = norm(along)
        return jnp.concatenate(
            [
                compress(to_frame(segment[:2], position, heading)),
                compress(to_frame(segment[2:], position, heading)),
                along / jnp.maximum(length, 1e-3),
                jnp.stack([length / LENGTH, compress(distance)]),
                (kind == KINDS).astype(jnp.float32),
            ]
        )

    features = jax.vmap(token)(segments[index], kind[index], distance[index])
    return Tokens(features=jnp.where(mask[:, None], features, 0.0), mask=mask)
