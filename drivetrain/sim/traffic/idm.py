"""The Intelligent Driver Model along a route: a rule that keeps its headway, as a baseline.

Treiber, Hennecke and Helbing 2000, "Congested traffic states in empirical observations and microscopic simulations",
equations 2–3; steering by pure pursuit (Coulter 1992, CMU-RI-TR-92-01). It stays in its lane, stops at red lights and
stop signs, slows for bends, and changes lane only where its own ends.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.geometry import Scalar, cross, norm, root, to_frame
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import WHEELBASE
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.levels import on_level
from drivetrain.sim.reading import Index, control_lines, lane_window
from drivetrain.types import Array, ControlKind, RouteFlag, State, component, is_red

BEHIND, AHEAD = 4, 60
"""Stations of the route that the driver looks at."""

CLEAR = 1000.0
"""Gap where nothing is ahead, m."""


def interaction(standstill: float, way: Float[Array, "*way"], gap: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The law's interaction, (s* / s)²: how many times its acceleration `a` a gap of s m takes from a driver.

    The gap wanted, s*, is `standstill` m and the way that headway and closing speed ask for, m, where that is positive.
    """
    return ((standstill + jnp.maximum(way, 0.0)) / jnp.maximum(gap, 0.1)) ** 2


def idm_acceleration(
    speed: Scalar,
    desired: Scalar,
    gap: Float[Array, "*n"],
    closing: Float[Array, "*n"],
    headway: float = 1.5,
    standstill: float = 2.0,
    comfort: tuple[float, float] = (1.5, 3.0),
) -> Float[Array, "*n"]:
    """Acceleration, m/s², towards a desired speed behind what is `gap` m ahead and `closing` m/s slower.

    `headway` s and `standstill` m are kept; `comfort` is the model's acceleration a and braking b, m/s². Not limited.
    """
    a, b = comfort
    way = speed * headway + speed * closing / (2.0 * (a * b) ** 0.5)
    free = (speed / jnp.maximum(desired, 0.1)) ** 4
    return a * (1.0 - free - interaction(standstill, way, gap))


class Path(NamedTuple):
    """The centre line that the driver follows (W stations), and where along it the driver is."""

    centre: Float[Array, "W 2"]
    heading: Float[Array, "W 2"]
    limit: Float[Array, "W"]  # m/s; 0: unknown
    exists: Bool[Array, "W"]
    arc: Float[Array, "W"]  # m from the driver's centre, along the path


