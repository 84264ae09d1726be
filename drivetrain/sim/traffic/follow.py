"""Follow: recorded vehicles drive their own paths by the Intelligent Driver Model, and react to whoever is on them.

Treiber, Hennecke and Helbing 2000, as in `idm.py`; above the wanted speed the braking is bounded (Treiber and Kesting
2013, "Traffic Flow Dynamics", section 11.3.7, the improved IDM). A path ahead is four chords, ever longer, and
another's box is ahead where its centre projects on a chord and its side reaches into the width of the follower. Who may
be is found by one rectangle around the chords, for every pair of agents at once: A² tests of about 20 operations and
`NEAR` minima over them; the chords are then tried for the few that it leaves.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.geometry import root
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import run
from drivetrain.sim.dynamics.kinds import ABILITIES
from drivetrain.sim.levels import on_level
from drivetrain.sim.reading import Index, log_at, settle
from drivetrain.sim.traffic.base import Traffic
from drivetrain.sim.traffic.idm import interaction
from drivetrain.types import Agents, Array, InputError, State, component, is_red, record

WAITING, DRIVING, GONE = 0, 1, 2

CHORDS = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Where the chords of a path ahead begin and end, as shares of how far the driver looks."""

OVERLAP = 1.0
"""Chords overlap by so much, m, because a bend opens a wedge between them."""

NEAR = 6
"""Of those that may be in its way, a driver regards so many, the nearest along its path."""

BACK = 256.0
"""Added to distances, m, so that they are positive; nobody reaches further back."""

NOBODY = 2**31 - 1


@record
class Following:
    """What each agent's driver remembers: where on its path it is, and how fast."""

    arc: Float[Array, "A"]  # m from the path's start
    speed: Float[Array, "A"]  # m/s
    phase: Int[Array, "A"]  # WAITING to enter the scene, DRIVING, or GONE


@record
class Chain:
    """The paths ahead of all agents as n nodes and the k = n - 1 chords between them: a row a number."""

    x: Float[Array, "n A"]
    y: Float[Array, "n A"]
    cos: Float[Array, "k A"]
    sin: Float[Array, "k A"]
    length: Float[Array, "k A"]  # m
    start: Float[Array, "k A"]  # m along the chords before
    height: Float[Array, "n A"] | None = None  # m


