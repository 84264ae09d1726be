"""A choice among many entries: the same as a plain categorical, and learnt alike, without its logits."""

import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from fixtures_programs import held
from policies import NOWHERE, Clock, glimpse

from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.data.store.vocabulary import Vocabulary, write_vocabulary
from drivetrain.env import Env
from drivetrain.learn.algorithm import Sequences, cut, unroll
from drivetrain.learn.bc import Bc, Demonstration, expert_actions
from drivetrain.learn.ppo import Experience, Ppo
from drivetrain.learn.update import Learning, Optimiser, learn
from drivetrain.policy.base import Policy
from drivetrain.policy.categorical import CategoricalHead
from drivetrain.policy.dense import Dense
from drivetrain.policy.vocabulary import Choice, ChoiceLayer, VocabularyHead
from drivetrain.rollout import rollout, start
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.motions import Motions
from drivetrain.types import AgentKind

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    distrax = pytest.importorskip("distrax")

KEY = jax.random.key(0)
ENTRIES, WIDTH = 1300, 8  # more than a block


def choice(seed=0, rows=()):
    keys = jax.random.split(jax.random.key(seed), 3)
    features, classifier = jax.random.normal(keys[0], (*rows, WIDTH)), jax.random.normal(keys[1], (ENTRIES, WIDTH))
    return features, classifier, jax.random.normal(keys[2], (ENTRIES,))


def test_probabilities_agree_with_distrax():
    features, classifier, bias = choice()
    oracle, mine = distrax.Categorical(logits=classifier @ features + bias), Choice(features, classifier, bias)
    asked = jax.jit(lambda sample: (mine.weigh(sample), mine.log_prob(sample), mine.nll(sample), mine.entropy()))
    for entry in (0, 1024, ENTRIES - 1):
        weighed, log_prob, nll, entropy = asked(jnp.array([entry]))
        expected = oracle.log_prob(entry), oracle.entropy()
        np.testing.assert_allclose(weighed, expected, rtol=1e-5)
        np.testing.assert_allclose((log_prob, entropy), expected, rtol=1e-5)
        np.testing.assert_allclose(nll, [-expected[0]], rtol=1e-5)
    assert mine.mode().tolist() == [int(oracle.mode())]


def test_the_likeliest_entries_of_both_blocks():
    features, classifier, bias = choice()
    samples, shares = jax.jit(lambda: Choice(features, classifier, bias).likeliest(6))()
    logits = np.asarray(classifier @ features + bias, np.float64)
    whole = np.exp(logits - logits.max())
    whole /= whole.sum()
    order = np.argsort(-whole)[:6]
    np.testing.assert_array_equal(samples, order[:, None])
    np.testing.assert_allclose(shares, whole[order], rtol=1e-4)
    assert order.min() < 1024 <= order.max()


def test_samples_follow_the_probabilities():
    features, classifier, bias = choice()
    bias = jnp.where(jnp.arange(ENTRIES) % 200 == 0, bias, -60.0)  # seven entries, in both blocks
    draw = jax.jit(jax.vmap(Choice(0.3 * features, classifier, bias).sample))
    samples = np.asarray(draw(jax.random.split(KEY, 4000)))[:, 0]
    shares = np.bincount(samples, minlength=ENTRIES) / len(samples)
    np.testing.assert_allclose(shares, jax.nn.softmax(0.3 * classifier @ features + bias), atol=0.03)


