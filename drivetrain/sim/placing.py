"""Where agents are on the lanes, and how far it is from there to a goal, by any way: reads `Bank.graph`.

A goal is a way-point, by `WayRow`; all of it is infinite where there is none.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.sim.bank import Bank, GoalRow
from drivetrain.sim.lane_graph import UNIT, UNREACHABLE, LineRow, PieceRow, WayRow
from drivetrain.sim.reading import ControlLines, Index, block_at, goal_at, item
from drivetrain.sim.spawning.base import Spawn
from drivetrain.types import Array, Errand, Place, State

BESIDE = 2.0
"""An agent is on a lane whose middle is no farther than this, m."""
AGREEING = 0.5
"""And whose direction is within 60° of its own: the least cosine."""
OVER = 0.2
"""Of a piece's length, by which it goes on beyond either end: no bend leaves a gap."""
ABREAST = 0.01
"""m behind an agent's centre at which a goal is beside it yet, whatever float32 makes of it."""
AGAINST = 4.0
"""m², by which a lane at right angles counts as farther than it is; one that leads the other way, by twice that."""


def way_point(bank: Bank, map_: Index, errand: Errand, on: int = 0) -> Float[Array, "5"]:
    """The next goal of an agent that goes anywhere, or the one so many beyond it."""
    assert bank.graph is not None and errand.chain is not None
    count = bank.graph.chains.shape[2]
    row = item(bank.graph.chains, map_, errand.chain, errand.goal + on)
    return jnp.where(errand.goal + on < count, row, jnp.inf)


def ways(
    bank: Bank, map_: Index, goal: Float[Array, "5"], stretch: tuple[Array, Array, Array, Array, Array]
) -> Float[Array, "*n"]:
    """Metres to a goal from places on lanes: lane, metres to its end, its length, bundle, rank. Infinite: no way."""
    graph, (lane, left, length, bundle, rank) = bank.graph, stretch
    assert graph is not None
    there = jnp.isfinite(goal[WayRow.LANE])
    at = jnp.where(there, goal[WayRow.LANE], 0.0).astype(jnp.int32)
    along = jnp.where(there, goal[WayRow.ALONG], 0.0)
    units = jnp.take(item(graph.distance, map_, at), lane, mode="clip").astype(jnp.float32)
    through = jnp.where(units < UNREACHABLE, left + UNIT * units + along, jnp.inf)
    share = along / jnp.maximum(item(graph.length, map_, at), 1e-3)
    ahead = left - (1.0 - share) * length
    beside = graph.change[map_] * jnp.abs(rank - item(graph.rank, map_, at))
    direct = jnp.where(
        (bundle == item(graph.bundle, map_, at)) & (ahead >= -ABREAST), beside + jnp.maximum(ahead, 0.0), jnp.inf
    )
    return jnp.where(there, jnp.minimum(through, direct), jnp.inf)


def way_left(bank: Bank, map_: Index, goal: Float[Array, "5"], place: Place) -> Float[Array, ""]:
    """Metres to a goal from where an agent is, as of when it last was on a lane; infinite where no lane leads there."""
    graph = bank.graph
    assert graph is not None
    lane = jnp.maximum(place.lane, 0)
    length, bundle, rank = (item(rows, map_, lane) for rows in (graph.length, graph.bundle, graph.rank))
    return jnp.where(place.lane < 0, jnp.inf, ways(bank, map_, goal, (lane, place.left, length, bundle, rank)))


def locate(
    bank: Bank,
    map_: Index,
    position: Float[Array, "2"],
    heading: Float[Array, "2"],
    goal: Float[Array, "5"] | None,
    last: Place | None,
) -> Place:
    """The lanes at a pose. Of those that an agent may be on, as in a junction, it follows the one that is nearest to
    its goal; without one, or where none leads there, the one whose middle is nearest; on no lane, the last, and
    what is shown is the nearest, whichever way that leads.
    """
    assert bank.graph is not None
    block = block_at(bank.graph.pieces, bank.graph.cells[map_, 0], map_, position)
    x0, y0, x1, y1 = block[: PieceRow.LANE]
    inverse = block[PieceRow.INVERSE]
    along = x1 - x0, y1 - y0
    to = position[0] - x0, position[1] - y0
    share = (to[0] * along[0] + to[1] * along[1]) * inverse
    per_metre = jnp.sqrt(inverse)
    aside = (along[0] * to[1] - along[1] * to[0]) * per_metre
    beyond = share - jnp.clip(share, 0.0, 1.0)
    cosine = (along[0] * heading[0] + along[1] * heading[1]) * per_metre
    length = jnp.where(inverse > 0.0, per_metre * (along[0] ** 2 + along[1] ** 2), 0.0)
    square = aside**2 + (beyond * length) ** 2
    exists = block[PieceRow.LANE] > 0.0
    on = exists & (jnp.abs(aside) <= BESIDE) & (jnp.abs(beyond) <= OVER) & (cosine >= AGREEING)
    left = block[PieceRow.LEFT] - share * length

    lanes = (block[PieceRow.LANE].astype(jnp.int32) - 1, left, *block[PieceRow.LENGTH : PieceRow.LIMIT])
    score = square
    if goal is not None:
        farther = ways(bank, map_, goal, lanes)
        score = jnp.where(jnp.isfinite(farther), farther - 1e6, square)
    chosen = jnp.argmin(jnp.where(on, score, jnp.inf))
    nearest = jnp.argmin(jnp.where(exists, square + AGAINST * (1.0 - cosine), jnp.inf))
    somewhere = jnp.any(on)
    shown = jnp.where(somewhere, chosen, nearest)
    near = exists[shown]
    before = last or Place(jnp.int32(-1), jnp.zeros(()), jnp.zeros(()), heading, jnp.zeros(()))

    def follows(new: Array, old: Array) -> Array:
        return jnp.where(somewhere, new[chosen], old)

    direction = jnp.stack([along[0][shown], along[1][shown]]) * per_metre[shown]
    return Place(
        lane=follows(lanes[0], before.lane),
        left=follows(left, before.left),
        limit=follows(block[PieceRow.LIMIT], before.limit),
        heading=jnp.where(near, direction, heading),
        aside=jnp.where(near, aside[shown], 0.0),
    )


