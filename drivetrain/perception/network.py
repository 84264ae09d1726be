"""A trunk and two heads: what a picture shows of vehicles and of lines between lanes, at every eighth pixel.

The frame is Huval et al. 2015 (arXiv 1504.01716): each cell says whether the central part of a vehicle covers it, how
far the vehicle's sides are, and how deep it stands; whether a line between lanes passes, which piece of it, and how
deep the piece's ends are. The paper's trunk sees a grid of 20 × 15 cells in 640 × 480 pixels and divides each in 4 × 4;
`Paper` is that network, `Small` one that two CPU cores train and run.

Depths are shares of the focal length, in logarithms: log(depth, m / focal length, pixels of the network's input). What
is drawn twice as large looks half as deep, whatever lens it is seen through, so that one network serves all cameras.
"""

import abc
import math
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, UInt

from drivetrain.types import Array, Key, component, record

STRIDE = 8
"""Pixels from one cell to the next."""
MULTIPLE = 32
"""Pictures are as high and as wide as a multiple of this."""
LARGEST = 6.5
"""The logarithm of the farthest side of a box, pixels."""
VEHICLE_NUMBERS = 6
"""Of a cell: mask, four sides, depth."""
LANE_NUMBERS = 7
"""Of a cell: mask, x1, y1, x2, y2, two depths."""
PRIOR = -4.0
"""The logit of masks at first: most cells show nothing (Lin et al. 2017)."""


@record
class Seen:
    """What the network makes of a picture, cell by cell. The cell [r, c] is at pixel (8 c + 3.5, 8 r + 3.5)."""

    vehicle: Float[Array, "*n h w"]  # logit: the central part of a vehicle is here
    sides: Float[Array, "*n h w 4"]  # from here to its left, upper, right and lower side, pixels
    depth: Float[Array, "*n h w"]  # log(m / focal length)
    lane: Float[Array, "*n h w"]  # logit: a line passes
    segment: Float[Array, "*n h w 4"]  # x1, y1, x2, y2 of its piece, the nearer end first, pixels from here
    ends: Float[Array, "*n h w 2"]  # the ends' depths, as logarithms


class Network(eqx.Module):
    """Trunk and heads."""

    trunk: eqx.Module
    vehicles: "Head"
    lanes: "Head"

    def __call__(self, picture: UInt[Array, "H W 3"]) -> Seen:
        """What one picture shows; its sides are multiples of `MULTIPLE`. Batch with `jax.vmap`."""
        features = self.trunk(picture.astype(jnp.float32) * (1.0 / 64.0) - 2.0)  # type: ignore[operator]
        vehicles, lanes = self.vehicles(features), self.lanes(features)
        return Seen(
            vehicle=vehicles[..., 0] + PRIOR,
            sides=jnp.exp(jnp.minimum(vehicles[..., 1:5] + math.log(2.0 * STRIDE), LARGEST)),
            depth=vehicles[..., 5] - 3.0,
            lane=lanes[..., 0] + PRIOR,
            segment=STRIDE * lanes[..., 1:5],
            ends=lanes[..., 5:7] - 3.0,
        )


class Architecture(abc.ABC):
    """What a network is built from."""

    @abc.abstractmethod
    def build(self, key: Key) -> Network:
        """A network, untrained. The key is split once a layer."""


# --------------------------------------------------------------------------------------------------------------- layers


