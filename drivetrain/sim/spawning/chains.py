"""Goals anywhere: a chain of way-points of the map for each agent, the first reachable from the lane that it is on."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.sim.bank import Bank
from drivetrain.sim.lane_graph import WayRow
from drivetrain.sim.placing import locate, way_left, way_point
from drivetrain.sim.reading import Index
from drivetrain.types import Array, Errand, Key, component


@component
class Chains:
    """Which chains are handed out (Cusumano-Towner et al. 2025, arXiv 2502.03349: goals that lanes lead to)."""

    tries: int = 4  # chains drawn for an agent, of which it gets the first that it can reach
    least: float = 10.0  # m of driving to the first goal
    most: float = float("inf")  # m of driving to the first goal
    radius: tuple[float, float] = (2.0, 12.0)  # m, within which goals are reached, drawn for each agent

    def draw(
        self, bank: Bank, map_: Index, position: Float[Array, "2"], heading: Float[Array, "2"], key: Key
    ) -> tuple[Errand, Bool[Array, ""]]:
        """An errand, and whether its first goal can be reached: else it is not to be handed out. Consumes the key."""
        assert bank.graph is not None
        chain_key, radius_key = jax.random.split(key)
        place = locate(bank, map_, position, heading, None, None)
        chains = jax.random.randint(chain_key, (self.tries,), 0, bank.graph.chains.shape[1])
        start = Errand(jnp.int32(0), jnp.int32(0), chains[0], self._radius(radius_key))

        def metres(chain: Array) -> Array:
            errand = Errand(jnp.int32(0), jnp.int32(0), chain, start.radius)
            return way_left(bank, map_, way_point(bank, map_, errand), place)

        left = jax.vmap(metres)(chains)
        good = (left >= self.least) & (left <= self.most) & jnp.isfinite(left)
        return Errand(start.goal, start.since, chains[jnp.argmax(good)], start.radius), jnp.any(good)

    def _radius(self, key: Key) -> Float[Array, ""]:
        return jax.random.uniform(key, minval=self.radius[0], maxval=self.radius[1])


def chain_length(bank: Bank, map_: Index, errand: Errand) -> Float[Array, ""]:
    """Metres from the next goal to the last of the chain; 0 where it has arrived."""
    rest = way_point(bank, map_, errand)[WayRow.REST]
    return jnp.where(jnp.isfinite(rest), rest, 0.0)
