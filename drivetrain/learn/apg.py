"""Analytic policy gradients: learning through the dynamics, from trajectories without actions (arXiv 2409.07965).

    gather    the policy drives an episode, put back on its log now and then; by what its actions were drawn
    prepare   where the log has each agent next; slopes of the margins' costs
    loss      distance of each pose to the log, its gradient through the dynamics of the last steps

What an agent sees is data, and so is its pose every `horizon` steps: a gradient reaches the action through at most so
many steps of the dynamics (one in the paper), and earlier sights through the policy's memory alone. As poses and sights
are data, a batch may be learnt from again. `sighted` lets nothing be data but the log: gradients flow through the whole
drive, what is seen included.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Sequences, by_sequence, cut, unroll
from drivetrain.learn.margin_costs import MarginCosts, Slope
from drivetrain.policy.base import Policy, first_memory, remembers
from drivetrain.policy.mixture import spans
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Body, Pose
from drivetrain.sim.reading import Placement, record_of
from drivetrain.sim.simulator import distance_to_log, movers, put_on_log, recorded
from drivetrain.types import Array, InputError, Key, Reached, Segment, State, Transition, component, record


@record
class Drive:
    """Sequences of what was driven, and what was recorded ([N, L])."""

    steps: Sequences  # in the place of actions, the key data by which they are drawn
    pose: Pose  # before each step
    body: Body
    anchored: Bool[Array, "*N L"]  # the pose is data here
    target: Placement  # after each step
    cost: Float[Array, "*N L"]  # of the margins after each step
    slope: Slope
    begun: State | None  # [N]: the scene before the first step, where the whole drive is gone back through


@record
class ApgGathered:
    """Sums over one episode."""

    steps: Float[Array, ""]  # agent steps
    error: Float[Array, ""]  # distance to the log after each step, m
    snapped: Float[Array, ""]  # agent steps put back because they were too far from the log


@record
class ApgFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    position: Float[Array, ""]  # distance to the log after a step, m
    velocity: Float[Array, ""]  # m/s
    effort: Float[Array, ""]  # square of the action, spans
    cost: Float[Array, ""]  # of the margins


@component
class Apg(Algorithm):
    """Hyper-parameters. The paper: horizon 1, ten steps of warm-up at 10 Hz; its resets are not published."""

    longest: int = 40  # steps of the longest episode
    horizon: int = 1  # steps of the dynamics that a gradient goes back through
    sighted: bool = False  # … all of them, and what is seen as well; of one controlled agent
    warmup: int = 0  # steps at the start in which agents are on the log, and nothing is learnt
    reset_every: int = 10  # steps until all are put back on the log, at first; 0: never
    reset_doubling: int = 0  # updates in which that doubles; 0: it stays
    snap: float = 5.0  # ξ, m: who is farther from the log than this is put back at once
    knee: float = 1.0  # m: errors are squared up to here, linear beyond (Huber 1964)
    heading_price: float = 2.0  # m that weigh like a radian
    velocity_price: float = 0.5  # m that weigh like 1 m/s
    effort: float = 1e-3  # price of the square of an action, spans: brings those back that do nothing
    rematerialise: bool = False  # steps are computed again on the way back, instead of kept
    margin_price: float = 0.0  # of `costs`: reward gradients; 0: none
    costs: MarginCosts = MarginCosts()

    def steps(self) -> int:
        """A whole episode."""
        return self.longest

    def open(self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key) -> Key:
        """The key: every episode is driven from its start."""
        if self.sighted and bank.episodes.track.shape[1] > 1:
            raise InputError("sighted: goes back through one controlled agent alone (use a horizon)")
        return key

    def gather(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Key, version: Int[Array, ""]
    ) -> tuple[Key, Segment, ApgGathered]:
        """Drive one episode to its recording's end, whatever fails. The key is split in three."""
        key, draw, drive = jax.random.split(carry, 3)
        first = env.reset(bank, jax.random.choice(draw, episodes), jax.random.fold_in(draw, 1))
        agents, stretch = first.alive.shape[0], self.stretch(version)
        nothing = jnp.zeros(agents)

        def step(now: tuple[State, Any], number: Array):
            state, memory = now
            far = distance_to_log(bank, state) > self.snap
            due = (number < self.warmup) | (number % stretch == 0)
            state = put_on_log(bank, env.dynamics, state, far | due)
            observation = env.observe(bank, state)
            keys = jax.random.split(jax.random.fold_in(drive, number), agents)
            distribution, value, memory = jax.vmap(policy)(observation, memory, keys)
            action = jax.vmap(lambda d, key: d.path(key))(distribution, keys)
            after, _ = env.step(bank, state, jax.vmap(env.dynamics.limit)(action))
            over = after.time >= bank.episodes.last[after.episode]
            transition = Transition(
                state=state,
                observation=observation,
                action=jax.random.key_data(keys),
                log_prob=nothing,
                value=value,
                reward=nothing,
                terminated=state.alive & over,
                truncated=jnp.zeros_like(state.alive),
                mask=state.alive & recorded(bank, state, 1).valid & (number >= self.warmup),
                fresh=jnp.broadcast_to(number == 0, state.alive.shape),
                reached=Reached(after, ()),
            )
            counted = jnp.where(transition.mask, jnp.stack([distance_to_log(bank, after), far * ~due * 1.0]), 0.0)
            return (retire(after, transition.terminated), memory), (transition, jnp.sum(counted, axis=1))

        memory = first_memory(policy, agents)
        (final, last), (steps, counted) = jax.lax.scan(step, (first, memory), jnp.arange(self.longest))
        record = jnp.broadcast_to(record_of(bank, first.episode), (self.longest, 2))
        segment = Segment(steps, memory, Reached(final, last), jax.random.key_data(drive), jnp.asarray(version), record)
        error, snapped = jnp.sum(counted, axis=0)
        return key, segment, ApgGathered(jnp.sum(steps.mask, dtype=jnp.float32), error, snapped)

    def stretch(self, version: Int[Array, ""]) -> Int[Array, ""]:
        """Steps between two resets to the log, after so many updates."""
        if not self.reset_every:
            return jnp.asarray(self.longest)
        grown = self.reset_every * 2.0 ** (version / self.reset_doubling if self.reset_doubling else 0.0)
        return jnp.minimum(jnp.asarray(grown, jnp.float32), self.longest).astype(jnp.int32)

    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Drive:
        """Sequences of one scene; whole ones where a gradient goes back further than a step. The key is not used."""
        window = segment.steps
        whole = remembers(policy) or self.horizon > 1 or self.sighted
        (pose, body), agents = jax.vmap(movers)(window.state), window.mask.shape[1]
        assert window.reached is not None
        arrived = jax.vmap(movers)(window.reached.state)[0].position
        placed = jnp.any(pose.position[1:] != arrived[:-1], axis=-1)
        anchored = jnp.concatenate([jnp.ones((1, agents), bool), placed])
        if not self.sighted:
            anchored |= (jnp.arange(self.longest) % self.horizon == 0)[:, None]
        cost, slope = self._costs(bank, window)
        rows = pose, body, anchored, jax.vmap(lambda state: recorded(bank, state, 1))(window.state), cost, slope
        begun = jax.tree.map(lambda leaf: leaf[:1], window.state) if self.sighted else None
        return Drive(cut(policy, segment, whole), *by_sequence(rows, whole), begun)

    def _costs(self, bank: Bank, window: Transition) -> tuple[Float[Array, "T C"], Slope]:
        """Costs of the margins after each step; zeros where they have no price."""
        if not self.margin_price:
            nothing = jnp.zeros((*window.mask.shape, 2))
            return nothing[..., 0], Slope(nothing, nothing)
        assert window.reached is not None
        return jax.lax.map(lambda now: self.costs(bank, *now), (window.state, window.reached.state))

    def loss(
        self, env: Env, policy: Policy, bank: Bank, batch: Drive, moments: tuple[()], key: Key
    ) -> tuple[Float[Array, ""], ApgFigures]:
        """Mean distance to the log over the steps of some sequences, and its figures."""
        if self.sighted:
            seen = _seen(env, policy, bank, self.rematerialise)
            action, pose, velocity = jax.vmap(seen)(batch)
        else:

            def drawn(policy: Policy) -> Float[Array, "N L width"]:
                return unroll(policy, batch.steps, key, lambda d, draw: d.path(jax.random.wrap_key_data(draw)))[0]

            action = (jax.checkpoint(drawn) if self.rematerialise else drawn)(policy)
            pose, velocity = jax.vmap(lambda row, action: _moved(env, bank, row, action))(batch, action)
        mask, target = batch.steps.mask, batch.target
        total = jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)

        def mean(rows: Float[Array, "N L"]) -> Array:
            return jnp.sum(jnp.where(mask, rows, 0.0)) / total

        def short(away: Float[Array, "N L 2"], price: float = 1.0) -> Float[Array, "N L"]:
            away = jnp.where(mask[..., None], away, 0.0)
            return jnp.sum(optax.huber_loss(price * away, delta=self.knee), axis=-1)

        away, faster = pose.position - target.position, velocity - target.velocity
        distance = short(away) + short(pose.heading - target.heading, self.heading_price)
        distance += short(faster, self.velocity_price)
        effort = jnp.sum((action / jnp.asarray(spans(env.dynamics))) ** 2, axis=-1)
        loss = mean(distance) + self.effort * mean(effort)
        if self.margin_price:
            loss += self.margin_price * mean(batch.cost + _risen(pose.position, batch.slope.position))
            loss += self.margin_price * mean(_risen(pose.heading, batch.slope.heading))
        figures = ApgFigures(loss, mean(_length(away)), mean(_length(faster)), mean(effort), mean(batch.cost))
        return loss, jax.tree.map(jax.lax.stop_gradient, figures)

    def describe(self, gathered: ApgGathered) -> dict[str, float]:
        """How far from the log was driven."""
        steps = max(float(gathered.steps), 1.0)
        return {"driven_error": float(gathered.error) / steps, "snapped_share": float(gathered.snapped) / steps}


