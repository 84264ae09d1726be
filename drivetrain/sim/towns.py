"""Maps without traffic → bank, in NumPy, once, at load: drives along their lanes, goals along each, lights that go.

Worlds share the maps: an episode is a map and one of the programmes of its lights, and everyone in it is controlled.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.routes.arc_length import arc_lengths, reference_centres, reference_heights
from drivetrain.sim.bank import Bank, Episodes, Lines, Routes
from drivetrain.sim.building import host_lines, record_id, stacked
from drivetrain.sim.goals import chain, stack_chains
from drivetrain.sim.lane_graph import Graphing, LaneGraph, lane_graph, stack_graphs
from drivetrain.sim.light_programmes import LightRules, light_programme
from drivetrain.sim.paths import lay_paths
from drivetrain.sim.roads import Indexing, index_road, stack_roads
from drivetrain.sim.route_tables import stack_tables, unroll
from drivetrain.sim.variants import Warps, variant, without_signs
from drivetrain.types import Agents, Bodies, ControlKind, InputError, Log, Scenario, component, replace

FOREVER = np.int32(2**30)
"""The last step of an episode that is never over."""


@component
class Town:
    """What is asked of those who drive on maps without traffic."""

    agents: int = 32  # of a world
    nearest: float = 20.0  # m along the drive from one goal to the next, at least
    farthest: float = 40.0  # m, at most
    programmes: int = 8  # of each map's lights, drawn apart
    seconds: float = 240.0  # after which the lights of a world begin anew
    lights: LightRules = LightRules()
    indexing: Indexing = Indexing(width=128)  # within 50 m of an agent
    variants: int = 0  # of each map, besides itself: stretched, sheared, mirrored
    warps: Warps = Warps()
    graph: Graphing | None = None  # for goals anywhere; None: they are along the drives alone


def town_bank(scenarios: Sequence[Scenario], names: Sequence[str], dt: float, town: Town, seed: int) -> Bank:
    """The drives that each map offers, with a chain of goals along each, and worlds in which to drive them.

    Goals and lights are drawn by the seed; every map has as many drives as the richest, some repeated. Raises
    `InputError` where a map offers none.
    """
    random = np.random.default_rng(seed)
    scenarios, names = varied_maps(scenarios, names, town, seed)
    pools = [drives_of(scenario) for scenario in scenarios]
    if empty := [name for name, pool in zip(names, pools, strict=True) if not len(pool)]:
        raise InputError(f"{empty[0]}: drives: none (convert a map without traffic, whose lanes lead on)")
    count = max(len(pool) for pool in pools)
    rows = [(row, int(drive)) for row, pool in enumerate(pools) for drive in np.resize(pool, count)]
    steps = max(round(town.seconds / dt), 1)
    logs = [
        _log(light_programme(scenario.map, steps, dt, town.lights, random))
        for scenario in scenarios
        for _ in range(town.programmes)
    ]
    worlds = len(logs)
    nobody = np.arange(town.agents, dtype=np.int32)
    bank = Bank(
        lines=stacked([_lines(scenario) for scenario in scenarios]),
        roads=stack_roads([index_road(scenario.map, town.indexing) for scenario in scenarios]),
        cell=np.asarray(town.indexing.cell, np.float32),
        logs=stacked(logs),
        record=np.stack([record_id(name) for name in names for _ in range(town.programmes)]),
        paths=stacked([lay_paths(replace(scenarios[0], log=log), laid=False) for log in logs]),
        routes=_routes(scenarios, rows, town, random),
        episodes=Episodes(
            map=np.repeat(np.arange(len(scenarios), dtype=np.int32), town.programmes),
            log=np.arange(worlds, dtype=np.int32),
            first=np.zeros(worlds, np.int32),
            last=np.full(worlds, FOREVER),
            track=np.broadcast_to(nobody, (worlds, town.agents)).copy(),
            route=np.zeros((worlds, town.agents), np.int32),
            cursor=np.zeros((worlds, town.agents), np.int32),
            log_distance=np.zeros((worlds, town.agents), np.float32),
            source=np.arange(worlds, dtype=np.int32),
            ego=np.broadcast_to(nobody, (worlds, town.agents)).copy(),
        ),
        dt=np.asarray(dt, np.float32),
        graph=_graph(scenarios, town.graph, seed),
    )
    return jax.tree.map(jax.numpy.asarray, bank)


def drives_of(scenario: Scenario) -> Int[np.ndarray, "n"]:
    """Rows of the drives that a map offers; none of a recording."""
    egos = scenario.egos
    return np.flatnonzero((np.asarray(egos.route.length) > 0) & (np.asarray(egos.track) < 0))


def varied_maps(
    scenarios: Sequence[Scenario], names: Sequence[str], town: Town, seed: int
) -> tuple[Sequence[Scenario], Sequence[str]]:
    """Each map, then its variants, as a bank's maps; drawn apart from all else, which it leaves as it is."""
    if not town.variants:
        return scenarios, names
    random, varied = np.random.default_rng((seed, 2)), []
    for scenario in scenarios:
        varied.append(scenario)
        for _ in range(town.variants):
            warped = variant(scenario, town.warps.draw(random))
            varied.append(without_signs(warped, town.warps.dropped, random))
    return varied, [name for name in names for _ in range(town.variants + 1)]


