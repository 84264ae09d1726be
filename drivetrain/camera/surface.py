"""The ground as a pixel sees it: road, verge, kerb and paint, found with two reads and painted as sharp as they are.

What is smaller than a pixel's own footprint is averaged over it (a box filter across the line, and along it for
dashes), so that lines fade into the distance instead of flickering.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, UInt

from drivetrain.camera.appearance import Appearance
from drivetrain.camera.grid import REACH, TEXEL, VERGE
from drivetrain.camera.ground import ANGLES, MARGINS, OFFSETS, PERIOD, PHASES, STRIPES, Ground, of_angle
from drivetrain.camera.hashing import mixed, share
from drivetrain.camera.markings import Paint
from drivetrain.camera.shapes import Thing
from drivetrain.types import Array

Colour = tuple[Array, Array, Array]
PAVEMENT = 2.2
"""Behind a kerb people walk on a pavement so wide, m."""
TWIN = 0.13
"""From the middle of a double line to the middle of each, m."""
GRAIN = 0.06
"""Side of a grain of asphalt, m."""


class Texels(NamedTuple):
    """The words of the texels that rays reach, and where in them, m from their centre."""

    line: UInt[Array, "*n"]
    edge: UInt[Array, "*n"]
    x: Float[Array, "*n"]
    y: Float[Array, "*n"]


class Footprint(NamedTuple):
    """How large a pixel is on the ground: `side` m across the line of sight, `stretch` times that along it, which
    points to (`x`, `y`).
    """

    side: Float[Array, "*n"]
    stretch: Float[Array, "*n"]
    x: Float[Array, "*n"]
    y: Float[Array, "*n"]

    def along(self, x: Array, y: Array) -> Array:
        """How long it is, m, in a direction."""
        across, ahead = jnp.abs(x * self.y - y * self.x), jnp.abs(x * self.x + y * self.y)
        return jnp.maximum(self.side * (across + ahead * self.stretch), 1e-4)


def texels_at(grounds: Ground, row: Int[Array, ""], x: Float[Array, "*n"], y: Float[Array, "*n"]) -> Texels:
    """What the ground of map `row` holds at points of it; beyond its rim, what it holds there."""
    origin, size = grounds.origin[row], grounds.size[row]
    right, up = (x - origin[0]) * (1.0 / TEXEL), (y - origin[1]) * (1.0 / TEXEL)
    column = jnp.clip(right, 0.0, (size[0] - 1).astype(jnp.float32)).astype(jnp.int32)
    line = jnp.clip(up, 0.0, (size[1] - 1).astype(jnp.float32)).astype(jnp.int32)
    at = row * grounds.line.shape[1] + line * size[0] + column

    def read(words: UInt[Array, "M G"]) -> UInt[Array, "*n"]:
        return jnp.take(jnp.asarray(words).reshape(-1), at, mode="clip")

    centre = column.astype(jnp.float32) + 0.5, line.astype(jnp.float32) + 0.5
    return Texels(read(grounds.line), read(grounds.edge), (right - centre[0]) * TEXEL, (up - centre[1]) * TEXEL)


def paint_kind(line: UInt[Array, "*n"]) -> Int[Array, "*n"]:
    """`Paint` of a line word."""
    return (line & 15).astype(jnp.int32)


def line_place(texels: Texels) -> tuple[Array, Array, Array, Array]:
    """Of the line of a texel: metres to the left of it, metres along it, and its normal (x, y)."""
    word = texels.line
    x, y = of_angle(((word >> 4) & (ANGLES - 1)).astype(jnp.int32).astype(jnp.float32))
    step = ((word >> 14) & (OFFSETS - 1)).astype(jnp.int32).astype(jnp.float32)
    offset = (step - OFFSETS / 2) * (2.0 * REACH / OFFSETS)
    phase = (word >> 24).astype(jnp.int32).astype(jnp.float32) * (PERIOD / PHASES)
    return x * texels.x + y * texels.y + offset, y * texels.x - x * texels.y + phase, x, y


def edge_place(texels: Texels) -> tuple[Array, Array, Array]:
    """Metres from the road's edge, positive on the road (at most `VERGE`), and the edge's normal (x, y)."""
    word = texels.edge
    x, y = of_angle((word & (ANGLES - 1)).astype(jnp.int32).astype(jnp.float32))
    step = ((word >> 10) & (MARGINS - 1)).astype(jnp.int32).astype(jnp.float32)
    offset = (step - MARGINS / 2) * (2.0 * VERGE / MARGINS)
    # Far from every edge the direction means nothing.
    far = jnp.abs(offset) > VERGE - 0.01
    return jnp.where(far, offset, x * texels.x + y * texels.y + offset), x, y


def covered(distance: Array, half: Array | float, footprint: Array) -> Array:
    """The share of a footprint that a stripe of half a width covers, its middle at a distance, m."""
    distance, reach = jnp.abs(distance), 0.5 * footprint
    return jnp.maximum(jnp.minimum(distance + reach, half) - jnp.maximum(distance - reach, -half), 0.0) / footprint


def painted(texels: Texels, footprint: Footprint, look: Appearance) -> tuple[Array, Array]:
    """The share of a footprint that is paint, and whether that is yellow (0 or 1)."""
    kind = paint_kind(texels.line)
    aside, along, x, y = line_place(texels)
    across, forth = footprint.along(x, y), footprint.along(y, -x)
    middle = (kind == Paint.MIDDLE_SOLID) | (kind == Paint.MIDDLE_DASHED)
    left = middle | (kind == Paint.LEFT_SOLID) | (kind == Paint.LEFT_DASHED)
    twin = (kind == Paint.MIDDLE_SOLID) & (look.twin > 0.5)
    half = jnp.where(kind == Paint.STOP, 0.2, jnp.where(kind == Paint.BICYCLES, 0.05, 0.5 * look.line_width))
    line = covered(jnp.where(twin, jnp.abs(aside) - TWIN, aside), half, across)
    dash, period = look.dash[0], look.dash[1]
    turn = along / period
    from_dash = jnp.abs((turn - jnp.floor(turn)) * period - 0.5 * dash)
    from_dash = jnp.minimum(from_dash, period - from_dash)
    on = jnp.clip((0.5 * dash - from_dash) / forth + 0.5, 0.0, 1.0)
    blend = jnp.minimum(forth / period, 1.0)
    dashed = (kind == Paint.DASHED) | (kind == Paint.LEFT_DASHED) | (kind == Paint.MIDDLE_DASHED)
    line = line * jnp.where(dashed, on * (1.0 - blend) + (dash / period) * blend, 1.0)
    # What a crossing's word calls an offset is a share of a stripe's period; within the texel it goes on in metres.
    inside = x * texels.x + y * texels.y
    stripe = (aside - inside) * (1.0 / REACH) + inside * (1.0 / STRIPES)
    ripple = jnp.abs(stripe - jnp.floor(stripe) - 0.5)
    zebra = jnp.clip((0.25 - ripple) / (across / STRIPES) + 0.5, 0.0, 1.0)
    zebra = jnp.where(across > STRIPES, 0.5, zebra)
    cover = jnp.where(kind == Paint.ZEBRA, zebra, line)
    return jnp.where((kind == Paint.NONE) | (kind == Paint.BUMP), 0.0, cover), left * look.left


def wave(x: Array) -> Array:
    """A triangle of period 1 between −1 and 1: a sum of some is a texture."""
    return 4.0 * jnp.abs(x - jnp.floor(x) - 0.5) - 1.0


def ground_seen(
    texels: Texels, x: Float[Array, "*n"], y: Float[Array, "*n"], footprint: Footprint, look: Appearance
) -> tuple[Colour, Int[Array, "*n"]]:
    """The colour of the ground at points of the map, unlit, and what it is (`Thing`)."""
    to_edge, edge_x, edge_y = edge_place(texels)
    cover, yellow = painted(texels, footprint, look)
    inverse = 1.0 / footprint.along(edge_x, edge_y)
    road = jnp.clip(to_edge * inverse + 0.5, 0.0, 1.0)
    kerb = jnp.clip((to_edge + look.kerb_width) * inverse + 0.5, 0.0, 1.0) * (1.0 - road)
    kerb = jnp.where(look.kerb_width > 0.0, kerb, 0.0)
    cell = (jnp.floor(x * (1.0 / GRAIN)).astype(jnp.int32) * 73856093) ^ (
        jnp.floor(y * (1.0 / GRAIN)).astype(jnp.int32) * 19349663
    )
    dice = mixed(jax.lax.bitcast_convert_type(cell, jnp.uint32) ^ look.seed)
    near = jnp.minimum(GRAIN / (footprint.side * footprint.stretch), 1.0)
    grain = (share(dice) - 0.5) * near
    patches = 0.4 * wave(0.071 * x + 0.043 * y) + 0.35 * wave(0.083 * y - 0.037 * x)
    patches = patches + 0.25 * wave(0.31 * x + 0.17 * y + 0.2 * patches)
    tone = 1.0 + 0.6 * look.grain * grain + 0.22 * look.patches * patches
    # Dirt gathers along kerbs.
    tone = tone * (1.0 - 0.18 * jnp.clip(1.0 - to_edge * 2.5, 0.0, 1.0) * (to_edge > 0.0))
    worn = look.wear * jnp.clip(0.55 + 0.6 * patches + 0.9 * (share(dice, 8) - 0.5) * near, 0.0, 1.0)
    cover = cover * (1.0 - worn) * road
    grass = 1.0 + 0.9 * grain + 0.25 * patches + 0.2 * wave(1.9 * x + 0.7 * y) * near
    pavement = (look.kerb_width > 0.0) & (to_edge > -PAVEMENT)
    stone = 0.92 + 0.25 * grain + 0.06 * patches

    def channel(number: int) -> Array:
        beside = jnp.where(pavement, look.kerb[number] * stone, look.verge[number] * grass)
        beside = beside + kerb * (look.kerb[number] * 1.12 - beside)
        base = beside + road * (look.asphalt[number] * tone - beside)
        paint = look.white[number] + yellow * (look.yellow[number] - look.white[number])
        return base + cover * (paint - base)

    thing = jnp.where(road > 0.5, jnp.where(cover > 0.3, Thing.PAINT, Thing.ROAD), Thing.VERGE)
    thing = jnp.where((road <= 0.5) & (kerb > 0.5), Thing.KERB, thing)
    return (channel(0), channel(1), channel(2)), thing
