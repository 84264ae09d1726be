"""Which things a camera may see, as boxes with a shape and a colour: road users near it, and what stands beside."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.camera.beside import Beside, Post
from drivetrain.camera.ground import Ground
from drivetrain.camera.hashing import mixed, share
from drivetrain.camera.pinhole import Eye
from drivetrain.camera.shapes import AGENT, CARS, HEIGHTS, OF_KIND, STREWN_THING, Shape, Thing
from drivetrain.types import AgentKind, Agents, Array, Bodies, ControlKind, LightState, record, replace

LEVEL = 2.5
"""Who is higher or lower than this, m, is on another road, and not drawn."""
SPREAD = 0.06
"""How much heights of one shape differ, as a share."""

COLOURS = np.array(
    [
        (0.93, 0.93, 0.92),
        (0.88, 0.89, 0.90),
        (0.62, 0.64, 0.66),
        (0.70, 0.71, 0.72),
        (0.36, 0.37, 0.39),
        (0.28, 0.29, 0.31),
        (0.10, 0.10, 0.11),
        (0.14, 0.15, 0.17),
        (0.13, 0.20, 0.42),
        (0.22, 0.36, 0.60),
        (0.58, 0.09, 0.09),
        (0.42, 0.06, 0.08),
        (0.15, 0.30, 0.20),
        (0.66, 0.58, 0.44),
        (0.76, 0.42, 0.10),
        (0.40, 0.30, 0.22),
    ],
    np.float32,
)
"""Of bodies and clothes, as often as they stand here."""
WALLS = np.array(
    [
        (0.72, 0.64, 0.54),
        (0.60, 0.36, 0.28),
        (0.74, 0.72, 0.68),
        (0.52, 0.52, 0.55),
        (0.80, 0.72, 0.50),
        (0.55, 0.47, 0.42),
    ],
    np.float32,
)
LAMP = np.array(
    [(0.2, 0.2, 0.2), (0.1, 1.0, 0.45), (1.0, 0.75, 0.1), (1.0, 0.12, 0.08), (1.0, 0.5, 0.1), (0.15, 0.15, 0.15)],
    np.float32,
)
"""By `LightState`. Where the lamp sits is told from its colour (`paint.py`)."""


@record
class Strewn:
    """Things on and beside a road that are no road users of a recording, N of them (`strewing.py`)."""

    place: Float[Array, "N 2"]  # centre, map frame, m
    heading: Float[Array, "N 2"]  # (cos, sin)
    size: Float[Array, "N 3"]  # length, width, height, m
    shape: Int[Array, "N"]  # Shape
    tint: Float[Array, "N 3"]
    kind: Int[Array, "N"]  # Kind; −1: none


@record
class Moment:
    """What of a State can be seen."""

    agents: Agents  # [A]
    bodies: Bodies  # [A]
    lights: Int[Array, "S"]  # LightState
    strewn: Strewn | None = None


@record
class Things:
    """N boxes, nearest first."""

    place: Float[Array, "N 2"]  # centre, map frame, m
    heading: Float[Array, "N 2"]  # (cos, sin)
    size: Float[Array, "N 3"]  # length, width, height, m
    shape: Int[Array, "N"]  # Shape
    tint: Float[Array, "N 3"]
    thing: Int[Array, "N"]  # Thing, AGENT + AgentKind, or STREWN_THING + Kind
    agent: Int[Array, "N"]  # column of `State.agents`; −1: none
    valid: Bool[Array, "N"]


def things_seen(
    moment: Moment, own: Int[Array, ""], eye: Eye, ground: Ground, seed: UInt[Array, ""], most: tuple[int, int]
) -> Things:
    """The nearest road users and the nearest of what stands beside the road, at most so many of each, in front; and all
    that is strewn.

    `own` is the column of the agent that carries the camera: it does not see itself.
    """
    users, beside = _users(moment, own, seed), _beside(ground, moment, seed)
    things = joined(nearest(users, eye, most[0]), nearest(beside, eye, most[1]))
    if moment.strewn is not None:
        things = joined(things, _strewn(moment.strewn))
    return by_distance(things, eye)


def away(things: Things, eye: Eye) -> Float[Array, "N"]:
    """From the camera to the nearest that a thing can be, m; infinite for what is behind it, or not there."""
    to = things.place - eye.place[:2]
    half = 0.5 * jnp.linalg.norm(things.size[:, :2], axis=1)
    ahead = to @ eye.turn[:2, 2]
    return jnp.where(things.valid & (ahead > -half), jnp.linalg.norm(to, axis=1) - half, jnp.inf)


def nearest(things: Things, eye: Eye, most: int) -> Things:
    """At most so many of them, the nearest; not in their order."""
    distance = away(things, eye)
    if len(distance) <= most:
        chosen = jnp.arange(len(distance))
    else:
        _, chosen = jax.lax.top_k(-distance, most)
    kept = jax.tree.map(lambda leaf: leaf[chosen], things)
    return replace(kept, valid=distance[chosen] < jnp.inf)


def by_distance(things: Things, eye: Eye) -> Things:
    """The nearest first."""
    order = jnp.argsort(away(things, eye))
    return jax.tree.map(lambda leaf: leaf[order], things)


def joined(one: Things, other: Things) -> Things:
    """Both."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), one, other)


