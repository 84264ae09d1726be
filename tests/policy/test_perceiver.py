import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.env import Env
from drivetrain.observe.base import Observer, Widths
from drivetrain.observe.sight import PAPER, SMALL
from drivetrain.policy import presets
from drivetrain.policy.base import count_parameters
from drivetrain.policy.perceiver import Perceiver, PerceiverSizes
from drivetrain.types import Observation, Tokens, component, replace

ACTIONS = (71, 31)
WIDTHS = Widths(ego=5, agents=4, road=3, route=6, lanes=2, points=4)
CHUNK = 2


@component
class Seen(Observer):
    """Nothing but its widths."""

    @property
    def widths(self):
        return WIDTHS

    def __call__(self, bank, state, c):
        raise AssertionError("nobody asks this of it")


ENV = Env(observer=Seen())
KEY = jax.random.key(0)


def tokens(key, count: int, width: int, exist: int) -> Tokens:
    mask = jnp.arange(count) < exist
    return Tokens(jnp.where(mask, jax.random.normal(key, (width, count)), 0.0), mask)


@pytest.fixture(scope="module")
def policy() -> Perceiver:
    sizes = PerceiverSizes(width=16, heads=2, latents=2, blocks=1, chunk=CHUNK)
    return jax.jit(lambda key: sizes.build(ENV, key))(KEY)


@pytest.fixture(scope="module")
def observation() -> Observation:
    keys = jax.random.split(KEY, 4)
    return Observation(
        ego=jax.random.normal(keys[0], (WIDTHS.ego,)),
        agents=tokens(keys[1], 6, WIDTHS.agents, 4),
        road=tokens(keys[2], 8, WIDTHS.road, 8),
        route=tokens(keys[3], 8, WIDTHS.route, 6),
        remaining=jnp.array(0.5),
    )


call = jax.jit(lambda policy, observation: policy(observation, (), KEY))


def answer(policy: Perceiver, observation: Observation) -> np.ndarray:
    distribution, value, memory = call(policy, observation)
    assert memory == ()
    return np.concatenate([*distribution.logits, value[None]])


def test_order_of_agents_and_of_elements_is_nothing(policy, observation):
    def shuffled(seen: Tokens, seed: int) -> Tokens:
        order = np.random.default_rng(seed).permutation(len(seen.mask))
        return Tokens(seen.features[:, order], seen.mask[order])

    other = replace(observation, agents=shuffled(observation.agents, 1), road=shuffled(observation.road, 2))
    np.testing.assert_allclose(answer(policy, observation), answer(policy, other), atol=1e-5)


def test_padding_is_nothing(policy, observation):
    def padded(seen: Tokens, fill: float) -> Tokens:
        mask = jnp.concatenate([seen.mask, jnp.zeros(3, bool)])
        features = jnp.where(seen.mask, seen.features, fill)
        return Tokens(jnp.concatenate([features, jnp.full((features.shape[0], 3), fill)], axis=1), mask)

    other = replace(
        observation,
        agents=padded(observation.agents, 7.0),
        road=padded(observation.road, -3.0),
    )
    np.testing.assert_allclose(answer(policy, observation), answer(policy, other), atol=1e-5)


def test_a_token_of_the_route_is_points_of_one_lane(policy, observation):
    """Swapping two lanes, or two stretches, of a route changes nothing: both are a set of tokens."""
    points = np.asarray(observation.route.features).reshape(WIDTHS.route, 2, CHUNK, WIDTHS.lanes)
    mask = np.asarray(observation.route.mask).reshape(2, CHUNK, WIDTHS.lanes)
    for features, exists in ((points[..., ::-1], mask[..., ::-1]), (points[:, ::-1], mask[::-1])):
        route = Tokens(jnp.asarray(features.reshape(WIDTHS.route, -1)), jnp.asarray(exists.reshape(-1)))
        changed = answer(policy, replace(observation, route=route))
        np.testing.assert_allclose(answer(policy, observation), changed, atol=1e-5)
    backwards = Tokens(jnp.asarray(points[:, :, ::-1].reshape(WIDTHS.route, -1)), observation.route.mask)
    assert np.abs(answer(policy, observation) - answer(policy, replace(observation, route=backwards))).max() > 1e-5


def test_what_exists_matters(policy, observation):
    for name in ("agents", "road", "route"):
        seen = getattr(observation, name)
        other = replace(observation, **{name: replace(seen, features=seen.features.at[:, 0].add(1.0))})
        assert np.abs(answer(policy, observation) - answer(policy, other)).max() > 1e-5, name


def test_remaining_reaches_the_value_alone(policy, observation):
    before, after = answer(policy, observation), answer(policy, replace(observation, remaining=jnp.array(0.0)))
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert before[-1] != after[-1]


def test_seeing_nothing_gives_finite_answers_and_gradients(policy, observation):
    blind = jax.tree.map(jnp.zeros_like, observation)

    def total(policy, observation):
        distribution, value, _ = policy(observation, (), KEY)
        return distribution.entropy() + distribution.log_prob(jnp.array([3, 5])) + value

    # Booleans have no gradient: differentiate what is a number.
    slopes = jax.jit(jax.grad(total, allow_int=True, argnums=(0, 1)))(policy, blind)
    numbers = [leaf for leaf in jax.tree.leaves(slopes) if leaf.dtype == jnp.float32]
    assert len(numbers) > 20 and all(np.isfinite(leaf).all() for leaf in numbers)


def test_nearly_uniform_at_first(policy, observation):
    distribution, value, _ = call(policy, observation)
    for log, count in zip(distribution.log_probabilities, ACTIONS, strict=True):
        np.testing.assert_allclose(np.exp(log) * count, 1.0, atol=0.15)
    assert abs(float(value)) < 0.2


@pytest.mark.parametrize(
    ("sizes", "observer", "expected", "tolerance"),
    [
        (presets.TINY, SMALL, 0.13e6, 0.2),
        (presets.P0_75M, PAPER, 0.75e6, 0.05),
        (presets.P2_5M, PAPER, 2.5e6, 0.05),
        (presets.P25M, PAPER, 25e6, 0.05),
    ],
    ids=["tiny", "0.75M", "2.5M", "25M"],
)
def test_presets_have_the_parameters_of_their_names(sizes, observer, expected, tolerance):
    shapes = jax.eval_shape(lambda key: sizes.build(Env(observer=observer), key), KEY)
    assert count_parameters(shapes) == pytest.approx(expected, rel=tolerance)
