"""From a batch to a better policy: passes of minibatches, each a gradient, then a step down it.

    learn → for every minibatch: gradient (in parts that fit a cache; summed over all learners) → apply

What lies between the two is all that learners exchange.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float, Int

from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Batch, Figures, T, Total, seen
from drivetrain.learn.league import League
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.threshold import Sieve, Threshold
from drivetrain.policy.anchored import Anchored
from drivetrain.policy.base import Policy
from drivetrain.policy.separate import Pair
from drivetrain.policy.taught import Taught
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Key, State, component, replace

CACHED = 128
"""Steps whose gradient is taken at once on a CPU: their activations stay in a core's cache."""
BLOCKS = 8
"""Where a threshold says how much of a minibatch there is, and nothing how much is taken at once: parts of it, those
that are full run.
"""


@component
class Optimiser:
    """AdamW after clipping the gradient's norm; the rate rises over `warmup` steps and falls as a cosine to `steps`."""

    learning_rate: float = 5.6e-5  # Zoox's rate for RL; 2e-3 for BC
    warmup: int = 0
    steps: int = 0  # 0: constant after the warm-up
    final: float = 0.0  # share of the rate that is left after `steps`
    weight_decay: float = 0.0
    clip: float = 1.0  # of the gradient's global norm
    apart: bool = (
        False  # the norms of the actor and of the critic are clipped each for itself, where they are `Separate`
    )
    beta2: float = 0.999
    epsilon: float = 1e-8

    def schedule(self) -> optax.Schedule:
        """Learning rate by step."""
        rate = optax.constant_schedule(self.learning_rate)
        if self.steps:
            rate = optax.cosine_decay_schedule(self.learning_rate, max(self.steps - self.warmup, 1), self.final)
        if not self.warmup:
            return rate
        rise = optax.linear_schedule(self.learning_rate / self.warmup, self.learning_rate, self.warmup)
        return optax.join_schedules([rise, rate], [self.warmup])

    def transform(self) -> optax.GradientTransformation:
        """The optax transformation."""
        adam = optax.adamw(
            self.schedule(), b2=self.beta2, eps=self.epsilon, weight_decay=self.weight_decay, mask=_is_matrix
        )
        clip = optax.clip_by_global_norm(self.clip)
        if self.apart:
            clip = optax.partition({True: clip, False: optax.clip_by_global_norm(self.clip)}, _of_actor)
        return optax.chain(clip, adam)


def _is_matrix(tree: Any) -> Any:
    """Decay pulls at weights, not at biases and scales, nor at an anchor or a teacher."""
    pulled = jax.tree.map(lambda leaf: leaf.ndim > 1, tree)
    if isinstance(tree, Taught):
        return Taught(pulled.policy, jax.tree.map(lambda _: False, tree.teacher))
    if isinstance(tree, Anchored):
        return Anchored(pulled.policy, jax.tree.map(lambda _: False, tree.anchor))
    return pulled


def _of_actor(tree: Any) -> Any:
    """True for the actor's leaves, False for the critic's."""
    if isinstance(tree, Taught):
        return Taught(_of_actor(tree.policy), jax.tree.map(lambda _: True, tree.teacher))
    if isinstance(tree, Anchored):
        return Anchored(_of_actor(tree.policy), jax.tree.map(lambda _: True, tree.anchor))
    if not isinstance(tree, Pair):
        raise InputError("apart: actor and critic are one network (build them with Separate, or leave it out)")
    return Pair(jax.tree.map(lambda _: True, tree.actor), jax.tree.map(lambda _: False, tree.critic))


@component
class Learning:
    """An algorithm, and how its losses are gone down."""

    algorithm: Algorithm = Ppo()
    optimiser: Optimiser = Optimiser()
    scenes: int = 128  # gathered from at once, by all learners together
    kept: float = 1.0  # share of what was gathered that is learnt from: that of the highest priority
    threshold: Threshold = Threshold()  # by which more or less is learnt from, instead
    rebuilt: bool = False  # observations are not stored but made anew of the states, once per scene and step
    epochs: int = 1  # passes over it
    minibatches: int = 4  # of a pass
    league: League = League()  # past policies among the scenes' drivers
    averaging: float = 0.0  # share of the running mean of policies that outlives an update; 0: none is kept
    part: int = 0  # steps whose gradient is taken at once; 0: `CACHED` on a CPU, else all

    def __post_init__(self):
        if not 0.0 < self.kept <= 1.0:
            raise InputError(f"kept: {self.kept} (a share above 0, at most 1)")
        if self.threshold and self.kept < 1.0:
            raise InputError(f"kept: {self.kept} beside a threshold (set it to 1, or threshold.share to 0)")

    def at_once(self) -> int:
        """Steps whose gradient is taken at once; 0: all of a minibatch."""
        return self.part or (CACHED if jax.default_backend() == "cpu" else 0)


