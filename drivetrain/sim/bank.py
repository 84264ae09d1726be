"""What is given, on the device: lines, roads, logs, routes, episodes. `building.py` makes it, `reading.py` reads it."""

import enum

from jaxtyping import Bool, Float, Int, UInt

from drivetrain.sim.lane_graph import LaneGraph
from drivetrain.sim.paths import Paths
from drivetrain.sim.roads import RoadIndex
from drivetrain.sim.route_tables import RouteTable
from drivetrain.types import Array, Log, record


class GoalRow(enum.IntEnum):
    """Columns of a goal: where it is. Row 0 of a chain is its beginning, what follows the last goal is at infinity."""

    ARC = 0  # m along the route
    X = 1
    Y = 2
    STATION = 3  # of the route


@record
class Routes:
    """A pool of routes: what a step reads of each. Whoever is on a route's map may be given it, also during life."""

    map: Int[Array, "*pool"]  # row of the bank's lines and roads
    tables: RouteTable  # [ρ]: unrolled
    lines: Int[Array, "*pool K"]  # control lines met, in order; rows of the map's lines, -1: none
    line_station: Float[Array, "*pool K"]  # where each is met, in stations
    height: Float[Array, "*pool P"] | None = None  # m, of the recorded lane; None: all on one level
    goals: Float[Array, "*pool G 4"] | None = None  # the chain of goals, rows by `GoalRow`; None: there are none


@record
class Episodes:
    """E episodes of C controlled agents each."""

    map: Int[Array, "*E"]  # row of the bank's lines and roads
    log: Int[Array, "*E"]  # row of the bank's logs
    first: Int[Array, "*E"]  # first step of the log that is played
    last: Int[Array, "*E"]  # last step of the log that is played
    track: Int[Array, "*E C"]  # column of the log of each controlled agent
    route: Int[Array, "*E C"]  # row of the bank's routes
    cursor: Int[Array, "*E C"]  # route station at `first`
    log_distance: Float[Array, "*E C"]  # m along the route that the log covers from `first` to `last`
    source: Int[Array, "*E"]  # the recording, or the group of recordings, that it was taken from: no independent draws
    ego: Int[Array, "*E C"]  # row of the recording's egos


@record
class Lines:
    """The control lines of M maps: what a step reads of a map beside its road."""

    ends: Float[Array, "*M S 4"]  # left end x, y, right end x, y, seen in the direction of travel
    kind: Int[Array, "*M S"]  # ControlKind
    judged: Bool[Array, "*M S"]  # False: the light fails nobody


@record
class Bank:
    """Everything that is given: M maps' lines and roads by cell, N logs, ρ routes, E episodes.

    What is read is indexed by rows (`bank.x[i, cell]`), so that a step copies nothing that it does not use: many worlds
    share a map, many episodes a log, many agents a route, and a restart is an index.
    """

    lines: Lines  # [M]
    roads: RoadIndex  # [M]
    cell: Float[Array, ""]  # side of a road cell, m
    logs: Log  # [N]
    record: UInt[Array, "*N 2"]  # stable id of each recording: a row of a bank means nothing elsewhere
    paths: Paths  # [N]; without a point unless they were asked for
    routes: Routes  # [ρ]
    episodes: Episodes  # [E]
    dt: Float[Array, ""]  # s
    graph: LaneGraph | None = None  # [M]: how lanes lead on, for those who go anywhere; None: nobody does
