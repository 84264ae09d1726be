"""One process: gather, prepare and learn fused in one jitted program, its scenes shared out among the devices."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Batch, Carry, Figures, TrainState, unseen
from drivetrain.learn.league import Ring
from drivetrain.learn.threshold import Sieve
from drivetrain.learn.update import Learning, learn
from drivetrain.parallel import check_even, learner, mesh, most, on_each, over_learners, shared_out, total
from drivetrain.policy.base import Policy
from drivetrain.rollout import Others
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Key, Segment, State, replace


def begin(
    env: Env, learning: Learning, policy: Policy, bank: Bank, episodes: Int[Array, "E"], keys: tuple[Key, Key]
) -> TrainState:
    """A stage before its first update. The first key opens the scenes, the second is carried.

    Raises `InputError` where the scenes cannot be shared out evenly among the devices, or dealt out to a league.
    """
    check_even(learning.scenes)
    learning.league.check(learning.scenes // mesh().size, bank.episodes.track.shape[1])

    def copy(tree: Any) -> Any:  # what is trained is donated
        return jax.tree.map(jnp.copy, tree)

    carry = _open(env, learning.algorithm, learning.scenes, policy, bank, episodes, keys[0])
    state = learning.optimiser.transform().init(policy)  # type: ignore[arg-type]
    count = jnp.zeros((), jnp.int32)
    return placed(
        TrainState(
            policy=copy(policy),
            average=copy(policy) if learning.averaging else (),
            past=learning.league.begin(policy),
            optimiser=state,
            sieve=learning.threshold.begin(),
            step=count,
            key=keys[1],
            carry=carry,
            best=copy(policy),
            best_score=jnp.asarray(jnp.inf),
            stale=jnp.zeros((), jnp.int32),
        )
    )


def placed(train: TrainState) -> TrainState:
    """The same on this process's devices: scenes shared out, all else on each."""
    carry = shared_out(train.carry)
    return replace(on_each(replace(train, carry=())), carry=carry)


@partial(jax.jit, static_argnames=("env", "algorithm", "scenes"))
def _open(
    env: Env, algorithm: Algorithm, scenes: int, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key
) -> Carry:
    """Scenes at their beginnings. The key is split once a scene."""
    keys = jax.random.split(key, scenes)
    return jax.vmap(lambda key: algorithm.open(env, policy, bank, episodes, key))(keys)


@partial(jax.jit, static_argnames=("env", "algorithm"))
def gather_window(
    env: Env,
    algorithm: Algorithm,
    bank: Bank,
    episodes: Int[Array, "E"],
    policy: Policy,
    version: Int[Array, ""],
    carry: Carry,
) -> tuple[Carry, Segment, Figures]:
    """What an actor does: a window of some scenes on one device; carries, segments and figures, [scenes]."""
    return jax.vmap(lambda carry: algorithm.gather(env, policy, bank, episodes, carry, version))(carry)


@partial(jax.jit, static_argnames=("env", "learning"), donate_argnames=("train",))
def update(
    env: Env, learning: Learning, bank: Bank, episodes: Int[Array, "E"], train: TrainState
) -> tuple[TrainState, Figures, Figures]:
    """Every scene is gathered from, and what it gave is learnt. Figures: sums over the scenes, means over the passes.

    The key of the training state is split in three: for `prepare`, for the passes, and the one carried on.
    """
    prepare_key, learn_key, key = jax.random.split(train.key, 3)

    def of_share(bank, episodes, policies, rest, version, learn_key, carry, keys):
        carry, batch, states, gathered = _gathered(env, learning, bank, episodes, policies, version, carry, keys)
        policy, rest, learnt = learn_share(env, learning, bank, batch, policies[0], rest, learn_key, states)
        gathered = total(jax.tree.map(lambda rows: jnp.sum(rows, axis=0), gathered))
        return policy, rest, carry, gathered, learnt

    run = over_learners(of_share, (False,) * 6 + (True, True), (False, False, True, False, False))
    keys, rest = jax.random.split(prepare_key, learning.scenes), (train.optimiser, train.sieve)
    policy, (optimiser, sieve), carry, gathered, learnt = run(
        bank, episodes, (train.policy, train.past), rest, train.step, learn_key, train.carry, keys
    )
    average = averaged(learning, train.average, policy)
    step = train.step + 1
    past = learning.league.after(train.past, policy, step)
    train = replace(
        train,
        policy=policy,
        average=average,
        past=past,
        optimiser=optimiser,
        sieve=sieve,
        step=step,
        key=key,
        carry=carry,
    )
    return train, gathered, learnt


