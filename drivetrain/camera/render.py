"""A picture of a State as a camera on one of its agents sees it, and what every pixel of it shows.

    state → things → outlines → tiles → first met · ground · sky → colours → lens → picture

Written for one camera; batch with `jax.vmap`. The same program runs on CPUs and GPUs, and the same arguments give the
same picture. See `docs/camera.md` for what such pictures are not.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, UInt

from drivetrain.camera.appearance import Appearance
from drivetrain.camera.casting import (
    FARTHEST,
    NOTHING,
    Blocks,
    Ray,
    blocks_of,
    cast,
    depth_of,
    met_at,
    row_of,
    shade_of,
)
from drivetrain.camera.ground import Ground
from drivetrain.camera.lens import developed, packed
from drivetrain.camera.paint import thing_seen
from drivetrain.camera.pinhole import Camera, Eye, finer, mounted, on_map
from drivetrain.camera.shapes import AGENT, STREWN_THING, Thing
from drivetrain.camera.sky import sky_seen
from drivetrain.camera.surface import (
    Colour,
    Footprint,
    Texels,
    edge_place,
    ground_seen,
    line_place,
    paint_kind,
    texels_at,
)
from drivetrain.camera.things import Moment, Things, things_seen
from drivetrain.camera.tiles import FARTHEST_SHADOW, Tiling, outlines, tiled_slopes, touching
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, State, component, record

HORIZON = 1e-4
"""A ray that falls less than this a metre never reaches the ground."""
NEAR_LINE = 0.2
"""A pixel within this of the middle of a line is its, m, also between dashes."""


@component
class Renderer:
    """How pictures are made."""

    camera: Camera = Camera()
    tiling: Tiling = Tiling()
    users: int = 32  # road users drawn at most, the nearest
    beside: int = 16  # buildings, trees, lights and signs, the nearest
    oversampling: int = 1  # rays along each side of a pixel
    strewn: bool = False  # whether moments hold strewn things


@record
class View:
    """All that a picture is drawn from, chosen and sorted: one camera at one moment."""

    eye: Eye  # in the map's frame
    things: Things  # [N]
    outline: Float[Array, "N 4"]  # pixels (x0, y0, x1, y1) of each thing's box, not cut at the picture's border
    blocks: Blocks
    touching: Int[Array, "K T"]


@record
class Labels:
    """What every pixel shows. Where rays are finer than pixels, of the ray in each pixel's first corner."""

    depth: Float[Array, "H W"]  # m along the optical axis; `FARTHEST`: sky
    agent: Int[Array, "H W"]  # column of `State.agents`; −1: none
    thing: Int[Array, "H W"]  # Thing, AGENT + AgentKind, or STREWN_THING + Kind
    paint: Int[Array, "H W"]  # Paint of the line within `NEAR_LINE` of the pixel's ground, 0: none, or hidden


def look_out(
    renderer: Renderer, bank: Bank, grounds: Ground, state: State, c: Int[Array, ""] | int, look: Appearance
) -> View:
    """The view of controlled agent `c` of a state, whose bank's maps have these grounds."""
    own = jnp.maximum(state.controlled[c], 0)
    return view_from(renderer, grounds, bank.episodes.map[state.episode], moment_of(state), own, look)


def moment_of(state: State) -> Moment:
    """What of a state can be seen."""
    return Moment(state.agents, state.bodies, state.lights)


def view_from(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], moment: Moment, own: Int[Array, ""], look: Appearance
) -> View:
    """The view of any agent (its column of `moment.agents`), on map `row` of the grounds."""
    camera, tiling = rays_of(renderer)
    agents = moment.agents
    eye = on_map(mounted(camera.mount, look.shift, look.tilt), agents.position[own], agents.heading[own])
    here = Ground(
        grounds.origin[row],
        grounds.size[row],
        jnp.zeros(0, jnp.uint32),
        jnp.zeros(0, jnp.uint32),
        *(jnp.asarray(part)[row] for part in (grounds.beside, grounds.posts, grounds.points)),
        *(jnp.asarray(part)[row] for part in (grounds.point_paint, grounds.point_line)),
    )
    things = things_seen(moment, own, eye, here, look.seed, (renderer.users, renderer.beside))
    casts = things.thing >= AGENT
    sun = look.sun / jnp.maximum(look.sun[2], 1.0 / FARTHEST_SHADOW)
    rims, with_shadow = outlines(camera, eye, things, -sun[:2], casts)
    touched = touching(camera, tiling, with_shadow)
    return View(eye, things, rims, blocks_of(things, eye, look.sun, casts), touched)


