"""One process, one device: gather and update fused in one jitted program.

clone_epoch   one pass over the demonstrations, shuffled
improve       one window of rollout in every scene, then passes of PPO over it
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from drivetrain.env import Env
from drivetrain.fleet.run import Cloning, Improvement, Run
from drivetrain.learn.bc import Bc, BcFigures, Demonstration, GatherFigures
from drivetrain.learn.ppo import PpoFigures
from drivetrain.learn.update import TrainState, descend
from drivetrain.policy.perceiver import Perceiver
from drivetrain.rollout import Carry, Figures, Memory, Others, rollout, start
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Key, record

CHUNK = 64
"""Episodes or batches computed at once outside the update: bounds memory, changes no figure."""


def make_policy(run: Run, key: Key) -> Perceiver:
    """A run's policy before training. The key is consumed."""
    actions = tuple(len(values) for values in run.env.dynamics.grid())
    return Perceiver(run.policy, run.env.observer.widths, actions, key)


# -------------------------------------------------------------------------------------------------------------- cloning


def demonstrate(env: Env, bank: Bank, bc: Bc) -> tuple[Demonstration, dict[str, float]]:
    """The expert's drive of every episode of a bank, without padding, and how well it followed its log."""
    steps = int(np.max(np.asarray(bank.episodes.last) - np.asarray(bank.episodes.first)))
    demonstrations, total = _gathered(env, bank, bc, steps, len(bank.episodes.map))
    return jax.tree.map(jnp.asarray, demonstrations), tracking(total)


def demonstrate_bank(
    env: Env, bank: Bank, bc: Bc, steps: int, episodes: int | None = None
) -> tuple[Demonstration, Int[Array, ""], GatherFigures]:
    """The same of a bank that is one of many: as many rows as its `episodes` of `steps` steps could fill.

    Gives the demonstrations, known ones first; how many they are; and the figures of each episode.
    """
    rows = len(bank.episodes.map) * steps
    known, total = _gathered(env, bank, bc, steps, len(bank.episodes.map) if episodes is None else episodes)
    count = len(known.mask)
    filled = jax.tree.map(lambda leaf: jnp.asarray(leaf[np.minimum(np.arange(rows), count - 1)]), known)
    mask = jnp.arange(rows) < count
    shown = Demonstration(filled.state, filled.agent, filled.action, filled.target, mask)
    return shown, jnp.asarray(count, jnp.int32), total


def _gathered(env: Env, bank: Bank, bc: Bc, steps: int, count: int) -> tuple[Demonstration, GatherFigures]:
    """Demonstrations of the first `count` episodes without padding, and the figures of each (NumPy)."""
    parts, sums = [], []
    for first in range(0, count, CHUNK):
        episodes = jnp.minimum(jnp.arange(first, first + CHUNK), count - 1)
        batch, figures = _demonstrate(env, bc, steps, bank, episodes)
        known = np.asarray(batch.mask) & (np.arange(first, first + CHUNK) < count)[:, None]
        parts.append(jax.tree.map(lambda leaf, known=known: np.asarray(leaf)[known], batch))
        sums.append(jax.tree.map(lambda leaf, known=known: np.asarray(leaf)[known.any(axis=1)], figures))
    return tuple(jax.tree.map(lambda *leaves: np.concatenate(leaves), *all_) for all_ in (parts, sums))


def tracking(total: GatherFigures) -> dict[str, float]:
    """How well the expert followed its log, of figures [E]."""
    return {
        "steps": float(total.steps.sum()),
        "clipped_share": float(total.clipped.sum() / total.steps.sum()),
        "failed_episodes": float(total.ended.sum()),
        "tracking_error_mean": float(total.error.sum() / total.steps.sum()),
        "tracking_error_max": float(total.worst.max()),
    }


@partial(jax.jit, static_argnames=("env", "bc", "steps"))
def _demonstrate(
    env: Env, bc: Bc, steps: int, bank: Bank, episodes: Int[Array, "E"]
) -> tuple[Demonstration, GatherFigures]:
    return jax.vmap(lambda episode: bc.gather(env, bank, episode, steps))(episodes)


