"""A policy held near another: acts as itself, comes as near as closed forms say, and the anchor never moves."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from policies import COLUMNS, ENV, NOWHERE, glimpse, recurrent, table

from drivetrain.learn.algorithm import Sequences
from drivetrain.learn.ppo import Experience, Ppo
from drivetrain.learn.update import Learning, Optimiser, apply, gradient
from drivetrain.policy.anchored import Anchored, acting
from drivetrain.policy.categorical import Categorical
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.separate import Separate
from drivetrain.types import InputError, replace

KEY = jax.random.key(0)
SEEN = glimpse(1.0, 0.3)


def leaning(seed):
    """A policy of logits drawn at random."""
    keys = jax.random.split(jax.random.key(seed), len(COLUMNS))
    return replace_logits(table(0.5), [jax.random.normal(k, (n,)) for k, n in zip(keys, COLUMNS, strict=True)])


def replace_logits(policy, logits):
    return type(policy)(tuple(logits), policy.weight)


def batch(count=4):
    seen = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, 1, *leaf.shape)), SEEN)
    action = jnp.zeros((count, 1, len(COLUMNS)), jnp.int32)
    mask = jnp.array([True, True, False, True])[:, None]
    return Experience(Sequences(seen, (), ~mask, action, mask), *(jnp.zeros((count, 1)) for _ in range(3)))


def test_divergence_is_that_of_the_columns():
    own, other = (Categorical(leaning(seed).logits) for seed in (1, 2))
    expected = sum(
        (np.exp(np.float64(ours)) * (np.float64(ours) - np.float64(its))).sum()
        for ours, its in zip(own.log_probabilities, other.log_probabilities, strict=True)
    )
    np.testing.assert_allclose(float(own.divergence(other)), expected, rtol=1e-5)
    assert abs(float(own.divergence(own))) < 1e-6


def test_ppo_holds_what_it_begins_with_near_itself_where_it_is_asked_to():
    policy = leaning(1)
    assert Ppo().begin(policy) is policy and acting(policy) is policy
    held = Ppo(anchor=0.075).begin(policy)
    assert acting(held) is policy
    (own, *_), (its, *_) = policy(SEEN, (), KEY), held(SEEN, (), KEY)
    np.testing.assert_array_equal(its.anchor.logits[0], own.logits[0])
    assert held.anchor.logits[0] is not policy.logits[0]  # either may be donated without the other
    with pytest.raises(InputError, match="anchor: the policy remembers"):
        Ppo(anchor=0.075).begin(recurrent(KEY))


def test_it_acts_as_the_policy_itself():
    own, held = leaning(1), Anchored(leaning(1), leaning(2))
    (mine, value, _), (its, its_value, _) = own(SEEN, (), KEY), held(SEEN, (), KEY)
    np.testing.assert_array_equal(its.sample(KEY), mine.sample(KEY))
    np.testing.assert_array_equal(its.mode(), mine.mode())
    sample = mine.sample(KEY)
    assert float(its.log_prob(sample)) == float(mine.log_prob(sample)) and float(its_value) == float(value)
    assert [float(x) for x in its.weigh(sample)] == [float(x) for x in mine.weigh(sample)]
    np.testing.assert_array_equal(its.nll(sample), mine.nll(sample))


def test_the_loss_counts_how_far_it_strayed():
    held, steps = Anchored(leaning(1), leaning(2)), batch()
    ppo = Ppo(normalise=False)
    moments = ppo.moments(steps, lambda tree: tree)
    plain, _ = ppo.loss(ENV, held, NOWHERE, steps, moments, KEY)
    loss, figures = replace(ppo, anchor=0.075).loss(ENV, held, NOWHERE, steps, moments, KEY)
    far = float(Categorical(leaning(2).logits).divergence(Categorical(leaning(1).logits)))
    np.testing.assert_allclose(float(loss - plain), 0.075 * far, rtol=1e-4)
    np.testing.assert_allclose(float(figures.strayed), far, rtol=1e-5)


def test_with_nothing_else_to_learn_the_policy_comes_to_its_anchor_which_stands():
    held = Anchored(leaning(1), leaning(2))
    learning = Learning(
        Ppo(normalise=False, entropy=0.0, value_scale=0.0, anchor=1.0), Optimiser(0.1, weight_decay=0.1)
    )
    state = learning.optimiser.transform().init(held)
    units = jax.tree.map(lambda leaf: leaf[:, None], batch())

    @jax.jit
    def step(policy, state):
        slope, _ = gradient(learning, ENV, policy, NOWHERE, units, jnp.arange(4), KEY)
        return apply(learning.optimiser, policy, state, slope)

    after = held
    for _ in range(100):
        after, state = step(after, state)
    assert isinstance(after, Anchored)
    for old, new in zip(jax.tree.leaves(held.anchor), jax.tree.leaves(after.anchor), strict=True):
        np.testing.assert_array_equal(old, new)
    ours, its = (Categorical(each.logits) for each in (after.policy, after.anchor))
    assert float(its.divergence(ours)) < 1e-3


def test_a_policy_without_an_anchor_strays_from_none():
    with pytest.raises(InputError, match="has none"):
        Ppo(anchor=0.1).loss(ENV, leaning(1), NOWHERE, batch(), Ppo().moments(batch(), lambda tree: tree), KEY)


def test_actor_and_critic_are_clipped_apart():
    """A critic's slope a thousand times as large leaves the actor's as it is."""
    small = DeepSetsSizes(tokens=4, width=4)
    pair = Separate(actor=replace(small, critic=False), critic=small).build(ENV, KEY)
    slope = type(pair)(
        jax.tree.map(lambda x: 0.01 * jnp.ones_like(x), pair.actor),
        jax.tree.map(lambda x: 1e3 * jnp.ones_like(x), pair.critic),
    )
    for apart in (True, False):
        clip = Optimiser(clip=0.5, apart=apart).transform()
        # Adam forgets the scale of its first step: its own means of slopes show what was left of them.
        _, state = clip.update(slope, clip.init(pair), pair)
        first = optax.tree.get(state, "mu")
        norms = [float(optax.tree.norm(part)) / 0.1 for part in (first.actor, first.critic)]
        actor = float(optax.tree.norm(slope.actor))
        expected = [min(actor, 0.5), 0.5] if apart else [actor * 0.5 / float(optax.tree.norm(slope)), 0.5]
        np.testing.assert_allclose(norms, expected, rtol=1e-3)
    with pytest.raises(InputError, match="apart"):
        policy = small.build(ENV, KEY)
        Optimiser(apart=True).transform().init(policy)