def learn_share(
    env: Env,
    learning: Learning,
    bank: Bank,
    batch: Batch,
    policy: Policy,
    rest: tuple[Any, Sieve | tuple[()]],
    key: Key,
    states: State | tuple[()] = (),
) -> tuple[Policy, tuple[Any, Sieve | tuple[()]], Figures]:
    """One device's part in what all learn, inside of `over_learners`: its batch [N, scenes].

    Without its observations, that comes with the states of its windows [T, scenes].
    `rest` are the optimiser's state and the sieve. The key is folded with the learner's number.
    """
    optimiser, sieve = rest
    if isinstance(sieve, Sieve):
        sieve = learning.threshold.after(sieve, learning.algorithm.priority(batch), total, most)
    key = jax.random.fold_in(key, learner())
    policy, optimiser, learnt = learn(learning, env, policy, optimiser, bank, batch, key, total, sieve, states)
    return policy, (optimiser, sieve), learnt


def averaged(learning: Learning, average: Policy | tuple[()], policy: Policy) -> Policy | tuple[()]:
    """The running mean with another policy in it, where one is kept."""
    kept = learning.averaging
    if not kept:
        return average
    return jax.tree.map(lambda mean, new: kept * mean + (1.0 - kept) * new, average, policy)


def _gathered(
    env: Env,
    learning: Learning,
    bank: Bank,
    episodes: Int[Array, "E"],
    policies: tuple[Policy, Ring],
    version: Int[Array, ""],
    carry: Carry,
    keys: Key,
) -> tuple[Carry, Batch, State | tuple[()], Figures]:
    """What this device's scenes give: carries [scenes], a batch [N, scenes], states where observations are rebuilt
    [T, scenes], figures [scenes].

    `policies` are the present one, and the ring of those past. Scene s meets row s modulo the ring's size, wherever it
    runs; a past policy's weights are read where they are, and not copied for each scene.
    """
    (policy, past), algorithm, league = policies, learning.algorithm, learning.league

    def of_scene(carry: Carry, key: Key, other: Ring):
        given = env, policy, bank, episodes, carry, version
        if isinstance(other, Policy):
            others = Others(other, league.agents(bank.episodes.track.shape[1]))
            carry, segment, gathered = algorithm.gather_among(*given, others)
        else:
            carry, segment, gathered = algorithm.gather(*given)
        batch = algorithm.prepare(env, policy, bank, segment, key)
        return carry, (batch, segment.steps.state if learning.rebuilt else ()), gathered

    if not league:
        carry, shown, gathered = jax.vmap(of_scene, (0, 0, None), (0, 1, 0))(carry, keys, past)
    else:
        once_each = jax.vmap(of_scene, (0, 0, 0), (0, 1, 0))
        carry, keys = jax.tree.map(lambda leaf: leaf.reshape(-1, league.size, *leaf.shape[1:]), (carry, keys))
        carry, shown, gathered = jax.vmap(once_each, (0, 0, None), (0, 1, 0))(carry, keys, league.met(past, version))
        carry, gathered = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (carry, gathered))
        shown = jax.tree.map(lambda leaf: leaf.reshape(len(leaf), -1, *leaf.shape[3:]), shown)
    batch, states = shown
    if isinstance(states, State):
        batch = unseen(algorithm, policy, batch, states)
    return carry, batch, states, gathered


def losses_of_episode(
    env: Env, algorithm: Algorithm, bank: Bank, policy: Policy, row: Int[Array, ""]
) -> tuple[Float[Array, ""], Figures]:
    """What an algorithm says of a policy that does not learn: the steps of one episode, and means of its figures."""
    key = jax.random.fold_in(jax.random.key(0), row)
    carry = algorithm.open(env, policy, bank, row[None], key)
    _, segment, _ = algorithm.gather(env, policy, bank, row[None], carry, jnp.zeros((), jnp.int32))
    batch = algorithm.prepare(env, policy, bank, segment, key)
    _, figures = algorithm.loss(env, policy, bank, batch, algorithm.moments(batch, lambda tree: tree), key)
    return jnp.sum(batch.steps.mask, dtype=jnp.float32), figures


@partial(jax.jit, static_argnames=("env", "algorithm"))
def losses(
    env: Env, algorithm: Algorithm, bank: Bank, policy: Policy, rows: Int[Array, "E"], known: Float[Array, "E"]
) -> tuple[Float[Array, ""], Figures]:
    """The same of some episodes: their steps, and sums of figures.

    `known` is 0 for episodes that do not count, else 1; rows are shared out among the devices.
    """

    def of_share(bank, policy, rows, known):
        def of_episode(row: Array, known: Array):
            weight, figures = losses_of_episode(env, algorithm, bank, policy, row)
            weight = known * weight
            return weight, jax.tree.map(lambda figure: weight * figure, figures)

        sums = jax.vmap(of_episode)(rows, known)
        return total(jax.tree.map(lambda rows: jnp.sum(rows, axis=0), sums))

    return over_learners(of_share, (False, False, True, True), (False, False))(bank, policy, rows, known)
