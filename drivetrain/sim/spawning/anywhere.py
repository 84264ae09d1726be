"""Anywhere on an empty map: agents on its lanes, each with an errand along one of the map's drives.

Places are drawn for all who need one at once, and those are taken that are clear of everyone else (rejection): so it
costs a step the same whether one agent is replaced or all are, and nothing is recompiled. Who finds none waits.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.geometry import rotate
from drivetrain.sim.bank import Bank, GoalRow
from drivetrain.sim.reading import Index, Placement, goals_of, reference_window
from drivetrain.sim.route_tables import PathRow
from drivetrain.sim.spawning.base import Replacing, Spawn
from drivetrain.sim.spawning.chains import Chains
from drivetrain.sim.spawning.styles import Styles
from drivetrain.types import AgentKind, Agents, Array, Bodies, Errand, Key, State, by_row, component, replace


@component
class Anywhere(Replacing):
    """On the middle of a lane, more or less, at any speed up to its limit; a first goal lies at least `least` ahead."""

    rounds: int = 16  # of drawing places when a scene begins
    gap: float = 4.0  # m, that bodies' circles keep from each other
    headway: float = 1.0  # s, that the faster of two has besides
    top_speed: float = 12.0  # m/s, to begin with
    length: tuple[float, float] = (4.0, 5.2)  # m, of bodies; wheels are 0.6 of it apart
    width: tuple[float, float] = (1.7, 2.1)  # m; nobody is wider than long
    aside: float = 0.3  # m from the middle of the lane, at most
    askew: float = 0.05  # rad, at most
    least: float = 10.0  # m to the first goal
    chains: Chains | None = None  # goals anywhere on the map; None: along the drive
    styles: Styles | None = None  # what sets agents apart; None: nothing

    def __call__(self, bank: Bank, episode: Index, key: Key) -> Spawn:
        """Everyone who finds a place in so many rounds. The key is split once a round."""
        count, map_ = bank.episodes.track.shape[1], bank.episodes.map[episode]
        first = replace(jax.tree.map(jnp.zeros_like, self._drawn(bank, map_, count, key)), controlled=jnp.arange(count))

        def again(spawn: Spawn, key: Key) -> tuple[Spawn, None]:
            return self._more(bank, map_, spawn, key), None

        return jax.lax.scan(again, first, jax.random.split(key, self.rounds))[0]

    def again(self, bank: Bank, state: State, key: Key) -> Spawn:
        """Whoever is not alive and finds a place, now; a scene whose lights have come to their end begins them anew."""
        drawn = self._drawn(bank, bank.episodes.map[state.episode], len(state.alive), key)
        clear = self._clear(drawn, state.agents, state.bodies, ~state.alive)
        over = state.time >= bank.logs.steps[bank.episodes.log[state.episode]] - 1
        return _with(drawn, clear, jnp.where(over, 0, state.time))

    def _more(self, bank: Bank, map_: Int[Array, ""], spawn: Spawn, key: Key) -> Spawn:
        """A scene with more agents in it."""
        drawn = self._drawn(bank, map_, len(spawn.alive), key)
        clear = self._clear(drawn, spawn.agents, spawn.bodies, ~spawn.alive)
        return replace(by_row(clear, _with(drawn, clear, spawn.time), spawn), time=spawn.time)  # which is no row

    def _clear(self, drawn: Spawn, agents: Agents, bodies: Bodies, wanted: Bool[Array, "C"]) -> Bool[Array, "C"]:
        """Who wants a place and has one that is clear of everybody there, and of the places of those before it."""

        def near(other: Agents, its: Bodies) -> Bool[Array, "C A"]:
            away = jnp.linalg.norm(drawn.agents.position[:, None] - other.position, axis=-1)
            fastest = jnp.maximum(_speed(drawn.agents)[:, None], _speed(other))
            room = 0.5 * (drawn.bodies.length[:, None] + its.length)
            return away < room + self.gap + self.headway * fastest

        before = jnp.tri(len(wanted), k=-1, dtype=bool) & wanted
        taken = jnp.any(near(agents, bodies) & agents.valid, axis=1)
        return wanted & drawn.alive & ~taken & ~jnp.any(near(drawn.agents, drawn.bodies) & before, axis=1)

    def _drawn(self, bank: Bank, map_: Int[Array, ""], count: int, key: Key) -> Spawn:
        """A place and an errand for each of so many agents, clear or not. The key is split once an agent."""
        each = len(bank.routes.map) // len(bank.roads.size)

        def one(key: Key) -> tuple:
            keys = jax.random.split(key, 4)
            route = map_ * each + jax.random.randint(keys[0], (), 0, each)
            goals = goals_of(bank, route)
            arcs = goals[:, GoalRow.ARC]
            last = jnp.maximum(jnp.sum(jnp.isfinite(arcs)) - 1, 0)
            span = goals[last, GoalRow.STATION] - goals[0, GoalRow.STATION]
            share, pace, length, width, aside, askew = jax.random.uniform(keys[1], (6,))
            station = (goals[0, GoalRow.STATION] + share * 0.9 * span).astype(jnp.int32)
            lane = reference_window(bank, route, station, 0, 0)[0][:, 0]
            along = lane[PathRow.COS : PathRow.SIN + 1]
            normal = jnp.stack([-along[1], along[0]])
            angle = self.askew * (2.0 * askew - 1.0)
            heading = rotate(along, jnp.stack([jnp.cos(angle), jnp.sin(angle)]))
            limit = lane[PathRow.LIMIT]
            speed = pace * jnp.minimum(self.top_speed, jnp.where(limit > 0.0, limit, self.top_speed))
            position = lane[PathRow.CENTRE_X : PathRow.CENTRE_Y + 1] + self.aside * (2.0 * aside - 1.0) * normal
            goal = jnp.clip(jnp.sum(arcs < lane[PathRow.ARC] + self.least), 1, last)
            long, wide = _between(self.length, length), _between(self.width, width)
            errand, can = Errand(goal=goal, since=jnp.int32(0)), jnp.asarray(True)
            if self.chains is not None:
                errand, can = self.chains.draw(bank, map_, position, heading, keys[2])
            traits = None if self.styles is None else self.styles.draw(keys[3])
            return (
                traits,
                route,
                station,
                errand,
                can,
                position,
                heading,
                speed * heading,
                long,
                jnp.minimum(wide, long),
            )

        keys = jax.random.split(key, count)
        traits, route, station, errand, can, position, heading, velocity, length, width = jax.vmap(one)(keys)
        height = None if bank.routes.height is None else jnp.zeros(count)
        return Spawn(
            time=jnp.zeros((), jnp.int32),
            agents=Agents(position, heading, velocity, can, height),
            bodies=Bodies(length, width, jnp.full(count, AgentKind.CAR, jnp.int32)),
            controlled=jnp.arange(count),
            alive=can,
            later=Placement(position, heading, velocity, jnp.zeros(count, bool)),
            route=route,
            cursor=station,
            traits=traits,
            errand=errand,
        )


def _with(drawn: Spawn, clear: Bool[Array, "C"], time: Int[Array, ""]) -> Spawn:
    """What was drawn, of those whose place is clear."""
    return replace(drawn, time=time, alive=clear, agents=replace(drawn.agents, valid=clear))


def _speed(agents: Agents) -> Float[Array, "A"]:
    return jnp.linalg.norm(agents.velocity, axis=-1)


def _between(ends: tuple[float, float], share: Float[Array, ""]) -> Float[Array, ""]:
    return ends[0] + (ends[1] - ends[0]) * share