@component
class IDM:
    """A driver for one controlled agent with the dynamics of `Bicycle`."""

    headway: float = 1.5  # s
    standstill: float = 2.0  # m behind a leader
    line_gap: float = 1.0  # m before a line
    acceleration: float = 1.5  # m/s²
    braking: float = 3.0  # m/s²
    unlimited: float = 20.0  # m/s, desired where no speed limit is known
    lateral: float = 2.5  # m/s², at most, in bends
    side: float = 0.2  # m to either side within which another counts as in the way
    preview: float = 1.0  # s of travel to the point that is pursued
    least_preview: float = 6.0  # m

    def __call__(self, bank: Bank, state: State, c: Index, dynamics: Bicycle) -> Float[Array, "2"]:
        """Acceleration and steering rate, within the limits of the dynamics."""
        path = self.path(bank, state, c)
        me, motion = state.controlled[c], state.motion
        speed = motion.speed[c]
        nose = 0.5 * state.bodies.length[me]

        gap, closing = self.leader(state, c, path)
        follow = idm_acceleration(
            speed, self.desired(path), gap, closing, self.headway, self.standstill, (self.acceleration, self.braking)
        )
        line = self.line(bank, state, c, path) - nose
        # A line owes no headway: the approach alone is governed, by the braking term.
        halt = idm_acceleration(speed, CLEAR, line, speed, 0.0, self.line_gap, (self.acceleration, self.braking))
        rate = self.steering(state, c, path) - motion.steering[c]
        return dynamics.limit(jnp.stack([jnp.minimum(follow, halt), rate / bank.dt]))

    def path(self, bank: Bank, state: State, c: Index) -> Path:
        """The lane that the agent is in, as far as it goes on; the recorded one where it ends or is not known."""
        me = state.controlled[c]
        position = state.agents.position[me]
        lanes = lane_window(bank, state.route[c], state.cursor[c], BEHIND, AHEAD)
        rows = jnp.arange(BEHIND + AHEAD + 1)
        recorded = jnp.argmax(lanes.recorded, axis=1)
        known = lanes.exists[rows, recorded]
        # The slot whose centre is nearest; then, whether its pieces are linked all the way that the route goes on.
        apart = norm(lanes.centre[:, BEHIND].T - position)
        slot = jnp.argmin(jnp.where(lanes.exists[BEHIND], apart, jnp.inf))
        linked = (lanes.flags[:, slot] & RouteFlag.LINKED.value) != 0
        goes_on = jnp.append(known[1:], False)
        ends = jnp.any((rows >= BEHIND) & goes_on & ~linked)
        stays = lanes.exists[BEHIND, slot] & ~ends
        choice = jnp.where(stays & lanes.exists[:, slot], slot, recorded)

        centre, heading = lanes.centre[:, rows, choice].T, lanes.heading[:, rows, choice].T
        exists = lanes.exists[rows, choice]
        ahead = jnp.sum(jnp.diff(centre, axis=0) * heading[:-1], axis=1) * exists[1:] * exists[:-1]
        arc = jnp.concatenate([jnp.zeros(1), jnp.cumsum(ahead)])
        here = jnp.sum((position - centre[BEHIND]) * heading[BEHIND])
        return Path(centre, heading, lanes.limit[rows, choice], exists, arc - arc[BEHIND] - here)

    def desired(self, path: Path) -> Float[Array, ""]:
        """Speed, m/s: the limit here, and what the bends ahead allow after braking comfortably."""
        limit = path.limit[BEHIND]
        turn = jnp.abs(cross(path.heading[:-1], path.heading[1:]))
        length = jnp.maximum(jnp.diff(path.arc), 0.5)
        # Over three pieces, because borders are noisy.
        bend = jnp.convolve(turn, jnp.ones(3), "same") / jnp.convolve(length, jnp.ones(3), "same")
        slow = self.lateral / jnp.maximum(bend, 1e-4) + 2.0 * 0.5 * self.braking * jnp.maximum(path.arc[:-1], 0.0)
        both = path.exists[:-1] & path.exists[1:] & (path.arc[1:] > 0.0)
        bends = root(jnp.min(jnp.where(both, slow, 1e4)))
        return jnp.minimum(jnp.where(limit > 0.0, limit, self.unlimited), bends)

    def leader(self, state: State, c: Index, path: Path) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Gap, m, to the nearest agent in the way, bumper to bumper, and closing speed, m/s."""
        me = state.controlled[c]
        agents, bodies = state.agents, state.bodies
        offset = agents.position[:, None] - path.centre
        station = jnp.argmin(jnp.where(path.exists, jnp.sum(offset**2, -1), jnp.inf), axis=1)
        heading = path.heading[station]
        offset = jnp.take_along_axis(offset, station[:, None, None], axis=1)[:, 0]
        along = path.arc[station] + jnp.sum(offset * heading, -1)
        cos, sin = jnp.abs(jnp.sum(agents.heading * heading, -1)), jnp.abs(cross(heading, agents.heading))
        reach = 0.5 * (bodies.length * cos + bodies.width * sin)
        breadth = 0.5 * (bodies.length * sin + bodies.width * cos)

        beside = jnp.abs(cross(heading, offset)) - breadth - 0.5 * bodies.width[me] > self.side
        ahead = agents.valid & (along > 0.0) & ~beside & (jnp.arange(len(along)) != me)
        if agents.height is not None:
            away = jnp.sum((agents.position - agents.position[me]) ** 2, axis=-1)
            ahead &= on_level(agents.height, agents.height[me], away)
        gaps = jnp.where(ahead, along - reach - 0.5 * bodies.length[me], CLEAR)
        first = jnp.argmin(gaps)
        speed = jnp.sum(agents.velocity[first] * heading[first])
        gap = gaps[first]
        return gap, jnp.where(gap < CLEAR, state.motion.speed[c] - speed, 0.0)

    def line(self, bank: Bank, state: State, c: Index, path: Path) -> Float[Array, ""]:
        """Metres along the path to the nearest line at which to stop; `CLEAR` where there is none."""
        lines = control_lines(bank, state.route[c])
        middle = 0.5 * (lines.ends[:, :2] + lines.ends[:, 2:])
        offset = middle[:, None] - path.centre
        station = jnp.argmin(jnp.where(path.exists, jnp.sum(offset**2, -1), jnp.inf), axis=1)
        heading = path.heading[station]
        offset = jnp.take_along_axis(offset, station[:, None, None], axis=1)[:, 0]
        along = path.arc[station] + jnp.sum(offset * heading, -1)
        half = 0.5 * norm(lines.ends[:, :2] - lines.ends[:, 2:])

        red = (lines.kind == ControlKind.LIGHT) & is_red(state.lights[lines.index])
        sign = (lines.kind == ControlKind.STOP_SIGN) & ~state.stopped[c, lines.index]
        nose = 0.5 * state.bodies.length[state.controlled[c]]
        stops = lines.judged & (red | sign) & (jnp.abs(cross(heading, offset)) < half) & (along > nose)
        return jnp.min(jnp.where(stops, along, CLEAR))

    def steering(self, state: State, c: Index, path: Path) -> Float[Array, ""]:
        """The wheel's angle, rad, of the circle from the rear axle to the pursued point."""
        me = state.controlled[c]
        wheelbase = WHEELBASE * jnp.maximum(state.bodies.length[me], 0.1)
        heading = state.agents.heading[me]
        rear = state.agents.position[me] - 0.5 * wheelbase * heading
        preview = jnp.maximum(self.least_preview, self.preview * state.motion.speed[c])
        last = jnp.max(jnp.where(path.exists, jnp.arange(len(path.arc)), 0))
        station = jnp.minimum(jnp.searchsorted(path.arc, preview, side="right") - 1, last)
        point = path.centre[station] + path.heading[station] * (preview - path.arc[station])  # straight on at the end
        aim = to_frame(point, rear, heading)
        square = jnp.maximum(aim[0] ** 2 + aim[1] ** 2, 1.0)
        angle = jnp.arctan(2.0 * wheelbase * aim[1] / square)
        return jnp.where(jnp.any(path.exists), angle, 0.0)
