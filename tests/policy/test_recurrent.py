"""A policy that remembers, and a pair that shares nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.policy.base import count_parameters, first_memory, remembers
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.mixture import MixtureHead
from drivetrain.policy.point import PointHead
from drivetrain.policy.recurrent import RecurrentSizes
from drivetrain.policy.separate import Separate
from drivetrain.sim.building import make_bank

SETS = DeepSetsSizes(tokens=16, width=16, head=MixtureHead())
KEY = jax.random.key(0)
ENV = Env()


@pytest.fixture(scope="module")
def seen():
    bank = make_bank([scenes.scenario(scenes.straight_road())], 0.2)
    return jax.tree.map(lambda leaf: leaf[0], jax.jit(lambda: ENV.observe(bank, ENV.reset(bank, 0, KEY)))())


def test_what_was_seen_before_changes_what_is_done_now(seen):
    policy = RecurrentSizes(SETS, memory=8).build(ENV, KEY)
    assert remembers(policy) and policy.initial_memory().shape == (8,)
    answer = jax.jit(lambda memory: policy(seen, memory, KEY))
    first, value, memory = answer(policy.initial_memory())
    again, later, _ = answer(memory)
    assert np.any(np.asarray(memory) != 0.0)
    assert np.abs(np.asarray(first.mean) - np.asarray(again.mean)).max() > 1e-6
    assert float(value) != float(later)


def test_without_a_critic_no_value_is_learnt(seen):
    policy = RecurrentSizes(DeepSetsSizes(tokens=16, width=16, critic=False)).build(ENV, KEY)
    assert float(policy(seen, policy.initial_memory(), KEY)[1]) == 0.0


@pytest.mark.parametrize("recurrent", [False, True])
def test_nothing_that_the_value_learns_reaches_the_actor_of_a_pair(seen, recurrent):
    bare = DeepSetsSizes(tokens=16, width=16, critic=False)
    actor = RecurrentSizes(bare) if recurrent else bare
    policy = Separate(actor, DeepSetsSizes(tokens=16, width=16, head=PointHead())).build(ENV, KEY)
    assert remembers(policy) is recurrent
    slope = jax.jit(jax.grad(lambda policy: policy(seen, policy.initial_memory(), KEY)[1]))(policy)
    assert all(np.all(leaf == 0.0) for leaf in jax.tree.leaves(slope.actor))
    assert any(np.any(leaf != 0.0) for leaf in jax.tree.leaves(slope.critic))
    memory = policy(seen, policy.initial_memory(), KEY)[2]
    assert jax.tree.structure(memory) == jax.tree.structure(policy.initial_memory())
    assert count_parameters(policy) > 1.8 * count_parameters(bare.build(ENV, KEY)) - 102 * 16
    assert len(jax.tree.leaves(first_memory(policy, 3))) == int(recurrent)


def test_a_pair_answers_as_its_halves_do(seen):
    policy = Separate(SETS, SETS).build(ENV, KEY)
    distribution, value, _ = policy(seen, (), KEY)
    np.testing.assert_array_equal(distribution.mean, policy.actor(seen, (), KEY)[0].mean)
    assert float(value) == float(policy.critic(seen, (), KEY)[1])
    assert jnp.isfinite(value)
