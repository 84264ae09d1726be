"""Rays against things: what each pixel meets first, and whether the ground that it sees is in a thing's shadow.

Everything convex in a thing's own frame, so that a part is the intersection of half spaces and a ray meets it where the
last of those begins that it enters before the first ends that it leaves (Kay and Kajiya 1986). Divisions are shared by
both parts of a thing where planes are parallel.
"""

import enum
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.camera.pinhole import NEAREST, Eye
from drivetrain.camera.shapes import PARTS, Part
from drivetrain.camera.things import Things
from drivetrain.types import Array, record

FARTHEST = 1e4
"""The depth, m, where nothing is met."""
CODE = 63
NOTHING = np.uint32(0xFFFFFFFF)
"""What `cast` gives where nothing is met."""
Ray = tuple[Array, Array, Array]
"""Directions [T, n] in the map's frame, of length 1 along the optical axis, so that lengths are depths."""
SOFT = 1.5
"""A shadow is full where the sun's ray goes through so much of a thing, as a share of 1 m."""


class Face(enum.IntEnum):
    """The side of a part that a ray enters by."""

    FRONT = 0
    REAR = 1
    SIDE = 2
    TOP = 3


@record
class Blocks:
    """What rays are tested against, a row a thing; the last row is none. Numbers by `_Column` [N + 1, columns]."""

    numbers: Float[Array, "N c"]
    words: UInt[Array, "N 2"]  # of each part: material 5 · red 5 · green 6 · blue 5


@record
class Met:
    """What a ray meets first, and where in the thing's own frame."""

    word: UInt[Array, "*n"]  # of `Blocks`
    face: Int[Array, "*n"]  # Face
    along: Float[Array, "*n"]  # m, ahead of the thing's centre
    aside: Float[Array, "*n"]  # m, to its left
    half: Float[Array, "*n"]  # half its length, m
    wide: Float[Array, "*n"]  # half its width, m
    high: Float[Array, "*n"]  # its height, m
    light: Float[Array, "*n"]  # how much sun the face gets, 0 .. 1


class _Column(enum.IntEnum):
    COS = 0
    SIN = 1
    X = 2  # of the camera, in the thing's frame
    Y = 3
    HALF = 4
    WIDE = 5
    HIGH = 6
    LIT_FRONT = 7
    LIT_REAR = 8
    LIT_LEFT = 9
    LIT_RIGHT = 10
    LIT_TOP = 11
    SUN_X = 12  # 1 / of the sun's direction, in the thing's frame
    SUN_Y = 13
    SUN_Z = 14  # the height of what casts a shadow / the sun's; 0: it casts none
    PART = 15  # and as many for the second


_OF_PART = 8
FRONT, FRONT_LEAN, REAR, REAR_LEAN, SIDE, FLOOR, ROOF, _ = range(_OF_PART)


def blocks_of(things: Things, eye: Eye, sun: Float[Array, "3"], casts: Bool[Array, "N"]) -> Blocks:
    """Everything that does not change from pixel to pixel. `casts`: whether a thing throws a shadow."""
    cos, sin = things.heading[:, 0], things.heading[:, 1]
    to = eye.place[:2] - things.place
    x, y, z = to[:, 0] * cos + to[:, 1] * sin, to[:, 1] * cos - to[:, 0] * sin, eye.place[2]
    half, wide, high = 0.5 * things.size[:, 0], 0.5 * things.size[:, 1], things.size[:, 2]
    sun_x, sun_y = sun[0] * cos + sun[1] * sin, sun[1] * cos - sun[0] * sin

    def inverse(number: Array) -> Array:
        return 1.0 / jnp.where(jnp.abs(number) < 1e-3, 1e-3, number)

    columns = [cos, sin, x, y, half, wide, high]
    columns += [jnp.maximum(each, 0.0) for each in (sun_x, -sun_x, sun_y, -sun_y, jnp.broadcast_to(sun[2], x.shape))]
    columns += [inverse(sun_x), inverse(sun_y), jnp.where(casts, high * 0.9 / jnp.maximum(sun[2], 0.05), 0.0)]
    table = jnp.asarray(PARTS)[things.shape]
    words = []
    for part in (0, 1):
        row = table[:, part]
        floor, roof = row[:, Part.FLOOR] * high, row[:, Part.ROOF] * high
        tall = jnp.maximum(roof - floor, 1e-3)
        front_lean = row[:, Part.FRONT_LEAN] * half / tall
        rear_lean = row[:, Part.REAR_LEAN] * half / tall
        columns += [
            row[:, Part.FRONT] * half - x - front_lean * (z - floor),
            front_lean,
            row[:, Part.REAR] * half + x - rear_lean * (z - floor),
            rear_lean,
            row[:, Part.WIDTH] * wide,
            floor - z,
            roof - z,
            jnp.zeros_like(x),
        ]
        words.append(_word(row[:, Part.MATERIAL], things.tint))
    numbers = jnp.where(things.valid[:, None], jnp.stack(columns, -1), 0.0)
    numbers = jnp.concatenate([numbers, jnp.zeros((1, numbers.shape[1]))])
    return Blocks(numbers, jnp.concatenate([jnp.stack(words, -1), jnp.zeros((1, 2), jnp.uint32)]))


