import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.env import Env
from drivetrain.policy.categorical import Categorical

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    distrax = pytest.importorskip("distrax")

LOGITS = tuple(jax.random.normal(jax.random.key(n), (n,)) * 2.0 for n in (71, 31))


def test_probabilities_agree_with_distrax():
    head = Categorical(LOGITS)
    oracles = [distrax.Categorical(logits=logits) for logits in LOGITS]
    action = jnp.array([17, 4])
    columns = [oracle.log_prob(index) for oracle, index in zip(oracles, action, strict=True)]
    np.testing.assert_allclose(head.nll(action), -jnp.stack(columns), rtol=1e-5)
    np.testing.assert_allclose(head.log_prob(action), sum(columns), rtol=1e-5)
    np.testing.assert_allclose(head.entropy(), sum(oracle.entropy() for oracle in oracles), rtol=1e-5)
    assert head.mode().tolist() == [int(oracle.mode()) for oracle in oracles]


def test_samples_follow_the_probabilities():
    head = Categorical((jnp.log(jnp.array([0.1, 0.2, 0.7])), jnp.log(jnp.array([0.5, 0.5]))))
    samples = np.asarray(jax.vmap(head.sample)(jax.random.split(jax.random.key(0), 20_000)))
    share = np.bincount(samples[:, 0], minlength=3) / len(samples)
    np.testing.assert_allclose(share, [0.1, 0.2, 0.7], atol=0.02)
    joint = np.mean((samples[:, 0] == 2) & (samples[:, 1] == 1))
    assert joint == pytest.approx(0.35, abs=0.02)  # columns are independent


def test_impossible_actions_do_not_break_the_entropy():
    head = Categorical((jnp.array([0.0, -200.0, 0.0]),))
    assert float(head.entropy()) == pytest.approx(np.log(2.0), rel=1e-5)
    slope = jax.grad(lambda x: Categorical((x,)).entropy())(jnp.array([0.0, -200.0, 0.0]))
    assert np.isfinite(slope).all()


def test_smoothing_spreads_over_neighbours():
    head, action = Categorical(LOGITS), jnp.array([17, 4])
    logs = [np.asarray(jax.nn.log_softmax(logits)) for logits in LOGITS]
    expected = [
        -(0.8 * log[i] + 0.1 * log[i - 1] + 0.1 * log[i + 1]) for log, i in zip(logs, action.tolist(), strict=True)
    ]
    np.testing.assert_allclose(head.nll(action, 0.2), expected, rtol=1e-5)


def test_an_action_is_expressed_by_the_nearest_of_the_grid_and_decoded_again():
    dynamics, head = Env().dynamics, Categorical(LOGITS)
    sample = head.express(dynamics, jnp.array([1.04, 0.0]))
    np.testing.assert_allclose(dynamics.decode(sample), [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(dynamics.decode(jnp.array([9.0, 0.1])), [3.0, 0.1], atol=1e-6)  # floats are limited
