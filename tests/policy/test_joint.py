import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.env import Env
from drivetrain.observe.sight import SMALL
from drivetrain.policy.categorical import Categorical
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.joint import Joint, JointHead
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.types import replace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    distrax = pytest.importorskip("distrax")

LOGITS = jax.random.normal(jax.random.key(4), (7, 5)) * 2.0


def test_probabilities_agree_with_distrax_over_all_combinations():
    head, oracle = Joint(LOGITS), distrax.Categorical(logits=LOGITS.ravel())
    for first, second in ((0, 0), (6, 4), (3, 1)):
        expected = oracle.log_prob(first * 5 + second)
        np.testing.assert_allclose(head.log_prob(jnp.array([first, second])), expected, rtol=1e-5)
    np.testing.assert_allclose(head.entropy(), oracle.entropy(), rtol=1e-5)
    assert head.mode().tolist() == list(np.unravel_index(int(oracle.mode()), (7, 5)))


def test_columns_that_are_independent_are_those_of_independent_columns():
    columns = jax.random.normal(jax.random.key(0), (7,)), jax.random.normal(jax.random.key(1), (5,))
    joint, apart = Joint(columns[0][:, None] + columns[1]), Categorical(columns)
    action = jnp.array([2, 3])
    for smoothing in (0.0, 0.2):
        np.testing.assert_allclose(joint.nll(action, smoothing), apart.nll(action, smoothing), rtol=1e-5)
    np.testing.assert_allclose(joint.entropy(), apart.entropy(), rtol=1e-5)
    np.testing.assert_allclose(joint.nll(jnp.array([0, 4]), 0.2), apart.nll(jnp.array([0, 4]), 0.2), rtol=1e-5)


def test_samples_say_one_or_the_other():
    """Brake straight on, or swerve without braking: never both, never neither."""
    logits = jnp.full((2, 2), -30.0).at[0, 1].set(0.0).at[1, 0].set(0.0)
    samples = np.asarray(jax.vmap(Joint(logits).sample)(jax.random.split(jax.random.key(0), 2000)))
    assert set(map(tuple, samples.tolist())) == {(0, 1), (1, 0)}
    assert samples[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(Joint(logits).entropy(), np.log(2.0), rtol=1e-5)


def test_slopes_are_finite_where_combinations_are_impossible():
    logits = LOGITS.at[2].set(-300.0)
    slope = jax.grad(lambda x: Joint(x).entropy() + Joint(x).log_prob(jnp.array([3, 1])))(logits)
    assert np.isfinite(slope).all()


def test_a_policy_with_this_head_answers_actions_of_the_grid():
    env = Env(observer=SMALL)
    policy = DeepSetsSizes(tokens=8, width=8, head=JointHead()).build(env, jax.random.key(0))
    assert policy.head.layer.bias.shape == (71 * 31,)
    answer = policy.head(jnp.ones(8))
    action = jnp.array([0.5, 0.1])
    sample = answer.express(env.dynamics, action)
    np.testing.assert_array_equal(sample, Categorical((jnp.zeros(71), jnp.zeros(31))).express(env.dynamics, action))
    assert answer.logits.shape == (71, 31)
    with pytest.raises(ValueError, match="grid"):
        JointHead().build(replace(env, dynamics=Playback()), 8, jax.random.key(0))


def test_the_likeliest_combinations_and_their_probabilities():
    logits = jax.random.normal(jax.random.key(3), (7, 5))
    samples, shares = Joint(logits).likeliest(4)
    whole = np.exp(np.asarray(logits, np.float64))
    whole /= whole.sum()
    order = np.argsort(-whole, axis=None)[:4]
    np.testing.assert_array_equal(samples, np.stack(np.unravel_index(order, (7, 5)), axis=1))
    np.testing.assert_allclose(shares, whole.ravel()[order], rtol=1e-5)
    assert len(Joint(logits[:1, :3]).likeliest(8)[1]) == 3
