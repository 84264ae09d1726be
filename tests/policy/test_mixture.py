"""A mixture of Gaussians and a point against densities of another library, and gradients through their draws."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from policies import ENV, glimpse, table

from drivetrain.policy.mixture import Mixture, MixtureHead, spans
from drivetrain.policy.point import PointHead
from drivetrain.sim.dynamics.curvature import Curvature
from drivetrain.types import InputError

SPAN = jnp.array([4.0, 0.6])
MIXTURE = Mixture(
    logits=jnp.array([0.3, -1.0, 0.8]),
    mean=jnp.array([[0.1, -0.2], [0.5, 0.4], [-0.6, 0.0]]),
    log_deviation=jnp.log(jnp.array([[0.1, 0.2], [0.3, 0.05], [0.2, 0.1]])),
    span=SPAN,
)
ORACLE = distrax.MixtureSameFamily(
    distrax.Categorical(MIXTURE.logits),
    distrax.MultivariateNormalDiag(MIXTURE.mean, jnp.exp(MIXTURE.log_deviation)),
)


@pytest.mark.parametrize("action", [(0.0, 0.0), (2.0, 0.24), (-3.0, 0.5)])
def test_densities_are_those_of_another_library(action):
    spanned = jnp.array(action) / SPAN
    assert float(MIXTURE.log_prob(jnp.array(action))) == pytest.approx(
        float(ORACLE.log_prob(spanned)), rel=1e-5, abs=1e-5
    )
    columns = MIXTURE.nll(jnp.array(action))
    assert float(jnp.sum(columns)) == pytest.approx(-float(ORACLE.log_prob(spanned)), rel=1e-5, abs=1e-5)
    first = distrax.MixtureSameFamily(
        distrax.Categorical(MIXTURE.logits), distrax.Normal(MIXTURE.mean[:, 0], jnp.exp(MIXTURE.log_deviation[:, 0]))
    )
    assert float(columns[0]) == pytest.approx(-float(first.log_prob(spanned[0])), rel=1e-5, abs=1e-5)


def test_draws_have_the_moments_of_the_mixture():
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = np.asarray(jax.vmap(MIXTURE.sample)(keys)) / np.asarray(SPAN)
    weights = np.asarray(jax.nn.softmax(MIXTURE.logits))
    mean = weights @ np.asarray(MIXTURE.mean)
    square = weights @ (np.exp(2 * np.asarray(MIXTURE.log_deviation)) + np.asarray(MIXTURE.mean) ** 2)
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(drawn.std(0), np.sqrt(square - mean**2), rtol=0.03)
    np.testing.assert_allclose(jax.vmap(MIXTURE.path)(keys[:100]), jax.vmap(MIXTURE.sample)(keys[:100]), rtol=1e-5)


def test_the_entropy_is_a_bound_that_is_met_by_one_component():
    keys = jax.random.split(jax.random.key(1), 20_000)
    estimate = -float(jnp.mean(jax.vmap(lambda key: MIXTURE.log_prob(MIXTURE.sample(key)))(keys)))
    assert estimate < float(MIXTURE.entropy()) < estimate + float(jnp.log(3.0))
    one = Mixture(MIXTURE.logits[:1], MIXTURE.mean[:1], MIXTURE.log_deviation[:1], SPAN)
    exact = distrax.MultivariateNormalDiag(one.mean[0], jnp.exp(one.log_deviation[0])).entropy()
    assert float(one.entropy()) == pytest.approx(float(exact), rel=1e-5)


def test_the_slope_through_many_draws_is_that_of_the_mean():
    """Of a draw's mean by means and weights: Σ w μ has slopes w, and w (μ − Σ w μ)."""
    keys = jax.random.split(jax.random.key(2), 20_000)

    def drawn(mixture):
        return jnp.mean(jax.vmap(mixture.path)(keys)[:, 0]) / SPAN[0]

    slope = jax.jit(jax.grad(drawn))(MIXTURE)
    weights, mean = jax.nn.softmax(MIXTURE.logits), MIXTURE.mean[:, 0]
    np.testing.assert_allclose(slope.mean[:, 0], weights, atol=0.02)
    np.testing.assert_allclose(slope.logits, weights * (mean - weights @ mean), atol=0.02)


def test_the_mode_is_the_mean_of_the_heaviest_component():
    np.testing.assert_allclose(MIXTURE.mode(), SPAN * MIXTURE.mean[2])


@pytest.mark.parametrize("head", [MixtureHead(), PointHead()])
def test_a_head_begins_near_nothing_and_expresses_actions_within_the_limits(head):
    layer = head.build(ENV, 8, jax.random.key(0))
    distribution = layer(jnp.ones(8))
    assert float(jnp.max(jnp.abs(distribution.mode() / SPAN))) < 0.3
    expressed = distribution.express(ENV.dynamics, jnp.array([-9.0, 0.1]))
    np.testing.assert_allclose(expressed, [-4.0, 0.1], rtol=1e-6)
    loss = jax.grad(lambda layer: jnp.sum(layer(jnp.ones(8)).path(jax.random.key(1)) ** 2))(layer)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loss))
    assert any(np.any(leaf != 0.0) for leaf in jax.tree.leaves(loss))


def test_a_point_is_imitated_by_squares():
    point = PointHead(deviation=0.1).build(ENV, 8, jax.random.key(0))(jnp.zeros(8))
    oracle = distrax.MultivariateNormalDiag(jnp.zeros(2), 0.1 * jnp.ones(2))
    assert float(point.log_prob(jnp.array([0.4, 0.06]))) == pytest.approx(float(oracle.log_prob(jnp.full(2, 0.1))))
    assert float(point.entropy()) == pytest.approx(float(oracle.entropy()), rel=1e-5)


def test_deviations_stay_between_their_ends():
    layer = MixtureHead(least=0.01).build(ENV, 8, jax.random.key(0))
    for size in (-1e3, 1e3):
        deviation = jnp.exp(layer(jnp.full(8, size)).log_deviation)
        assert float(deviation.min()) >= 0.0099 and float(deviation.max()) <= 1.0


def test_spans_are_those_of_the_limits_and_a_grid_has_no_path():
    np.testing.assert_allclose(spans(ENV.dynamics), [4.0, 0.6], rtol=1e-6)
    np.testing.assert_allclose(spans(Curvature()), [4.0, 0.3], rtol=1e-6)
    distribution, _, _ = table()(glimpse(0.0, 0.0), (), jax.random.key(0))
    with pytest.raises(InputError, match="no gradient flows"):
        distribution.path(jax.random.key(0))
