"""LOOP where the answer is known: three rollouts of two agents, returns given by hand; and a drawn road."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from policies import ENV, Table, recurrent, table

from drivetrain.fleet.local import begin, update
from drivetrain.learn.algorithm import by_sequence
from drivetrain.learn.loop import Loop
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.sim.building import make_bank
from drivetrain.types import component, replace

KEY = jax.random.key(0)
EPISODES = jnp.zeros(1, int)
LOOP = Loop(rollouts=3, longest=5)
LENGTHS = np.array([[5, 2], [4, 5], [1, 3]])  # steps [K, C] before each agent's end
REWARDS = np.arange(30.0).reshape(3, 5, 2) % 7.0 - 3.0  # [K, T, C]


@pytest.fixture(scope="module")
def bank():
    cars = (scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 90.0))
    return make_bank([scenes.scenario(scenes.straight_road(agents=cars, steps=30))], 0.2, controlled=2)


@pytest.fixture(scope="module")
def gathered(bank):
    """The segments [K] of a policy without a memory, and figures."""
    gather = jax.jit(lambda policy: LOOP.gather(ENV, policy, bank, EPISODES, KEY, jnp.int32(7))[1:])
    return gather(table(0.5))


@pytest.fixture(scope="module")
def told(gathered):
    """The same, with other rewards and ends; what follows an end is spoilt."""
    mask = np.arange(5)[None, :, None] < LENGTHS[:, None]
    reward = jnp.asarray(np.where(mask, REWARDS, 1e6), jnp.float32)
    return swapped(gathered[0], reward=reward, mask=jnp.asarray(mask))


def swapped(segment, **fields):
    """A segment whose steps hold other arrays, [K] in front."""
    steps = object.__new__(type(segment.steps))
    steps.__dict__.update(vars(segment.steps) | fields)
    other = object.__new__(type(segment))
    other.__dict__.update(vars(segment) | {"steps": steps})
    return other


def prepared(loop, bank, segment, policy=None):
    policy = table(0.5) if policy is None else policy
    return jax.jit(lambda segment: loop.prepare(ENV, policy, bank, segment, KEY))(segment)


def by_hand(discount=1.0):
    """Advantages [K, C]: each return less the mean of the two others."""
    mask = np.arange(5)[None, :, None] < LENGTHS[:, None]
    returns = (np.where(mask, REWARDS, 0.0) * discount ** np.arange(5)[None, :, None]).sum(1)
    return np.stack([returns[k] - (returns.sum(0) - returns[k]) / 2.0 for k in range(3)])


def test_all_rollouts_begin_at_one_state_and_go_their_own_ways(gathered):
    segments, figures = gathered
    states = jax.tree.map(lambda leaf: np.asarray(leaf)[:, 0], segments.steps.state)
    for leaf in jax.tree.leaves(states):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
    actions = np.asarray(segments.steps.action).reshape(3, -1)
    assert len(np.unique(actions, axis=0)) == 3
    assert segments.version.tolist() == [7, 7, 7] and len(np.unique(segments.id, axis=0)) == 3
    assert float(figures.steps) == np.asarray(segments.steps.mask).sum()


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_an_advantage_is_the_return_less_the_mean_of_the_others(bank, told, discount):
    batch = prepared(replace(LOOP, discount=discount), bank, told)
    advantage = np.asarray(batch.advantage).reshape(3, 5, 2)
    np.testing.assert_allclose(advantage, np.broadcast_to(by_hand(discount)[:, None], (3, 5, 2)), rtol=1e-5, atol=1e-5)
    mask = np.asarray(batch.steps.mask).reshape(3, 5, 2)
    np.testing.assert_array_equal(mask, np.arange(5)[None, :, None] < LENGTHS[:, None])  # nothing after the end


def test_small_advantages_teach_nothing(bank, told):
    sizes = np.sort(np.abs(by_hand()).ravel())
    least = float(0.5 * (sizes[2] + sizes[3]))
    batch = prepared(replace(LOOP, least=least), bank, told)
    counted = (np.arange(5)[None, :, None] < LENGTHS[:, None]) & (np.abs(by_hand()) >= least)[:, None]
    np.testing.assert_array_equal(np.asarray(batch.steps.mask).reshape(3, 5, 2), counted)
    assert 0 < counted.sum() < LENGTHS.sum()


@pytest.mark.parametrize("whole", [False, True], ids=["ratios of steps", "ratios of rollouts"])
def test_the_surrogate_by_hand(bank, told, whole):
    loop = replace(LOOP, per_trajectory=whole, entropy=0.0, clip=0.3)
    learns = Table((0.1 * jnp.arange(71.0) / 71.0, table().logits[1]), jnp.float32(0.0))
    batch = prepared(loop, bank, told)
    assert batch.log_prob.shape == ((6, 5) if whole else (30, 1))
    loss, figures = jax.jit(lambda policy: loop.loss(ENV, policy, bank, batch, (), KEY))(learns)

    mask = np.arange(5)[None, :, None] < LENGTHS[:, None]
    log = np.asarray(jax.nn.log_softmax(learns.logits[0]), float)
    log_ratio = np.where(mask, log[np.asarray(told.steps.action)[..., 0]] + np.log(71.0), 0.0)
    if whole:
        log_ratio = np.broadcast_to(log_ratio.sum(1, keepdims=True), log_ratio.shape)
    ratio, advantage = np.exp(log_ratio), np.broadcast_to(by_hand()[:, None], mask.shape)
    surrogate = np.minimum(ratio * advantage, np.clip(ratio, 0.7, 1.3) * advantage)
    assert float(loss) == pytest.approx(-surrogate[mask].mean(), rel=1e-3)
    assert float(figures.ratio) == pytest.approx(ratio[mask].mean(), rel=1e-4)
    assert float(figures.advantage) == pytest.approx(np.abs(advantage[mask]).mean(), rel=1e-4)


def test_a_policy_that_remembers_is_given_whole_rollouts(bank, told):
    policy = recurrent(KEY)
    memory = jnp.broadcast_to(policy.first, (3, 2, 4))
    other = object.__new__(type(told))
    other.__dict__.update(vars(told) | {"memory": memory})
    batch = prepared(LOOP, bank, other, policy)
    assert batch.steps.mask.shape == (6, 5) and batch.steps.memory.shape == (6, 4)
    expected = by_sequence(jnp.asarray(told.steps.log_prob)[1], True)
    np.testing.assert_array_equal(batch.log_prob[2:4], expected)


@component
class Hurry:
    """A reward of acceleration, of nothing else."""

    def __call__(self, events, traits, dt):
        return events.acceleration


def test_a_drawn_road_is_learnt_a_little(bank):
    """Every action as likely at first; what is paid is to accelerate."""
    env = replace(ENV, reward=Hurry())
    learning = Learning(
        Loop(rollouts=4, longest=4, entropy=0.0), Optimiser(learning_rate=0.1), scenes=4, minibatches=2, epochs=2
    )
    train = begin(env, learning, table(), bank, EPISODES, (KEY, jax.random.key(1)))
    paid = []
    for _ in range(25):
        train, gathered, learnt = update(env, learning, bank, EPISODES, train)
        paid.append(float(gathered.reward / gathered.steps))
    assert int(train.step) == 25
    assert np.mean(paid[-3:]) > np.mean(paid[:3]) + 1.0, paid
    assert np.isfinite(list(learning.algorithm.describe_loss(learnt).values())).all()
