"""What is given, on the device: maps, logs and episodes, and the accessors through which everything reads them.

An accessor indexes the bank by rows (`bank.x[i, cell]`), so that a step copies nothing that it does not use: many
worlds share a map, many episodes a log, and a restart is an index.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.along import arc_lengths, place_on_route, reference_heights
from drivetrain.geometry import Line, line_square
from drivetrain.sim.episodes import Episodes, Window, cut, windows
from drivetrain.sim.levels import on_level
from drivetrain.sim.paths import Paths, lay_paths
from drivetrain.sim.roads import ROWS, Indexing, RoadIndex, index_road, stack_roads
from drivetrain.sim.route_tables import (
    AFTER,
    BEFORE,
    SIDES,
    SPAN,
    Cross,
    PathRow,
    RouteTable,
    Row,
    stack_tables,
    unroll,
)
from drivetrain.types import Agents, Array, Bodies, InputError, Log, Map, Route, Scenario, component, record

__all__ = [
    "PathRow",
    "Bank",
    "Cross",
    "Episodes",
    "Indexing",
    "LaneWindow",
    "Layout",
    "Placement",
    "RoadIndex",
    "Row",
    "host_bank",
    "make_bank",
]


@record
class Bank:
    """Everything that is given: M maps and their roads by cell, N logs, E episodes."""

    maps: Map  # [M]
    roads: RoadIndex  # [M]
    cell: Float[Array, ""]  # side of a road cell, m
    logs: Log  # [N]
    paths: Paths  # [N]; without a point unless they were asked for
    episodes: Episodes  # [E]
    ribbons: RouteTable  # [E, C]: the episodes' routes, unrolled
    dt: Float[Array, ""]  # s


@record
class LaneWindow:
    """A stretch of one route: W stations of L lanes, x and y apart. Zeros where a lane does not exist."""

    left: Float[Array, "2 W L"]
    right: Float[Array, "2 W L"]
    centre: Float[Array, "2 W L"]
    heading: Float[Array, "2 W L"]
    limit: Float[Array, "W L"]  # m/s; 0: unknown
    flags: Int[Array, "W L"]  # RouteFlag bits of the piece to the next station
    exists: Bool[Array, "W L"]
    recorded: Bool[Array, "W L"]  # the lane that was driven


@record
class ControlLines:
    """The control lines on one route (K of them), in the order met."""

    ends: Float[Array, "K 4"]  # left end x, y, right end x, y, seen in the direction of travel
    kind: Int[Array, "K"]  # ControlKind; 0 is padding
    judged: Bool[Array, "K"]  # False: crossing it fails nobody
    index: Int[Array, "K"]  # row of the map's lines, of `State.lights` and `State.stopped`; -1 is padding
    station: Float[Array, "K"]  # where it is met, in stations of the route


@record
class Placement:
    """Where the log has one agent, at one step or at several."""

    position: Float[Array, "*time 2"]
    heading: Float[Array, "*time 2"]
    velocity: Float[Array, "*time 2"]
    valid: Bool[Array, "*time"]


# -------------------------------------------------------------------------------------------------------------- loading


@component
class Layout:
    """What of the recordings a bank holds: see `make_bank`."""

    controlled: int = 1  # agents of an episode
    longest: int | None = None  # steps of an episode, at most
    indexing: Indexing = Indexing()
    paths: bool = False


def make_bank(
    scenarios: Sequence[Scenario],
    dt: float,
    controlled: int = 1,
    admitted: Sequence[Bool[np.ndarray, "_"]] | None = None,
    groups: Sequence[str] | None = None,
    longest: int | None = None,
    indexing: Indexing = Indexing(),  # noqa: B008 - frozen
    paths: bool = False,
) -> Bank:
    """Put compiled recordings on the device.

    With `controlled` > 1, egos of one recording are grouped where they share at least 4 s. `admitted` [E] says per
    recording which of its egos may be controlled (all of them by default); recordings of one group of `groups` are one
    source of episodes (each its own by default). Episodes of more than `longest` steps are cut. `paths` are laid for
    traffic that follows them (`Follow`): as much memory again as the log. Raises `InputError` without any episode.
    """
    bank = host_bank(scenarios, dt, Layout(controlled, longest, indexing, paths), admitted, groups)
    return jax.tree.map(jnp.asarray, bank)


def host_bank(
    scenarios: Sequence[Scenario],
    dt: float,
    layout: Layout,
    admitted: Sequence[Bool[np.ndarray, "_"]] | None = None,
    groups: Sequence[str] | None = None,
    blocks: Float[np.ndarray, "M G k B"] | None = None,
) -> Bank:
    """`make_bank` in NumPy, not yet on the device; the roads' blocks are written into `blocks` (`empty_blocks`)."""
    rows: list[tuple[int, Window]] = []
    longest = layout.longest
    for row, scenario in enumerate(scenarios):
        allowed = None if admitted is None else np.asarray(admitted[row])
        whole = windows(scenario, allowed, layout.controlled, dt)
        rows += [(row, part) for window in whole for part in (cut(window, longest) if longest else [window])]
    if not rows:
        raise InputError(f"bank: episodes: none in {len(scenarios)} recordings (admit egos or control fewer)")
    sources = np.arange(len(scenarios)) if groups is None else np.unique(groups, return_inverse=True)[1]
    episodes = [_episode(scenarios[row], row, int(sources[row]), window) for row, window in rows]
    ribbons = [_ribbons(row, scenarios[int(row.map)]) for row in episodes]
    sides = 0 if blocks is None else SIDES
    return Bank(
        maps=_stack([scenario.map for scenario in scenarios]),
        roads=_roads(scenarios, layout.indexing, blocks),
        cell=np.asarray(layout.indexing.cell, np.float32),
        logs=_stack([scenario.log for scenario in scenarios]),
        paths=_stack([lay_paths(scenario, layout.paths) for scenario in scenarios]),
        episodes=_stack(episodes),
        ribbons=_episodes_of(stack_tables([each for row in ribbons for each in row], sides), len(episodes)),
        dt=np.asarray(dt, np.float32),
    )