def picture(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
) -> UInt[Array, "h w 3"]:
    """Red, green and blue of every pixel."""
    return developed(_words(renderer, grounds, row, view, look, first_met(renderer, view)), look, renderer.oversampling)


def labelled(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
) -> tuple[UInt[Array, "h w 3"], Labels]:
    """The picture, and what every pixel shows."""
    first, times = first_met(renderer, view), renderer.oversampling
    words = _words(renderer, grounds, row, view, look, first)
    return developed(words, look, times), _labels(renderer, grounds, row, view, look, first)


def rays_of(renderer: Renderer) -> tuple[Camera, Tiling]:
    """The camera of the rays, which may be finer than the picture's."""
    times = renderer.oversampling
    return (renderer.camera if times == 1 else finer(renderer.camera, times)), renderer.tiling


def by_band(renderer: Renderer, of_band: Callable[..., Array], *by_tile: Array, as_picture: bool = True) -> Array:
    """A function of rays and of numbers by tile [T, …], each band of tiles after the other; its numbers [T, n] as they
    stand in the picture, [H, W], or by tile again.

    What one band computes stays in a core's cache; and the band is one program with one result, where XLA's CPU backend
    would otherwise compute the same colours again for each that reads them.
    """
    camera, tiling = rays_of(renderer)
    down, across = tiling.across(camera)
    right, below = tiled_slopes(camera, tiling)

    def in_order(rows: Array) -> Array:
        rows = rows.reshape(-1, across, tiling.height, tiling.width)
        return rows.swapaxes(1, 2).reshape(-1, across * tiling.width)

    if jax.default_backend() == "cpu":
        given = tuple(jnp.asarray(rows).reshape(down, across, *rows.shape[1:]) for rows in (right, below, *by_tile))
        made = jax.lax.map(lambda rows: of_band(*rows), given)
        # A loop of its own: within the other, every pixel would be computed where it is written to.
        made = jax.lax.map(in_order, made) if as_picture else made
    else:
        made = jax.lax.optimization_barrier(of_band(jnp.asarray(right), jnp.asarray(below), *by_tile))
        made = in_order(made) if as_picture else made
    if not as_picture:
        return made.reshape(down * across, -1)
    return made.reshape(down * tiling.height, -1)[: camera.height, : camera.width]


def turned(eye: Eye, right: Array, below: Array) -> Ray:
    """Slopes of the camera as rays in the map's frame."""
    turn = eye.turn
    return tuple(turn[axis, 0] * right + turn[axis, 1] * below + turn[axis, 2] for axis in range(3))  # type: ignore


def _if_any(which: Array, of_some: Callable[[], Array], otherwise: Callable[[], Array]) -> Array:
    """What a band computes, left out where no pixel of it asks. On CPUs alone: elsewhere a branch costs more."""
    return jax.lax.cond(jnp.any(which), of_some, otherwise) if jax.default_backend() == "cpu" else of_some()


def first_met(renderer: Renderer, view: View) -> UInt[Array, "T n"]:
    """What every ray meets first of the things: see `cast`. By tile."""
    count = len(view.things.valid)

    def of_band(right: Array, below: Array, touching: Array) -> Array:
        return _if_any(
            touching < count,
            lambda: cast(view.blocks, touching.T, turned(view.eye, right, below)),
            lambda: jnp.full(right.shape, NOTHING),
        )

    return by_band(renderer, of_band, view.touching.T, as_picture=False)


class _Reached(NamedTuple):
    """Where rays reach the ground, and what is there."""

    x: Array
    y: Array
    texels: Texels
    footprint: Footprint


def ground_depth(eye: Eye, ray: Ray) -> tuple[Array, Array, tuple[Array, Array]]:
    """The depth, m, at which rays reach the ground (`FARTHEST`: never), how much they rise a metre in plan, and their
    direction there, of unit length.
    """
    x, y, z = ray
    inverse = 1.0 / jnp.sqrt(x * x + y * y)
    depth = jnp.where(z < -HORIZON, eye.place[2] / jnp.maximum(-z, HORIZON), FARTHEST)
    return depth, z * inverse, (x * inverse, y * inverse)


def _reached(
    camera: Camera, grounds: Ground, row: Array, eye: Eye, ray: Ray, depth: Array, rise: Array, ahead: tuple
) -> _Reached:
    x, y = eye.place[0] + depth * ray[0], eye.place[1] + depth * ray[1]
    footprint = Footprint(depth * (1.0 / camera.fx), 1.0 / jnp.maximum(-rise, HORIZON), *ahead)
    return _Reached(x, y, texels_at(grounds, row, x, y), footprint)