def begun_on(bank: Bank, episode: Index, spawn: Spawn) -> Place | None:
    """Where those who begin [C] are on the lanes, each with its own errand; None where the bank has no lane graph."""
    if bank.graph is None:
        return None
    map_ = bank.episodes.map[episode]

    def of_agent(position: Array, heading: Array, errand: Errand | None) -> Place:
        return locate(bank, map_, position, heading, _goal(bank, map_, errand), None)

    me = spawn.controlled
    return jax.vmap(of_agent)(spawn.agents.position[me], spawn.agents.heading[me], spawn.errand)


def gone_on(bank: Bank, state: State, position: Float[Array, "C 2"], heading: Float[Array, "C 2"]) -> Place | None:
    """Where those controlled [C] are on the lanes at new poses; who reaches its goal is on the way to the next."""
    if bank.graph is None or state.place is None:
        return None
    map_ = bank.episodes.map[state.episode]

    def of_agent(position: Array, heading: Array, errand: Errand | None, last: Place) -> Place:
        goal = _goal(bank, map_, errand)
        if errand is not None and goal is not None:
            goal = jnp.where(within(goal, errand, position), way_point(bank, map_, errand, 1), goal)
        return locate(bank, map_, position, heading, goal, last)

    return jax.vmap(of_agent)(position, heading, state.errand, state.place)


def next_goal(bank: Bank, map_: Index, route: Index, errand: Errand) -> Float[Array, "2"]:
    """Where an agent's next goal lies, along its route or anywhere; infinite where it has arrived."""
    if errand.chain is None:
        return goal_at(bank, route, errand.goal)[GoalRow.X : GoalRow.STATION]
    return way_point(bank, map_, errand)[: WayRow.LANE]


def within(goal: Float[Array, "5"], errand: Errand, position: Float[Array, "2"]) -> Bool[Array, ""]:
    """Whether a position is so near to a goal that it is reached."""
    assert errand.radius is not None
    x, y = goal[: WayRow.LANE] - position
    return x * x + y * y < errand.radius**2


def _goal(bank: Bank, map_: Index, errand: Errand | None) -> Float[Array, "5"] | None:
    return None if errand is None or errand.chain is None else way_point(bank, map_, errand)


def lines_near(bank: Bank, map_: Index, position: Float[Array, "2"], heading: Float[Array, "2"]) -> ControlLines:
    """The stop signs' and lights' lines around a position, whoever they are for.

    `station` orders those that are ahead and are met on straight on, by metres; the others' is −∞.
    """
    assert bank.graph is not None
    block = block_at(bank.graph.lines, bank.graph.cells[map_, 2], map_, position)
    index = block[LineRow.LINE].astype(jnp.int32) - 1
    known, safe = index >= 0, jnp.maximum(index, 0)
    ends = block[: LineRow.LINE]
    across = ends[0] - ends[2], ends[1] - ends[3]  # to the left: who drives over it leaves it on its right by 90°
    agrees = across[1] * heading[0] - across[0] * heading[1] > 0.0
    sides = [heading[0] * (ends[row + 1] - position[1]) - heading[1] * (ends[row] - position[0]) for row in (0, 2)]
    middle = 0.5 * (ends[0] + ends[2]) - position[0], 0.5 * (ends[1] + ends[3]) - position[1]
    ahead = middle[0] * heading[0] + middle[1] * heading[1]
    met = known & agrees & (sides[0] >= 0.0) & (sides[1] <= 0.0)
    return ControlLines(
        ends=jnp.where(known, ends, 0.0).T,
        kind=jnp.where(known, bank.lines.kind[map_, safe], 0),
        judged=known & bank.lines.judged[map_, safe],
        index=index,
        station=jnp.where(met, ahead, -jnp.inf),
    )
