"""How parts of things are painted: glass, wheels, lamps, windows, leaves; by material, face and place on the part."""

import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.camera.appearance import Appearance
from drivetrain.camera.casting import Face, Met, material_of, tint_of
from drivetrain.camera.shapes import Material
from drivetrain.camera.strewn_paint import mottled, strewn_tint
from drivetrain.camera.surface import Colour
from drivetrain.types import Array

WHEEL = 0.33
"""Radius of a car's wheels, m."""
ROLLING = (Material.BODY, Material.CARGO, Material.COACH, Material.CAB)
"""What has wheels on its sides."""


def thing_seen(met: Met, up: Float[Array, "*n"], look: Appearance, strewn: bool = False) -> Colour:
    """The colour of what is met, lit; `up` is the height above the road, m. `strewn`: it may be something strewn."""
    material, tint = material_of(met.word), tint_of(met.word)
    tint = strewn_tint(met, material, tint, up) if strewn else tint
    side, rear, front = met.face == Face.SIDE, met.face == Face.REAR, met.face == Face.FRONT
    top = met.face == Face.TOP
    aside, level = jnp.abs(met.aside) / met.wide, up / met.high

    def made(*kinds: Material) -> Array:
        found = material == kinds[0]
        for kind in kinds[1:]:
            found = found | (material == kind)
        return found

    dark, glass = _dark(met, made, up, level, aside), _glass(met, made, level, aside)
    red = (rear & made(Material.BODY) & (aside > 0.6) & (level > 0.34) & (level < 0.52)) | (
        rear & made(Material.CARGO, Material.COACH) & (aside > 0.75) & (up > 0.75) & (up < 1.05)
    )
    pale = front & made(Material.BODY, Material.COACH, Material.CAB) & (aside > 0.58) & (aside < 0.93)
    pale = pale & (jnp.abs(up - jnp.where(made(Material.BODY), 0.68, 0.8)) < 0.09)
    pale = pale | (rear & made(Material.BODY) & (aside < 0.27) & (jnp.abs(level - 0.32) < 0.05))
    lit = _lamp(met, made, up, level, tint)
    legs = made(Material.CLOTH) & (level < 0.46)
    tone = jnp.where(made(Material.LEAVES), mottled(met, up), jnp.where(legs, 0.45, 1.0))
    steel, skin = made(Material.STEEL) | _hub(met, made, up), made(Material.HEAD)
    hair = skin & (level > 0.955)
    light = (1.0 - look.sunlight) * jnp.where(top, 1.0, 0.72) + look.sunlight * (0.25 + 1.1 * met.light)
    shine = jnp.where(top, 0.12, 0.05) * jnp.where(made(Material.BODY, Material.CABIN), 1.0, 0.0)
    mirrored = jnp.where(side, 0.22, 0.3)

    def channel(number: int) -> Array:
        base = tint[number] * tone
        base = jnp.where(steel, 0.42, jnp.where(skin, (0.72, 0.53, 0.43)[number], base))
        base = jnp.where(hair, 0.16, base)
        base = base + shine * look.sky[number]
        base = jnp.where(glass, (0.05, 0.06, 0.07)[number] + mirrored * look.sky[number], base)
        base = jnp.where(red, (0.62, 0.05, 0.05)[number], jnp.where(pale, (0.9, 0.9, 0.86)[number], base))
        base = jnp.where(dark, 0.055, base)
        base = jnp.where(made(Material.LAMPS), 0.06, base) * light
        return jnp.where(lit, tint[number], base)

    return channel(0), channel(1), channel(2)


def _dark(met: Met, made, up: Array, level: Array, aside: Array) -> Array:
    """Tyres, what is below the sills, bumpers and grilles."""
    side, front, top = met.face == Face.SIDE, met.face == Face.FRONT, met.face == Face.TOP
    heavy = made(Material.CARGO, Material.COACH, Material.CAB)
    square, radius = _from_axle(met, made, up)
    wheel = side & made(*ROLLING) & (square < radius**2)
    sill = ~top & made(Material.BODY, Material.COACH, Material.CAB) & (up < jnp.where(heavy, 0.35, 0.22))
    chassis = ~top & made(Material.CARGO) & (up < 0.75) & (met.half > 2.5)
    grille = front & made(Material.BODY, Material.CAB) & (aside < 0.5) & (level > 0.24) & (level < 0.42)
    spokes = (
        made(Material.FRAME) & (jnp.abs(level - 0.2) < 0.17) & (jnp.abs(jnp.abs(met.along) - 0.6 * met.half) < 0.34)
    )
    trim = (met.face == Face.REAR) & made(Material.BODY) & (level < 0.22)
    return (wheel | sill | chassis | trim | grille | spokes) & ~_hub(met, made, up)


def _from_axle(met: Met, made, up: Array) -> tuple[Array, Array]:
    """The square of the distance from the nearest axle, m², and the radius of its wheel, m."""
    radius = jnp.where(made(Material.CARGO, Material.COACH, Material.CAB), 0.5, WHEEL)
    axle = jnp.where(made(Material.CAB), 0.82, 0.6) * met.half
    return (jnp.abs(met.along) - axle) ** 2 + (up - radius) ** 2, radius


def _hub(met: Met, made, up: Array) -> Array:
    """Rims of wheels."""
    square, radius = _from_axle(met, made, up)
    return (met.face == Face.SIDE) & made(*ROLLING) & (square < (0.6 * radius) ** 2)


def _glass(met: Met, made, level: Array, aside: Array) -> Array:
    """Windows of cars, buses, cabs and houses."""
    side, rear, front, top = (met.face == face for face in (Face.SIDE, Face.REAR, Face.FRONT, Face.TOP))
    pillar = jnp.abs(met.along + 0.08 * met.half) < 0.02 * met.half
    cabin = made(Material.CABIN) & ~top & (level < 0.95) & jnp.where(side, ~pillar, aside < 0.84)
    bay = met.along * (1.0 / 1.5)
    bay = jnp.abs(bay - jnp.floor(bay) - 0.5) < 0.45
    coach = made(Material.COACH) & jnp.where(
        side,
        (level > 0.45) & (level < 0.82) & bay,
        (level > jnp.where(front, 0.36, 0.58)) & (level < 0.86) & (aside < 0.93),
    )
    cab = made(Material.CAB) & ~rear & ~top & (level > 0.45) & (level < 0.7) & jnp.where(front, aside < 0.9, True)
    run = jnp.where(side, met.along, met.aside) * (1.0 / 3.1)
    storey = (level * met.high) * (1.0 / 3.2)
    wall = made(Material.WALL) & ~top & (jnp.abs(run - jnp.floor(run) - 0.5) < 0.21)
    wall = wall & (jnp.abs(storey - jnp.floor(storey) - 0.56) < 0.24) & (level < 0.96)
    return cabin | (coach & ~top) | cab | wall


def _lamp(met: Met, made, up: Array, level: Array, tint: Colour) -> Array:
    """The lit lamp of a traffic light: red on top, green below; and the plate of a sign."""
    head = jnp.where(met.high > 5.0, 0.80, 0.76)
    place = (level - head) / (1.0 - head)
    green, yellow = tint[1] > tint[0], (tint[0] > 0.5) & (tint[1] > 0.6)
    centre = jnp.where(green, 1.0 / 6.0, jnp.where(yellow, 0.5, 5.0 / 6.0))
    square = met.aside**2 + ((place - centre) * (1.0 - head) * met.high) ** 2
    on = made(Material.LAMPS) & (met.face == Face.FRONT) & (square < 0.12**2)
    return on
