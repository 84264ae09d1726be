"""The nouns of Drivetrain: what is given, what is present, what happens.

Every record describes **one** scene or **one** agent; batches come from `jax.vmap`, time from `jax.lax.scan`.

Letters of the shapes:
    A agents · C controlled agents · T time steps · R road elements · S control lines (stop lines and lights)
    N lanes of a map · Q stations of a map · L lanes of a route · P stations of a route · K lines on a route

Units: metres, seconds, radians, m/s. A heading is a unit vector (cos, sin). Coordinates are in the map's local frame
(the recording's own frame less `origin`), so that float32 keeps millimetres. `valid` masks say what is padding; padding
holds zeros (−1 in columns of indices).
"""

import dataclasses
import enum
from typing import Any

import jax
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.records import Array as Array
from drivetrain.records import by_row as by_row
from drivetrain.records import component as component
from drivetrain.records import margin, record
from drivetrain.records import replace as replace
from drivetrain.traits import Odd as Odd
from drivetrain.traits import Scales as Scales
from drivetrain.traits import Traits as Traits
from drivetrain.traits import Weights as Weights

Key = jax.Array


class InputError(Exception):
    """Bad input from outside: one line that names the file, the field and the remedy. The CLI prints it and exits 1."""


class AgentKind(enum.IntEnum):
    """What a road user is."""

    NONE = 0
    CAR = 1
    TRUCK = 2
    BUS = 3
    MOTORCYCLE = 4
    BICYCLE = 5
    PEDESTRIAN = 6
    OTHER = 7


VEHICLES = (AgentKind.CAR, AgentKind.TRUCK, AgentKind.BUS, AgentKind.MOTORCYCLE)  # what a driving policy may control


class ElementKind(enum.IntEnum):
    """What a road element is a piece of."""

    NONE = 0
    ROAD_EDGE = 1  # the drivable surface ends here; directed so that the drivable side is on the left
    LINE_SOLID = 2
    LINE_DASHED = 3
    LINE_VIRTUAL = 4  # a lane border that is not painted
    STOP_LINE = 5
    CROSSWALK = 6
    BIKE_BORDER = 7
    SPEED_BUMP = 8
    DRIVEWAY = 9  # outline of a way to a property: drawn on pages, part of no observation and no event
    NO_EDGE = 10  # whether the road ends here nobody knows: an edge that is broken off, the map's rim; not observed


OBSERVED = tuple(kind for kind in ElementKind if ElementKind.NONE < kind < ElementKind.DRIVEWAY)
LAID_OUT = (*OBSERVED, ElementKind.NO_EDGE)
"""The kinds of road elements that a simulator holds: those that agents see, and what else events judge by."""


class ControlKind(enum.IntEnum):
    """What a control line asks for."""

    NONE = 0
    STOP_SIGN = 1  # stop before the line, then go
    LIGHT = 2  # do not cross while the light is red
    LINE = 3  # a painted line without a sign or a light: observed, never judged


class LightState(enum.IntEnum):
    UNKNOWN = 0
    GREEN = 1
    YELLOW = 2
    RED = 3
    RED_YELLOW = 4
    OFF = 5


def is_red(light: Array) -> Array:
    """Whether a light forbids crossing its line; red with yellow does."""
    return (light == LightState.RED) | (light == LightState.RED_YELLOW)


class RouteFlag(enum.IntFlag):
    """One station of one lane of a route; the *piece* is the quadrilateral from this station to the next."""

    LINKED = 1  # the piece exists: the next station of this slot continues this one
    OPEN_LEFT = 2  # some of the piece's left border lies on the outline of the route's union of lanes
    OPEN_RIGHT = 4
    OPEN_START = 8  # the piece's first cross-section lies on the outline (no piece behind it covers it)
    OPEN_END = 16
    WIDE_LEFT = 32  # the corridor goes beyond the left border of this station, by `Cross.WIDE_LEFT`
    WIDE_RIGHT = 64


# --------------------------------------------------------------------------------------------------------------- given


@record
class Bodies:
    """Sizes of agents: boxes centred on the agent's position."""

    length: Float[Array, "*batch A"]
    width: Float[Array, "*batch A"]
    kind: Int[Array, "*batch A"]  # AgentKind; 0 is padding


@record
class Agents:
    """Where agents are. `Log` holds it with a time axis in front."""

    position: Float[Array, "*time A 2"]  # box centre, m
    heading: Float[Array, "*time A 2"]  # (cos, sin)
    velocity: Float[Array, "*time A 2"]  # m/s, map frame
    valid: Bool[Array, "*time A"]
    height: Float[Array, "*time A"] | None = None  # m, of the road below; None: all on one level


