"""From a batch to a better policy: in parts as at once, by two learners as by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from approach import Approach, Numbers, Point, Telling, numbers, point
from policies import ENV, NOWHERE, Recurrent, glimpse, recurrent

from drivetrain.learn.algorithm import Sequences
from drivetrain.learn.loop import Attempts, Loop
from drivetrain.learn.ppo import Experience, Ppo
from drivetrain.learn.update import Learning, Optimiser, apply, gradient, learn
from drivetrain.types import InputError, replace

KEY = jax.random.key(0)
COLUMNS = (5, 3)


# ----------------------------------------------------------------------------------------------------------- optimiser


def test_schedule_rises_then_falls_to_the_share_that_is_left():
    rate = Optimiser(learning_rate=1.0, warmup=10, steps=110, final=0.1).schedule()
    assert float(rate(0)) == pytest.approx(0.1)
    assert float(rate(10)) == pytest.approx(1.0)
    assert float(rate(60)) == pytest.approx(0.55)
    assert float(rate(110)) == pytest.approx(0.1)
    assert float(rate(1000)) == pytest.approx(0.1)


def test_rate_is_constant_by_default():
    rate = Optimiser(learning_rate=0.3).schedule()
    assert float(rate(0)) == float(rate(10_000)) == pytest.approx(0.3)


def test_steps_down_the_gradient_reach_the_minimum():
    optimiser = Optimiser(learning_rate=0.05)
    policy, state = point(), optimiser.transform().init(point())
    step = jax.jit(
        lambda policy, state: apply(optimiser, policy, state, jax.grad(lambda p: jnp.sum(p.place**2))(policy))
    )
    for _ in range(200):
        policy, state = step(policy, state)
    assert float(jnp.abs(policy.place).max()) < 0.1


def test_decay_pulls_at_matrices_alone():
    optimiser = Optimiser(learning_rate=0.1, weight_decay=0.5)
    policy, _ = apply(optimiser, point(), optimiser.transform().init(point()), jax.tree.map(jnp.zeros_like, point()))
    np.testing.assert_allclose(policy.weight, 0.95)
    np.testing.assert_array_equal(policy.place, point().place)


def test_a_gradient_is_clipped_by_its_norm():
    slope = Point(jnp.array([30.0, 0.0]), jnp.full((2, 2), 20.0))  # norm 50
    optimiser = Optimiser(learning_rate=1e3, clip=0.5, epsilon=1e3)  # so large that the step is the gradient itself
    nothing = jax.tree.map(jnp.zeros_like, point())
    policy, _ = apply(optimiser, nothing, optimiser.transform().init(nothing), slope)
    np.testing.assert_allclose(policy.place, [-0.3, 0.0], rtol=1e-3)
    np.testing.assert_allclose(policy.weight, -0.2, rtol=1e-3)


# ------------------------------------------------------------------------------------------------------------ gradient


def batch_of(units: int, scenes: int, length: int, policy: Recurrent) -> Experience:
    """Experience [units, scenes, L], drawn; a third of it masked."""
    draw = np.random.default_rng(7)
    rows = (units, scenes, length)
    ego = jnp.asarray(draw.normal(size=(*rows, 2)), jnp.float32)
    seen = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*rows, *leaf.shape)), glimpse(0.0, 0.0))
    observation = jax.tree.unflatten(jax.tree.structure(seen), [ego, *jax.tree.leaves(seen)[1:]])
    action = np.stack([draw.integers(count, size=rows) for count in COLUMNS], axis=-1)
    steps = Sequences(
        observation=observation,
        memory=jnp.broadcast_to(policy.first, (units, scenes, 4)),
        fresh=jnp.asarray(draw.random(rows) < 0.2),
        action=jnp.asarray(action, jnp.int32),
        mask=jnp.asarray(draw.random(rows) < 0.7),
    )
    return Experience(steps, *(jnp.asarray(draw.normal(size=rows) - less, jnp.float32) for less in (2.0, 0.0, 0.0)))


def same(one, two):
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def policy():
    return recurrent(KEY, columns=COLUMNS)


@pytest.mark.parametrize(("length", "part"), [(1, 3), (1, 7), (4, 4), (4, 12)])
def test_a_gradient_in_parts_is_the_gradient_at_once(policy, length, part):
    """Parts of some steps each, unlike in what their masks count, of a minibatch in an order of its own."""
    batch, units = batch_of(8, 3, length, policy), jnp.array([5, 0, 3, 7, 2, 6])

    def slope(part):
        learning = Learning(Ppo(), part=part)
        return jax.jit(lambda policy: gradient(learning, ENV, policy, NOWHERE, batch, units, KEY))(policy)

    assert len(units) * 3 * length // part > 1
    same(slope(part), slope(10_000))


def test_the_gradient_is_that_of_the_mean_loss_over_what_the_mask_counts(policy):
    batch = batch_of(6, 3, 4, policy)
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)
    ppo = Ppo()
    plain = jax.jit(jax.grad(lambda p: ppo.loss(ENV, p, NOWHERE, flat, ppo.moments(flat, lambda tree: tree), KEY)[0]))(
        policy
    )
    slope, _ = jax.jit(lambda p: gradient(Learning(ppo), ENV, p, NOWHERE, batch, jnp.arange(6), KEY))(policy)
    same(slope, plain)


def test_the_mean_over_two_learners_is_that_of_one_with_all_scenes(policy):
    """Each has half of the scenes, and unlike many steps in them; moments and gradient are over both."""
    batch, units, learning = batch_of(6, 4, 2, policy), jnp.arange(6), Learning(Ppo(), part=8)
    assert batch.steps.mask[:, :2].sum() != batch.steps.mask[:, 2:].sum()
    whole = jax.jit(lambda policy: gradient(learning, ENV, policy, NOWHERE, batch, units, KEY))(policy)

    def total(tree):
        return jax.lax.psum(tree, "learners")

    halves = jax.tree.map(lambda leaf: jnp.stack([leaf[:, :2], leaf[:, 2:]]), batch)
    of_half = jax.vmap(
        lambda half: gradient(learning, ENV, policy, NOWHERE, half, units, KEY, total), axis_name="learners"
    )
    both = jax.jit(of_half)(halves)
    for learner in range(2):
        same(jax.tree.map(lambda leaf, row=learner: leaf[row], both), whole)


# --------------------------------------------------------------------------------------------------------------- learn


@pytest.mark.parametrize(("length", "minibatches"), [(1, 4), (1, 1), (3, 2)])
def test_passes_see_everything_once_each_and_reach_the_mean(length, minibatches):
    batch = numbers(8, 3, length)
    learning = Learning(Approach(), Optimiser(learning_rate=1.0), epochs=60, minibatches=minibatches)
    state = learning.optimiser.transform().init(point())
    policy, state, figures = jax.jit(lambda p, s: learn(learning, ENV, p, s, NOWHERE, batch, KEY))(point(), state)
    assert float(figures.target) == pytest.approx(float(batch.target.mean()), rel=1e-4)
    assert float(figures.square) == pytest.approx(float(jnp.mean(batch.target**2)), rel=1e-4)
    assert 0.3 < float(figures.draw) < 0.7  # the mean of many draws: a new key a minibatch
    assert float(policy.place[0]) == pytest.approx(float(batch.target.mean()), abs=4.0)
    np.testing.assert_array_equal(policy.weight, point().weight)
    assert int(state[1][0].count) == 60 * minibatches


def test_nothing_to_learn_changes_nothing():
    batch = numbers(4, 2)
    nothing = jax.tree.unflatten(
        jax.tree.structure(batch),
        [leaf if leaf.dtype != bool else jnp.zeros_like(leaf) for leaf in jax.tree.leaves(batch)],
    )
    learning = Learning(Approach(), Optimiser(learning_rate=0.3))
    state = learning.optimiser.transform().init(point())
    policy, _, figures = jax.jit(lambda p, s: learn(learning, ENV, p, s, NOWHERE, nothing, KEY))(point(), state)
    jax.tree.map(np.testing.assert_array_equal, policy, point())
    assert float(figures.target) == 0.0


@pytest.mark.parametrize(("length", "scenes"), [(1, 4), (3, 2)])
def test_of_what_was_gathered_the_share_of_the_highest_priority_is_learnt(length, scenes):
    """Every second sequence is masked, so the half that is kept holds the others, all of them, once a pass."""
    batch = numbers(8, scenes, length)
    kept = jnp.arange(8 * scenes).reshape(8, scenes, 1) % 2 == 1
    batch = Numbers(replace(batch.steps, mask=batch.steps.mask & kept), jnp.where(kept, batch.target, 1e6))
    half = Learning(Telling(), Optimiser(learning_rate=0.1), epochs=3, minibatches=2, kept=0.5)
    state = half.optimiser.transform().init(point())
    _, state, figures = jax.jit(lambda p, s: learn(half, ENV, p, s, NOWHERE, batch, KEY))(point(), state)
    told = np.asarray(batch.target)[np.broadcast_to(kept, batch.target.shape)]
    assert float(figures.target) == pytest.approx(told.mean(), rel=1e-5)
    assert float(figures.square) == pytest.approx((told**2).mean(), rel=1e-5)
    assert int(state[1][0].count) == 6

    quarter = replace(half, kept=0.25)
    _, _, figures = jax.jit(lambda p, s: learn(quarter, ENV, p, s, NOWHERE, batch, KEY))(point(), state)
    last = told.reshape(-1, length)[-len(told) // (2 * length) :]
    assert float(figures.target) == pytest.approx(last.mean(), rel=1e-5)


@pytest.mark.parametrize("kept", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(kept):
    with pytest.raises(InputError, match="kept: "):
        Learning(kept=kept)


def test_an_algorithm_without_priorities_learns_from_everything():
    learning = Learning(Approach(), kept=0.5)
    state = learning.optimiser.transform().init(point())
    with pytest.raises(InputError, match="kept: Approach learns from all"):
        learn(learning, ENV, point(), state, NOWHERE, numbers(4, 2), KEY)


@pytest.mark.parametrize("algorithm", [Ppo(), Loop()])
def test_large_advantages_of_either_sign_come_first_and_masked_steps_last(algorithm, policy):
    drawn = batch_of(4, 3, 2, policy)
    drawn = replace(drawn, steps=replace(drawn.steps, mask=drawn.steps.mask.at[0, 0].set(False)))
    batch = (
        drawn if isinstance(algorithm, Ppo) else Attempts(drawn.steps, drawn.log_prob, drawn.advantage, drawn.advantage)
    )
    size = np.where(drawn.steps.mask, np.abs(drawn.advantage), -1.0).max(-1)
    np.testing.assert_allclose(algorithm.priority(batch), size)
    assert size[0, 0] == -1.0
