"""What is behind everything: sky, clouds, and far trees and houses at the horizon."""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.camera.appearance import Appearance
from drivetrain.camera.hashing import mixed, share
from drivetrain.camera.surface import Colour, wave
from drivetrain.types import Array

FAR = 350.0
"""Far trees and houses are as hazy as at this distance, m."""


def sky_seen(
    ahead: tuple[Float[Array, "*n"], Float[Array, "*n"]], rise: Float[Array, "*n"], look: Appearance
) -> tuple[Colour, Bool[Array, "*n"]]:
    """The colour of rays that meet nothing, and whether they end at the skyline.

    `ahead` is their direction in plan, of unit length, `rise` their slope upwards.
    """
    x, y = ahead
    # Around the square |x| + |y| = 1: as good as an angle, and cheaper.
    turn = x / (jnp.abs(x) + jnp.abs(y))
    around = jnp.where(y >= 0.0, 1.0 - turn, 3.0 + turn)
    coarse = share(mixed(jnp.floor(around * 34.0).astype(jnp.int32).astype(jnp.uint32) ^ look.seed))
    fine = share(mixed(jnp.floor(around * 210.0).astype(jnp.int32).astype(jnp.uint32) + look.seed))
    rolling = 0.5 + 0.5 * wave(around * 2.3 + 0.4 * wave(around * 0.9))
    top = look.skyline * (0.25 + 0.35 * rolling + 0.45 * coarse * coarse + 0.12 * fine)
    low = rise < top
    shade = 0.7 + 0.4 * fine - 0.25 * coarse
    hazy = FAR * look.haze / (1.0 + FAR * look.haze)
    up = jnp.clip(rise * 1.6, 0.0, 1.0)
    up = up * (2.0 - up)
    # Clouds lie on a plane: towards the horizon they come closer together, and fade before they flicker.
    steep = 1.0 / jnp.maximum(rise, 0.08)
    over_x, over_y = 0.35 * x * steep, 0.35 * y * steep
    cloud = wave(over_x + 0.3 * wave(0.7 * over_y)) * wave(0.9 * over_y + 0.3 * wave(0.8 * over_x))
    cloud = jnp.clip(cloud + 0.2, 0.0, 1.0) * look.clouds * jnp.clip(rise * 3.0 - 0.2, 0.0, 1.0) * 0.6
    far = jnp.asarray([0.25, 0.29, 0.22])

    def channel(number: int) -> Array:
        blue = look.haze_colour[number] + up * (look.sky[number] - look.haze_colour[number])
        blue = blue + cloud * (0.93 - blue)
        wood = far[number] * shade
        return jnp.where(low, wood + hazy * (look.haze_colour[number] - wood), blue)

    return (channel(0), channel(1), channel(2)), low