def _moved(env: Env, bank: Bank, row: Drive, action: Float[Array, "L width"]) -> tuple[Pose, Float[Array, "L 2"]]:
    """Poses and velocities after each step of one sequence, from its own actions; poses are data where anchored."""

    def step(pose: Pose, now: tuple[Array, Pose, Body, Array]):
        anchored, data, body, action = now
        pose = jax.tree.map(lambda data, own: jnp.where(anchored, data, own), data, pose)
        after, velocity = env.dynamics.forward(pose, body, action, bank.dt)
        return after, (after, velocity)

    first = jax.tree.map(lambda leaf: leaf[0], row.pose)
    return jax.lax.scan(step, first, (row.anchored, row.pose, row.body, action))[1]


Seen = tuple[Float[Array, "L width"], Pose, Float[Array, "L 2"]]
"""Actions, and poses and velocities after each step."""


def _seen(env: Env, policy: Policy, bank: Bank, rematerialise: bool) -> Callable[[Drive], Seen]:
    """What drives one sequence anew, gradients flowing everywhere."""

    def step(now: tuple[State, Any], given: tuple[Array, Key]):
        (state, memory), (anchored, key) = now, given
        state = put_on_log(bank, env.dynamics, state, anchored[None])
        seen = jax.tree.map(lambda leaf: leaf[0], env.observe(bank, state))
        distribution, _, memory = policy(seen, memory, key)
        action = distribution.path(key)
        after, _ = env.step(bank, state, env.dynamics.limit(action)[None])
        pose = jax.tree.map(lambda leaf: leaf[0], movers(after)[0])
        return (after, memory), (action, pose, after.agents.velocity[after.controlled[0]])

    def whole(row: Drive) -> Seen:
        assert row.begun is not None
        body = jax.checkpoint(step) if rematerialise else step
        keys = jax.random.wrap_key_data(jnp.asarray(row.steps.action))
        return jax.lax.scan(body, (row.begun, policy.initial_memory()), (row.anchored, keys))[1]

    return whole


def _risen(rows: Float[Array, "N L 2"], slope: Float[Array, "N L 2"]) -> Float[Array, "N L"]:
    """Zeros, with a slope."""
    return jnp.sum((rows - jax.lax.stop_gradient(rows)) * slope, axis=-1)


def _length(rows: Float[Array, "N L 2"]) -> Float[Array, "N L"]:
    return jnp.linalg.norm(jax.lax.stop_gradient(rows), axis=-1)
