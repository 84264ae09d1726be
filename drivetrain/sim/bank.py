"""What is given, on the device: maps, logs and episodes, and the accessors through which everything reads them.

An accessor indexes the bank by rows (`bank.x[i, cell]`), so that a step copies nothing that it does not use: many
worlds share a map, many episodes a log, and a restart is an index.
"""

from collections.abc import Sequence
from enum import IntEnum

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.data.along import arc_lengths, place_on_route
from drivetrain.sim.episodes import Episodes, Window, windows
from drivetrain.sim.roads import Indexing, RoadIndex, index_road, stack_roads
from drivetrain.types import Agents, Array, Bodies, InputError, Log, Map, Route, Scenario, record

__all__ = ["Bank", "Cross", "Episodes", "Indexing", "LaneWindow", "Placement", "RoadIndex", "host_bank", "make_bank"]


class Cross(IntEnum):
    """Columns of `Map.stations`: one cross-section of a lane."""

    LEFT_X = 0
    LEFT_Y = 1
    RIGHT_X = 2
    RIGHT_Y = 3
    CENTRE_X = 4
    CENTRE_Y = 5
    COS = 6
    SIN = 7
    LIMIT = 8


@record
class Bank:
    """Everything that is given: M maps and their roads by cell, N logs, E episodes."""

    maps: Map  # [M]
    roads: RoadIndex  # [M]
    cell: Float[Array, ""]  # side of a road cell, m
    logs: Log  # [N]
    episodes: Episodes  # [E]
    dt: Float[Array, ""]  # s


@record
class LaneWindow:
    """A stretch of one route: W stations of L lanes. Zeros where a lane does not exist."""

    left: Float[Array, "W L 2"]
    right: Float[Array, "W L 2"]
    centre: Float[Array, "W L 2"]
    heading: Float[Array, "W L 2"]
    limit: Float[Array, "W L"]  # m/s; 0: unknown
    flags: UInt[Array, "W L"]  # RouteFlag bits of the piece to the next station
    exists: Bool[Array, "W L"]
    reference: Int[Array, "W"]  # slot of the recorded lane


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
    """Where one agent is."""

    position: Float[Array, "2"]
    heading: Float[Array, "2"]
    velocity: Float[Array, "2"]
    valid: Bool[Array, ""]


# -------------------------------------------------------------------------------------------------------------- loading


def make_bank(
    scenarios: Sequence[Scenario],
    dt: float,
    controlled: int = 1,
    admitted: Sequence[Bool[np.ndarray, "_"]] | None = None,
    groups: Sequence[str] | None = None,
    indexing: Indexing = Indexing(),  # noqa: B008 - frozen
) -> Bank:
    """Put compiled recordings on the device.

    With `controlled` > 1, egos of one recording are grouped where they share at least 4 s. `admitted` [E] says per
    recording which of its egos may be controlled (all of them by default); recordings of one group of `groups` are one
    source of episodes (each its own by default). Raises `InputError` without any episode.
    """
    return jax.tree.map(jnp.asarray, host_bank(scenarios, dt, controlled, admitted, groups, indexing))


def host_bank(
    scenarios: Sequence[Scenario],
    dt: float,
    controlled: int = 1,
    admitted: Sequence[Bool[np.ndarray, "_"]] | None = None,
    groups: Sequence[str] | None = None,
    indexing: Indexing = Indexing(),  # noqa: B008 - frozen
    cells: int = 0,
) -> Bank:
    """`make_bank` in NumPy, not yet on the device; with room for `cells` cells of every road, at least."""
    rows: list[tuple[int, Window]] = []
    for row, scenario in enumerate(scenarios):
        allowed = None if admitted is None else np.asarray(admitted[row])
        rows += [(row, window) for window in windows(scenario, allowed, controlled, dt)]
    if not rows:
        raise InputError(f"bank: episodes: none in {len(scenarios)} recordings (admit egos or control fewer)")
    sources = np.arange(len(scenarios)) if groups is None else np.unique(groups, return_inverse=True)[1]
    episodes = [_episode(scenarios[row], row, int(sources[row]), window) for row, window in rows]
    return Bank(
        maps=_stack([scenario.map for scenario in scenarios]),
        roads=stack_roads([index_road(scenario.map, indexing) for scenario in scenarios], cells),
        cell=np.asarray(indexing.cell, np.float32),
        logs=_stack([scenario.log for scenario in scenarios]),
        episodes=_stack(episodes),
        dt=np.asarray(dt, np.float32),
    )


def _stack(records: list):
    return jax.tree.map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *records)


def _episode(scenario: Scenario, row: int, source: int, window: Window) -> Episodes:
    """One row of the episodes."""
    egos = scenario.egos
    arcs, cursors, distances = [], [], []
    for ego in window.egos:
        arc = arc_lengths(scenario, ego)
        near = int(egos.cursor[ego])
        cursor, start = place_on_route(scenario, ego, arc, window.first, near)
        _, end = place_on_route(scenario, ego, arc, window.last, cursor)
        whole = (window.first, window.last) == (int(egos.first[ego]), int(egos.last[ego]))
        arcs.append(arc)
        cursors.append(near if whole else cursor)
        distances.append(float(egos.log_distance[ego]) if whole else end - start)
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
    )


