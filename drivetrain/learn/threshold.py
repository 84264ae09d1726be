"""Advantage filtering (Cusumano-Towner et al. 2025, arXiv 2502.03349, algorithm 1): what teaches little costs nothing.

    A_max ← max |Â| of what was gathered · Ā ← β A_max + (1 − β) Ā · left out are samples with |Â| < share · Ā

How much is left follows from the advantages, while shapes stand: `update.py` puts in front what is left, and runs no
more than that.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.types import Array, InputError, component, record, replace


@record
class Sieve:
    """What a threshold follows from, and what it did to the last update."""

    largest: Float[Array, ""]  # Ā; 0 before the first update, so that the first thresholds are low
    dropped: Float[Array, ""]  # share left out of the sequences that there were, of all learners


@component
class Threshold:
    """The published filter: 0.01 of a moving average that takes a quarter of each update's largest advantage."""

    share: float = 0.0  # of Ā, below which nothing is learnt from; published: 0.01; 0: nothing is left out
    rate: float = 0.25  # β

    def __post_init__(self):
        if not 0.0 <= self.share < 1.0:
            raise InputError(f"threshold.share: {self.share} (0: none, or a share below 1)")
        if not 0.0 < self.rate <= 1.0:
            raise InputError(f"threshold.rate: {self.rate} (a share above 0, at most 1)")

    def __bool__(self) -> bool:
        return self.share > 0.0

    def begin(self) -> Sieve | tuple[()]:
        """Before the first update; nothing where nothing is left out."""
        return Sieve(jnp.zeros(()), jnp.zeros(())) if self else ()

    def after(
        self,
        sieve: Sieve,
        priority: Float[Array, "*N"],
        total: Callable[[Array], Array],
        most: Callable[[Array], Array],
    ) -> Sieve:
        """With the priorities of what was gathered, −1 where masked; `total` and `most` are over all learners."""
        largest = most(jnp.maximum(jnp.max(priority), 0.0))
        sieve = replace(sieve, largest=self.rate * largest + (1.0 - self.rate) * sieve.largest)
        left = self.left(sieve, priority)
        there, left = (total(jnp.sum(rows, dtype=jnp.float32)) for rows in (left | (priority >= 0.0), left))
        return replace(sieve, dropped=1.0 - left / jnp.maximum(there, 1.0))

    def left(self, sieve: Sieve, priority: Float[Array, "*N"]) -> Bool[Array, "*N"]:
        """What is learnt from. Where an advantage is no number everything is, so that the loss is none either."""
        return ~((priority < self.share * sieve.largest) | (priority < 0.0))

    def describe(self, sieve: Sieve | tuple[()]) -> dict[str, float]:
        """What the journal says of it; nothing where nothing is left out."""
        if not isinstance(sieve, Sieve):
            return {}
        return {"dropped_share": float(sieve.dropped), "largest_advantage": float(sieve.largest)}
