"""How sure a figure is: percentile bootstrap over clusters.

Egos of one recording share its road and its traffic, and recordings of one group show the same traffic, so they are no
independent draws; whole groups are resampled instead (Davison and Hinkley 1997, section 3.8). With few of them, such
intervals are somewhat too narrow.
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.types import Array

METHOD = "percentile bootstrap over groups of recordings, 95 %"
Figures = Float[Array, "n"] | Bool[Array, "n"]
SAMPLES = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval; None where there is nothing to count."""

    value: float | None
    low: float | None
    high: float | None
    n: int  # egos

    def as_json(self) -> dict[str, float | int | None]:
        """The form of `evaluation.json`."""
        return asdict(self)


def ratio(numerator: Figures, denominator: Figures, cluster: Int[Array, "n"], seed: int = 0) -> Interval:
    """Σ numerator / Σ denominator, resampling clusters with replacement.

    A rate has a denominator of ones, a paired difference the difference of two outcomes as its numerator. Draws whose
    denominator is zero are left out. The same seed gives the same interval.
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    if len(top) == 0 or bottom.sum() == 0:
        return Interval(None, None, None, len(top))
    _, row = np.unique(np.asarray(cluster), return_inverse=True)
    tops, bottoms = np.bincount(row, top), np.bincount(row, bottom)
    clusters = len(tops)
    drawn = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1.0 / clusters), size=SAMPLES)
    below = drawn @ bottoms
    values = (drawn @ tops)[below != 0] / below[below != 0]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(top.sum() / bottom.sum()), float(low), float(high), len(top))


def mean(values: Figures, cluster: Int[Array, "n"], seed: int = 0) -> Interval:
    """The mean of one number an ego; of zeros and ones, a rate."""
    return ratio(values, np.ones(len(values)), cluster, seed)