def _word(material: Array, tint: Float[Array, "N 3"]) -> UInt[Array, "N"]:
    red, green, blue = (
        jnp.round(jnp.clip(tint[:, channel], 0.0, 1.0) * top).astype(jnp.uint32)
        for channel, top in enumerate((31.0, 63.0, 31.0))
    )
    return material.astype(jnp.uint32) | red << 5 | green << 10 | blue << 16


def material_of(word: UInt[Array, "*n"]) -> Int[Array, "*n"]:
    """`Material` of what was met."""
    return (word & 31).astype(jnp.int32)


def tint_of(word: UInt[Array, "*n"]) -> tuple[Array, Array, Array]:
    """Its colour."""
    red, green, blue = (word >> 5) & 31, (word >> 10) & 63, (word >> 16) & 31

    def share(bits: Array, top: float) -> Array:
        return bits.astype(jnp.int32).astype(jnp.float32) * (1.0 / top)

    return share(red, 31.0), share(green, 63.0), share(blue, 31.0)


def cast(blocks: Blocks, touching: Int[Array, "K T"], ray: Ray) -> UInt[Array, "T n"]:
    """What the rays of every tile meet first of its K things: the bits of its depth, the lowest six of which say where:
    `Face` 2 · part 1 · which of the K 3. Bits of floats that are not negative are in their own order, so that one
    minimum finds all of it; it costs a hundred-thousandth of the depth.
    """
    first = jnp.full(ray[0].shape, NOTHING)
    for k in range(len(touching)):
        for part, (enter, hit, face) in enumerate(_tried(blocks.numbers[touching[k]], ray)):
            bits = jax.lax.bitcast_convert_type(enter, jnp.uint32) & jnp.uint32(~CODE & 0xFFFFFFFF)
            first = jnp.minimum(first, jnp.where(hit, bits | face | jnp.uint32(part << 2 | k << 3), NOTHING))
    return first


def filled(blocks: Blocks, touching: Int[Array, "K T"], ray: Ray) -> Bool[Array, "K T n"]:
    """Which rays would meet each of a tile's things, were it alone above the ground."""
    return jnp.stack(
        [jnp.any(jnp.stack([hit for _, hit, _ in _tried(blocks.numbers[row], ray)]), axis=0) for row in touching]
    )


def _tried(numbers: Float[Array, "T c"], ray: Ray) -> Iterator[tuple[Array, Bool[Array, "T n"], UInt[Array, "T n"]]]:
    """Of both parts of a thing a tile: the depth at which rays enter, whether they do, and by which face."""
    x, y, z = ray
    ahead, left = _turned(numbers, x, y)
    inverse, inverse_z = 1.0 / left, 1.0 / z
    for part in (0, 1):
        enter, leave, face = _interval(numbers, _Column.PART + part * _OF_PART, ahead, left, inverse, z, inverse_z)
        yield enter, (enter < leave) & (enter > NEAREST), face


def depth_of(first: UInt[Array, "*n"]) -> Float[Array, "*n"]:
    """The depth, m, at which something is met; `FARTHEST` where nothing is."""
    return jnp.where(first == NOTHING, FARTHEST, jax.lax.bitcast_convert_type(first & ~jnp.uint32(CODE), jnp.float32))


def row_of(touching: Int[Array, "K T"], first: UInt[Array, "T n"], none: int) -> Int[Array, "T n"]:
    """The row of the thing that is met; `none` where nothing is."""
    k = (first >> 3) & 7
    row = jnp.full(first.shape, none)
    for number in range(len(touching)):
        row = jnp.where(k == number, touching[number][:, None], row)
    return jnp.where(first == NOTHING, none, row)


