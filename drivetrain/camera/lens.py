"""What the camera does to a picture: exposure, blur, noise, and eight bits a colour."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt

from drivetrain.camera.appearance import Appearance
from drivetrain.camera.hashing import mixed, share
from drivetrain.types import Array

BITS, TOP = 10, 1023.0
"""Of a colour while it is packed in a word with the others."""
BYTE_DEVIATION = 2.0 * float(np.sqrt(1.0 / 12.0))
"""Standard deviation of the sum and difference of four numbers drawn evenly from 0 .. 1."""


def packed(colour: tuple[Array, Array, Array], look: Appearance) -> UInt[Array, "*n"]:
    """Colours as the sensor takes them, in one word: what is read again is a third as long."""

    def bits(channel: Array) -> Array:
        exposed = ((channel - 0.5) * look.contrast + 0.5) * look.exposure
        return (jnp.clip(exposed, 0.0, 1.0) * TOP).astype(jnp.int32).astype(jnp.uint32)

    red, green, blue = map(bits, colour)
    return red | green << BITS | blue << 2 * BITS


def unpacked(words: UInt[Array, "H W"]) -> list[Float[Array, "H W"]]:
    """Red, green and blue, 0 .. 1023."""
    return [((words >> shift) & 1023).astype(jnp.int32).astype(jnp.float32) for shift in (0, BITS, 2 * BITS)]


def developed(words: UInt[Array, "H W"], look: Appearance, oversampling: int = 1) -> UInt[Array, "h w 3"]:
    """A picture of eight bits a colour from words; of several pixels a side, their mean."""
    channels = [blurred(binned(channel, oversampling), look.blur) for channel in unpacked(words)]
    height, width = channels[0].shape
    number = jnp.arange(height * width, dtype=jnp.uint32).reshape(height, width)
    dice = mixed(number ^ look.seed)
    a, b, c, d = (share(dice, first) for first in (0, 8, 16, 24))
    scale = look.noise * (255.0 / BYTE_DEVIATION)
    # One draw of four bytes: three sums of them with different signs are uncorrelated.
    noise = (a + b - c - d, a - b + c - d, a - b - c + d)
    levels = [channel * (255.0 / TOP) + scale * own for channel, own in zip(channels, noise, strict=True)]
    return jnp.stack([jnp.clip(level + 0.5, 0.0, 255.0).astype(jnp.int32).astype(jnp.uint8) for level in levels], -1)


def binned(channel: Float[Array, "H W"], times: int) -> Float[Array, "h w"]:
    """The mean of each square of `times` pixels a side."""
    if times == 1:
        return channel
    height, width = channel.shape
    return jnp.mean(channel.reshape(height // times, times, width // times, times), axis=(1, 3))


def blurred(channel: Float[Array, "H W"], share: Float[Array, ""]) -> Float[Array, "H W"]:
    """A share of each pixel's light spread over its neighbours, along rows and along columns (1, 2, 1)."""
    side = 0.25 * share
    for axis in (0, 1):
        size = channel.shape[axis]
        before = jnp.concatenate([_cut(channel, axis, 0, 1), _cut(channel, axis, 0, size - 1)], axis)
        after = jnp.concatenate([_cut(channel, axis, 1, size), _cut(channel, axis, size - 1, size)], axis)
        channel = channel + side * (before + after - 2.0 * channel)
    return channel


def _cut(channel: Array, axis: int, first: int, last: int) -> Array:
    return channel[first:last] if axis == 0 else channel[:, first:last]