def _users(moment: Moment, own: Int[Array, ""], seed: UInt[Array, ""]) -> Things:
    """Every road user; cars differ in shape, by their number and the seed."""
    agents, bodies = moment.agents, moment.bodies
    number = jnp.arange(agents.valid.shape[0])
    dice = mixed(number.astype(jnp.uint32) * jnp.uint32(2654435761) ^ seed)
    kind = jnp.clip(bodies.kind, 0, len(AgentKind) - 1)
    car = jnp.asarray(CARS)[(dice & 7).astype(jnp.int32)]
    # What is as long as a van is one; a short car is no pick-up.
    car = jnp.where(bodies.length > 5.6, Shape.VAN, jnp.where(bodies.length < 4.2, Shape.HATCHBACK, car))
    shape = jnp.where(kind == AgentKind.CAR, car, jnp.asarray(OF_KIND)[kind])
    high = jnp.asarray(HEIGHTS)[shape] * (1.0 + SPREAD * (2.0 * share(dice, 8) - 1.0))
    valid = agents.valid & (number != own) & (bodies.length > 0.0)
    if agents.height is not None:
        valid &= jnp.abs(agents.height - agents.height[own]) < LEVEL
    return Things(
        place=agents.position,
        heading=agents.heading,
        size=jnp.stack([bodies.length, bodies.width, high], -1),
        shape=shape,
        tint=jnp.asarray(COLOURS)[((dice >> 16) & 15).astype(jnp.int32)],
        thing=AGENT + kind,
        agent=number,
        valid=valid,
    )


def _strewn(strewn: Strewn) -> Things:
    return Things(
        place=strewn.place,
        heading=strewn.heading,
        size=strewn.size,
        shape=strewn.shape,
        tint=strewn.tint,
        thing=STREWN_THING + jnp.maximum(strewn.kind, 0),
        agent=jnp.full(len(strewn.kind), -1),
        valid=strewn.kind >= 0,
    )


def _beside(ground: Ground, moment: Moment, seed: UInt[Array, ""]) -> Things:
    """Buildings, trees, lights and signs."""
    rows, posts = ground.beside, ground.posts
    dice = mixed(jnp.arange(len(rows)).astype(jnp.uint32) + seed)
    tree = rows[:, Beside.TREE] > 0.5
    leaves = jnp.asarray([0.16, 0.26, 0.10]) + 0.12 * share(dice, 8)[:, None] * jnp.asarray([1.0, 0.7, 0.3])
    stands = Things(
        place=rows[:, Beside.X : Beside.Y + 1],
        heading=rows[:, Beside.COS : Beside.SIN + 1],
        size=rows[:, Beside.LENGTH : Beside.HEIGHT + 1],
        shape=jnp.where(tree, Shape.TREE, Shape.BUILDING),
        tint=jnp.where(tree[:, None], leaves, jnp.asarray(WALLS)[(dice % len(WALLS)).astype(jnp.int32)]),
        thing=jnp.where(tree, Thing.TREE, Thing.BUILDING),
        agent=jnp.full(len(rows), -1),
        valid=rows[:, Beside.LENGTH] > 0.0,
    )
    light, hung = posts[:, Post.KIND] == ControlKind.LIGHT, posts[:, Post.HUNG] > 0.5
    shape = jnp.where(light, jnp.where(hung, Shape.HUNG_LIGHT, Shape.LIGHT), Shape.SIGN)
    size = jnp.asarray([(0.32, 0.34), (0.08, 0.75)])[jnp.where(light, 0, 1)]
    shown = jnp.clip(moment.lights, 0, len(LightState) - 1)
    return joined(
        stands,
        Things(
            place=posts[:, Post.X : Post.Y + 1],
            heading=posts[:, Post.COS : Post.SIN + 1],
            size=jnp.concatenate([size, jnp.asarray(HEIGHTS)[shape][:, None]], -1),
            shape=shape,
            tint=jnp.where(light[:, None], jnp.asarray(LAMP)[shown], jnp.asarray([0.72, 0.08, 0.08])),
            thing=jnp.where(light, Thing.LIGHT, Thing.SIGN),
            agent=jnp.full(len(posts), -1),
            valid=posts[:, Post.KIND] > 0.0,
        ),
    )