class Cross(enum.IntEnum):
    """Columns of `Map.stations`: one cross-section of a lane."""

    LEFT_X = 0
    LEFT_Y = 1
    RIGHT_X = 2
    RIGHT_Y = 3
    CENTRE_X = 4
    CENTRE_Y = 5
    COS = 6  # of the heading
    SIN = 7
    LIMIT = 8  # speed limit, m/s; 0: unknown
    WIDE_LEFT = 9  # how far permissible driving goes beyond the left border, m: see `data/routes/corridors.py`
    WIDE_RIGHT = 10


@record
class Map:
    """The road of one recording.

    `stations` packs a lane's cross-section, about every 2 m, in one row: one contiguous read; its columns are `Cross`.
    Lanes side by side in one direction have as many stations where the format says that they run in parallel.
    Heights stand only where some map of the dataset has levels that cross (`data/roads/levels.py`), else None: nothing
    is compared. `Agents` has them where its map has.
    """

    elements: Float[Array, "R 4"]  # segment x0, y0, x1, y1; at most 10 m long
    element_kind: Int[Array, "R"]  # ElementKind; 0 is padding
    stations: Float[Array, "Q 11"]
    station_lane: Int[Array, "Q"]  # lane of the station; -1 is padding
    lane_first: Int[Array, "N"]  # a lane's stations are lane_first .. lane_first + lane_count - 1
    lane_count: Int[Array, "N"]  # 0 is padding
    lane_successors: Int[Array, "N 4"]  # -1: none
    lane_neighbours: Int[Array, "N 2"]  # left, right, same direction; -1: none
    lines: Float[Array, "S 4"]  # control lines: left end x, y, right end x, y, seen in the direction of travel
    line_kind: Int[Array, "S"]  # ControlKind
    line_judged: Bool[Array, "S"]  # False: the light's cycle was modelled, not recorded; it fails nobody
    light_position: Float[Array, "S 2"]  # where the light hangs; zeros where there is none
    element_height: Float[Array, "R"] | None = None  # m
    station_height: Float[Array, "Q"] | None = None  # m
    line_height: Float[Array, "S"] | None = None  # m


@record
class Log:
    """What was recorded on a map: every agent at every step, padded to T steps and A agents."""

    agents: Agents  # [T, A]
    bodies: Bodies  # [A]
    lights: Int[Array, "T S"]  # LightState of each control line
    steps: Int[Array, ""]  # recorded steps; the rest is padding


@record
class Route:
    """The lanes that one agent may use to follow its path, by station of about 2 m along the path.

    A slot keeps one lane and, after it, its successor. Rows outside 0 .. length - 1 are padding.
    """

    stations: Int[Array, "P L"]  # index into Map.stations; -1: the slot has no lane here
    flags: UInt[Array, "P L"]  # RouteFlag bits
    reference: Int[Array, "P"]  # the slot of the recorded lane
    length: Int[Array, ""]
    lines: Int[Array, "K"]  # control lines met on the permissible lanes, in order; index into Map.lines, -1: none
    line_station: Float[Array, "K"]  # where each is met, in stations


@record
class Egos:
    """Every agent of a log that could be controlled (E of them), with its route."""

    track: Int[Array, "E"]  # column of the log; -1 is padding
    first: Int[Array, "E"]  # its first recorded step
    last: Int[Array, "E"]  # its last recorded step
    route: Route  # [E]
    cursor: Int[Array, "E"]  # route station at `first`
    log_distance: Float[Array, "E"]  # distance along the route that the log covers from first to last, m


@record
class Scenario:
    """One recording, compiled to fixed shapes: its map, its log, and every agent that could be controlled."""

    map: Map
    log: Log
    egos: Egos


# ------------------------------------------------------------------------------------------------------------- present


@record
class Motion:
    """The dynamics' own record of one controlled agent."""

    speed: Float[Array, ""]  # m/s, along the heading
    steering: Float[Array, ""]  # steering angle of the front wheel, rad
    acceleration: Float[Array, ""]  # longitudinal, of the last step, m/s²
    lateral: Float[Array, ""]  # lateral acceleration of the last step, m/s²


@record
class Errand:
    """Where a controlled agent stands in a chain of goals: along its route (`Routes.goals`), or anywhere."""

    goal: Int[Array, "*C"]  # its next goal; one beyond the last: it has arrived
    since: Int[Array, "*C"]  # steps since it reached the goal before, or since it began
    chain: Int[Array, "*C"] | None = None  # row of `LaneGraph.chains` of its map; None: its goals are along its route
    radius: Float[Array, "*C"] | None = None  # m, within which a goal of a chain is reached


@record
class Place:
    """Where a controlled agent is on the lanes of its map, whichever way it takes (`sim/lane_graph.py`)."""

    lane: Int[Array, ""]  # that it follows, as of when it last was on one; -1: never yet
    left: Float[Array, ""]  # m to that lane's end
    limit: Float[Array, ""]  # of that lane there, m/s; 0: unknown
    heading: Float[Array, "2"]  # of that lane; where it is on none, of the nearest, whichever way that leads
    aside: Float[Array, ""]  # m to the left of the middle of that