@component
class Follow(Traffic):
    """Recorded vehicles keep their own paths and choose their speed; everyone else replays the log.

    Who follows: cars, lorries, buses and motorcycles that move forward by 2 m or more. Pedestrians, cyclists and what
    is parked, driven backwards or of no known kind do what the log says, and are reacted to.

    Wanted speed: the pace of the record at that place (`Paths`), so that bends and queues are driven as they were, but
    a stop is not kept for its own sake. Red lights that are judged stop them before the line; stop signs do not.

    Beginning and end: an agent that the log shows later enters at its path's start at that moment, at the recorded
    speed, or as soon after as the place is free and braking within `hardest` suffices, while its record lasts. At its
    path's end it leaves the scene, unless it was recorded to the end of the recording: then it goes straight on. Gaps
    of a record are driven through.

    A controlled agent is reacted to like any other. Two that block each other's path wait for ever.
    """

    needs_paths: ClassVar[bool] = True

    headway: float = 1.0  # s
    standstill: float = 2.0  # m behind a leader
    line_gap: float = 1.0  # m before a line
    acceleration: float = 1.5  # m/s², at most what the kind can do
    braking: float = 3.0  # m/s², comfortable
    hardest: float = 8.0  # m/s², at most
    side: float = 0.2  # m to either side within which another counts as in the way
    least_view: float = 10.0  # m that the driver looks ahead, standing
    view: float = 4.0  # s of travel that it looks ahead besides

    def start(self, bank: Bank, episode: Index, time: Index) -> Following:
        """Everyone where the log has them."""
        if bank.paths.points.shape[-2] == 0:
            raise InputError("bank: paths: none to follow (make_bank(…, paths=True))")
        log = bank.episodes.log[episode]
        along, now = bank.paths.travelled[log, :, time], log_at(bank, episode, time)
        phase = jnp.where(along < 0.0, WAITING, jnp.where(along > self._end(bank, log), GONE, DRIVING))
        return Following(jnp.maximum(along, 0.0), jnp.maximum(jnp.sum(now.velocity * now.heading, -1), 0.0), phase)

    def __call__(self, bank: Bank, state: State) -> tuple[Agents, Following]:
        """One step of everyone: those with a path along it, the others as recorded."""
        log, before = bank.episodes.log[state.episode], state.traffic
        recorded = log_at(bank, state.episode, state.time + 1)
        far = self.least_view + self.view * before.speed
        nodes = place(bank, log, before.arc + far * jnp.array(CHORDS)[:, None])
        most = jnp.minimum(self.acceleration, jnp.asarray(ABILITIES.acceleration)[state.bodies.kind])
        wanted, blocked = self._others(state, before.speed, most, chain(nodes))
        wanted = jnp.maximum(wanted, self._lights(bank, log, state, most))
        change = jnp.clip(self._free(before.speed, nodes.pace[0], most) - wanted, -self.hardest, most)

        distance, speed = jax.vmap(run, (0, 0, None, None))(before.speed, change, 1e9, bank.dt)
        along = before.arc + distance
        leaves = (along > self._end(bank, log)) & ~bank.paths.stays[log]
        # On the first step that it is recorded at, a waiting agent stands at its path's start, and looks from there.
        enters = recorded.valid & ~blocked & (wanted < self.hardest)
        waits = before.phase == WAITING
        phase = jnp.where(waits, jnp.where(enters, DRIVING, WAITING), jnp.where(leaves, GONE, before.phase))
        entry = jnp.maximum(jnp.sum(recorded.velocity * recorded.heading, -1), 0.0)
        after = Following(jnp.where(waits, 0.0, along), jnp.where(waits, entry, speed), phase)
        return self._agents(bank, log, after, recorded), after

    def _end(self, bank: Bank, log: Index) -> Float[Array, "A"]:
        return bank.paths.spacing[log] * (bank.paths.points.shape[-2] - 1)

    def _free(self, speed: Array, pace: Array, most: Array) -> Float[Array, "A"]:
        """Acceleration on an empty road."""
        faster = speed > pace
        ratio = jnp.where(faster, pace / jnp.where(faster, speed, 1.0), speed / pace)
        return jnp.where(faster, -self.braking * (1.0 - ratio**2), most * (1.0 - ratio**4))

    def _others(
        self, state: State, speed: Float[Array, "A"], most: Float[Array, "A"], chain: Chain
    ) -> tuple[Float[Array, "A"], Bool[Array, "A"]]:
        """The braking, m/s², that the most pressing of the others asks of each; whether one covers its own place."""
        half, breadth = 0.5 * state.bodies.length, 0.5 * state.bodies.width
        other, present = jax.lax.stop_gradient(self._near(state, chain))
        x, y, hx, hy, vx, vy, long, wide = _columns(state, other)
        share = 0.5 / jnp.sqrt(most * self.braking)
        pressing, covered = jnp.zeros(present.shape), jnp.zeros(present.shape, bool)
        for k in range(len(CHORDS) - 1):
            ax, ay, until, done = chain.cos[k], chain.sin[k], chain.length[k], chain.start[k]
            dx, dy = x - chain.x[k], y - chain.y[k]
            cos, sin = jnp.abs(ax * hx + ay * hy), jnp.abs(ax * hy - ay * hx)
            along, aside = ax * dx + ay * dy, jnp.abs(ax * dy - ay * dx)
            reach, side = long * cos + wide * sin, long * sin + wide * cos
            inside = present & (aside - side < breadth + self.side)
            if state.agents.height is not None and chain.height is not None:
                inside &= on_level(state.agents.height[other], chain.height[k])
            gap = done + along - reach - half
            slower = speed - jnp.maximum(ax * vx + ay * vy, 0.0)
            asked = most * interaction(self.standstill, speed * (self.headway + slower * share), gap)
            within = inside & (along > (0.0 if k == 0 else -OVERLAP)) & (along < until)
            pressing = jnp.maximum(pressing, jnp.where(within, asked, 0.0))
            if k == 0:
                covered = inside & (jnp.abs(along) < reach + half)
        return jnp.max(pressing, axis=0), jnp.any(covered, axis=0)

    def _near(self, state: State, chain: Chain) -> tuple[Int[Array, "K A"], Bool[Array, "K A"]]:
        """The others that may be in each driver's way, the `NEAR` nearest along its path, and which exist.

        All that can be on a chord is in one rectangle: that of the nodes along the axis from the first to the last,
        widened by both bodies as they stand to it. What is tested of a pair is about 20 operations.
        """
        agents, half, breadth = state.agents, 0.5 * state.bodies.length, 0.5 * state.bodies.width
        count = len(half)
        across, up = chain.x[-1] - chain.x[0], chain.y[-1] - chain.y[0]
        size = root(across**2 + up**2)
        x = jnp.where(size > 1.0, across / jnp.maximum(size, 1.0), chain.cos[0])
        y = jnp.where(size > 1.0, up / jnp.maximum(size, 1.0), chain.sin[0])
        start = jnp.maximum(half, OVERLAP)
        rim_x = jnp.concatenate([(-start * chain.cos[0])[None], chain.x - chain.x[0]])
        rim_y = jnp.concatenate([(-start * chain.sin[0])[None], chain.y - chain.y[0]])
        along, aside = x * rim_x + y * rim_y, x * rim_y - y * rim_x
        bend = jnp.max(jnp.abs(chain.sin * x - chain.cos * y), axis=0)
        first, last = jnp.min(along, axis=0), jnp.max(along, axis=0)
        right, left = jnp.min(aside, axis=0), jnp.max(aside, axis=0)
        reach = breadth + self.side + OVERLAP * bend + 0.01
        middle, off = 0.5 * (first + last), 0.5 * (right + left)
        done = x * chain.x[0] + y * chain.y[0] + middle
        off = x * chain.y[0] - y * chain.x[0] + off
        rows = [x, y, done, off, 0.5 * (last - first) + reach, 0.5 * (left - right) + reach, bend, middle + BACK]
        x, y, done, off, long, wide, bend, middle = kept(jnp.stack(rows))

        # Others run down and followers across, so that the least of a column is found for many followers at once.
        px, py, hx, hy = (column[:, None] for column in (*agents.position.T, *agents.heading.T))
        half, breadth = half[:, None], breadth[:, None]
        ahead, beside = x * px + y * py - done, x * py - y * px - off
        extent = half * jnp.abs(x * hy - y * hx) + (bend * (2.0 * half + breadth) + breadth)
        number = jnp.arange(count, dtype=jnp.int32)[:, None]
        near = (jnp.abs(ahead) < long + (half + breadth)) & (jnp.abs(beside) < wide + extent)
        near = near & agents.valid[:, None] & (number != number.T)
        if agents.height is not None and chain.height is not None:
            low, high = jnp.min(chain.height, axis=0), jnp.max(chain.height, axis=0)
            near &= on_level(agents.height[:, None], jnp.clip(agents.height[:, None], low, high))
        # How far it is and who it is in one number, so that a minimum finds both: floats are ordered as their bits.
        who = (1 << max(count - 1, 1).bit_length()) - 1
        far = jax.lax.bitcast_convert_type(ahead + middle, jnp.int32)
        key = jnp.where(near, (far & ~who) | number, NOBODY)

        def following(candidates: Int[Array, "A"], _: None) -> tuple[Int[Array, "A"], Int[Array, "A"]]:
            candidates = jnp.min(jnp.where(key > candidates, key, NOBODY), axis=0)
            return candidates, candidates

        candidates = jax.lax.scan(following, jnp.full(count, -1, jnp.int32), None, length=min(NEAR, count))[1]
        return candidates & who, candidates < NOBODY

    def _lights(self, bank: Bank, log: Index, state: State, most: Float[Array, "A"]) -> Float[Array, "A"]:
        """The braking, m/s², that a red light asks for: a line owes no headway, and is run where it is too late."""
        line, speed = bank.paths.line[log], state.traffic.speed[:, None]
        red = (line >= 0) & is_red(state.lights[jnp.maximum(line, 0)])
        gap = bank.paths.line_arc[log] - state.traffic.arc[:, None] - 0.5 * state.bodies.length[:, None]
        stops = red & (gap > 0.0) & (speed**2 < 2.0 * self.hardest * gap)
        way = speed**2 / (2.0 * jnp.sqrt(most * self.braking))[:, None]
        return jnp.max(jnp.where(stops, most[:, None] * interaction(self.line_gap, way, gap), 0.0), axis=1)

    def _agents(self, bank: Bank, log: Index, after: Following, recorded: Agents) -> Agents:
        """Followers where they have got to, the others as recorded; padding stays where it is nothing."""
        node, follows = place(bank, log, after.arc[None]), bank.paths.follows[log]
        heading = jnp.stack([node.cos[0], node.sin[0]], -1)
        present = follows & (after.phase == DRIVING)

        def choose(own: Array, record: Array) -> Array:
            return jnp.where(present[:, None], own, jnp.where(follows[:, None], 0.0, record))

        height = recorded.height
        if node.height is not None and height is not None:
            height = jnp.where(present, node.height[0], height)
        return Agents(
            position=choose(jnp.stack([node.x[0], node.y[0]], -1), recorded.position),
            heading=choose(heading, recorded.heading),
            velocity=choose(after.speed[:, None] * heading, recorded.velocity),
            valid=jnp.where(follows, present, recorded.valid),
            height=height,
        )