def met_at(blocks: Blocks, touching: Int[Array, "K T"], ray: Ray, first: UInt[Array, "T n"]) -> Met:
    """Where on a thing each ray meets it. Where it meets nothing, of no meaning."""
    x, y, _ = ray
    k, face, part = (first >> 3) & 7, (first & 3).astype(jnp.int32), (first >> 2) & 1
    rows = blocks.numbers[touching]  # [K, T, c]
    words = blocks.words[touching]

    def chosen(of: Callable[[int], Array]) -> Array:
        picked = of(0)
        for number in range(1, len(touching)):
            picked = jnp.where(k == number, of(number), picked)
        return picked

    def column(index: int) -> Array:
        return chosen(lambda number: rows[number, :, index, None])

    cos, sin, depth = column(_Column.COS), column(_Column.SIN), depth_of(first)
    ahead, left = cos * x + sin * y, cos * y - sin * x
    ends = jnp.where(face == Face.FRONT, column(_Column.LIT_FRONT), column(_Column.LIT_REAR))
    side = jnp.where(left < 0.0, column(_Column.LIT_LEFT), column(_Column.LIT_RIGHT))
    one, other = (chosen(lambda number, at=at: words[number, :, at, None]) for at in (0, 1))
    return Met(
        word=jnp.where(part == 0, one, other),
        face=face,
        along=column(_Column.X) + depth * ahead,
        aside=column(_Column.Y) + depth * left,
        half=column(_Column.HALF),
        wide=column(_Column.WIDE),
        high=column(_Column.HIGH),
        light=jnp.where(face == Face.TOP, column(_Column.LIT_TOP), jnp.where(face == Face.SIDE, side, ends)),
    )


def _turned(numbers: Float[Array, "T c"], x: Array, y: Array) -> tuple[Array, Array]:
    """Directions of the map in the frames of the tiles' things."""
    cos, sin = numbers[:, _Column.COS, None], numbers[:, _Column.SIN, None]
    return cos * x + sin * y, cos * y - sin * x


def _interval(
    numbers: Float[Array, "T c"], first: int, ahead: Array, left: Array, inverse: Array, z: Array, inverse_z: Array
) -> tuple[Array, Array, UInt[Array, "T n"]]:
    """Where rays enter a part and leave it (depths, m), and by which face they enter."""

    def column(index: int) -> Array:
        return numbers[:, index, None]

    front_slope = ahead + column(first + FRONT_LEAN) * z
    rear_slope = column(first + REAR_LEAN) * z - ahead
    front, rear = column(first + FRONT) / front_slope, column(first + REAR) / rear_slope
    near_front, near_rear = jnp.where(front_slope < 0.0, front, -1.0), jnp.where(rear_slope < 0.0, rear, -1.0)
    far_front, far_rear = jnp.where(front_slope > 0.0, front, FARTHEST), jnp.where(rear_slope > 0.0, rear, FARTHEST)
    one = (-column(first + SIDE) - column(_Column.Y)) * inverse
    other = (column(first + SIDE) - column(_Column.Y)) * inverse
    near_side, far_side = jnp.minimum(one, other), jnp.maximum(one, other)
    floor, roof = column(first + FLOOR) * inverse_z, column(first + ROOF) * inverse_z
    near_top, far_top = jnp.minimum(floor, roof), jnp.maximum(floor, roof)
    enter = jnp.maximum(jnp.maximum(jnp.maximum(near_front, near_rear), near_side), near_top)
    leave = jnp.minimum(jnp.minimum(far_front, far_rear), jnp.minimum(far_side, far_top))
    end = jnp.where(near_front > near_rear, jnp.uint32(Face.FRONT), jnp.uint32(Face.REAR))
    side = jnp.where(enter == near_side, jnp.uint32(Face.SIDE), end)
    return enter, leave, jnp.where(enter == near_top, jnp.uint32(Face.TOP), side)


def shade_of(blocks: Blocks, touching: Int[Array, "K T"], ray: Ray, ground: Float[Array, "T n"]) -> Float[Array, "T n"]:
    """How much of the sun the tile's things take from the ground that rays reach at depths `ground`: 0 none, 1 all."""
    x, y, _ = ray
    shade = jnp.zeros_like(x)
    for k in range(len(touching)):
        numbers = blocks.numbers[touching[k]]
        ahead, left = _turned(numbers, x, y)
        along = numbers[:, _Column.X, None] + ground * ahead
        aside = numbers[:, _Column.Y, None] + ground * left
        half, wide = numbers[:, _Column.HALF, None], numbers[:, _Column.WIDE, None]
        inverse_x, inverse_y = numbers[:, _Column.SUN_X, None], numbers[:, _Column.SUN_Y, None]
        a, b = (-half - along) * inverse_x, (half - along) * inverse_x
        c, d = (-wide - aside) * inverse_y, (wide - aside) * inverse_y
        enter = jnp.maximum(jnp.maximum(jnp.minimum(a, b), jnp.minimum(c, d)), 0.0)
        leave = jnp.minimum(jnp.minimum(jnp.maximum(a, b), jnp.maximum(c, d)), numbers[:, _Column.SUN_Z, None])
        shade = jnp.maximum(shade, (leave - enter) * SOFT)
    return jnp.minimum(shade, 1.0)
