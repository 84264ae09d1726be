"""How the world looks today: light, weather, tones, wear, what the camera does to a picture; drawn from ranges.

An `Appearance` is arrays, one number each, so that a batch of pictures may have as many; a `Randomisation` is the
ranges that it is drawn from, a component of one component a subject.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float, UInt

from drivetrain.types import Array, Key, component, record

Range = tuple[float, float]


@record
class Appearance:
    """One look. Colours are linear red, green, blue in 0 .. 1 as drawn, before exposure."""

    sun: Float[Array, "*n 3"]  # unit vector towards it, map frame
    sunlight: Float[Array, "*n"]  # share of the light on a lit face that is the sun's: 0 is overcast
    sky: Float[Array, "*n 3"]  # overhead
    haze_colour: Float[Array, "*n 3"]  # at the horizon
    haze: Float[Array, "*n"]  # 1/m: what is 1 / haze away is half haze
    clouds: Float[Array, "*n"]  # 0 .. 1
    skyline: Float[Array, "*n"]  # how high far trees and houses stand, as a slope
    asphalt: Float[Array, "*n 3"]
    verge: Float[Array, "*n 3"]
    kerb: Float[Array, "*n 3"]
    kerb_width: Float[Array, "*n"]  # m; 0: none
    grain: Float[Array, "*n"]  # how rough the asphalt looks, 0 .. 1
    patches: Float[Array, "*n"]  # how uneven its tone is, 0 .. 1
    white: Float[Array, "*n 3"]  # paint
    yellow: Float[Array, "*n 3"]
    left: Float[Array, "*n"]  # 1: lines on the left of traffic are yellow
    twin: Float[Array, "*n"]  # 1: solid lines between both directions are double
    line_width: Float[Array, "*n"]  # m
    dash: Float[Array, "*n 2"]  # m: of a dash, and from one to the next
    wear: Float[Array, "*n"]  # 0 .. 1
    exposure: Float[Array, "*n"]
    contrast: Float[Array, "*n"]
    blur: Float[Array, "*n"]  # share of a pixel's light that falls on its neighbours
    noise: Float[Array, "*n"]  # standard deviation, of 0 .. 1
    shift: Float[Array, "*n 3"]  # of the camera from its mount, ego frame, m
    tilt: Float[Array, "*n 3"]  # pitch, roll, yaw added to its mount, rad
    seed: UInt[Array, "*n"]  # of colours, textures and noise


@component
class Light:
    """Sun and exposure."""

    elevation: Range = (0.25, 1.3)  # rad
    sunlight: Range = (0.0, 0.7)
    exposure: Range = (0.8, 1.25)
    contrast: Range = (0.85, 1.2)


@component
class Weather:
    """Sky and haze."""

    sight: Range = (150.0, 2000.0)  # m, at which half is haze
    clouds: Range = (0.0, 1.0)
    skyline: Range = (0.01, 0.09)


@component
class Surface:
    """Asphalt and what is beside it."""

    asphalt: Range = (0.22, 0.5)  # grey
    warmth: Range = (-0.03, 0.05)
    grain: Range = (0.1, 0.8)
    patches: Range = (0.1, 0.8)
    kerb: Range = (0.0, 0.35)  # m; below 0.1 there is none


@component
class Markings:
    """Lines on the road."""

    white: Range = (0.62, 0.95)
    wear: Range = (0.0, 0.7)
    width: Range = (0.10, 0.18)  # m
    yellow: float = 0.5  # share of pictures in which lines on the left of traffic are yellow
    dashes: tuple[tuple[float, float], ...] = ((3.0, 12.0), (4.0, 12.0), (3.0, 6.0), (1.5, 3.0), (6.0, 12.0))  # m


@component
class Sensor:
    """What the camera does."""

    blur: Range = (0.0, 0.6)
    noise: Range = (0.0, 0.03)


@component
class Jitter:
    """How the camera's pose differs from its mount: standard deviations, cut at two of them."""

    shift: tuple[float, float, float] = (0.3, 0.1, 0.12)  # m
    tilt: tuple[float, float, float] = (0.02, 0.01, 0.02)  # rad: pitch, roll, yaw


