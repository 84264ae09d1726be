"""How sure a figure is: percentile bootstrap over clusters.

Egos of one recording share its road and its traffic, and recordings of one group show the same traffic, so they are no
independent draws; whole groups are resampled instead (Davison and Hinkley 1997, section 3.8). With few of them, such
intervals are somewhat too narrow.
"""

from collections.abc import Sequence
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
    return _of_ratios([(numerator, denominator)], cluster, seed)


def apart(
    one: tuple[Figures, Figures], other: tuple[Figures, Figures], cluster: Int[Array, "n"], seed: int = 0
) -> Interval:
    """`ratio` of one numerator and denominator less that of another, where both drove in the same clusters.

    Both are resampled together, so that what a cluster does to either is no part of the difference.
    """
    return _of_ratios([one, other], cluster, seed)


def _of_ratios(terms: Sequence[tuple[Figures, Figures]], cluster: Int[Array, "n"], seed: int) -> Interval:
    """The first ratio less the sum of the others."""
    pairs = [(np.asarray(top, np.float64), np.asarray(bottom, np.float64)) for top, bottom in terms]
    count = len(pairs[0][0])
    if count == 0 or any(bottom.sum() == 0 for _, bottom in pairs):
        return Interval(None, None, None, count)
    _, row = np.unique(np.asarray(cluster), return_inverse=True)
    clusters = int(row.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1.0 / clusters), size=SAMPLES)
    below = np.stack([drawn @ np.bincount(row, bottom) for _, bottom in pairs])
    above = np.stack([drawn @ np.bincount(row, top) for top, _ in pairs])
    there = (below != 0).all(axis=0)
    drawn_ratios = above[:, there] / below[:, there]
    low, high = np.quantile(drawn_ratios[0] - drawn_ratios[1:].sum(axis=0), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    first, *rest = (float(top.sum() / bottom.sum()) for top, bottom in pairs)
    return Interval(first - sum(rest), float(low), float(high), count)


def mean(values: Figures, cluster: Int[Array, "n"], seed: int = 0) -> Interval:
    """The mean of one number an ego; of zeros and ones, a rate."""
    return ratio(values, np.ones(len(values)), cluster, seed)