def _columns(state: State, other: Int[Array, "K A"]) -> Float[Array, "8 K A"]:
    """Position, heading, velocity, half length and half width of some others of each agent."""
    agents, bodies = state.agents, state.bodies
    sizes = 0.5 * jnp.stack([bodies.length, bodies.width])
    table = jnp.concatenate([agents.position, agents.heading, agents.velocity, sizes.T], axis=1)
    return settle(jnp.take(table, other.reshape(-1), axis=0, mode="clip").T).reshape(-1, *other.shape)


def kept(rows: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """The same numbers, computed once (`settle`), by the smallest product that does it; n is even."""
    return settle(rows.reshape(2, -1)).reshape(rows.shape)


@record
class Node:
    """Places on the paths of all agents, n of each: a row a number, which is how they are computed."""

    x: Float[Array, "n A"]
    y: Float[Array, "n A"]
    cos: Float[Array, "n A"]
    sin: Float[Array, "n A"]
    pace: Float[Array, "n A"]  # m/s
    height: Float[Array, "n A"] | None = None  # m


def place(bank: Bank, log: Index, along: Float[Array, "n A"]) -> Node:
    """Where a distance along each agent's path lies; beyond its end, straight on."""
    points = bank.paths.points
    share = along / bank.paths.spacing[log]
    row = jax.lax.stop_gradient(jnp.clip(jnp.floor(share), 0, points.shape[2] - 2)).astype(jnp.int32)

    def pair(agent: Index, row: Index) -> Float[Array, "10"]:
        """Two points that follow one another, in one read: a slice of the log's own points would copy all of them."""
        return jax.lax.dynamic_slice(points, (log, agent, row, 0), (1, 1, 2, 5)).reshape(10)

    agent = jnp.broadcast_to(jnp.arange(along.shape[1]), row.shape)
    both = settle(jax.vmap(pair)(agent.reshape(-1), row.reshape(-1)).T).reshape(10, *along.shape)
    (x, y, cos, sin, pace), (next_x, next_y, next_cos, next_sin, _) = both[:5], both[5:]
    beyond = share - row
    part = jnp.minimum(beyond, 1.0)
    turned_x, turned_y = cos + part * (next_cos - cos), sin + part * (next_sin - sin)
    size = root(turned_x**2 + turned_y**2)
    safe = jnp.where(size > 1e-3, size, 1.0)
    return Node(
        x=x + beyond * (next_x - x),
        y=y + beyond * (next_y - y),
        cos=jnp.where(size > 1e-3, turned_x / safe, next_cos),
        sin=jnp.where(size > 1e-3, turned_y / safe, next_sin),
        pace=jnp.maximum(pace, 1.0),
        height=None if bank.paths.height is None else bank.paths.height[log, agent, row],
    )


def chain(places: Node) -> Chain:
    """The chords between nodes that follow one another on each agent's path."""
    x, y = places.x, places.y
    across, up = jnp.diff(x, axis=0), jnp.diff(y, axis=0)
    length = root(across**2 + up**2)
    safe = jnp.maximum(length, 1e-3)
    rows = [*x, *y, *(across / safe), *(up / safe), *length, *(jnp.cumsum(length, axis=0) - length)]
    rows, nodes, chords = kept(jnp.stack(rows)), len(x), len(length)
    return Chain(rows[:nodes], rows[nodes : 2 * nodes], *rows[2 * nodes :].reshape(4, chords, -1), height=places.height)
