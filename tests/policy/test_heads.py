import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.policy.heads import Discrete

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    distrax = pytest.importorskip("distrax")

LOGITS = tuple(jax.random.normal(jax.random.key(n), (n,)) * 2.0 for n in (71, 31))


def test_probabilities_agree_with_distrax():
    head = Discrete(LOGITS)
    oracles = [distrax.Categorical(logits=logits) for logits in LOGITS]
    action = jnp.array([17, 4])
    columns = [oracle.log_prob(index) for oracle, index in zip(oracles, action, strict=True)]
    np.testing.assert_allclose(head.log_probs(action), jnp.stack(columns), rtol=1e-5)
    np.testing.assert_allclose(head.log_prob(action), sum(columns), rtol=1e-5)
    np.testing.assert_allclose(head.entropy(), sum(oracle.entropy() for oracle in oracles), rtol=1e-5)
    assert head.mode().tolist() == [int(oracle.mode()) for oracle in oracles]


def test_samples_follow_the_probabilities():
    head = Discrete((jnp.log(jnp.array([0.1, 0.2, 0.7])), jnp.log(jnp.array([0.5, 0.5]))))
    samples = np.asarray(jax.vmap(head.sample)(jax.random.split(jax.random.key(0), 20_000)))
    share = np.bincount(samples[:, 0], minlength=3) / len(samples)
    np.testing.assert_allclose(share, [0.1, 0.2, 0.7], atol=0.02)
    joint = np.mean((samples[:, 0] == 2) & (samples[:, 1] == 1))
    assert joint == pytest.approx(0.35, abs=0.02)  # columns are independent


def test_impossible_actions_do_not_break_the_entropy():
    head = Discrete((jnp.array([0.0, -200.0, 0.0]),))
    assert float(head.entropy()) == pytest.approx(np.log(2.0), rel=1e-5)
    slope = jax.grad(lambda x: Discrete((x,)).entropy())(jnp.array([0.0, -200.0, 0.0]))
    assert np.isfinite(slope).all()
