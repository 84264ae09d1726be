"""Behavioural cloning of policy and value (arXiv 2312.15122, section on pre-training).

    gather   the expert drives the simulator: the inverse of the dynamics tracks the log from where the agent *is*
    loss     −log π of the expert's grid action + value_scale · (V − G)²

G is the discounted return of the replayed log under the reward and the ending of RL: the critic starts where RL needs
it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.ending import retire
from drivetrain.env import Env
from drivetrain.learn.returns import discounted_returns, explained_variance
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import action_at, nearest
from drivetrain.sim.reading import logged
from drivetrain.sim.simulator import movers
from drivetrain.types import Array, Key, State, component, record


@record
class Demonstration:
    """One step of the expert: the scene before it, which agent, its grid action, and the return that followed."""

    state: State
    agent: Int[Array, "*N"]  # 0 .. C - 1
    action: Int[Array, "*N width"]
    target: Float[Array, "*N"]  # discounted return
    mask: Bool[Array, "*N"]  # False: padding, or after the end


@record
class GatherFigures:
    """Sums over one episode: how well the simulator could follow its log."""

    steps: Float[Array, ""]  # agent steps
    clipped: Float[Array, ""]  # of them, beyond the limits of the dynamics
    ended: Float[Array, ""]  # agents that ended before the recording did
    error: Float[Array, ""]  # distance to the log after each step, m
    worst: Float[Array, ""]  # the largest of them (a maximum, not a sum)


@record
class BcFigures:
    """Means over a batch."""

    loss: Float[Array, ""]
    nll: Float[Array, "width"]  # −log π of each action column, without smoothing
    accuracy: Float[Array, "width"]  # the mode is the expert's
    value_error: Float[Array, ""]  # mean square
    explained: Float[Array, ""]  # share of the return's variance that the value explains


@component
class Bc:
    """Hyper-parameters. The paper: value scale 1e-4, batch 32768, learning rate 2e-3, 20 epochs; the rest is ours."""

    discount: float = 0.97  # per step: γ of RL
    value_scale: float = 1e-4
    smoothing: float = 0.0  # probability that the target gives to the two neighbouring values of each column
    horizon: int = 6  # steps of the log that the inverse tracks at once

    def gather(
        self, env: Env, bank: Bank, episode: Int[Array, ""] | int, steps: int
    ) -> tuple[Demonstration, GatherFigures]:
        """Drive one episode as its log did, on the policy's grid: demonstrations [steps · C].

        `steps` should cover the longest episode: a return is cut where they end.
        """

        def step(state: State, _: None):
            wanted = expert_actions(env, bank, state, self.horizon)
            grid = env.dynamics.grid()
            index = jax.vmap(lambda row: nearest(grid, row))(wanted)
            after, events = env.step(bank, state, jax.vmap(lambda row: action_at(grid, row))(index))
            terminated, truncated = env.endings(bank, after, events)
            ended = terminated | truncated
            reward = env.rewards(bank, events, state.traits)
            clipped = jnp.any(jnp.abs(jax.vmap(env.dynamics.limit)(wanted) - wanted) > 1e-6, axis=-1)
            error = _distance_to_log(bank, after)
            early = ended & (after.time < bank.episodes.last[after.episode])
            return retire(after, ended), (state, index, reward, ended, state.alive, clipped, error, early)

        first = env.reset(bank, episode, jax.random.key(0))
        _, (state, action, reward, ended, mask, clipped, error, early) = jax.lax.scan(step, first, None, length=steps)
        discount = self.discount * (mask & ~ended)
        target = jax.vmap(discounted_returns, in_axes=1, out_axes=1)(reward * mask, discount)
        agents = first.alive.shape[0]
        batch = Demonstration(
            state=jax.tree.map(lambda leaf: jnp.repeat(leaf, agents, axis=0), state),
            agent=jnp.tile(jnp.arange(agents), steps),
            action=action.reshape(steps * agents, -1),
            target=target.reshape(-1),
            mask=mask.reshape(-1),
        )
        figures = GatherFigures(
            steps=jnp.sum(mask, dtype=jnp.float32),
            clipped=jnp.sum(mask & clipped, dtype=jnp.float32),
            ended=jnp.sum(mask & early, dtype=jnp.float32),
            error=jnp.sum(jnp.where(mask, error, 0.0)),
            worst=jnp.max(jnp.where(mask, error, 0.0)),
        )
        return batch, figures

    def loss(
        self, env: Env, bank: Bank, policy: eqx.Module, batch: Demonstration, key: Key
    ) -> tuple[Float[Array, ""], BcFigures]:
        """Mean loss of a batch of N demonstrations and its figures. The key is split once a demonstration."""
        keys = jax.random.split(key, batch.mask.shape[0])
        nll, smooth, hit, value = jax.vmap(lambda row, k: self._terms(env, bank, policy, row, k))(batch, keys)
        weight = batch.mask.astype(jnp.float32)
        total = jnp.maximum(jnp.sum(weight), 1.0)

        def mean(x: Array) -> Array:
            return weight @ x / total

        value_error = mean((value - batch.target) ** 2)
        loss = mean(jnp.sum(smooth, axis=-1)) + self.value_scale * value_error
        explained = explained_variance(value, batch.target, weight)
        return loss, BcFigures(loss, mean(nll), mean(hit), value_error, explained)

    def _terms(self, env: Env, bank: Bank, policy: eqx.Module, row: Demonstration, key: Key):
        """Of one demonstration: −log π of each column, the same smoothed, whether the mode is right, and the value."""
        distribution, value, _ = policy(env.observer(bank, row.state, row.agent), (), key)  # type: ignore[operator]
        nll, smooth = [], []
        for log, index in zip(distribution.log_probabilities, row.action, strict=True):
            around = log[jnp.clip(index + jnp.array([-1, 0, 1]), 0, log.shape[0] - 1)]
            share = 0.5 * self.smoothing
            nll.append(-around[1])
            smooth.append(-(share * around[0] + (1.0 - self.smoothing) * around[1] + share * around[2]))
        hit = (distribution.mode() == row.action).astype(jnp.float32)
        return jnp.stack(nll), jnp.stack(smooth), hit, value


def expert_actions(env: Env, bank: Bank, state: State, horizon: int) -> Float[Array, "C width"]:
    """The actions, not limited, that bring each controlled agent back to its log over the next `horizon` steps."""
    later, agents = state.time + 1 + jnp.arange(horizon), jnp.arange(state.alive.shape[0])
    targets = jax.vmap(lambda c: jax.vmap(lambda time: logged(bank, state.episode, c, time))(later))(agents)
    return jax.vmap(env.dynamics.inverse, (0, 0, 0, None))(*movers(state), targets, bank.dt)


def _distance_to_log(bank: Bank, state: State) -> Float[Array, "C"]:
    def one(c: Array) -> Array:
        target = logged(bank, state.episode, c, state.time)
        offset = state.agents.position[jnp.maximum(state.controlled[c], 0)] - target.position
        return jnp.where(target.valid, jnp.linalg.norm(offset), 0.0)

    return jax.vmap(one)(jnp.arange(state.alive.shape[0]))