def hazed(colour: Colour, depth: Array, look: Appearance) -> Colour:
    """Colours as they look from afar."""
    hazy = depth * look.haze
    hazy = hazy / (1.0 + hazy)
    red, green, blue = (channel + hazy * (look.haze_colour[number] - channel) for number, channel in enumerate(colour))
    return red, green, blue


def _words(
    renderer: Renderer, grounds: Ground, row: Array, view: View, look: Appearance, first: UInt[Array, "T n"]
) -> UInt[Array, "H W"]:
    """The packed colour of every ray."""
    camera, eye = rays_of(renderer)[0], view.eye
    is_strewn = jnp.concatenate([view.things.thing >= STREWN_THING, jnp.zeros(1, bool)])

    def of_band(right: Array, below: Array, touching: Array, first: Array) -> Array:
        ray, touching = turned(eye, right, below), touching.T
        depth, rise, ahead = ground_depth(eye, ray)

        def ground() -> Array:
            reached = _reached(camera, grounds, row, eye, ray, depth, rise, ahead)
            bare, _ = ground_seen(reached.texels, reached.x, reached.y, reached.footprint, look)
            shade = shade_of(view.blocks, touching, ray, depth)
            light = (1.0 - look.sunlight) * (1.0 - 0.4 * shade)
            light = light + look.sunlight * (0.25 + 1.1 * look.sun[2] * (1.0 - shade))
            return packed(hazed((bare[0] * light, bare[1] * light, bare[2] * light), depth, look), look)

        def sky() -> Array:
            return packed(sky_seen(ahead, rise, look)[0], look)

        def painted(strewn: bool) -> Array:
            met = depth_of(first)
            near = thing_seen(met_at(view.blocks, touching, ray, first), eye.place[2] + met * ray[2], look, strewn)
            return packed(hazed(near, met, look), look)

        def things() -> Array:
            if not renderer.strewn:
                return painted(False)
            return _if_any(is_strewn[touching], partial(painted, True), partial(painted, False))

        nothing = partial(jnp.zeros, right.shape, jnp.uint32)
        on_ground, on_thing = depth < FARTHEST, depth_of(first) < depth
        behind = jnp.where(on_ground, _if_any(on_ground, ground, nothing), _if_any(~on_ground, sky, nothing))
        return jnp.where(on_thing, _if_any(on_thing, things, nothing), behind)

    return by_band(renderer, of_band, view.touching.T, first)


def _labels(
    renderer: Renderer, grounds: Ground, row: Array, view: View, look: Appearance, first: UInt[Array, "T n"]
) -> Labels:
    """What every pixel shows; a word a ray holds the row of its thing 8 · Thing 6 · Paint 4."""
    camera = rays_of(renderer)[0]
    count, times = len(view.things.valid), renderer.oversampling

    def of_band(right: Array, below: Array, touching: Array, first: Array) -> Array:
        ray = turned(view.eye, right, below)
        ground, rise, ahead = ground_depth(view.eye, ray)
        reached = _reached(camera, grounds, row, view.eye, ray, ground, rise, ahead)
        depth = depth_of(first)
        met = jnp.where(depth < ground, row_of(touching.T, first, count), count)
        underfoot = ground_seen(reached.texels, reached.x, reached.y, reached.footprint, look)[1]
        seen = (ground < FARTHEST) & (depth >= ground)
        lined = seen & (jnp.abs(line_place(reached.texels)[0]) < NEAR_LINE)
        lined = lined & (edge_place(reached.texels)[0] > -NEAR_LINE)
        paint = jnp.where(lined, paint_kind(reached.texels.line), 0)
        return met | jnp.where(seen, underfoot, Thing.SKY) << 8 | paint << 14

    def depth_by_band(right: Array, below: Array, first: Array) -> Array:
        return jnp.minimum(depth_of(first), ground_depth(view.eye, turned(view.eye, right, below))[0])

    depth = by_band(renderer, depth_by_band, first)[::times, ::times]
    words = by_band(renderer, of_band, view.touching.T, first)[::times, ::times]
    met = words & 255
    kinds = jnp.concatenate([view.things.thing, jnp.zeros(1, jnp.int32)])
    agents = jnp.concatenate([view.things.agent, jnp.full(1, -1)])
    thing = jnp.where(met < count, kinds[met], (words >> 8) & 63)
    return Labels(depth=depth, agent=agents[met], thing=thing, paint=words >> 14)