@record
class State:
    """The present of one scene, and nothing that is given."""

    episode: Int[Array, ""]  # row of the bank's episodes
    time: Int[Array, ""]  # step of the log
    agents: Agents  # [A]
    bodies: Bodies  # [A]
    lights: Int[Array, "S"]
    controlled: Int[Array, "C"]  # column of `agents` of each controlled agent; -1 is padding
    alive: Bool[Array, "C"]  # False for padding
    motion: Motion  # [C]
    route: Int[Array, "C"]  # row of the bank's routes, on the map of the episode
    cursor: Int[Array, "C"]  # station of the route
    arc_length: Float[Array, "C"]  # m along the route, from its first station
    stopped: Bool[Array, "C S"]  # latched: has stopped before this line
    traffic: Any = ()  # the traffic rule's own record; () where it remembers nothing
    traits: Traits | None = None  # [C]; None: nobody has any
    errand: Errand | None = None  # [C]; None: nobody has goals
    place: Place | None = None  # [C]; None: the bank has no lane graph


@record
class Manner:
    """How one controlled agent of a bank with a lane graph drove a step."""

    alignment: Float[Array, ""]  # cosine between its heading and that of the lane that it is nearest to
    aside: Float[Array, ""]  # m to the left of the middle of that
    speed: Float[Array, ""]  # m/s, along its heading
    jerk: Float[Array, ""]  # m/s³, the larger of both, of its accelerations along and aside


@record
class Events:
    """What happened to one controlled agent in one step.

    Margins are signed, m, clipped to ±50 also when nothing is near: positive is safe, negative happened (`happened`).
    """

    collision: Float[Array, ""] = margin(failure=True)  # clearance of boxes; minus the least translation apart
    off_route: Float[Array, ""] = margin(failure=True)  # worst corner to the outline of the union of permissible lanes
    off_road: Float[Array, ""] = margin()  # worst corner to the edges of the drivable surface; +50 where unknown
    stop_line: Float[Array, ""] = margin()  # front bumper to the line at which a stop is owed
    red_light: Float[Array, ""] = margin()  # front bumper to the line whose light is red
    progress: Float[Array, ""]  # m along the route in this step
    overspeed: Float[Array, ""]  # m/s above the speed limit, never negative; 0 where the limit is unknown
    acceleration: Float[Array, ""]  # longitudinal, m/s²
    lateral: Float[Array, ""]  # lateral acceleration, m/s²
    goal: Float[Array, ""]  # 1 in the step that reaches the agent's next goal, else 0
    manner: Manner | None = None  # None: the bank has no lane graph


MARGINS = tuple(field.name for field in dataclasses.fields(Events) if field.metadata.get("margin"))
"""The facts that take place or not: `happened` reads them. The other facts are quantities."""
FAILURES = tuple(field.name for field in dataclasses.fields(Events) if field.metadata.get("failure"))
"""Those that make a drive a failure."""


def happened(margin: Array) -> Array:
    """The boolean of a margin: True where the event took place."""
    return margin < 0.0


@record
class Tokens:
    """A set of things that an agent sees, in the agent's frame: a row a feature, which is how they are computed."""

    features: Float[Array, "f n"]
    mask: Bool[Array, "n"]


@record
class Observation:
    """What one controlled agent sees, in its own frame (x forward, y left, origin at its box centre)."""

    ego: Float[Array, "f_ego"]
    agents: Tokens
    road: Tokens
    route: Tokens
    remaining: Float[Array, ""]  # share of a full episode left: for the critic alone


@record
class Reached:
    """What a step led to, before anything restarts: where a value goes on from."""

    state: State
    memory: Any  # of the policy then, [C]; () where there is none


@record
class Transition:
    """One step of one scene, its agents in [C]: what was seen and done, and what came of it."""

    state: State  # the scene *before* the action, once, however many agents
    observation: Observation  # [C], of that state
    action: Any  # [C, …]: each head's own sample, indices or floats
    log_prob: Float[Array, "C"]
    value: Float[Array, "C"]  # the behaviour policy's own estimate
    reward: Float[Array, "C"]
    terminated: Bool[Array, "C"]
    truncated: Bool[Array, "C"]
    mask: Bool[Array, "C"]  # False: padding, or driven by another; learn nothing from it
    fresh: Bool[Array, "C"]  # it begins with this step: a new episode, or a new agent; no memory before
    reached: Reached | None  # None where no ending truncates


@record
class Segment:
    """A window of T steps of one scene, whole in itself: it may be learnt from elsewhere, and later."""

    steps: Transition  # [T]
    memory: Any  # of the policy before the first step, [C]
    final: Reached  # what the last step led to
    id: UInt[Array, "2"]  # unique: the key from which the window was drawn
    version: Int[Array, ""]  # updates that the policy had seen
    record: UInt[Array, "T 2"]  # stable id of the recording of each step (`Bank.record`)
