"""The fused programs: cloning learns what it is shown, and an update drives, weighs and learns."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.fleet.local import (
    Learner,
    clone_epoch,
    clone_loss,
    demonstrate,
    improve,
    make_policy,
    open_scenes,
    scalars,
)
from drivetrain.fleet.splits import load_split
from drivetrain.learn.update import begin
from drivetrain.rollout import Others


def test_demonstrations_hold_every_step_of_every_ego_and_no_padding(run):
    bank = load_split((run.data,), "train").bank
    shown, figures = demonstrate(run.env, bank, run.cloning.loss)
    steps = np.asarray(bank.episodes.last) - np.asarray(bank.episodes.first)
    assert shown.mask.shape == (steps.sum(),) and bool(shown.mask.all())
    assert figures["steps"] == steps.sum()
    assert figures["tracking_error_max"] < 0.2  # m: cars at constant speed on a straight road are easy to follow
    assert np.asarray(shown.action).min() >= 0


def test_cloning_lowers_the_loss_on_what_it_is_shown(run):
    bank = load_split((run.data,), "train").bank
    shown, _ = demonstrate(run.env, bank, run.cloning.loss)
    train = begin(run.cloning.optimiser, make_policy(run, jax.random.key(0)), jax.random.key(1))
    before = clone_loss(run.env, run.cloning.loss, 16, bank, train.policy, shown)
    for _ in range(6):
        train, figures = clone_epoch(run.env, run.cloning, bank, train, shown)
    after = clone_loss(run.env, run.cloning.loss, 16, bank, train.policy, shown)
    assert float(after.loss) < 0.9 * float(before.loss)
    assert np.isfinite(list(scalars(figures).values())).all()


def test_the_loss_of_all_does_not_depend_on_the_batch(run):
    bank = load_split((run.data,), "val").bank
    held, _ = demonstrate(run.env, bank, run.cloning.loss)
    policy = make_policy(run, jax.random.key(3))
    losses = [float(clone_loss(run.env, run.cloning.loss, batch, bank, policy, held).loss) for batch in (7, 64)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_an_update_counts_its_steps_and_moves_the_policy(run):
    bank, episodes = load_split((run.data,), "train").bank, jnp.arange(4)
    policy = make_policy(run, jax.random.key(0))
    before = jax.tree.map(np.asarray, policy)
    carry = open_scenes(run.env, bank, run.improvement.scenes, episodes, jax.random.key(1))
    learner = Learner(begin(run.improvement.optimiser, policy, jax.random.key(2)), carry)
    learner, driven, learnt = improve(run.env, run.improvement, bank, learner, episodes)
    assert float(driven.steps) == run.improvement.scenes * run.improvement.window
    assert int(learner.train.step) == run.improvement.epochs * run.improvement.minibatches
    moved = jax.tree.map(lambda new, old: float(np.abs(np.asarray(new) - old).max()), learner.train.policy, before)
    assert max(jax.tree.leaves(moved)) > 0
    np.testing.assert_allclose(scalars(learnt)["ratio"], 1.0, atol=0.05)  # one pass: still nearly the policy that drove


def test_nothing_is_learnt_where_another_policy_drives(run):
    bank, episodes = load_split((run.data,), "train").bank, jnp.arange(4)
    policy, other = (make_policy(run, jax.random.key(seed)) for seed in (0, 9))
    before = jax.tree.map(np.asarray, policy)
    carry = open_scenes(run.env, bank, run.improvement.scenes, episodes, jax.random.key(1), ((), ()))
    learner = Learner(begin(run.improvement.optimiser, policy, jax.random.key(2)), carry)
    others = Others((other,), jnp.ones(1, int))
    learner, driven, learnt = improve(run.env, run.improvement, bank, learner, episodes, others)
    assert float(driven.steps) == 0.0 and scalars(learnt)["entropy"] == 0.0
    jax.tree.map(np.testing.assert_array_equal, learner.train.policy, before)
