"""Scenarios → bank, in NumPy, once, at load."""

import hashlib
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt

from drivetrain.data.routes.arc_length import arc_lengths, place_on_route, reference_centres, reference_heights
from drivetrain.sim.bank import Bank, Episodes, Lines, Routes
from drivetrain.sim.episodes import Window, cut, windows
from drivetrain.sim.goals import evenly, stack_chains
from drivetrain.sim.paths import lay_paths
from drivetrain.sim.roads import Indexing, RoadIndex, index_road, stack_roads
from drivetrain.sim.route_tables import SIDES, stack_tables, unroll
from drivetrain.types import InputError, Map, Scenario, component

Pool = Mapping[tuple[int, int], int]
"""The row of each route, by recording and ego, in order."""
Arcs = Sequence[Float[np.ndarray, "P"]]
"""Metres along each route of the pool."""


@component
class Layout:
    """What of the recordings a bank holds: see `make_bank`."""

    controlled: int = 1  # agents of an episode
    longest: int | None = None  # steps of an episode, at most
    indexing: Indexing = Indexing()
    paths: bool = False
    goals: float = 0.0  # m between goals along each route; 0: there are none


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
    names: Sequence[str] | None = None,
) -> Bank:
    """`make_bank` in NumPy, not yet on the device; the roads' blocks are written into `blocks` (`empty_blocks`).

    `names` are those of the recordings, from which `Bank.record` is made; their numbers by default.
    """
    rows: list[tuple[int, Window]] = []
    longest = layout.longest
    for row, scenario in enumerate(scenarios):
        allowed = None if admitted is None else np.asarray(admitted[row])
        whole = windows(scenario, allowed, layout.controlled, dt)
        rows += [(row, part) for window in whole for part in (cut(window, longest) if longest else [window])]
    if not rows:
        raise InputError(f"bank: episodes: none in {len(scenarios)} recordings (admit egos or control fewer)")
    sources = np.arange(len(scenarios)) if groups is None else np.unique(groups, return_inverse=True)[1]
    pairs = dict.fromkeys((row, ego) for row, window in rows for ego in window.egos)
    pool = {pair: number for number, pair in enumerate(pairs)}
    arcs = [arc_lengths(scenarios[row], ego) for row, ego in pairs]
    return Bank(
        lines=stacked([host_lines(scenario.map) for scenario in scenarios]),
        roads=_roads(scenarios, layout.indexing, blocks),
        cell=np.asarray(layout.indexing.cell, np.float32),
        logs=stacked([scenario.log for scenario in scenarios]),
        record=np.stack([record_id(name) for name in names or map(str, range(len(scenarios)))]),
        paths=stacked([lay_paths(scenario, layout.paths) for scenario in scenarios]),
        routes=_routes(scenarios, pool, arcs, 0 if blocks is None else SIDES, layout.goals),
        episodes=stacked(
            [_episode(scenarios[row], row, int(sources[row]), window, pool, arcs) for row, window in rows]
        ),
        dt=np.asarray(dt, np.float32),
    )


def record_id(name: str) -> UInt[np.ndarray, "2"]:
    """64 bits of a recording's name, the same in every process."""
    return np.frombuffer(hashlib.blake2b(name.encode(), digest_size=8).digest(), np.uint32).copy()


def host_lines(map: Map) -> Lines:
    """The control lines of a map."""
    return Lines(map.lines, map.line_kind, map.line_judged)


def _roads(scenarios: Sequence[Scenario], indexing: Indexing, blocks: Float[np.ndarray, "M G k B"] | None) -> RoadIndex:
    if blocks is None:
        return stack_roads([index_road(each.map, indexing) for each in scenarios])
    roads = [index_road(each.map, indexing, room) for each, room in zip(scenarios, blocks, strict=True)]
    return jax.tree.map(lambda *rows: blocks if rows[0] is roads[0].block else np.stack(rows), *roads)


def stacked(records: list):
    """Records as one, a row each."""
    if len(records) == 1:
        return jax.tree.map(lambda row: np.asarray(row)[None], records[0])
    return jax.tree.map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *records)


def _routes(scenarios: Sequence[Scenario], pool: Pool, arcs: Arcs, sides: int, goals: float) -> Routes:
    """Every route once, however many episodes drive it."""

    def column(name: str) -> np.ndarray:
        return np.stack([np.asarray(getattr(scenarios[row].egos.route, name))[ego] for row, ego in pool])

    tables, heights, chains = [], [], []
    for (row, ego), arc in zip(pool, arcs, strict=True):
        scenario = scenarios[row]
        route = jax.tree.map(lambda leaf, ego=ego: np.asarray(leaf)[ego], scenario.egos.route)
        tables.append(unroll(route, arc, np.asarray(scenario.map.stations)))
        heights.append(reference_heights(scenario, ego))
        if goals:
            chains.append(evenly(arc, reference_centres(scenario, ego)[0][: int(route.length)], goals))
    return Routes(
        map=np.asarray([row for row, _ in pool], np.int32),
        tables=stack_tables(tables, sides),
        lines=column("lines"),
        line_station=column("line_station"),
        height=None if heights[0] is None else np.stack(heights),
        goals=stack_chains(chains) if goals else None,
    )


def _episode(scenario: Scenario, row: int, source: int, window: Window, pool: Pool, arcs: Arcs) -> Episodes:
    """One row of the episodes."""
    egos = scenario.egos
    cursors, distances = [], []
    for ego in window.egos:
        cursor, distance = int(egos.cursor[ego]), float(egos.log_distance[ego])
        if (window.first, window.last) != (int(egos.first[ego]), int(egos.last[ego])):
            arc = arcs[pool[row, ego]]
            cursor, start = place_on_route(scenario, ego, arc, window.first, cursor)
            distance = place_on_route(scenario, ego, arc, window.last, cursor)[1] - start
        cursors.append(cursor)
        distances.append(distance)
    picked = np.array(window.egos)
    return Episodes(
        map=np.asarray(row, np.int32),
        log=np.asarray(row, np.int32),
        first=np.asarray(window.first, np.int32),
        last=np.asarray(window.last, np.int32),
        track=np.asarray(egos.track)[picked].astype(np.int32),
        route=np.asarray([pool[row, ego] for ego in window.egos], np.int32),
        cursor=np.asarray(cursors, np.int32),
        log_distance=np.asarray(distances, np.float32),
        source=np.asarray(source, np.int32),
        ego=picked.astype(np.int32),
    )
