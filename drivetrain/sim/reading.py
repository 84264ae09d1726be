"""What a step reads of the bank: each accessor indexes it by rows, and copies no more than it is asked for.

What is read of a route goes by its row of the pool and a station of it, never by an episode: see `State.route`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.geometry import Line, line_square
from drivetrain.sim.bank import Bank
from drivetrain.sim.levels import on_level
from drivetrain.sim.roads import ROWS, RoadIndex
from drivetrain.sim.route_tables import AFTER, BEFORE, SPAN, PathRow, Row
from drivetrain.types import Agents, Array, Bodies, record

Index = Int[Array, ""] | int


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


def item(rows: Array, *index: Index) -> Array:
    """`rows[index]`, each number held to its range, by one number: XLA's CPU backend is slow in joining several."""
    row = jnp.int32(0)
    for size, number in zip(rows.shape, index, strict=False):
        row = row * size + jnp.clip(number, 0, size - 1)
    # Taken, not indexed: from `[row]` of a scene that is not batched XLA's CPU backend may fail to compile the road.
    return jnp.take(rows.reshape(-1, *rows.shape[len(index) :]), row, axis=0, mode="clip")


def log_at(bank: Bank, episode: Index, time: Index) -> Agents:
    """Every agent [A] as recorded at one step of the log; nobody is valid beyond its end."""
    log = bank.episodes.log[episode]
    return jax.tree.map(lambda leaf: item(leaf, log, time), bank.logs.agents)


def lights_at(bank: Bank, episode: Index, time: Index) -> Int[Array, "S"]:
    """LightState of every control line at one step of the log."""
    return item(bank.logs.lights, bank.episodes.log[episode], time)


def record_of(bank: Bank, episode: Index) -> UInt[Array, "2"]:
    """The stable id of the recording that an episode was taken from."""
    return bank.record[bank.episodes.log[episode]]


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


def route_height(bank: Bank, route: Index, cursor: Index) -> Float[Array, ""]:
    """The height, m, of the recorded lane at a station of a route, where the bank has heights."""
    assert bank.routes.height is not None
    return bank.routes.height[route, cursor]


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
    block = block_at(bank.roads, bank.cell, bank.episodes.map[episode], position)
    if len(block) == ROWS:
        return block
    rows = block[:ROWS]
    if height is None:
        return rows
    away = line_square(road_lines(rows), position[0], position[1])
    return jnp.where(on_level(block[ROWS], height, away, steepest), rows, 0.0)


def block_at(index: RoadIndex, cell: Array, row: Index, position: Float[Array, "2"]) -> Float[Array, "k B"]:
    """The block of the cell, of a side of so many metres, in which a position on a map is."""
    size = index.size[row]
    at = jnp.floor((position - index.origin[row]) / cell).astype(jnp.int32)
    at = jnp.clip(at, 0, size - 1)
    return item(index.block, row, at[0] + at[1] * size[0])


def road_lines(rows: Float[Array, "6 B"]) -> Line:
    """The segments of a block."""
    x0, y0, x1, y1, _, inverse = rows
    return Line(x0, y0, x1 - x0, y1 - y0, inverse)


def road_block(bank: Bank, episode: Index, position: Float[Array, "2"]) -> tuple[Float[Array, "B 4"], Int[Array, "B"]]:
    """The same as segments and their kinds."""
    block = road_rows(bank, episode, position)
    return block[:4].T, block[4].astype(jnp.int32)


def route_lanes(bank: Bank) -> int:
    """Lanes that a route has at most."""
    return bank.routes.tables.lanes.shape[-1] // bank.routes.tables.path.shape[-1]