def alone(tree: T) -> T:
    """The sum over the only learner there is."""
    return tree


def learn(
    learning: Learning,
    env: Env,
    policy: Policy,
    optimiser: Any,
    bank: Bank,
    batch: Batch,
    key: Key,
    total: Total = alone,
    sieve: Sieve | tuple[()] = (),
    states: State | tuple[()] = (),
) -> tuple[Policy, Any, Figures]:
    """All passes over a batch [N, scenes]: the policy and the optimiser's state after them, means of the figures.

    Minibatches are drawn by *units*: single steps of all scenes at once, which lie side by side in memory and are
    hardly alike, or else single sequences. Where less than all is kept, they are dealt out anew; what a sieve lets
    through is drawn by single sequences. A batch without observations is shown those of the states [T, scenes]. The key
    is split: one for the orders of the passes (folded: for what is kept), one for the losses.
    """
    order_key, loss_key = jax.random.split(key)
    if batch.steps.mask.shape[2] > 1:
        batch = jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), batch)
    if learning.kept < 1.0:
        batch = foremost(learning, batch, jax.random.fold_in(order_key, 0))
    if isinstance(sieve, Sieve):
        batch = jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), batch)
        left = learning.threshold.left(sieve, learning.algorithm.priority(batch)[:, 0])
        units, filled = _orders_of(order_key, left, learning)
    else:
        units, filled = _orders(order_key, batch.steps.mask.shape[0], learning), None

    def step(carry: tuple[Policy, Any], now: tuple[Array, Array | None, Key]) -> tuple[tuple[Policy, Any], Figures]:
        units, filled, key = now
        slope, figures = gradient(learning, env, carry[0], bank, batch, units, key, total, filled, states)
        return apply(learning.optimiser, *carry, slope), figures

    (policy, optimiser), figures = jax.lax.scan(
        step, (policy, optimiser), (units, filled, jax.random.split(loss_key, units.shape[0]))
    )
    return policy, optimiser, jax.tree.map(lambda means: jnp.mean(means, axis=0), figures)


def foremost(learning: Learning, batch: Batch, key: Key) -> Batch:
    """The share of a batch's sequences that has the highest priority, dealt out by the key to units of the same size.

    The filter of advantages of Gigaflow (arXiv 2502.03349, algorithm 1), by rank instead of by a threshold, so that
    shapes stand. Each learner keeps that share of its own.
    """
    priority = learning.algorithm.priority(batch)
    units, of_unit = priority.shape
    count = max(round(learning.kept * units), 1)
    chosen = jax.lax.top_k(priority.reshape(-1), count * of_unit)[1]
    chosen = jax.random.permutation(key, chosen).reshape(count, of_unit)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], batch)


