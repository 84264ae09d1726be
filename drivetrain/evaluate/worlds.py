"""Self-play, judged: worlds in which one driver drives everyone, and their figures.

- `drive_worlds`: bank, driver → Lived; every world driven for so many steps, those who end replaced
- `summarise_worlds`: Lived → the object of `evaluation.json`
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.evaluate.intervals import apart, ratio
from drivetrain.observe.sight import Sight
from drivetrain.parallel import fetched, over_learners, shares
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.placing import next_goal
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.styles import MEDIAN
from drivetrain.types import Array, Events, Key, State, by_row, happened, record, replace

CAUSES = ("collision", "off_road", "off_route", "red_light", "stop_line")
"""Why a life ends before its time, the first that holds; else it arrived, or was late."""
INCIDENTS = ("collision", "off_road")
"""What kilometres are counted between."""
METHOD = "percentile bootstrap over worlds, 95 %"


@record
class Lived:
    """T moments of a world of C agents, in NumPy [worlds, T, …]: the state before each step, and what came of it."""

    position: Float[Array, "*w C 2"]
    heading: Float[Array, "*w C 2"]
    length: Float[Array, "*w C"]
    width: Float[Array, "*w C"]
    speed: Float[Array, "*w C"]
    arc_length: Float[Array, "*w C"]
    route: Int[Array, "*w C"]
    goal: Float[Array, "*w C 2"]  # where the next goal lies, m; NaN: nowhere
    lights: Int[Array, "*w S"]
    alive: Bool[Array, "*w C"]
    fresh: Bool[Array, "*w C"]  # a life begins here
    events: Events  # [C], of the step from here
    ended: Bool[Array, "*w C"]  # by the step from here


def as_judged(env: Env) -> Env:
    """The environment without what is there to learn from alone: all is seen as it is, all drive in one way."""
    if isinstance(env.observer, Sight) and env.observer.blur is not None:
        env = replace(env, observer=replace(env.observer, blur=None))
    if isinstance(env.spawning, Anywhere) and env.spawning.styles is not None:
        env = replace(env, spawning=replace(env.spawning, styles=MEDIAN))
    return env


def drive_worlds(env: Env, bank: Bank, driver: Driver, worlds: Int[np.ndarray, "n"], steps: int, key: Key) -> Lived:
    """Drive worlds (rows of the bank's episodes) for so many steps, as they are judged (`as_judged`).

    The key is folded with the place of each.
    """
    rows = np.resize(worlds, -(-len(worlds) // shares(1)) * shares(1)).astype(np.int32)
    lived = _drive(
        as_judged(env),
        bank,
        driver,
        jnp.asarray(rows),
        jax.vmap(lambda n: jax.random.fold_in(key, n))(np.arange(len(rows))),
        steps,
    )
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(worlds)], fetched(lived))


@eqx.filter_jit
def _drive(env: Env, bank: Bank, driver: Driver, worlds: Int[Array, "n"], keys: Key, steps: int) -> Lived:
    def one(bank: Bank, driver: Driver, world: Array, key: Key) -> Lived:
        env_ = driver.rules(env)
        first_key, key = jax.random.split(key)
        state = env_.reset(bank, world, first_key)
        memory = driver.initial_memory(state.alive.shape[0])

        def step(carry: tuple[State, Array, Memory], key: Key):
            state, fresh, memory = carry
            act_key, renew_key = jax.random.split(key)
            action, memory = driver(bank, state, env_.observe(bank, state), memory, act_key)
            after, events = env_.step(bank, state, action)
            terminated, truncated = env_.endings(bank, after, events)
            going, new = env_.renew(bank, retire(after, terminated | truncated), renew_key)
            first = driver.initial_memory(state.alive.shape[0])
            return (going, new, by_row(new, first, memory)), _moment(bank, state, fresh, events, terminated | truncated)

        return jax.lax.scan(step, (state, state.alive, memory), jax.random.split(key, steps))[1]

    return over_learners(jax.vmap(one, (None, None, 0, 0)), (False, False, True, True), True)(
        bank, driver, worlds, keys
    )


def _moment(bank: Bank, state: State, fresh: Array, events: Events, ended: Array) -> Lived:
    assert state.errand is not None
    goals = jax.vmap(next_goal, (None, None, 0, 0))
    goal = goals(bank, bank.episodes.map[state.episode], state.route, state.errand)
    return Lived(
        position=state.agents.position,
        heading=state.agents.heading,
        length=state.bodies.length,
        width=state.bodies.width,
        speed=state.motion.speed,
        arc_length=state.arc_length,
        route=state.route,
        goal=jnp.where(jnp.isfinite(goal), goal, jnp.nan),
        lights=state.lights,
        alive=state.alive,
        fresh=fresh,
        events=events,
        ended=ended,
    )


def of_agents(lived: Lived, columns: Int[np.ndarray, "n"]) -> Lived:
    """What some agents of each world lived ([w, T, C] → [w, T, n])."""

    def some(leaf: Array) -> np.ndarray:
        return np.asarray(leaf)[:, :, columns]

    of_each = {field.name: getattr(lived, field.name) for field in dataclasses.fields(lived) if field.name != "lights"}
    return Lived(lights=lived.lights, **jax.tree.map(some, of_each))


def causes(lived: Lived) -> dict[str, Bool[np.ndarray, "w T C"]]:
    """In which steps lives ended, by cause; each end has one."""
    left, found = np.asarray(lived.ended) & np.asarray(lived.alive), {}
    for name in CAUSES:
        found[name] = left & happened(np.asarray(getattr(lived.events, name)))
        left = left & ~found[name]
    found["arrived"] = left & (np.asarray(lived.events.goal) > 0.0)
    return found | {"late": left & ~found["arrived"]}


def summarise_worlds(lived: Lived, dt: float, seed: int) -> dict[str, object]:
    """Figures with intervals: goals reached of those whose outcome is known, and what happened a kilometre driven.

    A goal is missed by whoever's life ends before it. An agent that ends in a collision counts once, its counterpart
    too. Worlds are the clusters.
    """
    alive, sums, cluster = np.asarray(lived.alive), _sums(lived, dt), np.arange(len(lived.alive))
    figures: dict[str, object] = {name: ratio(*pair, cluster, seed).as_json() for name, pair in sums.items()}
    return figures | {
        "goals": int(sums["goals_reached"][0].sum()),
        "lives": {name: int(ended.sum()) for name, ended in causes(lived).items()},
        "agent_km": round(float(sums["collision_per_km"][1].sum()), 3),
        "agents": alive.shape[2],
        "worlds": len(alive),
        "seconds": round(alive.shape[1] * dt, 3),
        "interval": METHOD,
        "dt": round(float(dt), 6),
        "seed": seed,
    }


def compare_worlds(one: Lived, other: Lived, dt: float, seed: int) -> dict[str, object]:
    """Every figure of the one less that of the other, who lived in the same worlds: worlds are resampled for both."""
    pairs, cluster = (_sums(one, dt), _sums(other, dt)), np.arange(len(one.alive))
    return {name: apart(pair, pairs[1][name], cluster, seed).as_json() for name, pair in pairs[0].items()}


def _sums(lived: Lived, dt: float) -> dict[str, tuple[Float[np.ndarray, "w"], Float[np.ndarray, "w"]]]:
    """Of each world, what a figure counts and what of."""
    alive, worlds = np.asarray(lived.alive), len(lived.alive)

    def total(values: Array) -> np.ndarray:
        return np.where(alive, values, 0.0).reshape(worlds, -1).sum(axis=1)

    km = total(np.abs(np.asarray(lived.speed))) * dt / 1000.0
    goals = total(np.asarray(lived.events.goal))
    counts = {name: ended.reshape(worlds, -1).sum(axis=1).astype(float) for name, ended in causes(lived).items()}
    missed = np.sum([count for name, count in counts.items() if name != "arrived"], axis=0)
    incidents = np.sum([counts[name] for name in INCIDENTS], axis=0)
    return {
        "goals_reached": (goals, goals + missed),
        **{f"{name}_per_km": (counts[name], km) for name in (*CAUSES, "late")},
        "km_between_incidents": (km, incidents),
        "speed": (1000.0 * km, total(np.ones(alive.shape)) * dt),
    }
