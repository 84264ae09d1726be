"""Follow: recorded vehicles drive their own paths by the Intelligent Driver Model, and react to whoever is on them.

Treiber, Hennecke and Helbing 2000, as in `idm.py`; above the wanted speed the braking is bounded (Treiber and Kesting
2013, "Traffic Flow Dynamics", section 11.3.7, the improved IDM). Who is in the way is found for every pair of agents at
once: a path ahead is four chords, ever longer, and another's box is ahead where its centre projects on a chord and its
side reaches into the width of the follower: 4 A² projections of about 30 operations, and no search.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.geometry import norm
from drivetrain.sim.bank import Bank, Index, log_at, settle
from drivetrain.sim.dynamics.base import run
from drivetrain.sim.dynamics.kinds import ABILITIES
from drivetrain.sim.traffic.base import Traffic
from drivetrain.types import Agents, Array, InputError, LightState, State, component, record

WAITING, DRIVING, GONE = 0, 1, 2

CHORDS = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Where the chords of a path ahead begin and end, as shares of how far the driver looks."""


@record
class Following:
    """What each agent's driver remembers: where on its path it is, and how fast."""

    along: Float[Array, "A"]  # m from the path's start
    speed: Float[Array, "A"]  # m/s
    phase: Int[Array, "A"]  # WAITING to enter the scene, DRIVING, or GONE


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
        nodes = place(bank, log, before.along[:, None] + far[:, None] * jnp.array(CHORDS))
        most = jnp.minimum(self.acceleration, jnp.asarray(ABILITIES.acceleration)[state.bodies.kind])
        wanted, blocked = self._others(state, before.speed, most, nodes.position)
        wanted = jnp.maximum(wanted, self._lights(bank, log, state, most))
        change = jnp.clip(self._free(before.speed, nodes.pace[:, 0], most) - wanted, -self.hardest, most)

        distance, speed = jax.vmap(run, (0, 0, None, None))(before.speed, change, 1e9, bank.dt)
        along = before.along + distance
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
        self, state: State, speed: Float[Array, "A"], most: Float[Array, "A"], nodes: Float[Array, "A n 2"]
    ) -> tuple[Float[Array, "A"], Bool[Array, "A"]]:
        """The braking, m/s², that the most pressing of the others asks of each; whether one covers its own place."""
        agents, half, breadth = state.agents, 0.5 * state.bodies.length, 0.5 * state.bodies.width
        chord = nodes[:, 1:] - nodes[:, :-1]
        length = norm(chord)
        ahead = chord / jnp.maximum(length, 1e-3)[..., None]
        start = jnp.cumsum(length, axis=1) - length
        # Others run down and followers across, so that the greatest of a column is found for many followers at once.
        columns = [ahead[..., 0], ahead[..., 1], nodes[:, :-1, 0], nodes[:, :-1, 1], start, length]
        chords = settle(jnp.concatenate([column.T for column in columns])).reshape(len(columns), -1, len(half))
        root = 2.0 * jnp.sqrt(most * self.braking)
        present = agents.valid[:, None] & ~jnp.eye(len(half), dtype=bool)
        pressing, covered = jnp.zeros(present.shape), jnp.zeros(present.shape, bool)
        for k in range(chord.shape[1]):
            x, y, node_x, node_y, done, until = chords[:, k]
            dx, dy = agents.position[:, :1] - node_x, agents.position[:, 1:] - node_y
            cos = x * agents.heading[:, :1] + y * agents.heading[:, 1:]
            sin = x * agents.heading[:, 1:] - y * agents.heading[:, :1]
            along, aside = x * dx + y * dy, jnp.abs(x * dy - y * dx)
            reach = half[:, None] * jnp.abs(cos) + breadth[:, None] * jnp.abs(sin)
            side = half[:, None] * jnp.abs(sin) + breadth[:, None] * jnp.abs(cos)
            inside = present & (aside - side < breadth + self.side)
            gap = done + along - reach - half
            slower = speed - jnp.maximum(x * agents.velocity[:, :1] + y * agents.velocity[:, 1:], 0.0)
            keep = self.standstill + jnp.maximum(speed * (self.headway + slower / root), 0.0)
            keep = keep / jnp.maximum(gap, 0.1)
            # Chords overlap by a metre, because a bend opens a wedge between them.
            within = inside & (along > (0.0 if k == 0 else -1.0)) & (along < until)
            pressing = jnp.maximum(pressing, jnp.where(within, most * keep**2, 0.0))
            if k == 0:
                covered = inside & (jnp.abs(along) < reach + half)
        return jnp.max(pressing, axis=0), jnp.any(covered, axis=0)

    def _lights(self, bank: Bank, log: Index, state: State, most: Float[Array, "A"]) -> Float[Array, "A"]:
        """The braking, m/s², that a red light asks for: a line owes no headway, and is run where it is too late."""
        line, speed = bank.paths.line[log], state.traffic.speed[:, None]
        light = state.lights[jnp.maximum(line, 0)]
        red = (line >= 0) & ((light == LightState.RED) | (light == LightState.RED_YELLOW))
        gap = bank.paths.line_along[log] - state.traffic.along[:, None] - 0.5 * state.bodies.length[:, None]
        stops = red & (gap > 0.0) & (speed**2 < 2.0 * self.hardest * gap)
        keep = self.line_gap + speed**2 / (2.0 * jnp.sqrt(most * self.braking))[:, None]
        return jnp.max(jnp.where(stops, most[:, None] * (keep / jnp.maximum(gap, 0.1)) ** 2, 0.0), axis=1)

    def _agents(self, bank: Bank, log: Index, after: Following, recorded: Agents) -> Agents:
        """Followers where they have got to, the others as recorded; padding stays where it is nothing."""
        node, follows = place(bank, log, after.along[:, None]), bank.paths.follows[log]
        heading = node.heading[:, 0]
        present = follows & (after.phase == DRIVING)

        def choose(own: Array, record: Array) -> Array:
            return jnp.where(present[:, None], own, jnp.where(follows[:, None], 0.0, record))

        return Agents(
            position=choose(node.position[:, 0], recorded.position),
            heading=choose(heading, recorded.heading),
            velocity=choose(after.speed[:, None] * heading, recorded.velocity),
            valid=jnp.where(follows, present, recorded.valid),
        )


