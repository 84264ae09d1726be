"""One scene: how it starts, and one step of it. Pure functions; batch with `jax.vmap`, roll with `jax.lax.scan`."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Body, Dynamics, Pose
from drivetrain.sim.placing import begun_on, gone_on
from drivetrain.sim.reading import Index, Placement, lights_at, logged, reference_window, route_height
from drivetrain.sim.route_tables import PathRow
from drivetrain.sim.spawning.base import Replacing, Spawn, Spawning
from drivetrain.sim.spawning.log import FromLog
from drivetrain.sim.traffic.base import Traffic
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import Agents, Array, Key, Motion, State, by_row, replace

BACK, ON = 4, 12
"""Stations behind and ahead of the last cursor among which the next is sought: 24 m a step is 120 m/s at 5 Hz."""


def reset(
    bank: Bank,
    dynamics: Dynamics,
    episode: Index,
    key: Key,
    traffic: Traffic = Replay(),  # noqa: B008 - frozen
    spawning: Spawning = FromLog(),  # noqa: B008 - frozen
) -> State:
    """The first state of an episode, to be gone on with under the same rules. The key is the spawning rule's alone."""
    spawn = spawning(bank, episode, key)
    motion, cursor, along = _begun(bank, dynamics, spawn)
    return State(
        episode=jnp.asarray(episode, jnp.int32),
        time=spawn.time,
        agents=_raised(bank, spawn.agents, spawn.controlled, spawn.route, cursor),
        bodies=spawn.bodies,
        lights=lights_at(bank, episode, spawn.time),
        controlled=spawn.controlled,
        alive=spawn.alive,
        motion=motion,
        route=spawn.route,
        cursor=cursor,
        arc_length=along,
        stopped=jnp.zeros((len(spawn.alive), bank.lines.kind.shape[1]), bool),
        traffic=traffic.start(bank, episode, spawn.time),
        traits=spawn.traits,
        errand=spawn.errand,
        place=begun_on(bank, episode, spawn),
    )


def renew(
    bank: Bank, dynamics: Dynamics, spawning: Replacing, state: State, key: Key
) -> tuple[State, Bool[Array, "C"]]:
    """The same moment with others in place of some agents that are not alive, and who is new. Consumes the key."""
    spawn = spawning.again(bank, state, key)
    motion, cursor, along = _begun(bank, dynamics, spawn)
    row = jnp.where(spawn.alive, state.controlled, len(state.agents.valid))  # who is not new is written nowhere

    def put(old: Array, new: Array) -> Array:
        return jnp.asarray(old).at[row].set(new[state.controlled], mode="drop")

    place = begun_on(bank, state.episode, spawn)
    mine = (motion, spawn.route, cursor, along, jnp.zeros_like(state.stopped), spawn.traits, spawn.errand, place)
    had = (state.motion, state.route, state.cursor, state.arc_length, state.stopped)
    had += (state.traits, state.errand, state.place)
    motion, route, cursor, along, stopped, traits, errand, place = by_row(spawn.alive, mine, had)
    agents = jax.tree.map(put, state.agents, replace(spawn.agents, height=state.agents.height))
    state = replace(
        state,
        time=spawn.time,
        agents=_raised(bank, agents, state.controlled, route, cursor),
        bodies=jax.tree.map(put, state.bodies, spawn.bodies),
        alive=state.alive | spawn.alive,
        motion=motion,
        route=route,
        cursor=cursor,
        arc_length=along,
        stopped=stopped,
        traits=traits,
        errand=errand,
        place=place,
    )
    return state, spawn.alive


def _begun(bank: Bank, dynamics: Dynamics, spawn: Spawn) -> tuple[Motion, Int[Array, "C"], Float[Array, "C"]]:
    """How those controlled [C] move at first, and where they are on their routes."""
    agents, bodies, me = spawn.agents, spawn.bodies, spawn.controlled
    now = jax.vmap(Placement)(agents.position[me], agents.heading[me], agents.velocity[me], agents.valid[me])
    scales = None if spawn.traits is None else spawn.traits.scales
    body = jax.vmap(Body)(bodies.length[me], bodies.kind[me], scales)
    cursor, along = jax.vmap(advance, (None, 0, 0, 0))(bank, spawn.route, spawn.cursor, now.position)
    return jax.vmap(dynamics.start, (0, 0, 0, None))(now, spawn.later, body, bank.dt), cursor, along


def step(bank: Bank, dynamics: Dynamics, traffic: Traffic, state: State, action: Float[Array, "C width"]) -> State:
    """The state one step later: traffic by its rule, controlled agents by the dynamics, lights by the log.

    A controlled agent is there as long as it is alive, also where its own record has ended; one that is not alive is
    gone, and stays where it was. What has been stopped for is left to the events.
    """
    others, memory = traffic(bank, state)
    before, bodies = movers(state)
    pose, velocity = jax.vmap(dynamics.forward, (0, 0, 0, None))(before, bodies, action, bank.dt)

    after = _moved(bank, state, others, pose, velocity, state.alive)
    return replace(after, time=state.time + 1, lights=lights_at(bank, state.episode, state.time + 1), traffic=memory)