def _roads(scenarios: Sequence[Scenario], indexing: Indexing, blocks: Float[np.ndarray, "M G k B"] | None) -> RoadIndex:
    if blocks is None:
        return stack_roads([index_road(each.map, indexing) for each in scenarios])
    roads = [index_road(each.map, indexing, room) for each, room in zip(scenarios, blocks, strict=True)]
    return jax.tree.map(lambda *rows: blocks if rows[0] is roads[0].block else np.stack(rows), *roads)


def _stack(records: list):
    if len(records) == 1:
        return jax.tree.map(lambda row: np.asarray(row)[None], records[0])
    return jax.tree.map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *records)


def _episode(scenario: Scenario, row: int, source: int, window: Window) -> Episodes:
    """One row of the episodes."""
    egos = scenario.egos
    arcs, cursors, distances = [], [], []
    for ego in window.egos:
        arc = arc_lengths(scenario, ego)
        cursor, distance = int(egos.cursor[ego]), float(egos.log_distance[ego])
        if (window.first, window.last) != (int(egos.first[ego]), int(egos.last[ego])):
            cursor, start = place_on_route(scenario, ego, arc, window.first, cursor)
            distance = place_on_route(scenario, ego, arc, window.last, cursor)[1] - start
        arcs.append(arc)
        cursors.append(cursor)
        distances.append(distance)
    picked = np.array(window.egos)
    return Episodes(
        map=np.asarray(row, np.int32),
        log=np.asarray(row, np.int32),
        first=np.asarray(window.first, np.int32),
        last=np.asarray(window.last, np.int32),
        track=np.asarray(egos.track)[picked].astype(np.int32),
        route=jax.tree.map(lambda leaf: np.asarray(leaf)[picked], egos.route),
        arc=np.stack(arcs),
        cursor=np.asarray(cursors, np.int32),
        log_distance=np.asarray(distances, np.float32),
        source=np.asarray(source, np.int32),
        ego=picked.astype(np.int32),
        height=_route_heights(scenario, window),
    )


def _route_heights(scenario: Scenario, window: Window) -> Float[np.ndarray, "C P"] | None:
    heights = [height for ego in window.egos if (height := reference_heights(scenario, ego)) is not None]
    return np.stack(heights) if heights else None


def _ribbons(episode: Episodes, scenario: Scenario) -> list[RouteTable]:
    """The routes of one episode, unrolled."""
    stations, arcs = np.asarray(scenario.map.stations), np.asarray(episode.arc)
    routes = [jax.tree.map(lambda leaf, c=c: leaf[c], episode.route) for c in range(len(arcs))]
    return [unroll(route, arc, stations) for route, arc in zip(routes, arcs, strict=True)]


