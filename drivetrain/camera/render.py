"""A picture of a State as a camera on one of its agents sees it, and what every pixel of it shows.

    state → things → outlines → tiles → first met · ground · sky → colours → lens → picture

Written for one camera; batch with `jax.vmap`. The same program runs on CPUs and GPUs, and the same arguments give the
same picture. See `docs/camera.md` for what such pictures are not.
"""

import jax.numpy as jnp
from jaxtyping import Float, Int, UInt

from drivetrain.camera.appearance import Appearance
from drivetrain.camera.casting import (
    FARTHEST,

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
from drivetrain.camera.shapes import AGENT, Thing
from drivetrain.camera.sky import sky_seen
from drivetrain.camera.surface import Colour, Footprint, edge_place, ground_seen, line_place, paint_kind, texels_at
from drivetrain.camera.things import Things, things_seen
from drivetrain.camera.tiles import FARTHEST_SHADOW, Tiling, outlines, tiled_slopes, touching, untiled
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
    thing: Int[Array, "H W"]  # Thing, or AGENT + AgentKind
    paint: Int[Array, "H W"]  # Paint of the line within `NEAR_LINE` of the pixel's ground, 0: none, or hidden


def look_out(renderer: Renderer, bank: Bank, grounds: Ground, state: State, c: Int[Array, ""] | int, look: Appearance) -> View:
    """The view of controlled agent `c` of a state, whose bank's maps have these grounds."""
    own = jnp.maximum(state.controlled[c], 0)
    return view_from(renderer, grounds, bank.episodes.map[state.episode], state, own, look)


def view_from(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], state: State, own: Int[Array, ""], look: Appearance
) -> View:
    """The view of any agent (its column of `state.agents`), on map `row` of the grounds."""
    camera, tiling = _rays(renderer)
    agents = state.agents
    eye = on_map(mounted(camera.mount, look.shift, look.tilt), agents.position[own], agents.heading[own])
    here = Ground(
        grounds.origin[row],
        grounds.size[row],
        jnp.zeros(0, jnp.uint32),
        jnp.zeros(0, jnp.uint32),
        *(jnp.asarray(part)[row] for part in (grounds.beside, grounds.posts, grounds.points)),
        *(jnp.asarray(part)[row] for part in (grounds.point_paint, grounds.point_line)),
    )
    things = things_seen(state, own, eye, here, look.seed, (renderer.users, renderer.beside))
    casts = things.thing >= AGENT
    sun = look.sun / jnp.maximum(look.sun[2], 1.0 / FARTHEST_SHADOW)
    rims = outlines(camera, eye, things)
    with_shadow = outlines(camera, eye, things, -sun[:2])
    touched = touching(camera, tiling, jnp.where(casts[:, None], with_shadow, rims))
    return View(eye, things, rims, blocks_of(things, eye, look.sun, casts), touched)


def picture(renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance) -> UInt[Array, "h w 3"]:
    """Red, green and blue of every pixel."""
    return developed(_colours(renderer, grounds, row, view, look)[0], look, renderer.oversampling)


def labelled(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
) -> tuple[UInt[Array, "h w 3"], Labels]:
    """The picture, and what every pixel shows."""
    words, labels = _colours(renderer, grounds, row, view, look)
    times = renderer.oversampling
    kept = Labels(*(part[::times, ::times] for part in (labels.depth, labels.agent, labels.thing, labels.paint)))
    return developed(words, look, times), kept


def _rays(renderer: Renderer) -> tuple[Camera, Tiling]:
    """The camera of the rays, which may be finer than the picture's."""
    times = renderer.oversampling
    return (renderer.camera if times == 1 else finer(renderer.camera, times)), renderer.tiling


def _colours(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
) -> tuple[UInt[Array, "H W"], Labels]:
    """Packed colours of every ray, and its labels."""
    camera, tiling = _rays(renderer)
    right, down = tiled_slopes(camera, tiling)
    turn, place = view.eye.turn, view.eye.place
    ray: Ray = tuple(turn[axis, 0] * right + turn[axis, 1] * down + turn[axis, 2] for axis in range(3))  # type: ignore
    x, y, z = ray
    first = cast(view.blocks, view.touching, ray)
    ground = jnp.where(z < -HORIZON, place[2] / jnp.maximum(-z, HORIZON), FARTHEST)
    met_depth = depth_of(first)
    on_thing, on_ground = met_depth < ground, (ground < FARTHEST) & (met_depth >= ground)
    at_x, at_y = place[0] + ground * x, place[1] + ground * y
    texels = texels_at(grounds, row, at_x, at_y)
    inverse = 1.0 / jnp.sqrt(x * x + y * y)
    footprint = Footprint(
        side=ground * (1.0 / camera.fx),
        stretch=1.0 / jnp.maximum(-z * inverse, HORIZON),
        x=x * inverse,
        y=y * inverse,
    )
    bare, underfoot = ground_seen(texels, at_x, at_y, footprint, look)
    shade = shade_of(view.blocks, view.touching, ray, ground)
    open_light = (1.0 - look.sunlight) * (1.0 - 0.4 * shade)
    open_light = open_light + look.sunlight * (0.25 + 1.1 * look.sun[2] * (1.0 - shade))
    far, _ = sky_seen((footprint.x, footprint.y), z * inverse, look)
    met = met_at(view.blocks, view.touching, ray, first)
    near = thing_seen(met, place[2] + met_depth * z, look)
    depth = jnp.minimum(met_depth, ground)
    hazy = depth * look.haze
    hazy = hazy / (1.0 + hazy)

    def channel(number: int) -> Array:
        lit = jnp.where(on_thing, near[number], bare[number] * open_light)
        lit = lit + hazy * (look.haze_colour[number] - lit)
        return jnp.where(on_thing | on_ground, lit, far[number])

    colour: Colour = channel(0), channel(1), channel(2)
    words = packed(colour, look)
    count = len(view.things.valid)
    met_row = jnp.where(on_thing, row_of(view.touching, first, count), count)
    kinds = jnp.concatenate([view.things.thing, jnp.zeros(1, jnp.int32)])
    agents = jnp.concatenate([view.things.agent, jnp.full(1, -1)])
    aside = jnp.abs(line_place(texels)[0])
    lined = on_ground & (aside < NEAR_LINE) & (edge_place(texels)[0] > -NEAR_LINE)
    labels = Labels(
        depth=untiled(camera, tiling, depth),
        agent=untiled(camera, tiling, agents[met_row]),
        thing=untiled(camera, tiling, jnp.where(on_thing, kinds[met_row], jnp.where(on_ground, underfoot, Thing.SKY))),
        paint=untiled(camera, tiling, jnp.where(lined, paint_kind(texels.line), 0)),
    )
    return untiled(camera, tiling, words), labels