def test_slopes_of_many_agents_are_those_of_plain_logits():
    features, classifier, bias = choice(rows=(4, 3))
    samples = jax.random.randint(KEY, (4, 3, 1), 0, ENTRIES)

    def mine(features, classifier, bias):
        weigh = lambda row, sample: Choice(row, classifier, bias).weigh(sample)  # noqa: E731
        log_prob, entropy = jax.vmap(jax.vmap(weigh))(features, samples)
        return jnp.sum(log_prob**2 - entropy)

    def plain(features, classifier, bias):
        logs = jax.nn.log_softmax(features @ classifier.T + bias)
        log_prob = jnp.take_along_axis(logs, samples, axis=-1)
        return jnp.sum(log_prob**2) + jnp.sum(jnp.exp(logs) * logs)

    slopes = [jax.jit(jax.grad(loss, (0, 1, 2)))(features, classifier, bias) for loss in (mine, plain)]
    for one, other in zip(*slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_divergence_of_two_and_its_slopes_are_those_of_plain_logits():
    one, other = choice(rows=(5,)), choice(seed=1, rows=(5,))

    def mine(one, other):
        of_row = lambda a, b: Choice(a, *one[1:]).divergence(Choice(b, *other[1:]))  # noqa: E731
        return jax.vmap(of_row)(one[0], other[0])

    def plain(one, other):
        logs = [jax.nn.log_softmax(features @ classifier.T + bias) for features, classifier, bias in (one, other)]
        return jnp.sum(jnp.exp(logs[0]) * (logs[0] - logs[1]), axis=1)

    weights = jnp.arange(1.0, 6.0)
    both = [
        jax.jit(
            lambda one, other, of=of: (of(one, other), jax.grad(lambda *two: weights @ of(*two), (0, 1))(one, other))
        )
        for of in (mine, plain)
    ]
    for a, b in zip(*(jax.tree.leaves(of(one, other)) for of in both), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(jax.jit(mine)(one, one), 0.0, atol=1e-4)


# ------------------------------------------------------------------------------------------------------------- training


class Linear(Policy):
    """Features of the ego's alone."""

    layer: Dense
    head: eqx.Module

    def __call__(self, observation, memory, key):
        features = jnp.tanh(self.layer(observation.ego))
        return self.head(features), jnp.sum(features), memory


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """Cars that choose among 1,300 motions, which bend and brake."""
    time, draw = 0.2 * np.arange(1, 6), np.random.default_rng(0)
    speeding, turning = draw.uniform(-3.0, 2.0, (ENTRIES, 1)), draw.uniform(-0.2, 0.2, (ENTRIES, 1))
    x, angle = 10.0 * time + 0.5 * speeding * time**2, turning * time
    motions = np.stack([x, 0.5 * angle * x, np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
    file = tmp_path_factory.mktemp("choice") / "vocabulary.safetensors"
    table = np.zeros(len(AgentKind), np.int32)
    write_vocabulary(file, Vocabulary(motions[None], table, 0.2, 0, ("",), "train", ()))
    return Env(dynamics=Motions(str(file)), observer=Clock())


def policies(env):
    """One with plain logits; and one with the same numbers, cut."""
    plain = Linear(Dense(2, WIDTH, KEY), CategoricalHead(scale=1.0).build(env, WIDTH, KEY))
    (column,) = plain.head.columns
    return plain, Linear(plain.layer, ChoiceLayer(column.weight.T, column.bias, Cut()))


def steps(count):
    """Steps of which every fifth teaches nothing."""
    draw = np.random.default_rng(1)
    seen = jax.vmap(jax.vmap(glimpse))(*jnp.asarray(draw.normal(size=(2, count, 1)), jnp.float32))
    action = jnp.asarray(draw.integers(0, ENTRIES, (count, 1, 1)), jnp.int32)
    mask = jnp.arange(count)[:, None] % 5 != 0
    return Sequences(seen, (), jnp.zeros((count, 1), bool), action, mask)


def lesson(kind, count):
    """An algorithm, and a batch for it that it did not gather."""
    numbers = jnp.asarray(np.random.default_rng(2).normal(size=(3, count, 1)), jnp.float32)
    if kind == "bc":
        return Bc(), Demonstration(steps(count), numbers[0])
    return Ppo(entropy=0.1, normalise=False), Experience(steps(count), numbers[0] - 7.0, *numbers[1:])


@pytest.mark.parametrize("kind", ["bc", "ppo"])
def test_what_is_learnt_is_what_plain_logits_learn(env, kind):
    algorithm, batch = lesson(kind, 40)
    learning = Learning(algorithm, Optimiser(learning_rate=3e-3), epochs=6, minibatches=2)
    units = jax.tree.map(lambda leaf: leaf[:, None], batch)

    @jax.jit
    def learnt(policy):
        return learn(learning, env, policy, learning.optimiser.transform().init(policy), NOWHERE, units, KEY)[::2]

    before = policies(env)
    (plain, figures), (cut, others) = (learnt(policy) for policy in before)
    for one, other in zip(jax.tree.leaves(figures), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(plain.head.columns[0].weight.T, cut.head.classifier, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(plain.layer.weight, cut.layer.weight, rtol=1e-3, atol=1e-3)
    assert np.abs(np.asarray(cut.head.classifier - before[1].head.classifier)).max() > 1e-2, "nothing was learnt"


@pytest.mark.parametrize("kind", ["bc", "ppo"])
def test_a_loss_holds_neither_logits_of_all_steps_nor_a_classifier_for_each(env, kind):
    algorithm, batch = lesson(kind, 500)
    moments = algorithm.moments(batch, lambda tree: tree)

    def largest(policy):
        slopes = jax.grad(lambda policy: algorithm.loss(env, policy, NOWHERE, batch, moments, KEY)[0])
        return max(math.prod(aval.shape) for aval in held(jax.make_jaxpr(slopes)(policy).jaxpr))

    plain, cut = policies(env)
    assert largest(plain) >= 500 * ENTRIES and largest(cut) <= 500 * 1024


@pytest.mark.parametrize("kind", ["bc", "ppo"])
def test_with_blocks_left_out_the_same_is_learnt_as_long_as_they_are_negligible(env, kind):
    """A threshold that no block stays below changes nothing; one that all do leaves the head as it was."""
    algorithm, batch = lesson(kind, 40)
    moments = algorithm.moments(batch, lambda tree: tree)

    def slopes(policy):
        return jax.jit(jax.grad(lambda policy: algorithm.loss(env, policy, NOWHERE, batch, moments, KEY)[0]))(policy)

    def leaving_out(least):
        layer = ChoiceLayer(exact.head.classifier, exact.head.bias, Cut(entries=256, least=least, ordered=True))
        return Linear(exact.layer, layer)

    exact = policies(env)[1]
    for one, other in zip(*(jax.tree.leaves(slopes(each)) for each in (exact, leaving_out(1e-12))), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
    assert not np.asarray(slopes(leaving_out(2.0)).head.classifier).any()


def test_with_blocks_left_out_no_classifier_is_held_for_each_row_and_work_is_really_not_done(env):
    algorithm, batch = lesson("bc", 500)
    exact = policies(env)[1]
    policy = Linear(exact.layer, ChoiceLayer(exact.head.classifier, exact.head.bias, Cut(least=2.0**-12)))
    slopes = jax.grad(lambda policy: algorithm.loss(env, policy, NOWHERE, batch, (), KEY)[0])
    jaxpr = jax.make_jaxpr(slopes)(policy)
    assert max(math.prod(aval.shape) for aval in held(jaxpr.jaxpr)) <= 500 * 1024
    assert "cond[" in str(jaxpr)


def test_agents_drive_by_it(env):
    """A rollout; and an expert would choose the motion of its log."""
    cars = (scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 90.0))
    bank = make_bank([scenes.scenario(scenes.straight_road(agents=cars, steps=24))], 0.2, controlled=2)
    policy = Linear(Dense(2, WIDTH, KEY), VocabularyHead().build(env, WIDTH, KEY))

    @jax.jit
    def driven(policy):
        carry = start(env, bank, policy, jnp.arange(1), KEY)
        segment = rollout(env, bank, policy, carry, 8, jnp.arange(1))[1]
        steps = cut(policy, segment)
        again, _ = unroll(policy, steps, KEY, lambda distribution, action: distribution.log_prob(action))
        return segment, again, expert_actions(env, bank, carry.state, 6)

    segment, again, shown = driven(policy)
    assert segment.steps.action.shape == (8, 2, 1) and len(np.unique(segment.steps.action)) > 8
    np.testing.assert_allclose(again.reshape(8, 2), segment.steps.log_prob, rtol=1e-5)
    motions = env.dynamics.vocabulary().motions[0][np.asarray(shown[:, 0], int)]
    np.testing.assert_allclose(motions[:, -1, :2], [[10.0, 0.0], [10.0, 0.0]], atol=0.15)  # 10 m/s, straight on


def test_columns_are_another_heads_business():
    with pytest.raises(ValueError, match="2 columns"):
        VocabularyHead().build(Env(), WIDTH, KEY)