@record
class Node:
    """Places on the paths of all agents, n of each."""

    position: Float[Array, "A n 2"]
    heading: Float[Array, "A n 2"]
    pace: Float[Array, "A n"]  # m/s


def place(bank: Bank, log: Index, along: Float[Array, "A n"]) -> Node:
    """Where a distance along each agent's path lies; beyond its end, straight on."""
    points = bank.paths.points[log]
    share = along / bank.paths.spacing[log][:, None]
    row = jax.lax.stop_gradient(jnp.clip(jnp.floor(share), 0, points.shape[1] - 2)).astype(jnp.int32)
    agent = jnp.arange(len(points))[:, None]
    both = jnp.concatenate([points[agent, row], points[agent, row + 1]], -1)
    both = settle(both.reshape(-1, both.shape[-1]).T).T.reshape(both.shape)
    first, second = both[..., :5], both[..., 5:]
    beyond = (share - row)[..., None]
    position = first[..., :2] + beyond * (second[..., :2] - first[..., :2])
    mixed = first[..., 2:4] + jnp.minimum(beyond, 1.0) * (second[..., 2:4] - first[..., 2:4])
    size = norm(mixed)[..., None]
    heading = jnp.where(size > 1e-3, mixed / jnp.where(size > 1e-3, size, 1.0), second[..., 2:4])
    return Node(position, heading, jnp.maximum(first[..., 4], 1.0))
