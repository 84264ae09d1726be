"""How strewn things are painted: their own colour made into stripes, hides, wheels, rungs; and what is mottled."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.camera.casting import Face, Met
from drivetrain.camera.hashing import mixed, share
from drivetrain.camera.shapes import Material
from drivetrain.camera.surface import Colour
from drivetrain.types import Array

WHITE, BLACK = (0.93, 0.93, 0.92), (0.05, 0.05, 0.055)
SHADE = (0.2, 0.2, 0.2)
"""What is seen between legs and wheels."""
SKIN, HAIR, TAPE, RIM = (0.72, 0.53, 0.43), (0.16, 0.11, 0.08), (0.85, 0.78, 0.6), (0.5, 0.5, 0.52)


def strewn_tint(met: Met, material: Int[Array, "*n"], tint: Colour, up: Float[Array, "*n"]) -> Colour:
    """The colour, not lit, of what is met where it is made of something that only strewn things are made of."""
    side, top = met.face == Face.SIDE, met.face == Face.TOP
    level, along = up / met.high, met.along / met.half
    aside = jnp.abs(met.aside) / met.wide
    kind = {one: material == one for one in Material if one >= Material.STRIPES}

    def odd(number: Array) -> Array:
        return jnp.floor(number).astype(jnp.int32) & 1 == 1

    white = kind[Material.STRIPES] & odd(level * 5.0) & ~top
    white = white | (kind[Material.BOARD] & ~side & ~top & odd((met.aside + up) * 5.0))
    round_wheel = met.along**2 + (up - 0.5 * met.high) ** 2
    rim = kind[Material.RUBBER] & side & (round_wheel < (0.3 * met.high) ** 2)
    hub = kind[Material.RUBBER] & side & (round_wheel < (0.12 * met.high) ** 2)
    black = (kind[Material.RUBBER] & ~rim) | hub
    # Between fore and hind legs, and between left and right ones.
    between = jnp.where(side, jnp.abs(along + 0.16) < 0.5, aside < 0.4)
    shade = kind[Material.HIDE] & ~top & (level < 0.42) & between
    rung = met.along * (1.0 / 0.3)
    gap = jnp.where(top, (rung - jnp.floor(rung) > 0.22) & (aside < 0.8), (aside < 0.72) & (level < 0.5))
    shade = shade | (kind[Material.RUNGS] & gap & (top | ~side))
    large = (met.along + 0.1 * met.half) ** 2 + (up - 0.31) ** 2
    tyre = kind[Material.CHAIR] & side & (large < 0.31**2) & (large > 0.25**2)
    shade = shade | (
        kind[Material.CHAIR] & ~top & ~tyre & (level < 0.36) & jnp.where(side, large > 0.31**2, aside < 0.8)
    )
    rim = rim | (kind[Material.CHAIR] & side & (large < 0.25**2))
    black = black | tyre
    axle = (jnp.abs(met.along) - 0.6 * met.half) ** 2 + (up - 0.33) ** 2
    ring = (axle < 0.33**2) & (axle > 0.25**2)
    black = black | (kind[Material.WHEELS] & (~side | ring))
    # A motorcycle is full of metal, a bicycle a few tubes.
    metal = jnp.where(
        met.wide > 0.35, (up > 0.3) & (axle > 0.33**2), (jnp.abs(up - 0.55) < 0.1) & (jnp.abs(along) < 0.6)
    )
    shade = shade | (kind[Material.WHEELS] & side & ~ring & ~metal)
    plate = jnp.maximum(aside, jnp.abs(level - 0.85) * (1.0 / 0.15))
    ahead = kind[Material.FACE] & ((met.face == Face.FRONT) | (met.face == Face.REAR))
    white = white | (ahead & (plate > 0.84)) | (ahead & (aside < 0.55) & (jnp.abs(level - 0.85) < 0.025))
    skin = kind[Material.RIDER] & (level > 0.82)
    tape = kind[Material.CARTON] & ~side & (aside < 0.12)
    lumps = mottled(met, up)
    tone = jnp.where(kind[Material.RUBBLE], lumps, jnp.where(kind[Material.WOOD], 0.7 + 0.3 * lumps, 1.0))

    def channel(number: int) -> Array:
        base = tint[number] * tone
        for where, colour in ((white, WHITE), (rim, RIM), (black, BLACK), (shade, SHADE), (tape, TAPE), (skin, SKIN)):
            base = jnp.where(where, colour[number], base)
        return jnp.where(skin & (level > 0.94), HAIR[number], base)

    return channel(0), channel(1), channel(2)


def mottled(met: Met, up: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Light and dark of leaves, in lumps of a quarter of a metre."""
    lumps = [jnp.floor(each * 4.0).astype(jnp.int32) for each in (met.along, met.aside, up)]
    word = (lumps[0] * 73856093) ^ (lumps[1] * 19349663) ^ (lumps[2] * 83492791)
    return 0.6 + 0.8 * share(mixed(jax.lax.bitcast_convert_type(word, jnp.uint32)))
