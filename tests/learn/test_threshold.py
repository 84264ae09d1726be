"""The filter of advantages: algorithm 1 by hand, what is left out, what it costs, and what is remembered of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from approach import Numbers, Telling, numbers, point
from policies import ENV, NOWHERE, recurrent

from drivetrain.fleet.local import begin, update
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.threshold import Sieve, Threshold
from drivetrain.learn.update import Learning, Optimiser, alone, learn
from drivetrain.runs.checkpoints import load_checkpoint, save_checkpoint
from drivetrain.sim.building import make_bank
from drivetrain.types import InputError, component, replace

KEY = jax.random.key(0)


def sieve(largest) -> Sieve:
    return Sieve(jnp.float32(largest), jnp.zeros(()))


def test_thresholds_are_those_of_the_paper():
    """Algorithm 1 in NumPy, over batches whose advantages shrink and grow; some of their steps are masked."""
    draw, threshold = np.random.default_rng(0), Threshold(share=0.05, rate=0.25)
    after, average = threshold.begin(), 0.0
    for scale in (1.0, 30.0, 3.0, 0.1, 0.01, 5.0):
        advantage, masked = scale * draw.normal(size=(64, 4)), draw.random((64, 4)) < 0.2
        average = 0.25 * np.abs(advantage[~masked]).max() + 0.75 * average
        dropped = np.abs(advantage[~masked]) < 0.05 * average
        priority = jnp.asarray(np.where(masked, -1.0, np.abs(advantage)), jnp.float32)
        after = threshold.after(after, priority, alone, alone)
        assert float(after.largest) == pytest.approx(average, rel=1e-5)
        assert float(after.dropped) == pytest.approx(dropped.mean(), abs=1e-6)
        left = np.asarray(threshold.left(after, priority))
        np.testing.assert_array_equal(left[~masked], ~dropped)
        assert not left[masked].any()
    assert dropped.any() and not dropped.all()


def test_the_largest_advantage_and_what_is_there_are_those_of_all_learners():
    threshold, halves = Threshold(share=0.5, rate=1.0), jnp.array([[1.0, 2.0, -1.0], [8.0, 3.0, 5.0]])

    def of_one(priority):
        return threshold.after(
            sieve(0.0), priority, lambda x: jax.lax.psum(x, "learners"), lambda x: jax.lax.pmax(x, "learners")
        )

    after = jax.vmap(of_one, axis_name="learners")(halves)
    assert after.largest.tolist() == [8.0, 8.0]
    np.testing.assert_allclose(after.dropped, 3.0 / 5.0)  # of five that are there, 1, 2 and 3 are below 4


def test_nothing_to_learn_from_is_left_of_nothing():
    after = Threshold(share=0.01).after(sieve(0.0), jnp.full(4, -1.0), alone, alone)
    assert (float(after.largest), float(after.dropped)) == (0.0, 1.0)


def test_advantages_that_are_no_numbers_are_not_hidden():
    threshold = Threshold(share=0.01)
    priority = jnp.array([jnp.nan, 1.0, -1.0])
    after = threshold.after(sieve(1.0), priority, alone, alone)
    assert threshold.left(after, priority)[:2].all()


@component
class Counted(Telling):
    """Says of each part of a minibatch that it was run."""

    def loss(self, env, policy, bank, batch, moments, key):
        jax.debug.callback(RUN.append, jnp.sum(batch.steps.mask))
        return super().loss(env, policy, bank, batch, moments, key)


RUN: list = []


def learning(algorithm=None, **fields) -> Learning:
    fields = {"epochs": 3, "minibatches": 2} | fields
    return Learning(algorithm or Telling(), Optimiser(learning_rate=0.1), threshold=Threshold(share=0.5), **fields)


def learnt(learning, batch, largest):
    state = learning.optimiser.transform().init(point())
    told = jax.jit(lambda p, s: learn(learning, ENV, p, s, NOWHERE, batch, KEY, alone, sieve(largest)))(point(), state)
    return jax.block_until_ready(told)


@pytest.mark.parametrize(("length", "part"), [(1, 0), (1, 5), (1, 1), (3, 6), (3, 0)])
def test_what_is_above_is_learnt_once_a_pass_and_nothing_else(length, part):
    """Sequences of 0, 1, 2, …: those of 20 or more are learnt; some of these are masked."""
    batch = numbers(8, 4, length)
    shown = jnp.arange(8 * 4).reshape(8, 4, 1) % 3 > 0
    batch = replace(batch, steps=replace(batch.steps, mask=batch.steps.mask & shown))
    policy, state, figures = learnt(learning(part=part), batch, 40.0)
    rows = np.asarray(batch.target)[np.asarray(batch.steps.mask).all(-1)]
    told = rows[rows.max(-1) >= 20.0]
    assert 0 < len(told) < len(rows)
    uneven = 0.0 if len(told) % 2 == 0 else 2.0 / len(told)  # figures are means of the minibatches' means
    assert float(figures.target) == pytest.approx(told.mean(), rel=0.01 + uneven)
    assert int(state[1][0].count) == 6  # as many steps of the optimiser as ever

    below = jnp.where(jnp.max(batch.target, axis=-1, keepdims=True) < 20.0, 0.0 * batch.target + 0.1, batch.target)
    other, *_ = learnt(learning(part=part), replace(batch, target=below), 40.0)
    assert np.abs(np.asarray(below - batch.target)).max() > 1.0
    jax.tree.map(np.testing.assert_array_equal, other, policy)


@pytest.mark.parametrize(("largest", "left"), [(0.0, 32), (40.0, 12), (62.0, 1), (1e6, 0)])
def test_only_what_is_left_is_run(largest, left):
    RUN.clear()
    policy, _, figures = learnt(learning(Counted(), part=3), numbers(8, 4), largest)
    jax.effects_barrier()
    of_minibatch = -(-left // 2)
    assert sum(map(int, RUN)) == 3 * left
    assert len(RUN) == 3 * (-(-of_minibatch // 3) + -(-(left - of_minibatch) // 3))
    if not left:
        assert float(figures.target) == 0.0
        jax.tree.map(np.testing.assert_array_equal, policy, point())


def test_one_pass_over_all_that_is_left_is_the_gradient_over_it():
    """In one minibatch the order is nothing: what is left, learnt without a threshold, gives the same policy."""
    batch, one = numbers(8, 4), {"epochs": 1, "minibatches": 1}
    policy, *_ = learnt(learning(**one), batch, 40.0)
    rows = jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:])[20:], batch)
    plain = Learning(Telling(), Optimiser(learning_rate=0.1), **one)
    state = plain.optimiser.transform().init(point())
    same, *_ = jax.jit(lambda p, s: learn(plain, ENV, p, s, NOWHERE, Numbers(rows.steps, rows.target), KEY))(
        point(), state
    )
    np.testing.assert_allclose(policy.place, same.place, rtol=1e-6)


def test_a_resumed_stage_goes_on_as_if_nothing_had_happened(tmp_path):
    bank = make_bank([scenes.scenario(scenes.straight_road(steps=24))], 0.2)
    threshold = Threshold(share=0.9, rate=0.9)
    ppo = Learning(Ppo(window=6), Optimiser(learning_rate=0.1), scenes=4, minibatches=2, threshold=threshold)

    def begun():
        policy = recurrent(jax.random.key(3))
        return begin(ENV, ppo, policy, bank, jnp.zeros(1, int), (jax.random.key(1), jax.random.key(2)))

    def go(train, updates):
        for _ in range(updates):
            train, *_ = update(ENV, ppo, bank, jnp.zeros(1, int), train)
        return train

    half = go(begun(), 2)
    assert float(half.sieve.largest) > 0.0 and 0.0 < float(half.sieve.dropped) < 1.0
    file = save_checkpoint(tmp_path, 2, half, {})
    whole, resumed = go(half, 2), go(load_checkpoint(file, jax.eval_shape(begun))[0], 2)
    assert float(whole.sieve.largest) == float(resumed.sieve.largest)
    jax.tree.map(np.testing.assert_array_equal, resumed.policy, whole.policy)


def test_without_a_threshold_nothing_is_remembered_nor_said():
    assert not Threshold() and Threshold().begin() == () and Threshold().describe(()) == {}
    told = Threshold(share=0.01).describe(Sieve(jnp.float32(3.0), jnp.float32(0.75)))
    assert told == {"dropped_share": 0.75, "largest_advantage": 3.0}


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"share": 1.0}, "share"), ({"share": -0.1}, "share"), ({"rate": 0.0}, "rate"), ({"rate": 1.5}, "rate")],
)
def test_a_threshold_of_no_sense_is_named(fields, what):
    with pytest.raises(InputError, match=f"threshold.{what}"):
        Threshold(**fields)


def test_a_share_by_rank_beside_a_threshold_is_refused():
    with pytest.raises(InputError, match="kept: 0.25 beside a threshold"):
        Learning(kept=0.25, threshold=Threshold(share=0.01))