class Convolution(eqx.Module):
    """A convolution over [H, W, C] whose weights are brought to mean 0 and variance 1 / inputs, times a gain.

    In place of batch normalisation (Brock et al. 2021, "normalizer-free"): it costs nothing a pixel and knows no batch.
    """

    weight: Float[Array, "k k c d"]
    gain: Float[Array, "d"]
    bias: Float[Array, "d"]
    stride: int = eqx.field(static=True)
    padding: int | None = eqx.field(static=True)  # None: as many pixels come out as go in, over the stride

    def __init__(
        self,
        side: int,
        inputs: int,
        outputs: int,
        key: Key,
        stride: int = 1,
        gain: float = 1.0,
        padding: int | None = None,
    ):
        # Any size gives the same function; this one makes steps of Adam as long as they are for usual layers.
        bound = (3.0 / (side * side * inputs)) ** 0.5
        self.weight = jax.random.uniform(key, (side, side, inputs, outputs), minval=-bound, maxval=bound)
        self.gain, self.bias = jnp.full(outputs, gain), jnp.zeros(outputs)
        self.stride, self.padding = stride, padding

    def __call__(self, x: Float[Array, "H W c"]) -> Float[Array, "h w d"]:
        """Apply to one picture."""
        w = self.weight - jnp.mean(self.weight, axis=(0, 1, 2), keepdims=True)
        inputs = w.shape[0] * w.shape[1] * w.shape[2]
        w = w * (self.gain * jax.lax.rsqrt(inputs * jnp.mean(w * w, axis=(0, 1, 2)) + 1e-8))
        padding = "SAME" if self.padding is None else [(self.padding, self.padding)] * 2
        out = jax.lax.conv_general_dilated(
            jnp.asarray(x)[None],
            jnp.asarray(w),
            (self.stride, self.stride),
            padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return out[0] + self.bias


def active(x: Array) -> Array:
    """A rectifier that keeps the variance of what is normally distributed."""
    return jax.nn.relu(x) * (2.0 / (1.0 - 1.0 / math.pi)) ** 0.5


class Head(eqx.Module):
    """Features to numbers of every eighth pixel; a coarser cell's numbers are of its sub-cells."""

    hidden: Convolution | None
    out: Convolution
    times: int = eqx.field(static=True)  # sub-cells along each side of a cell

    def __init__(self, inputs: int, hidden: int, numbers: int, times: int, key: Key):
        """`hidden` 0: none."""
        first, second = jax.random.split(key)
        self.hidden = Convolution(3, inputs, hidden, first) if hidden else None
        self.out = Convolution(1, hidden or inputs, numbers * times * times, second, gain=0.3)
        self.times = times

    def __call__(self, features: Float[Array, "h w c"]) -> Float[Array, "H W n"]:
        """Numbers of each sub-cell."""
        if self.hidden is not None:
            features = active(self.hidden(features))
        return spread(self.out(features), self.times)


def spread(x: Float[Array, "h w c"], times: int) -> Float[Array, "H W n"]:
    """The numbers of `times` × `times` sub-cells that stand in each cell, in their places."""
    h, w, c = x.shape
    parts = x.reshape(h, w, times, times, c // (times * times)).transpose(0, 2, 1, 3, 4)
    return parts.reshape(h * times, w * times, c // (times * times))


def gathered(x: Float[Array, "H W c"], times: int) -> Float[Array, "h w n"]:
    """Blocks of `times` × `times` pixels as one cell of so many more numbers: `spread` undone."""
    h, w, c = x.shape
    parts = x.reshape(h // times, times, w // times, times, c).transpose(0, 2, 1, 3, 4)
    return parts.reshape(h // times, w // times, times * times * c)


def doubled(x: Float[Array, "h w c"]) -> Float[Array, "H W c"]:
    """Each cell four times."""
    return jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1)


# ---------------------------------------------------------------------------------------------------- the small network

STEP = 0.3
"""What a residual branch adds at first, as a share."""


class Residual(eqx.Module):
    """x + W₂ relu(W₁ relu(x))."""

    first: Convolution
    second: Convolution

    def __init__(self, width: int, key: Key):
        one, two = jax.random.split(key)
        self.first, self.second = Convolution(3, width, width, one), Convolution(3, width, width, two, gain=STEP)

    def __call__(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        """The same shape."""
        return x + self.second(active(self.first(active(x))))


class Level(eqx.Module):
    """Half the resolution, then residual blocks."""

    down: Convolution
    blocks: tuple[Residual, ...]

    def __init__(self, inputs: int, width: int, blocks: int, keys: Iterator[Key]):
        """One key a part is taken."""
        self.down = Convolution(3, inputs, width, next(keys), stride=2)
        self.blocks = tuple(Residual(width, next(keys)) for _ in range(blocks))

    def __call__(self, x: Float[Array, "h w c"]) -> Float[Array, "H W d"]:
        """The coarser level."""
        x = self.down(active(x))
        for block in self.blocks:
            x = block(x)
        return x


class SmallTrunk(eqx.Module):
    """Down to every 32nd pixel for what is around, and back to every eighth, where both heads read.

    The stem is a convolution of 12 × 12 pixels, a step of 4, as a convolution of 3 × 3 over blocks of pixels.
    """

    stem: Convolution
    levels: tuple[Level, ...]  # at strides 8, 16, 32
    sideways: tuple[Convolution, ...]  # from 32 to 16, from 16 to 8
    joined: tuple[Convolution, ...]

    def __init__(self, sizes: "Small", key: Key):
        keys = iter(jax.random.split(key, 40))
        first, *widths = sizes.widths
        self.stem = Convolution(3, 48, first, next(keys))
        inputs = [first, *widths[:-1]]
        self.levels = tuple(
            Level(before, width, blocks, keys)
            for before, width, blocks in zip(inputs, widths, sizes.blocks, strict=True)
        )
        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.sideways = tuple(Convolution(1, coarse, fine, next(keys), gain=0.7) for coarse, fine in upwards)
        self.joined = tuple(Convolution(3, fine, fine, next(keys)) for _, fine in upwards)

    def __call__(self, picture: Float[Array, "H W 3"]) -> Float[Array, "h w c"]:
        """Features of every eighth pixel."""
        x = self.stem(gathered(picture, 4))
        ways = []
        for level in self.levels:
            x = level(x)
            ways.append(x)
        for fine, sideways, joined in zip(ways[-2::-1], self.sideways, self.joined, strict=True):
            x = joined(active(fine + doubled(sideways(active(x)))))
        return active(x)


@component
class Small(Architecture):
    """How large the small network is: 0.8 billion operations (multiplications and additions) at 320 × 240."""

    widths: tuple[int, ...] = (32, 48, 80, 128)  # at every 4th, 8th, 16th and 32nd pixel
    blocks: tuple[int, ...] = (1, 2, 3)  # residual blocks of the last three
    head: int = 64  # width of what a head makes of the trunk's features

    def build(self, key: Key) -> Network:
        """A network, untrained."""
        trunk, vehicles, lanes = jax.random.split(key, 3)
        width = self.widths[1]
        return Network(
            SmallTrunk(self, trunk),
            Head(width, self.head, VEHICLE_NUMBERS, 1, vehicles),
            Head(width, self.head, LANE_NUMBERS, 1, lanes),
        )


# ---------------------------------------------------------------------------------------------- the paper's own network


def local_response(x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """Normalisation over five neighbouring channels, α = 10⁻⁴, β = 0.75 (Krizhevsky et al. 2012; as Caffe has it)."""
    square = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (1, 1, 5), (1, 1, 1), "SAME")
    return x * (1.0 + (1e-4 / 5.0) * square) ** -0.75


def pooled(x: Float[Array, "h w c"]) -> Float[Array, "H W c"]:
    """The largest of 3 × 3, every second; half as many come out, rounded up."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (3, 3, 1), (2, 2, 1), "SAME")


class PaperTrunk(eqx.Module):
    """AlexNet, fully convolutional: 640 × 480 pixels to 20 × 15 cells, each of which sees 355 × 355 pixels."""

    layers: tuple[Convolution, ...]

    def __init__(self, sizes: "Paper", key: Key):
        keys = iter(jax.random.split(key, 7))
        one, two, three, wide = sizes.widths
        self.layers = (
            Convolution(11, 3, one, next(keys), stride=4),
            Convolution(5, one, two, next(keys)),
            Convolution(3, two, three, next(keys)),
            Convolution(3, three, three, next(keys)),
            Convolution(3, three, three, next(keys)),
            Convolution(6, three, wide, next(keys)),
            Convolution(1, wide, wide, next(keys)),
        )

    def __call__(self, picture: Float[Array, "H W 3"]) -> Float[Array, "h w c"]:
        """Features of every 32nd pixel."""
        first, second, *middle, sixth, seventh = self.layers
        x = pooled(local_response(active(first(picture))))
        x = pooled(local_response(active(second(x))))
        for layer in middle:
            x = active(layer(x))
        return active(seventh(active(sixth(pooled(x)))))


@component
class Paper(Architecture):
    """The network of the paper: 20 × 15 cells of 640 × 480 pixels, each of 4 × 4 sub-cells. Made for GPUs.

    What differs: weights are standardised in place of dropout, all heads give depths (the paper's lanes alone), and
    the sides of boxes are exponentials.
    """

    widths: tuple[int, int, int, int] = (96, 256, 384, 4096)

    def build(self, key: Key) -> Network:
        """A network, untrained."""
        trunk, vehicles, lanes = jax.random.split(key, 3)
        wide = self.widths[-1]
        return Network(
            PaperTrunk(self, trunk),
            Head(wide, 0, VEHICLE_NUMBERS, 4, vehicles),
            Head(wide, 0, LANE_NUMBERS, 4, lanes),
        )