def _episodes_of(ribbons: RouteTable, episodes: int) -> RouteTable:
    """Those of all episodes and agents, episode by episode."""
    return jax.tree.map(lambda leaf: leaf.reshape(episodes, -1, *leaf.shape[1:]), ribbons)


# -------------------------------------------------------------------------------------------------------------- reading

Index = Int[Array, ""] | int


def _at(rows: Array, *index: Index) -> Array:
    """`rows[index]`, each number held to its range, by one number: XLA's CPU backend is slow in joining several."""
    row = jnp.int32(0)
    for size, number in zip(rows.shape, index, strict=False):
        row = row * size + jnp.clip(number, 0, size - 1)
    return rows.reshape(-1, *rows.shape[len(index) :])[row]


def log_at(bank: Bank, episode: Index, time: Index) -> Agents:
    """Every agent [A] as recorded at one step of the log; nobody is valid beyond its end."""
    log = bank.episodes.log[episode]
    return jax.tree.map(lambda leaf: _at(leaf, log, time), bank.logs.agents)


def lights_at(bank: Bank, episode: Index, time: Index) -> Int[Array, "S"]:
    """LightState of every control line at one step of the log."""
    return _at(bank.logs.lights, bank.episodes.log[episode], time)


def bodies_of(bank: Bank, episode: Index) -> Bodies:
    """Sizes of every agent [A]."""
    log = bank.episodes.log[episode]
    return jax.tree.map(lambda leaf: leaf[log], bank.logs.bodies)


def logged(bank: Bank, episode: Index, c: Index, time: Index) -> Placement:
    """Where the log has a controlled agent at one step; not valid beyond the log's end."""
    log, track = bank.episodes.log[episode], bank.episodes.track[episode, c]
    agents = bank.logs.agents
    return Placement(
        position=agents.position[log, time, track],
        heading=agents.heading[log, time, track],
        velocity=agents.velocity[log, time, track],
        valid=agents.valid[log, time, track] & (time < bank.logs.steps[log]) & (track >= 0),
    )


def route_height(bank: Bank, episode: Index, c: Index, cursor: Index) -> Float[Array, ""]:
    """The height, m, of the recorded lane at a station of an agent's route, where the bank has heights."""
    assert bank.episodes.height is not None
    return bank.episodes.height[episode, c, cursor]


def road_rows(
    bank: Bank,
    episode: Index,
    position: Float[Array, "2"],
    height: Float[Array, ""] | None = None,
    steepest: float = 0.0,
) -> Float[Array, "6 B"]:
    """Road elements near a position, one contiguous read of a cell's block: x0, y0, x1, y1, ElementKind (0 is padding),
    1 / length² (0 without length).

    Where the bank has heights and one is given, what lies on another level is padding too, roads climbing `steepest`.

    Holds everything within the cell's `reach`; a position beyond the grid reads its nearest cell.
    """
    row = bank.episodes.map[episode]
    size = bank.roads.size[row]
    cell = jnp.floor((position - bank.roads.origin[row]) / bank.cell).astype(jnp.int32)
    cell = jnp.clip(cell, 0, size - 1)
    block = _at(bank.roads.block, row, cell[0] + cell[1] * size[0])
    if len(block) == ROWS:
        return block
    rows = block[:ROWS]
    if height is None:
        return rows
    away = line_square(road_lines(rows), position[0], position[1])
    return jnp.where(on_level(block[ROWS], height, away, steepest), rows, 0.0)


def road_lines(rows: Float[Array, "6 B"]) -> Line:
    """The segments of a block."""
    x0, y0, x1, y1, _, inverse = rows
    return Line(x0, y0, x1 - x0, y1 - y0, inverse)


def road_block(bank: Bank, episode: Index, position: Float[Array, "2"]) -> tuple[Float[Array, "B 4"], Int[Array, "B"]]:
    """The same as segments and their kinds."""
    block = road_rows(bank, episode, position)
    return block[:4].T, block[4].astype(jnp.int32)


