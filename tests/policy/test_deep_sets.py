import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.env import Env
from drivetrain.observe.base import Observer, Widths
from drivetrain.observe.sight import PAPER, SMALL
from drivetrain.policy import presets
from drivetrain.policy.base import count_parameters, remembers
from drivetrain.policy.deep_sets import DeepSets, DeepSetsSizes, largest
from drivetrain.types import Observation, Tokens, component, replace

WIDTHS = Widths(ego=5, agents=4, road=3, route=6, lanes=2, points=4)
KEY = jax.random.key(0)


@component
class Seen(Observer):
    """Nothing but its widths."""

    @property
    def widths(self):
        return WIDTHS

    def __call__(self, bank, state, c):
        raise AssertionError("nobody asks this of it")


ENV = Env(observer=Seen())
SIZES = DeepSetsSizes(tokens=16, width=16)


def tokens(key, count: int, width: int, exist: int) -> Tokens:
    mask = jnp.arange(count) < exist
    return Tokens(jnp.where(mask, jax.random.normal(key, (width, count)), 0.0), mask)


@pytest.fixture(scope="module")
def policy() -> DeepSets:
    return jax.jit(lambda key: SIZES.build(ENV, key))(KEY)


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


def answer(policy: DeepSets, observation: Observation) -> np.ndarray:
    distribution, value, memory = call(policy, observation)
    assert memory == ()
    return np.concatenate([*distribution.logits, value[None]])


def differs(policy, one, two) -> bool:
    return bool(np.abs(answer(policy, one) - answer(policy, two)).max() > 1e-5)


# ------------------------------------------------------------------------------------------------------------- largest


@pytest.fixture(scope="module")
def pool():
    keys = jax.random.split(jax.random.key(1), 2)
    drawn, slope = jax.random.normal(keys[0], (9, 30)) - 0.8, jax.random.normal(keys[1], (30,))
    drawn = drawn.at[5:, :3].add(9.0)  # the largest of all do not exist
    return drawn, jnp.arange(9) < 5, slope


def plain(tokens, mask):
    """max(0, the largest of those that exist), as JAX differentiates it."""
    return jax.nn.relu(jnp.max(jnp.where(mask[:, None], tokens, -jnp.inf), axis=0))


def test_largest_is_the_largest_that_exists_and_never_negative(pool):
    drawn, mask, _ = pool
    expected = np.maximum(np.asarray(drawn)[:5].max(axis=0), 0.0)
    assert 0 < (expected == 0.0).sum() < 30
    np.testing.assert_array_equal(largest(drawn, mask), expected)
    np.testing.assert_array_equal(largest(drawn, jnp.zeros(9, bool)), 0.0)


def test_its_gradient_is_that_of_the_plain_formula(pool):
    drawn, mask, slope = pool
    ours, theirs = (jax.grad(lambda x, f=f: jnp.sum(slope * f(x, mask)))(drawn) for f in (largest, plain))
    assert (np.asarray(ours) != 0.0).sum() > 5 and not np.asarray(ours)[5:].any()
    np.testing.assert_array_equal(ours, theirs)
    nothing = jax.grad(lambda x: jnp.sum(slope * largest(x, jnp.zeros(9, bool))))(drawn)
    np.testing.assert_array_equal(nothing, 0.0)


def test_its_gradient_is_the_same_in_a_batch(pool):
    drawn, mask, slope = pool
    many, masks = jnp.stack([drawn, -drawn]), jnp.stack([mask, ~mask])
    batched = jax.grad(lambda x: jnp.sum(slope * jax.vmap(largest)(x, masks)))(many)
    for row in range(2):
        one = jax.grad(lambda x, row=row: jnp.sum(slope * plain(x, masks[row])))(many[row])
        np.testing.assert_array_equal(batched[row], one)


# -------------------------------------------------------------------------------------------------------------- policy


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

    other = replace(observation, agents=padded(observation.agents, 7.0), road=padded(observation.road, -3.0))
    np.testing.assert_allclose(answer(policy, observation), answer(policy, other), atol=1e-5)


