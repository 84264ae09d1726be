"""How a detector errs: a model of its misses, false alarms and noise, by which a simulator that draws no picture
reports what a camera would. Its numbers are measured on pictures (`fitting.py`).

Everything is drawn from seeds and the step (`sim/dice.py`): the same state is reported alike whenever it is looked at
again. A share of each error stays with a vehicle for good, as what is hard to see stays so.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.perception.exposure import Exposure
from drivetrain.perception.report import SIDES, STATIONS, Report
from drivetrain.sim.dice import dice
from drivetrain.types import Array, InputError, component

DEPTHS = (8.0, 15.0, 25.0, 40.0, 60.0)
"""m at which what depends on the distance is told; between them it is on straight lines, beyond them constant."""
SHARES = (0.0, 0.2, 0.4, 0.6, 0.9)
"""That no nearer one covers, likewise."""
ALARMS = 4
"""False alarms in a report, at most."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""By which it is told where false alarms are."""
CAR = 1.8
"""m, the width of what is not there."""
WHITE, STEADY, FALSE, LINES, STEADY_LINES = 11, 12, 13, 14, 15
"""Salts."""


@component
class ErrorModel:
    """Chances are shares; errors of depth and width are those of their logarithms. The defaults are a sound detector's
    in size, and measured on none.
    """

    found: tuple[float, ...] = (0.98, 0.97, 0.95, 0.85, 0.6)  # of vehicles wholly visible, at `DEPTHS`
    hidden: tuple[float, ...] = (0.1, 0.5, 0.8, 0.9, 1.0)  # times that, of those partly covered, at `SHARES`
    cut: float = 0.9  # times that, of those that the picture's border cuts
    bias: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)  # of the depth, at `DEPTHS`
    spread: tuple[float, ...] = (0.04, 0.05, 0.06, 0.08, 0.1)
    middle: float = 0.005  # of the middle between left and right, a slope
    narrow: float = 0.0  # bias of the width
    width: float = 0.1
    alarms: float = 0.05  # false ones a report, on average
    alarm_depth: tuple[float, ...] = (6.0, 15.0, 30.0, 50.0, 75.0)  # m; their `QUANTILES`
    alarm_aside: tuple[float, ...] = (-0.5, -0.25, 0.0, 0.25, 0.5)  # those of the slope of their middle
    farthest: float = 80.0  # m: nothing is reported beyond
    line_found: tuple[float, ...] = (0.95, 0.95, 0.9, 0.85, 0.7, 0.5)  # at `STATIONS`
    line_spread: tuple[float, ...] = (0.05, 0.06, 0.08, 0.12, 0.25, 0.5)  # m
    steady: float = 0.5  # share of a variance that stays with a vehicle, or with the line beside one
    delay: int = 1  # steps from the picture to the report
    seed: int = 0

    def __post_init__(self):
        """Refuse tables that do not fit."""
        wanted = {"found": DEPTHS, "hidden": SHARES, "bias": DEPTHS, "spread": DEPTHS}
        wanted |= {"line_found": STATIONS, "line_spread": STATIONS, "alarm_depth": QUANTILES, "alarm_aside": QUANTILES}
        for name, at in wanted.items():
            if len(getattr(self, name)) != len(at):
                raise InputError(
                    f"errors: {name}: {len(getattr(self, name))} numbers (give {len(at)}: one at each of {at})"
                )

    def chance(self, exposure: Exposure) -> Float[Array, "n"]:
        """That each vehicle is found."""
        part, wholly = between(exposure.share, SHARES, self.hidden), between(exposure.depth, DEPTHS, self.found)
        chance = wholly * part * jnp.where(exposure.cut, self.cut, 1.0)
        return jnp.where(exposure.there & (exposure.depth <= self.farthest), chance, 0.0)

    def vehicles(
        self, exposure: Exposure, seeds: UInt[Array, "n"], time: Int[Array, ""]
    ) -> tuple[Float[Array, "n"], Float[Array, "n"], Float[Array, "n"], Bool[Array, "n"]]:
        """What is reported of each vehicle of a moment: depth, left, right, whether it is. Seeds are a vehicle's."""
        lot, deep, sideways, wide = self._errors(seeds, time, 4, (WHITE, STEADY))
        seen = ndtr(lot) < self.chance(exposure)
        off = between(exposure.depth, DEPTHS, self.bias) + between(exposure.depth, DEPTHS, self.spread) * deep
        middle = 0.5 * (exposure.left + exposure.right) + self.middle * sideways
        half = 0.5 * (exposure.left - exposure.right) * jnp.exp(self.narrow + self.width * wide)
        depth = exposure.depth * jnp.exp(off)
        return depth, middle + half, middle - half, seen

    def false_alarms(
        self, seed: UInt[Array, ""], time: Int[Array, ""]
    ) -> tuple[Float[Array, "m"], Float[Array, "m"], Float[Array, "m"], Bool[Array, "m"]]:
        """Vehicles that are not there, as wide as a car; others in each report."""
        lot, deep, aside = dice(seed, time, 3 * ALARMS, FALSE).reshape(3, ALARMS)
        depth, middle = between(deep, QUANTILES, self.alarm_depth), between(aside, QUANTILES, self.alarm_aside)
        reach = 0.5 * CAR / depth
        return depth, middle + reach, middle - reach, lot < self.alarms / ALARMS

    def own_lines(
        self, aside: Float[Array, "2 k"], there: Bool[Array, "2 k"], seed: UInt[Array, ""], time: Int[Array, ""]
    ) -> tuple[Float[Array, "2 k"], Bool[Array, "2 k"]]:
        """What is reported of the lines: an error of one line is one along all of it, larger far ahead."""
        seeds = seed + jnp.arange(SIDES, dtype=jnp.uint32)
        lot, off = self._errors(seeds, time, 2, (LINES, STEADY_LINES))
        seen = there & (ndtr(lot)[:, None] < np.asarray(self.line_found, np.float32))
        return jnp.where(seen, aside + off[:, None] * np.asarray(self.line_spread, np.float32), 0.0), seen

    def report(
        self,
        exposure: Exposure,
        lines: tuple[Float[Array, "2 k"], Bool[Array, "2 k"]],
        half: float,
        seeds: tuple[UInt[Array, ""], UInt[Array, "n"]],
        time: Int[Array, ""],
    ) -> Report:
        """The whole report of a moment: vehicles in the order of `exposure`, then false alarms.

        Seeds are the camera's and each vehicle's.
        """
        own, others = seeds
        found = [self.vehicles(exposure, others, time), self.false_alarms(own, time)]
        depth, left, right, seen = (jnp.concatenate(rows) for rows in zip(*found, strict=True))
        aside, known = self.own_lines(*lines, own, time)
        left, right = jnp.clip(left, -half, half), jnp.clip(right, -half, half)
        depth, left, right = (jnp.where(seen, row, 0.0) for row in (depth, left, right))
        return Report(depth, left, right, seen, aside, known)

    def _errors(
        self, seeds: UInt[Array, "n"], time: Int[Array, ""], count: int, salts: tuple[int, int]
    ) -> Float[Array, "count n"]:
        """Errors of mean 0 and variance 1, nearly normal: sums of three uniform ones, of which a share stays."""

        def normal(time: Int[Array, ""] | int, salt: int) -> Array:
            chances = jax.vmap(lambda seed: dice(seed, time, 3 * count, salt))(seeds)
            return 2.0 * (jnp.sum(chances.reshape(-1, count, 3), axis=-1) - 1.5).T

        return self.steady**0.5 * normal(0, salts[1]) + (1.0 - self.steady) ** 0.5 * normal(time, salts[0])


def between(x: Float[Array, "*n"], at: tuple[float, ...], values: tuple[float, ...]) -> Float[Array, "*n"]:
    """A table on straight lines between its points, constant beyond: a sum of ramps, in which nothing is sought."""
    total = jnp.full(jnp.shape(x), values[0])
    for low, high, first, then in zip(at[:-1], at[1:], values[:-1], values[1:], strict=True):
        total += jnp.clip(x - low, 0.0, high - low) * ((then - first) / (high - low))
    return total


PERFECT = ErrorModel(
    found=(1.0,) * len(DEPTHS),
    hidden=(0.0, *[1.0] * (len(SHARES) - 1)),
    cut=1.0,
    spread=(0.0,) * len(DEPTHS),
    middle=0.0,
    width=0.0,
    alarms=0.0,
    farthest=200.0,
    line_found=(1.0,) * len(STATIONS),
    line_spread=(0.0,) * len(STATIONS),
)
"""Whatever is not wholly covered, or hardly not, is reported as it is."""