# -------------------------------------------------------------------------------------------------------------- reading

Index = Int[Array, ""] | int


def log_at(bank: Bank, episode: Index, time: Index) -> Agents:
    """Every agent [A] as recorded at one step of the log; nobody is valid beyond its end."""
    log = bank.episodes.log[episode]
    return jax.tree.map(lambda leaf: leaf[log, time], bank.logs.agents)


def lights_at(bank: Bank, episode: Index, time: Index) -> Int[Array, "S"]:
    """LightState of every control line at one step of the log."""
    return bank.logs.lights[bank.episodes.log[episode], time]


def bodies_of(bank: Bank, episode: Index) -> Bodies:
    """Sizes of every agent [A]."""
    log = bank.episodes.log[episode]
    return jax.tree.map(lambda leaf: leaf[log], bank.logs.bodies)


def expert(bank: Bank, episode: Index, c: Index, time: Index) -> Placement:
    """Where the log has a controlled agent at one step; not valid beyond the log's end."""
    log, track = bank.episodes.log[episode], bank.episodes.track[episode, c]
    agents = bank.logs.agents
    return Placement(
        position=agents.position[log, time, track],
        heading=agents.heading[log, time, track],
        velocity=agents.velocity[log, time, track],
        valid=agents.valid[log, time, track] & (time < bank.logs.steps[log]) & (track >= 0),
    )


def road_block(bank: Bank, episode: Index, position: Float[Array, "2"]) -> tuple[Float[Array, "B 4"], Int[Array, "B"]]:
    """Road elements near a position, and their kinds (0 is padding): one contiguous read of a cell's block.

    Holds everything within the cell's `reach`; a position beyond the grid reads its nearest cell.
    """
    row = bank.episodes.map[episode]
    size = bank.roads.size[row]
    cell = jnp.floor((position - bank.roads.origin[row]) / bank.cell).astype(jnp.int32)
    cell = jnp.clip(cell, 0, size - 1)
    block = bank.roads.block[row, cell[0] + cell[1] * size[0]]
    return block[:4].T, block[4].astype(jnp.int32)


def lane_window(
    bank: Bank, episode: Index, c: Index, cursor: Index, behind: int, ahead: int, stride: int = 1
) -> LaneWindow:
    """Stations cursor − behind .. cursor + ahead, both included, of an agent's route, every `stride`."""
    route = bank.episodes.route
    asked = cursor + jnp.arange(-behind, ahead + 1, stride)
    within = (asked >= 0) & (asked < route.length[episode, c])
    row = jnp.clip(asked, 0, route.reference.shape[-1] - 1)
    station = route.stations[episode, c, row]
    exists = (station >= 0) & within[:, None]
    cross = bank.maps.stations[bank.episodes.map[episode], jnp.maximum(station, 0)]
    flags = route.flags[episode, c, row]
    columns = jnp.concatenate([cross, flags[..., None].astype(jnp.float32)], axis=-1)
    columns = jnp.where(exists[..., None], columns, 0.0).reshape(-1, len(Cross) + 1)
    columns = settle(columns.T).reshape(-1, *exists.shape)

    def pair(x: Cross) -> Array:
        return jnp.stack([columns[x], columns[x + 1]], axis=-1)

    return LaneWindow(
        left=pair(Cross.LEFT_X),
        right=pair(Cross.RIGHT_X),
        centre=pair(Cross.CENTRE_X),
        heading=pair(Cross.COS),
        limit=columns[Cross.LIMIT],
        flags=columns[-1].astype(flags.dtype),
        exists=exists,
        reference=route.reference[episode, c, row],
    )


def settle(columns: Float[Array, "k n"]) -> Float[Array, "k n"]:
    """The same numbers, read once: a product with the identity, exact in float32.

    XLA's CPU backend would otherwise repeat a gather inside everything that reads its result, element by element, and
    it removes `optimization_barrier` before it fuses. `env.step` takes 23 instead of 59 µs (two cores, 512 scenes).
    """
    return jnp.matmul(jnp.eye(len(columns)), columns, precision=jax.lax.Precision.HIGHEST)


def reference_window(
    bank: Bank, episode: Index, c: Index, cursor: Index, behind: int, ahead: int
) -> tuple[Float[Array, "W 9"], Bool[Array, "W"]]:
    """Cross-sections (columns: `Cross`) of the recorded lane alone around a station, and whether each exists."""
    route = bank.episodes.route
    asked = cursor + jnp.arange(-behind, ahead + 1)
    within = (asked >= 0) & (asked < route.length[episode, c])
    row = jnp.clip(asked, 0, route.reference.shape[-1] - 1)
    station = route.stations[episode, c, row, route.reference[episode, c, row]]
    exists = (station >= 0) & within
    cross = bank.maps.stations[bank.episodes.map[episode], jnp.maximum(station, 0)]
    return jnp.where(exists[:, None], cross, 0.0), exists


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