def lane_window(bank: Bank, route: Index, cursor: Index, behind: int, ahead: int, stride: int = 1) -> LaneWindow:
    """Stations cursor − behind .. cursor + ahead, both included, of a route, every `stride`.

    The cursor is a station of the route. Raises ValueError for more than `BEFORE` behind or `AFTER` ahead.
    """
    rows = lane_rows(bank, route, cursor, (behind, ahead), stride=stride)
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
    route: Index,
    cursor: Index,
    window: tuple[int, int],
    rows: tuple[Row, Row] = (Row(0), Row(len(Row) - 1)),
    stride: int = 1,
) -> Float[Array, "rows W L"]:
    """Some rows of `lane_window` as they are kept, from the first to the last of `rows`: no more is read than asked."""
    first, last = rows
    lanes = route_lanes(bank)
    stretch = _stretch(bank.routes.tables.lanes, route, cursor, window, lanes, (first, last - first + 1))
    return stretch.reshape(last - first + 1, -1, lanes)[:, ::stride]


def _stretch(
    tables: Float[Array, "pool k cells"],
    route: Index,
    cursor: Index,
    window: tuple[int, int],
    lanes: int,
    rows: tuple[int, int],
) -> Float[Array, "n window"]:
    """Stations of a table around one of them, of n rows from a first: each holds them side by side."""
    behind, ahead = window
    if behind > BEFORE or ahead > AFTER:
        raise ValueError(f"a window of {behind} + {ahead} stations: at most {BEFORE} behind and {AFTER} ahead are kept")
    first, count = rows
    _, height, width = tables.shape
    start = (route * height + first, (cursor + (BEFORE - behind)) * lanes)
    return jax.lax.dynamic_slice(tables.reshape(-1, width), start, (count, (behind + ahead + 1) * lanes))


def settle(columns: Float[Array, "k n"]) -> Float[Array, "k n"]:
    """The same numbers, read once: a product with the identity, exact in float32.

    XLA's CPU backend would otherwise repeat a gather inside everything that reads its result, element by element, and
    it removes `optimization_barrier` before it fuses.
    """
    return jnp.matmul(jnp.eye(len(columns)), columns, precision=jax.lax.Precision.HIGHEST)


def route_outline(bank: Bank, route: Index, cursor: Index) -> Line:
    """The open borders of a route's pieces near one of its stations; those that do not exist are very far away."""
    block = item(bank.routes.tables.outline, route, cursor // SPAN)
    return Line(*block)


def reference_window(
    bank: Bank, route: Index, cursor: Index, behind: int, ahead: int
) -> tuple[Float[Array, "6 W"], Bool[Array, "W"]]:
    """The recorded lane alone around a station: rows by `PathRow`, and where it exists."""
    rows = _stretch(bank.routes.tables.path, route, cursor, (behind, ahead), 1, (0, len(PathRow)))
    return rows[: PathRow.EXISTS], rows[PathRow.EXISTS] > 0.0


def speed_limit(bank: Bank, route: Index, cursor: Index) -> Float[Array, ""]:
    """The limit, m/s, of the recorded lane at a station of a route; 0: unknown."""
    return item(bank.routes.tables.path, route, PathRow.LIMIT, cursor + BEFORE)


def goals_of(bank: Bank, route: Index) -> Float[Array, "G 4"]:
    """The chain of goals of a route, where the bank has goals."""
    assert bank.routes.goals is not None
    return bank.routes.goals[route]


def goal_at(bank: Bank, route: Index, goal: Index) -> Float[Array, "4"]:
    """One goal of a route, by `GoalRow`; beyond the last one it is infinitely far."""
    assert bank.routes.goals is not None
    return item(bank.routes.goals, route, goal)


def control_lines(bank: Bank, route: Index) -> ControlLines:
    """The stop lines and lights on a route."""
    index = bank.routes.lines[route]
    row, known = bank.routes.map[route], index >= 0
    safe = jnp.maximum(index, 0)
    return ControlLines(
        ends=jnp.where(known[:, None], bank.lines.ends[row, safe], 0.0),
        kind=jnp.where(known, bank.lines.kind[row, safe], 0),
        judged=known & bank.lines.judged[row, safe],
        index=index,
        station=jnp.where(known, bank.routes.line_station[route], 0.0),
    )