def gradient(
    learning: Learning,
    env: Env,
    policy: Policy,
    bank: Bank,
    batch: Batch,
    units: Int[Array, "n"],
    key: Key,
    total: Total = alone,
    filled: Int[Array, ""] | None = None,
    states: State | tuple[()] = (),
) -> tuple[Policy, Figures]:
    """The slope of the mean loss over some units of a batch [units, …], of all learners, and means of its figures.

    It is summed over parts that fit a cache, each weighed by the steps that its mask counts. Only the first `filled` of
    the units count, where that is given, and only parts that have some of them are run: learners may differ in how
    many. The key is split, one for each part.
    """
    algorithm, of_unit = learning.algorithm, batch.steps.mask.shape[1] * batch.steps.mask.shape[2]
    each = _at_once(learning, len(units), of_unit, filled is not None)
    units = jnp.pad(units, (0, -len(units) % each))
    moments = algorithm.moments(_taken(batch, units, filled), total)
    keys = jax.random.split(key, len(units) // each)

    def of_part(now: tuple[Int[Array, "part"], Int[Array, ""], Key]) -> tuple[Float[Array, ""], Policy, Figures]:
        part = _taken(batch, now[0], None if filled is None else filled - now[1])
        weight = jnp.sum(part.steps.mask, dtype=jnp.float32)
        part = seen(env, bank, part, states)

        def loss(policy: Policy) -> tuple[Array, Figures]:
            mean, figures = algorithm.loss(env, policy, bank, part, moments, now[2])
            return weight * mean, jax.tree.map(lambda figure: weight * figure, figures)

        (_, figures), slope = jax.value_and_grad(loss, has_aux=True)(policy)
        return weight, slope, figures

    parts = units.reshape(-1, each), each * jnp.arange(len(keys)), keys
    if len(keys) == 1:
        sums = of_part(jax.tree.map(lambda leaf: leaf[0], parts))
    else:
        first = jax.eval_shape(of_part, jax.tree.map(lambda leaf: leaf[0], parts))
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), first)

        def add(number: Any, sums: Any) -> Any:
            return jax.tree.map(jnp.add, sums, of_part(jax.tree.map(lambda leaf: leaf[number], parts)))

        run = len(keys) if filled is None else (filled + each - 1) // each
        sums = jax.lax.fori_loop(0, run, add, nothing)
    weight, slope, figures = total(sums)
    weight = jnp.maximum(weight, 1.0)
    return jax.tree.map(lambda leaf: leaf / weight, slope), jax.tree.map(lambda leaf: leaf / weight, figures)


def apply(optimiser: Optimiser, policy: Policy, state: Any, slope: Policy) -> tuple[Policy, Any]:
    """One step of the optimiser: the policy after it, and the optimiser's state."""
    updates, state = optimiser.transform().update(slope, state, policy)  # type: ignore[arg-type]
    return optax.apply_updates(policy, updates), state  # type: ignore[return-value,arg-type]


def _taken(batch: Batch, units: Int[Array, "n"], filled: Int[Array, ""] | None = None) -> Batch:
    """The sequences of some units, one after the other, all or only the first of them unmasked.

    One unit is a slice, which nobody copies.
    """
    if len(units) == 1 and filled is None:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, units[0], 0, keepdims=False), batch)
    taken = jax.tree.map(lambda leaf: leaf[units].reshape(-1, *leaf.shape[2:]), batch)
    if filled is None:
        return taken
    mask = taken.steps.mask & (jnp.arange(len(units)) < filled)[:, None]
    return replace(taken, steps=replace(taken.steps, mask=mask))


def _at_once(learning: Learning, count: int, of_unit: int, some: bool) -> int:
    """Units of a minibatch of so many whose gradient is taken at once: a divisor, but where only some of them count."""
    each = learning.at_once() and min(max(learning.at_once() // of_unit, 1), count)
    if some:
        return each or -(-count // BLOCKS)
    return _divisor(count, each or count)


def _divisor(count: int, most: int) -> int:
    """The largest divisor of a count that is no larger than `most`."""
    return next(size for size in range(min(most, count), 0, -1) if count % size == 0)


def _orders(key: Key, count: int, learning: Learning) -> Int[Array, "minibatches units"]:
    """Units of every minibatch of every pass; what does not fill one waits for another order."""
    keys = jax.random.split(key, learning.epochs)
    size = max(count // learning.minibatches, 1)
    orders = jax.vmap(lambda key: jax.random.permutation(key, count))(keys)
    return orders[:, : count // size * size].reshape(-1, size)


def _orders_of(
    key: Key, left: Bool[Array, "count"], learning: Learning
) -> tuple[Int[Array, "minibatches units"], Int[Array, "minibatches"]]:
    """Those of the units that are left, shared out evenly, and how many of each minibatch's units are: its first ones.

    As many minibatches as ever, so that the optimiser's schedule stands; they are the smaller, the less is left.
    """
    count, minibatches = len(left), learning.minibatches
    there = jnp.sum(left, dtype=jnp.int32)
    size = (there + minibatches - 1) // minibatches
    first = jnp.minimum(size * jnp.arange(minibatches), there)
    filled = jnp.minimum(there - first, size)
    rows = jnp.minimum(first[:, None] + jnp.arange(-(-count // minibatches)), count - 1)

    def order(key: Key) -> Int[Array, "minibatches units"]:
        return jnp.argsort(jnp.where(left, jax.random.uniform(key, (count,)), 2.0))[rows]

    orders = jax.vmap(order)(jax.random.split(key, learning.epochs))
    return orders.reshape(-1, orders.shape[-1]), jnp.tile(filled, learning.epochs)