def put_on_log(bank: Bank, dynamics: Dynamics, state: State, where: Bool[Array, "C"]) -> State:
    """The same moment with some controlled agents where the log has them now, moving as it has them move.

    Those that are not alive, or that the log has not, stay as they are.
    """
    body, now, later = movers(state)[1], recorded(bank, state), recorded(bank, state, 1)
    motion = jax.vmap(dynamics.start, (0, 0, 0, None))(now, later, body, bank.dt)
    pose = jax.vmap(Pose)(now.position, now.heading, motion)
    return _moved(bank, state, state.agents, pose, now.velocity, where & state.alive & now.valid)


def _moved(
    bank: Bank, state: State, others: Agents, pose: Pose, velocity: Float[Array, "C 2"], which: Bool[Array, "C"]
) -> State:
    """Some controlled agents at new poses among others; those that are not named stay where they were."""
    pose = by_row(which, pose, movers(state)[0])
    velocity = by_row(which, velocity, state.agents.velocity[state.controlled])
    # Padding (−1) is written beyond the end, which drops it.
    row = jnp.where(state.controlled < 0, len(state.agents.valid), state.controlled)
    agents = Agents(
        position=jnp.asarray(others.position).at[row].set(pose.position, mode="drop"),
        heading=jnp.asarray(others.heading).at[row].set(pose.heading, mode="drop"),
        velocity=jnp.asarray(others.velocity).at[row].set(velocity, mode="drop"),
        valid=jnp.asarray(others.valid).at[row].set(state.alive, mode="drop"),
        height=others.height,
    )
    cursor, along = jax.vmap(advance, (None, 0, 0, 0))(bank, state.route, state.cursor, pose.position)
    cursor = by_row(which, cursor, state.cursor)
    return replace(
        state,
        agents=_raised(bank, agents, state.controlled, state.route, cursor),
        motion=pose.motion,
        cursor=cursor,
        arc_length=by_row(which, along, state.arc_length),
        place=by_row(which, gone_on(bank, state, pose.position, pose.heading), state.place),
    )


def _raised(
    bank: Bank, agents: Agents, controlled: Int[Array, "C"], route: Int[Array, "C"], cursor: Int[Array, "C"]
) -> Agents:
    """The agents, those controlled as high as the stations of their routes; unchanged where there are no levels."""
    if agents.height is None or bank.routes.height is None:
        return agents
    own = jax.vmap(route_height, (None, 0, 0))(bank, route, cursor)
    row = jnp.where(controlled < 0, len(agents.valid), controlled)
    return replace(agents, height=jnp.asarray(agents.height).at[row].set(own, mode="drop"))


def movers(state: State) -> tuple[Pose, Body]:
    """The controlled agents [C] as their dynamics see them."""
    me, agents, bodies = state.controlled, state.agents, state.bodies
    pose = jax.vmap(Pose)(agents.position[me], agents.heading[me], state.motion)
    scales = None if state.traits is None else state.traits.scales
    return pose, jax.vmap(Body)(bodies.length[me], bodies.kind[me], scales)


def recorded(bank: Bank, state: State, on: int = 0) -> Placement:
    """Where the log has each controlled agent [C] so many steps on."""
    return jax.vmap(lambda c: logged(bank, state.episode, c, state.time + on))(jnp.arange(state.alive.shape[0]))


def distance_to_log(bank: Bank, state: State) -> Float[Array, "C"]:
    """From each controlled agent to where the log has it now, m; 0 where it has it nowhere."""
    now, column = recorded(bank, state), jnp.maximum(state.controlled, 0)
    return jnp.where(now.valid, jnp.linalg.norm(state.agents.position[column] - now.position, axis=-1), 0.0)


def advance(
    bank: Bank, route: Index, cursor: Index, position: Float[Array, "2"]
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """The station of a route nearest to an agent, sought around the last, and the metres along the route.

    Between stations, the agent is projected on the recorded lane's heading; also before the first and beyond the last.
    """
    rows, exists = reference_window(bank, route, cursor, BACK, ON)
    x, y = position[0] - rows[PathRow.CENTRE_X], position[1] - rows[PathRow.CENTRE_Y]
    best = jnp.where(jnp.any(exists), jnp.argmin(jnp.where(exists, x * x + y * y, jnp.inf)), BACK)
    nearest = jnp.maximum(cursor + best - BACK, 0).astype(jnp.int32)
    beyond = x * rows[PathRow.COS] + y * rows[PathRow.SIN]
    return nearest, (rows[PathRow.ARC] + beyond)[best]
