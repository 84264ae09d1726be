"""What a driver sees whose eyes are a camera: the vehicles and the lines of its lane that are reported to it, its own
motion, and its way as a navigation map knows it.

    ego     its own motion and size, the speed limit, stop signs and lights ahead; not where it is in its lane
    agents  the vehicles of the newest report, with how they moved since an earlier one
    road    two tokens: the line on the left and that on the right
    route   its route, as `Sight` shows it, but from where a navigation map puts the vehicle: some way off

What is seen behind and beside is nothing. No picture is drawn: an `ErrorModel` says what a detector would report. Where
others were a few steps ago is where they would have been at their present velocity: a State holds no past. At 2 m/s²
that is wrong by 4 cm after one step of 0.2 s, and by 36 cm after three.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.camera.pinhole import Camera
from drivetrain.geometry import root, unrotate
from drivetrain.observe import ego, route
from drivetrain.observe.base import Observer, Widths
from drivetrain.observe.ego import observe_ego
from drivetrain.observe.nearest import nearest
from drivetrain.observe.route import SPARSE, RouteView, observe_route
from drivetrain.observe.scales import SPEED, WIDTH, compress
from drivetrain.perception.errors import ErrorModel
from drivetrain.perception.exposure import Ahead, Exposure, exposed, own_lines
from drivetrain.perception.report import SIDES, STATIONS, Report, half_field
from drivetrain.sim.bank import Bank
from drivetrain.sim.dice import dice
from drivetrain.sim.levels import on_level
from drivetrain.sim.reading import record_of
from drivetrain.types import Array, Observation, State, Tokens, component, record, replace

VEHICLE_FEATURES = 6
"""x, y of the middle of what is seen of it · its width · whether it was in the earlier report too · its velocity
relative to the own one, x, y, from both reports."""
LINE_FEATURES = 2 + 2 * len(STATIONS)
"""left, right · m to the left of the vehicle's own axis at `STATIONS` · which of these are seen."""
IN_LANE = slice(9, 12)
"""Of the ego's features: where it is in its lane, which only the reported lines tell."""
SLOW = 1.0
"""m/s, below which nobody turns."""
ASIDE, AWAY = 0.1, 0.25
"""How far apart two reports of one vehicle may be: in slope, and as a share of the depth besides 1 m."""
OFF = 16
"""Salt."""


@record
class Foot:
    """Where a camera's vehicle was and is: the ground below the camera at a moment, and what has passed since."""

    place: Float[Array, "2"]  # m, map frame
    heading: Float[Array, "2"]
    seconds: Float[Array, ""]  # ago


