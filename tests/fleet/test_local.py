"""The fused program: an update gathers, prepares and learns; what a mask leaves out is not learnt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.banks.part import Part
from drivetrain.fleet.local import begin, losses, update
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.types import replace


@pytest.fixture
def bank(run):
    return Part((run.data.dataset,), "train").whole.bank


def begun(run, stage, bank, seed=0):
    policy = run.policy.build(run.env, jax.random.key(seed))
    return begin(run.env, stage, policy, bank, jnp.arange(4), (jax.random.key(1), jax.random.key(2)))


def mean_loss(run, bank, policy, algorithm):
    weight, figures = losses(run.env, algorithm, bank, policy, jnp.arange(4), jnp.ones(4))
    return float(figures.loss) / float(weight), float(weight)


def test_cloning_lowers_the_loss_on_what_it_is_shown(run, bank):
    cloning = run.stages[0]
    train = begun(run, cloning, bank)
    before, steps = mean_loss(run, bank, train.policy, cloning.algorithm)
    assert steps == 4 * 24  # every step of every ego, and no padding
    for _ in range(12):
        train, gathered, learnt = update(run.env, cloning, bank, jnp.arange(4), train)
    after, _ = mean_loss(run, bank, train.policy, cloning.algorithm)
    assert after < 0.9 * before
    figures = cloning.algorithm.describe(gathered) | cloning.algorithm.describe_loss(learnt)
    assert np.isfinite(list(figures.values())).all()
    assert figures["expert_error_mean"] < 0.1  # m: cars at constant speed on a straight road are easy to follow
    assert figures["expert_failed_share"] == 0.0


def test_an_update_counts_its_steps_and_moves_the_policy(run, bank):
    stage = run.stages[1]
    train = begun(run, stage, bank)
    before, key = jax.tree.map(np.asarray, train.policy), jax.random.key_data(train.key)
    train, gathered, learnt = update(run.env, stage, bank, jnp.arange(4), train)
    assert float(gathered.steps) == stage.scenes * stage.algorithm.steps()
    assert int(train.step) == 1
    assert not np.array_equal(key, jax.random.key_data(train.key))
    moved = jax.tree.map(lambda new, old: float(np.abs(np.asarray(new) - old).max()), train.policy, before)
    assert max(jax.tree.leaves(moved)) > 0
    np.testing.assert_allclose(learnt.ratio, 1.0, atol=0.05)  # one pass: still nearly the policy that drove


def test_the_loss_of_all_counts_only_the_episodes_that_are_known(run, bank):
    algorithm = run.stages[0].algorithm
    policy = run.policy.build(run.env, jax.random.key(3))
    some = losses(run.env, algorithm, bank, policy, jnp.array([0, 1, 2]), jnp.ones(3))
    padded = losses(run.env, algorithm, bank, policy, jnp.array([0, 1, 2, 3]), jnp.array([1.0, 1.0, 1.0, 0.0]))
    assert float(some[0]) == float(padded[0]) == 3 * 24
    np.testing.assert_allclose(some[1].loss, padded[1].loss, rtol=1e-5)


class Blind:
    """A batch whose mask leaves out every step."""

    def prepare(self, env, policy, bank, segment, key):
        batch = super().prepare(env, policy, bank, segment, key)
        return replace(batch, steps=replace(batch.steps, mask=jnp.zeros_like(batch.steps.mask)))


class BlindBc(Blind, Bc):
    pass


class BlindPpo(Blind, Ppo):
    pass


@pytest.mark.parametrize(("number", "algorithm"), [(0, BlindBc(longest=24)), (1, BlindPpo(window=8))])
def test_nothing_is_learnt_where_the_mask_says_so(run, bank, number, algorithm):
    stage = replace(run.stages[number], algorithm=algorithm)
    train = begun(run, stage, bank)
    before = jax.tree.map(np.asarray, train.policy)
    train, _, learnt = update(run.env, stage, bank, jnp.arange(4), train)
    assert float(learnt.loss) == 0.0
    jax.tree.map(np.testing.assert_array_equal, train.policy, before)


def test_what_is_trained_begins_as_its_own_best_and_is_a_copy(run, bank):
    policy = run.policy.build(run.env, jax.random.key(0))
    stage = run.stages[1]
    train = begin(run.env, stage, policy, bank, jnp.arange(4), (jax.random.key(1), jax.random.key(2)))
    update(run.env, stage, bank, jnp.arange(4), train)  # donates it
    assert np.isfinite(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(policy)])).all()
    assert len(jax.tree.leaves(policy)) == len(jax.tree.leaves(train.best))