def _graph(scenarios: Sequence[Scenario], graphing: Graphing | None, seed: int) -> LaneGraph | None:
    """Drawn apart from all else, which it leaves as it is."""
    if graphing is None:
        return None
    randoms = np.random.default_rng((seed, 1)).spawn(len(scenarios))
    return stack_graphs([lane_graph(each.map, graphing, own) for each, own in zip(scenarios, randoms, strict=True)])


def _lines(scenario: Scenario) -> Lines:
    """The lights go as they are shown here: each is judged, as stop signs are."""
    lines = host_lines(scenario.map)
    return replace(lines, judged=np.isin(lines.kind, (ControlKind.LIGHT, ControlKind.STOP_SIGN)))


def _log(lights: np.ndarray) -> Log:
    """A log of nobody, in which lights go."""
    steps, nobody = len(lights), np.zeros(0, np.float32)
    nowhere = np.zeros((steps, 0, 2), np.float32)
    return Log(
        agents=Agents(nowhere, nowhere, nowhere, np.zeros((steps, 0), bool)),
        bodies=Bodies(nobody, nobody, nobody.astype(np.int32)),
        lights=lights,
        steps=np.asarray(steps, np.int32),
    )


def _routes(
    scenarios: Sequence[Scenario], rows: list[tuple[int, int]], town: Town, random: np.random.Generator
) -> Routes:
    """Every drive, map by map."""
    tables, chains, heights = [], [], []
    for row, drive in rows:
        scenario = scenarios[row]
        arc = arc_lengths(scenario, drive)
        route = jax.tree.map(lambda leaf, drive=drive: np.asarray(leaf)[drive], scenario.egos.route)
        tables.append(unroll(route, arc, np.asarray(scenario.map.stations)))
        centre = reference_centres(scenario, drive)[0][: int(route.length)]
        first, distance = int(scenario.egos.cursor[drive]), float(scenario.egos.log_distance[drive])
        chains.append(chain(arc, centre, _along(float(arc[first]), distance, town, random)))
        heights.append(reference_heights(scenario, drive))

    def column(name: str) -> np.ndarray:
        return np.stack([np.asarray(getattr(scenarios[row].egos.route, name))[drive] for row, drive in rows])

    return Routes(
        map=np.asarray([row for row, _ in rows], np.int32),
        tables=stack_tables(tables),
        lines=column("lines"),
        line_station=column("line_station"),
        height=None if heights[0] is None else np.stack(heights),
        goals=stack_chains(chains),
    )


def _along(start: float, distance: float, town: Town, random: np.random.Generator) -> Float[np.ndarray, "g"]:
    """Where a drive begins, and goals along it, each so far from the one before, one at least; m along the route."""
    most = int(distance / town.nearest) + 2
    along = start + np.concatenate([[0.0], np.cumsum(random.uniform(town.nearest, town.farthest, most))])
    return along[: max(int((along <= start + distance).sum()), 2)]
