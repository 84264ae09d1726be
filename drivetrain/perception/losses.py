"""How wrong the network is of a picture: masks by focal cross-entropy, boxes by overlap, lines and depths by distance.

Huval et al. 2015 have cross-entropy for masks and L1 for the rest. What differs: masks are weighed by focus (Lin et al.
2017), because most cells show nothing; sides are compared by generalised overlap (Rezatofighi et al. 2019), which
weighs small boxes as large ones; depths are logarithms.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.perception.network import STRIDE, Seen
from drivetrain.perception.targets import Targets
from drivetrain.types import Array, component, record


@component
class Weighing:
    """How the parts are added."""

    focus: float = 1.5  # exponent: how little counts what is nearly right
    sides: float = 1.5
    depth: float = 0.3
    lane: float = 1.0
    segment: float = 1.0
    ends: float = 0.5


@record
class Wrong:
    """The parts of a loss; each a mean over what is asked for in a batch."""

    vehicle: Float[Array, "*n"]
    sides: Float[Array, "*n"]  # 1 − generalised overlap, 0 to 2
    depth: Float[Array, "*n"]  # of logarithms: 0.1 is a tenth of the depth
    lane: Float[Array, "*n"]
    segment: Float[Array, "*n"]  # in cells
    ends: Float[Array, "*n"]


def loss(seen: Seen, targets: Targets, weighing: Weighing) -> tuple[Float[Array, ""], Wrong]:
    """Of a batch: everything has a first axis over pictures."""
    vehicle = focal(seen.vehicle, targets.vehicle, weighing.focus) * targets.vehicle_weight
    lane = focal(seen.lane, targets.lane, weighing.focus) * targets.lane_weight
    there, passes = targets.vehicle * targets.vehicle_weight, targets.lane * targets.lane_weight
    told, reached = there * targets.depth_weight, passes * targets.ends_weight
    wrong = Wrong(
        vehicle=jnp.sum(vehicle) / (jnp.sum(there) + 1.0),
        sides=_mean(1.0 - overlap(seen.sides, targets.sides), there),
        depth=_mean(huber(seen.depth - targets.depth), told),
        lane=jnp.sum(lane) / (jnp.sum(passes) + 1.0),
        segment=_mean(jnp.mean(huber((seen.segment - targets.segment) / STRIDE), -1), passes),
        ends=_mean(jnp.mean(huber(seen.ends - targets.ends), -1), reached),
    )
    total = wrong.vehicle + weighing.sides * wrong.sides + weighing.depth * wrong.depth
    total = total + weighing.lane * wrong.lane + weighing.segment * wrong.segment + weighing.ends * wrong.ends
    return total, wrong


def _mean(numbers: Array, weight: Array) -> Array:
    return jnp.sum(numbers * weight) / (jnp.sum(weight) + 1.0)


def focal(logit: Float[Array, "*n"], wanted: Float[Array, "*n"], focus: float) -> Float[Array, "*n"]:
    """Cross-entropy of a logit, times how far it is off to the power of `focus`."""
    sign = 2.0 * wanted - 1.0
    sure = jax.nn.sigmoid(logit * sign)
    return (1.0 - sure) ** focus * jax.nn.softplus(-logit * sign)


def overlap(sides: Float[Array, "*n 4"], wanted: Float[Array, "*n 4"]) -> Float[Array, "*n"]:
    """The generalised intersection over union, −1 to 1, of two boxes about a point from which their sides are given."""
    width, height = (sides[..., a] + sides[..., b] for a, b in ((0, 2), (1, 3)))
    wide, high = (wanted[..., a] + wanted[..., b] for a, b in ((0, 2), (1, 3)))
    least, most = jnp.minimum(sides, wanted), jnp.maximum(sides, wanted)
    common = (least[..., 0] + least[..., 2]) * (least[..., 1] + least[..., 3])
    hull = (most[..., 0] + most[..., 2]) * (most[..., 1] + most[..., 3])
    union = width * height + wide * high - common
    return common / union - (hull - union) / hull


def huber(off: Array) -> Array:
    """|off|, but smooth within 0.05 of 0."""
    size = jnp.abs(off)
    return jnp.where(size < 0.05, off * off * 10.0, size - 0.025)