def test_a_token_of_the_route_is_a_lane(policy, observation):
    """The order of lanes is nothing, that of their points is not; a lane with no point is not there."""
    points = np.asarray(observation.route.features).reshape(WIDTHS.route, WIDTHS.points, WIDTHS.lanes)
    mask = np.asarray(observation.route.mask).reshape(WIDTHS.points, WIDTHS.lanes)

    def seen(points, mask):
        tokens = Tokens(jnp.asarray(points.reshape(WIDTHS.route, -1)), jnp.asarray(mask.reshape(-1)))
        return replace(observation, route=tokens)

    swapped = seen(points[..., ::-1], mask[..., ::-1])
    np.testing.assert_allclose(answer(policy, observation), answer(policy, swapped), atol=1e-5)
    assert differs(policy, observation, seen(points[:, ::-1], mask[::-1]))
    first = mask & (np.arange(2) == 0)
    spoilt = np.where(np.arange(2) == 0, points, 99.0)
    np.testing.assert_array_equal(answer(policy, seen(points, first)), answer(policy, seen(spoilt, first)))
    assert differs(policy, observation, seen(points, first))


def test_what_exists_matters(policy, observation):
    assert differs(policy, observation, replace(observation, ego=observation.ego + 1.0))
    for name in ("agents", "road", "route"):
        seen = getattr(observation, name)
        other = replace(observation, **{name: replace(seen, features=seen.features.at[:, 0].add(1.0))})
        assert differs(policy, observation, other), name


def test_remaining_reaches_the_value_alone(policy, observation):
    before, after = answer(policy, observation), answer(policy, replace(observation, remaining=jnp.array(0.0)))
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert before[-1] != after[-1]


def slopes(policy, observation):
    def total(policy, observation):
        distribution, value, _ = policy(observation, (), KEY)
        return distribution.entropy() + distribution.log_prob(jnp.array([3, 5])) + value

    # Booleans have no gradient: differentiate what is a number.
    return jax.jit(jax.grad(total, allow_int=True, argnums=(0, 1)))(policy, observation)


def test_seeing_nothing_gives_finite_answers_and_gradients(policy, observation):
    blind = jax.tree.map(jnp.zeros_like, observation)
    assert np.isfinite(answer(policy, blind)).all()
    numbers = [leaf for leaf in jax.tree.leaves(slopes(policy, blind)) if leaf.dtype == jnp.float32]
    assert len(numbers) > 20 and all(np.isfinite(leaf).all() for leaf in numbers)


def test_every_part_is_learnt(policy, observation):
    of_policy, _ = slopes(policy, observation)
    for path, leaf in jax.tree.leaves_with_path(of_policy):
        assert np.abs(leaf).max() > 0.0, jax.tree_util.keystr(path)


def test_without_a_critic_the_value_is_nothing_and_so_are_its_parameters(policy, observation):
    actor = jax.jit(lambda key: replace(SIZES, critic=False).build(ENV, key))(KEY)
    assert actor.critic is None and not remembers(actor)
    assert count_parameters(policy) - count_parameters(actor) == count_parameters(policy.critic) > 0
    without, whole = answer(actor, observation), answer(policy, observation)
    assert without[-1] == 0.0 and whole[-1] != 0.0
    np.testing.assert_allclose(without[:-1], whole[:-1], atol=1e-6)  # the other parts are drawn alike


def test_nearly_uniform_at_first(policy, observation):
    distribution, value, _ = call(policy, observation)
    for log, count in zip(distribution.log_probabilities, (71, 31), strict=True):
        np.testing.assert_allclose(np.exp(log) * count, 1.0, atol=0.15)
    assert abs(float(value)) < 0.2


def test_bfloat16_stays_near_float32(observation):
    rough = jax.jit(lambda key: replace(SIZES, dtype="bfloat16").build(ENV, key))(KEY)
    exact = jax.jit(lambda key: SIZES.build(ENV, key))(KEY)
    one, two = answer(exact, observation), answer(rough, observation)
    np.testing.assert_allclose(one, two, atol=0.02)
    assert not np.allclose(one, two, atol=1e-6)


@pytest.mark.parametrize(("observer", "expected"), [(SMALL, 0.15e6), (PAPER, 0.19e6)], ids=["small", "paper"])
def test_the_preset_has_the_parameters_that_it_says(observer, expected):
    shapes = jax.eval_shape(lambda key: presets.POOLED.build(Env(observer=observer), key), KEY)
    assert count_parameters(shapes) == pytest.approx(expected, rel=0.2)