@component
class Randomisation:
    """What an appearance is drawn from."""

    light: Light = Light()
    weather: Weather = Weather()
    surface: Surface = Surface()
    markings: Markings = Markings()
    sensor: Sensor = Sensor()
    jitter: Jitter = Jitter()

    def __call__(self, key: Key) -> Appearance:
        """Draw a look. Consumes the key."""
        keys = iter(jax.random.split(key, 40))

        def within(of: Range) -> Array:
            return jax.random.uniform(next(keys), (), jnp.float32, *of)

        def around(middle: tuple[float, float, float], by: float) -> Array:
            return jnp.asarray(middle) + by * jax.random.uniform(next(keys), (3,), jnp.float32, -1.0, 1.0)

        light, weather, surface, markings, sensor = (
            self.light,
            self.weather,
            self.surface,
            self.markings,
            self.sensor,
        )
        elevation, azimuth = within(light.elevation), within((-3.1416, 3.1416))
        sun = jnp.stack(
            [jnp.cos(elevation) * jnp.cos(azimuth), jnp.cos(elevation) * jnp.sin(azimuth), jnp.sin(elevation)]
        )
        clouds, grey, warm = within(weather.clouds), within(surface.asphalt), within(surface.warmth)
        overcast = jnp.asarray([0.72, 0.74, 0.77])
        blue = around((0.32, 0.52, 0.82), 0.08)
        dry = within((0.0, 1.0))
        grass = (1.0 - dry) * jnp.asarray([0.25, 0.36, 0.16]) + dry * jnp.asarray([0.55, 0.48, 0.33])
        paint = within(markings.white)
        dash = jnp.asarray(markings.dashes)[jax.random.randint(next(keys), (), 0, len(markings.dashes))]
        kerb_width = within(surface.kerb)
        spread = jax.random.truncated_normal(next(keys), -2.0, 2.0, (6,))
        return Appearance(
            sun=sun,
            sunlight=within(light.sunlight) * (1.0 - 0.8 * clouds),
            sky=clouds * overcast + (1.0 - clouds) * blue,
            haze_colour=around((0.78, 0.82, 0.86), 0.07),
            haze=1.0 / jnp.exp(within((math.log(weather.sight[0]), math.log(weather.sight[1])))),
            clouds=clouds,
            skyline=within(weather.skyline),
            asphalt=grey * (1.0 + warm * jnp.asarray([1.0, 0.0, -1.0])),
            verge=grass + 0.05 * jax.random.normal(next(keys), (3,)),
            kerb=around((0.6, 0.6, 0.58), 0.08),
            kerb_width=jnp.where(kerb_width < 0.1, 0.0, kerb_width),
            grain=within(surface.grain),
            patches=within(surface.patches),
            white=paint * around((1.0, 1.0, 0.98), 0.03),
            yellow=paint * around((0.95, 0.72, 0.2), 0.06),
            left=(within((0.0, 1.0)) < markings.yellow).astype(jnp.float32),
            twin=(within((0.0, 1.0)) < 0.6).astype(jnp.float32),
            line_width=within(markings.width),
            dash=dash,
            wear=within(markings.wear),
            exposure=within(light.exposure),
            contrast=within(light.contrast),
            blur=within(sensor.blur),
            noise=within(sensor.noise),
            shift=spread[:3] * jnp.asarray(self.jitter.shift),
            tilt=spread[3:] * jnp.asarray(self.jitter.tilt),
            seed=jax.random.bits(next(keys), (), jnp.uint32),
        )


PLAIN = Randomisation(
    Light((0.9, 0.9), (0.5, 0.5), (1.0, 1.0), (1.0, 1.0)),
    Weather((1000.0, 1000.0), (0.2, 0.2), (0.03, 0.03)),
    Surface((0.36, 0.36), (0.0, 0.0), (0.4, 0.4), (0.4, 0.4), (0.2, 0.2)),
    Markings((0.88, 0.88), (0.1, 0.1), (0.13, 0.13), 0.5, ((3.0, 12.0),)),
    Sensor((0.2, 0.2), (0.005, 0.005)),
    Jitter((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
)
"""Nothing but colours differs."""