@component
class CameraSight(Observer):
    """State → Observation of one controlled agent."""

    vehicles: int = 12  # of a report, the nearest
    camera: Camera = Camera()  # of which the field and the mount count
    errors: ErrorModel = ErrorModel()
    before: int = 2  # steps between the two reports that velocities are told from
    route: RouteView = RouteView(stations=SPARSE)
    off: float = 0.5  # m: deviation of where a navigation map puts the vehicle, ahead and aside; one draw a drive
    episode_seconds: float = 30.0  # of a full episode: the unit of `remaining`

    @property
    def widths(self) -> Widths:
        """Features of each modality."""
        return Widths(
            ego.FEATURES, VEHICLE_FEATURES, LINE_FEATURES, route.POINT_FEATURES, self.route.lanes, self.route.points
        )

    def __call__(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> Observation:
        """What controlled agent `c` is told."""
        newest, earlier, places = self.reports(bank, state, c)
        agents = vehicle_tokens(state, c, (newest, earlier), places)
        left = (bank.episodes.last[state.episode] - state.time) * bank.dt
        return Observation(
            ego=jnp.asarray(observe_ego(bank, state, c)).at[IN_LANE].set(0.0),
            agents=agents,
            road=line_tokens(newest),
            route=observe_route(bank, self._mistaken(bank, state, c), c, self.route),
            remaining=jnp.clip(left / self.episode_seconds, 0.0, 1.0),
        )

    def reports(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> tuple[Report, Report, tuple[Foot, Foot]]:
        """The newest report, an earlier one, and from where they were made."""
        index, there = self._nearest(state, c)
        seeds = self._seeds(bank, state, c, index)
        made = []
        for steps in (self.errors.delay, self.errors.delay + self.before):
            place = foot(self.camera, state, c, steps * jnp.asarray(bank.dt))
            exposure = self._exposure(state, place, index, there)
            lines = own_lines(bank, state.episode, place.place, place.heading)
            report = self.errors.report(exposure, lines, half_field(self.camera), seeds, state.time - steps)
            made.append((report, place))
        return made[0][0], made[1][0], (made[0][1], made[1][1])

    def exposure(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> tuple[Exposure, Int[Array, "n"]]:
        """What there is to be seen at this moment of the nearest vehicles, and their columns of the State's agents."""
        index, there = self._nearest(state, c)
        return self._exposure(state, foot(self.camera, state, c, jnp.zeros(())), index, there), index

    def _nearest(self, state: State, c: Int[Array, ""] | int) -> tuple[Int[Array, "n"], Bool[Array, "n"]]:
        """Those that may be in the picture now or were a moment ago, the nearest."""
        own, agents = jnp.maximum(state.controlled[c], 0), state.agents
        (x, y), (cos, sin) = agents.position[own], agents.heading[own]
        across, up = agents.position[:, 0] - x, agents.position[:, 1] - y
        ahead, aside = across * cos + up * sin, up * cos - across * sin
        radius, half = state.bodies.length, half_field(self.camera)
        others = agents.valid & (jnp.arange(len(agents.valid)) != own)
        others &= (ahead + radius > 0.0) & (jnp.abs(aside) < half * ahead + (1.0 + half) * radius)
        if agents.height is not None:
            others &= on_level(agents.height, agents.height[own], across**2 + up**2)
        return nearest(root(across**2 + up**2), others, self.vehicles)

    def _exposure(self, state: State, place: Foot, index: Int[Array, "n"], there: Bool[Array, "n"]) -> Exposure:
        """Of vehicles at a moment ago, from where the camera was then."""
        agents, (cos, sin) = state.agents, place.heading
        at, turned, moving = (rows[index] for rows in (agents.position, agents.heading, agents.velocity))
        x, y = (at - place.seconds * moving - place.place).T
        boxes = Ahead(
            x=x * cos + y * sin,
            y=y * cos - x * sin,
            cos=turned[:, 0] * cos + turned[:, 1] * sin,
            sin=turned[:, 1] * cos - turned[:, 0] * sin,
            length=state.bodies.length[index],
            width=state.bodies.width[index],
            valid=there,
        )
        return exposed(boxes, half_field(self.camera))

    def _seeds(
        self, bank: Bank, state: State, c: Int[Array, ""] | int, index: Int[Array, "n"]
    ) -> tuple[UInt[Array, ""], UInt[Array, "n"]]:
        """The camera's own, by recording and agent, and one for each vehicle that it sees."""
        recording = record_of(bank, state.episode).astype(jnp.uint32)
        own = jnp.maximum(state.controlled[c], 0).astype(jnp.uint32)
        mine = recording[0] ^ recording[1] + own * jnp.uint32(0x9E3779B1) + jnp.uint32(self.errors.seed)
        return mine, mine ^ (index.astype(jnp.uint32) + jnp.uint32(1)) * jnp.uint32(0x85EBCA77)

    def _mistaken(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> State:
        """The state as a navigation map has it: the agent some way off, by the same way throughout a drive."""
        if not self.off:
            return state
        seed, _ = self._seeds(bank, state, c, jnp.zeros(0, jnp.int32))
        error = 2.0 * self.off * (jnp.sum(dice(seed, 0, 6, OFF).reshape(2, 3), axis=1) - 1.5)
        own = jnp.maximum(state.controlled[c], 0)
        position = jnp.asarray(state.agents.position).at[own].add(error)
        return replace(state, agents=replace(state.agents, position=position))


def foot(camera: Camera, state: State, c: Int[Array, ""] | int, seconds: Float[Array, ""]) -> Foot:
    """Where the camera of controlled agent `c` was so long ago, by the motion that it has now."""
    own, speed = jnp.maximum(state.controlled[c], 0), state.motion.speed[c]
    turning = jnp.where(speed > SLOW, state.motion.lateral[c] / jnp.maximum(speed, SLOW), 0.0)
    way, angle = (speed - 0.5 * state.motion.acceleration[c] * seconds) * seconds, turning * seconds
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = state.agents.heading[own]
    heading = jnp.stack([x * cos + y * sin, y * cos - x * sin])
    middle = state.agents.position[own] - 0.5 * way * (heading + state.agents.heading[own])
    mount = camera.mount
    left = jnp.stack([-heading[1], heading[0]])
    return Foot(middle + mount.x * heading + mount.y * left, heading, seconds)


def vehicle_tokens(
    state: State,
    c: Int[Array, ""] | int,
    reports: tuple[Report, Report],
    places: tuple[Foot, Foot],
) -> Tokens:
    """The vehicles of the newer of two reports, made from `places`, in the frame of controlled agent `c` now."""
    newer, earlier = reports
    link = linked(newer, earlier)
    own = jnp.maximum(state.controlled[c], 0)
    position, heading = state.agents.position[own], state.agents.heading[own]

    def now(report: Report, place: Foot) -> Float[Array, "2 n"]:
        """The middle of what is seen of each, in the present frame of the agent."""
        aside = 0.5 * (report.left + report.right) * report.depth
        (cos, sin), (x, y) = place.heading, place.place
        on_map = jnp.stack([x + report.depth * cos - aside * sin, y + report.depth * sin + aside * cos], -1)
        return unrotate(on_map - position, heading).T

    (x, y), then = now(newer, places[0]), now(earlier, places[1])
    again = link >= 0
    moved = (jnp.stack([x, y]) - then[:, jnp.maximum(link, 0)]) / jnp.maximum(
        places[1].seconds - places[0].seconds, 1e-3
    )
    relative = moved - jnp.stack([state.motion.speed[c], jnp.zeros(())])[:, None]
    rows = [
        compress(x),
        compress(y),
        (newer.left - newer.right) * newer.depth / WIDTH,
        again.astype(jnp.float32),
        *jnp.where(again, jnp.clip(relative / SPEED, -3.0, 3.0), 0.0),
    ]
    return Tokens(features=jnp.where(newer.seen, jnp.stack(rows), 0.0), mask=newer.seen)


def linked(newer: Report, earlier: Report) -> Int[Array, "n"]:
    """Which vehicle of an earlier report each of a newer one is, −1: none, or not the nearest to that one too.

    Vehicles ahead move much as the own one does, so that places relative to it tell more than places on the map.
    """
    depth, then = newer.depth[:, None], earlier.depth
    off = jnp.abs((newer.left + newer.right)[:, None] - (earlier.left + earlier.right)) / (2.0 * ASIDE)
    far = jnp.abs(depth - then) / (1.0 + AWAY * depth)
    apart = jnp.where(newer.seen[:, None] & earlier.seen & (off < 1.0) & (far < 1.0), off + far, jnp.inf)
    best, back = jnp.argmin(apart, axis=1), jnp.argmin(apart, axis=0)
    rows = jnp.arange(len(newer.depth))
    return jnp.where(jnp.isfinite(apart[rows, best]) & (back[best] == rows), best, -1)


def line_tokens(report: Report) -> Tokens:
    """The lines of a report as two tokens; one of which nothing is seen is masked."""
    sides = np.eye(SIDES, dtype=np.float32)
    known = report.lines.astype(jnp.float32)
    features = jnp.concatenate([sides, jnp.where(report.lines, compress(report.aside), 0.0).T, known.T])
    mask = jnp.any(report.lines, axis=1)
    return Tokens(features=jnp.where(mask, features, 0.0), mask=mask)
