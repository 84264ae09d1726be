"""What is overlooked and misjudged: features of the map that an agent does not see in a step, others seen inexactly.

Cusumano-Towner et al. 2025 (arXiv 2502.03349, section on observations): 40 % of the road's borders and half of the lane
features are left out in training, and nothing is in evaluation, where an observer has no blur. All of it follows from
the agent's seed and the step, so that an observation that is made again is the same.
"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.sim.dice import dice
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State, Tokens, component, replace

ROAD, LANES, AGENTS = 2, 3, 4
"""Salts."""
INEXACT = 6
"""Features of an agent that are seen inexactly: position, heading, velocity."""


@component
class Blur:
    """How much is overlooked and misjudged; shares of what is seen."""

    road: float = 0.4
    lanes: float = 0.5
    agents: float = 0.02  # deviation of the features of others; 0.01 are 5 cm nearby and 10 cm/s

    def of_road(self, state: State, c: Index, seen: Tokens) -> Tokens:
        """The road elements that are left."""
        return _dropped(seen, self._chances(state, c, len(seen.mask), ROAD) >= self.road)

    def of_lanes(self, state: State, c: Index, seen: Tokens) -> Tokens:
        """The lane features that are left."""
        return _dropped(seen, self._chances(state, c, len(seen.mask), LANES) >= self.lanes)

    def of_agents(self, state: State, c: Index, seen: Tokens) -> Tokens:
        """The others as they seem to be; errors are the sum of three uniform ones."""
        if not self.agents:
            return seen
        chances = self._chances(state, c, 3 * INEXACT * len(seen.mask), AGENTS).reshape(3, INEXACT, -1)
        error = 2.0 * self.agents * (jnp.sum(chances, axis=0) - 1.5)
        inexact = seen.features[:INEXACT] + jnp.where(seen.mask, error, 0.0)
        return replace(seen, features=jnp.concatenate([inexact, seen.features[INEXACT:]]))

    def _chances(self, state: State, c: Index, count: int, salt: int) -> Float[Array, "n"]:
        if state.traits is None or state.traits.odd is None:
            raise ValueError("Blur: agents have no seeds (give Anywhere styles)")
        return dice(state.traits.odd.seed[c], state.time, count, salt)


def _dropped(seen: Tokens, kept: Bool[Array, "n"]) -> Tokens:
    mask = seen.mask & kept
    return Tokens(features=jnp.where(mask, seen.features, 0.0), mask=mask)