def lane_window(
    bank: Bank, episode: Index, c: Index, cursor: Index, behind: int, ahead: int, stride: int = 1
) -> LaneWindow:
    """Stations cursor − behind .. cursor + ahead, both included, of an agent's route, every `stride`.

    The cursor is a station of the route. Raises ValueError for more than `BEFORE` behind or `AFTER` ahead.
    """
    rows = lane_rows(bank, episode, c, cursor, (behind, ahead), stride=stride)
    return LaneWindow(
        left=rows[Row.LEFT_X : Row.LEFT_Y + 1],
        right=rows[Row.RIGHT_X : Row.RIGHT_Y + 1],
        centre=rows[Row.CENTRE_X : Row.CENTRE_Y + 1],
        heading=rows[Row.COS : Row.SIN + 1],
        limit=rows[Row.LIMIT],
        flags=rows[Row.FLAGS].astype(jnp.int32),
        exists=rows[Row.EXISTS] > 0.0,
        recorded=rows[Row.RECORDED] > 0.0,
    )


def lane_rows(
    bank: Bank,
    episode: Index,
    c: Index,
    cursor: Index,
    window: tuple[int, int],
    rows: tuple[Row, Row] = (Row(0), Row(len(Row) - 1)),
    stride: int = 1,
) -> Float[Array, "rows W L"]:
    """Some rows of `lane_window` as they are kept, from the first to the last of `rows`: no more is read than asked."""
    first, last = rows
    lanes = bank.episodes.route.stations.shape[-1]
    found = _stretch(bank.ribbons.lanes, (episode, c), cursor, window, lanes, (first, last - first + 1))
    return found.reshape(last - first + 1, -1, lanes)[:, ::stride]


def _stretch(
    ribbons: Float[Array, "E C k cells"],
    at: tuple[Index, Index],
    cursor: Index,
    window: tuple[int, int],
    lanes: int,
    rows: tuple[int, int],
) -> Float[Array, "n window"]:
    """Stations of a ribbon around one of them, of n rows from a first: each holds them side by side."""
    behind, ahead = window
    if behind > BEFORE or ahead > AFTER:
        raise ValueError(f"a window of {behind} + {ahead} stations: at most {BEFORE} behind and {AFTER} ahead are kept")
    first, count = rows
    start = (*at, first, (cursor + (BEFORE - behind)) * lanes)
    return jax.lax.dynamic_slice(ribbons, start, (1, 1, count, (behind + ahead + 1) * lanes))[0, 0]


def settle(columns: Float[Array, "k n"]) -> Float[Array, "k n"]:
    """The same numbers, read once: a product with the identity, exact in float32.

    XLA's CPU backend would otherwise repeat a gather inside everything that reads its result, element by element, and
    it removes `optimization_barrier` before it fuses.
    """
    return jnp.matmul(jnp.eye(len(columns)), columns, precision=jax.lax.Precision.HIGHEST)


def route_outline(bank: Bank, episode: Index, c: Index, cursor: Index) -> Line:
    """The open borders of a route's pieces near one of its stations; those that do not exist are very far away."""
    block = _at(bank.ribbons.outline, episode, c, cursor // SPAN)
    return Line(*block)


def reference_window(
    bank: Bank, episode: Index, c: Index, cursor: Index, behind: int, ahead: int
) -> tuple[Float[Array, "6 W"], Bool[Array, "W"]]:
    """The recorded lane alone around a station: rows by `PathRow`, and where it exists."""
    rows = _stretch(bank.ribbons.path, (episode, c), cursor, (behind, ahead), 1, (0, len(PathRow)))
    return rows[: PathRow.EXISTS], rows[PathRow.EXISTS] > 0.0


def speed_limit(bank: Bank, episode: Index, c: Index, cursor: Index) -> Float[Array, ""]:
    """The limit, m/s, of the recorded lane at a station of an agent's route; 0: unknown."""
    return _at(bank.ribbons.path, episode, c, PathRow.LIMIT, cursor + BEFORE)


def control_lines(bank: Bank, episode: Index, c: Index) -> ControlLines:
    """The stop lines and lights on an agent's route."""
    route: Route = bank.episodes.route
    index = route.lines[episode, c]
    row, known = bank.episodes.map[episode], index >= 0
    safe = jnp.maximum(index, 0)
    return ControlLines(
        ends=jnp.where(known[:, None], bank.maps.lines[row, safe], 0.0),
        kind=jnp.where(known, bank.maps.line_kind[row, safe], 0),
        judged=known & bank.maps.line_judged[row, safe],
        index=index,
        station=jnp.where(known, route.line_station[episode, c], 0.0),
    )