@partial(jax.jit, static_argnames=("env", "cloning"), donate_argnames=("train",))
def clone_epoch(
    env: Env, cloning: Cloning, bank: Bank, train: TrainState, demonstrations: Demonstration
) -> tuple[TrainState, BcFigures]:
    """One pass over the demonstrations in a new order; figures are means over its batches.

    The key of `train` is split: one for the order, one carried on. What does not fill a batch waits for another order.
    """
    order, key = jax.random.split(train.key)
    count = demonstrations.mask.shape[0]
    batch = min(cloning.batch, count)
    rows = jax.random.permutation(order, count)[: count // batch * batch].reshape(-1, batch)

    def step(train: TrainState, rows: Int[Array, "batch"]) -> tuple[TrainState, BcFigures]:
        part = jax.tree.map(lambda leaf: leaf[rows], demonstrations)
        train, figures, _ = descend(
            cloning.optimiser, train, lambda policy, key: cloning.loss.loss(env, bank, policy, part, key)
        )
        return train, figures

    train, figures = jax.lax.scan(step, TrainState(train.policy, train.optimiser, train.step, key), rows)
    return train, jax.tree.map(lambda rows: jnp.mean(rows, axis=0), figures)


@partial(jax.jit, static_argnames=("env", "bc", "batch"))
def clone_loss(
    env: Env, bc: Bc, batch: int, bank: Bank, policy: eqx.Module, demonstrations: Demonstration
) -> BcFigures:
    """Figures of a policy on demonstrations that it does not learn from: means over all of them."""
    count = demonstrations.mask.shape[0]
    batch = min(batch, count)
    rows = jnp.arange(-(-count // batch) * batch).reshape(-1, batch)

    def part(rows: Int[Array, "batch"]) -> tuple[BcFigures, Float[Array, ""]]:
        some = _some(demonstrations, rows)
        return bc.loss(env, bank, policy, some, jax.random.key(0))[1], jnp.sum(some.mask, dtype=jnp.float32)

    figures, weight = jax.lax.map(part, rows)
    return jax.tree.map(lambda rows: jnp.tensordot(weight, rows, 1) / jnp.sum(weight), figures)


def _some(demonstrations: Demonstration, rows: Int[Array, "batch"]) -> Demonstration:
    """Rows of demonstrations; those beyond the last are padding."""
    count = demonstrations.mask.shape[0]
    some: Demonstration = jax.tree.map(lambda leaf: leaf[jnp.minimum(rows, count - 1)], demonstrations)
    return Demonstration(some.state, some.agent, some.action, some.target, some.mask & (rows < count))


@partial(jax.jit, static_argnames=("env", "cloning"), donate_argnames=("train",))
def clone_bank(
    env: Env, cloning: Cloning, bank: Bank, train: TrainState, shown: Demonstration, known: Int[Array, ""]
) -> tuple[TrainState, BcFigures]:
    """`clone_epoch` on the first `known` of the demonstrations: one program, however many a bank has.

    At least one batch is learnt from; it has padding where fewer are known.
    """
    order, key = jax.random.split(train.key)
    count = shown.mask.shape[0]
    unknown = jnp.arange(count) >= known
    rows = jnp.argsort(jax.random.uniform(order, (count,)) + unknown)  # the known ones first, shuffled

    def step(turn: Array, carry: tuple[TrainState, BcFigures]) -> tuple[TrainState, BcFigures]:
        train, sums = carry
        at = turn * cloning.batch + jnp.arange(cloning.batch)
        part = _some(shown, jnp.where(at < count, rows[jnp.minimum(at, count - 1)], count))
        train, figures, _ = descend(
            cloning.optimiser, train, lambda policy, key: cloning.loss.loss(env, bank, policy, part, key)
        )
        return train, jax.tree.map(jnp.add, sums, figures)

    train = TrainState(train.policy, train.optimiser, train.step, key)
    batches = jnp.maximum(known // cloning.batch, 1)
    train, sums = jax.lax.fori_loop(0, batches, step, (train, _no_figures(env, bank, cloning.loss, train, shown)))
    return train, jax.tree.map(lambda total: total / batches, sums)


@partial(jax.jit, static_argnames=("env", "bc", "batch"))
def clone_sums(
    env: Env, bc: Bc, batch: int, bank: Bank, policy: eqx.Module, shown: Demonstration, known: Int[Array, ""]
) -> BcFigures:
    """`clone_loss` of the first `known` demonstrations, as sums over them."""

    def step(turn: Array, sums: BcFigures) -> BcFigures:
        some = _some(shown, turn * batch + jnp.arange(batch))
        figures = bc.loss(env, bank, policy, some, jax.random.key(0))[1]
        return jax.tree.map(lambda total, mean: total + mean * jnp.sum(some.mask), sums, figures)

    train = TrainState(policy, (), jnp.asarray(0), jax.random.key(0))
    return jax.lax.fori_loop(0, -(-known // batch), step, _no_figures(env, bank, bc, train, shown))


def _no_figures(env: Env, bank: Bank, bc: Bc, train: TrainState, shown: Demonstration) -> BcFigures:
    """Figures that are zero, in their shapes."""
    shape = jax.eval_shape(lambda: bc.loss(env, bank, train.policy, _some(shown, jnp.arange(1)), train.key)[1])
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)


# ---------------------------------------------------------------------------------------------------------- improvement


@record
class Learner:
    """What reinforcement learning carries from update to update."""

    train: TrainState
    carry: Carry  # [scenes]


def open_scenes(env: Env, bank: Bank, scenes: int, episodes: Int[Array, "E"], key: Key, memory: Memory = ()) -> Carry:
    """Scenes at the start of episodes of their own ([scenes]). The key is split once a scene.

    Where others drive too, `memory` is a tuple: the learner's first memory, then theirs.
    """
    return jax.vmap(lambda key: start(env, bank, episodes, key, memory))(jax.random.split(key, scenes))


@partial(jax.jit, static_argnames=("env", "improvement"), donate_argnames=("learner",))
def improve(
    env: Env,
    improvement: Improvement,
    bank: Bank,
    learner: Learner,
    episodes: Int[Array, "E"],
    others: Others | None = None,
) -> tuple[Learner, Figures, PpoFigures]:
    """One update: every scene drives a window, V-trace weighs it, and PPO passes over it in shuffled minibatches.

    With `others`, they drive the agents that they are given, frozen, and the policy learns of its own alone.
    Figures of the rollout are sums over the scenes, those of PPO means over its steps. The key of the training state is
    split in three: for `prepare`, for the orders of the passes, and the one carried on.
    """
    policy = learner.train.policy
    carry, window, driven = jax.vmap(
        lambda carry: rollout(env, bank, policy, carry, improvement.window, episodes, others)  # type: ignore[arg-type]
    )(learner.carry)
    prepare_key, order_key, key = jax.random.split(learner.train.key, 3)
    experience = jax.vmap(lambda window, final, key: improvement.loss.prepare(env, bank, policy, window, final, key))(
        window, carry.state, jax.random.split(prepare_key, improvement.scenes)
    )
    experience = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), experience)
    rows = _orders(order_key, experience.mask.shape[0], improvement)

    def step(train: TrainState, rows: Int[Array, "batch"]) -> tuple[TrainState, PpoFigures]:
        batch = jax.tree.map(lambda leaf: leaf[rows], experience)
        train, figures, _ = descend(
            improvement.optimiser, train, lambda policy, key: improvement.loss.loss(env, bank, policy, batch, key)
        )
        return train, figures

    train = TrainState(learner.train.policy, learner.train.optimiser, learner.train.step, key)
    train, learnt = jax.lax.scan(step, train, rows)
    totals = jax.tree.map(lambda rows: jnp.sum(rows, axis=0), driven)
    return Learner(train, carry), totals, jax.tree.map(lambda rows: jnp.mean(rows, axis=0), learnt)


def _orders(key: Key, count: int, improvement: Improvement) -> Int[Array, "passes batch"]:
    """Rows of every minibatch of every pass."""
    keys = jax.random.split(key, improvement.epochs)
    orders = jax.vmap(lambda key: jax.random.permutation(key, count))(keys)
    return orders.reshape(improvement.epochs * improvement.minibatches, -1)


def scalars(figures: Any) -> dict[str, float]:
    """A record of figures by name; one with a value for each action column gives `name_0`, `name_1`, …"""
    found = {}
    for name in type(figures).__dataclass_fields__:
        value = np.asarray(getattr(figures, name), np.float64)
        if value.ndim == 0:
            found[name] = float(value)
        else:
            found |= {f"{name}_{column}": float(part) for column, part in enumerate(value)}
    return found
