"""Cloning of hand-drawn drives: straight on, around a bend, and one that no car can follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import capacity_of, draft, pack
from drivetrain.env import Env
from drivetrain.learn.bc import Bc, expert_actions
from drivetrain.learn.update import Learning, Optimiser, learn
from drivetrain.observe.sight import Sight
from drivetrain.policy.deep_sets import DeepSets, DeepSetsSizes
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

KEY = jax.random.key(0)
ENV = Env(observer=Sight(agents=2, road=4))
STEPS = 30
BC = Bc(longest=STEPS, value_scale=0.1, horizon=4)
STRAIGHT, BEND, JERK = range(3)  # episodes of the bank


@pytest.fixture(scope="module")
def bank():
    straight = scenes.straight_road(agents=(scenes.along_x(scenes.WIDTH / 2, 20.0),), steps=26)
    kink = scenes.Agent([(20.0, 1.75), (50.0, 1.75), (53.5, 5.25), (300.0, 5.25)])  # 45° at 10 m/s
    drafts = [draft(straight), draft(scenes.curve(steps=26)), draft(scenes.straight_road(agents=(kink,), steps=26))]
    capacity = capacity_of(drafts)
    return make_bank([pack(drafted, capacity)[0] for drafted in drafts], 0.2)


@pytest.fixture(scope="module")
def policy() -> DeepSets:
    return jax.jit(lambda key: DeepSetsSizes(tokens=16, width=16).build(ENV, key))(KEY)


@pytest.fixture(scope="module")
def gathered(bank, policy):
    """Segments, demonstrations [N = steps, L = 1] and figures of every episode."""

    @jax.jit
    @jax.vmap
    def gather(episode):
        _, segment, figures = BC.gather(ENV, policy, bank, episode[None], KEY, jnp.int32(3))
        return segment, BC.prepare(ENV, policy, bank, segment, KEY), figures

    return gather(jnp.arange(bank.episodes.map.shape[0]))


def of(gathered, episode, steps=slice(None)):
    """Demonstrations of one episode."""
    return jax.tree.map(lambda leaf: leaf[episode, steps], gathered[1])


def test_the_expert_follows_its_log(bank, gathered):
    segment, batch, figures = gathered
    assert float(figures.worst[:JERK].max()) < 0.3  # m
    assert not figures.clipped[:JERK].any() and not figures.ended.any()
    recorded = np.minimum(np.asarray(bank.episodes.last - bank.episodes.first), STEPS)
    np.testing.assert_array_equal(figures.steps, recorded)
    np.testing.assert_array_equal(figures.episodes, 1.0)
    np.testing.assert_array_equal(np.asarray(batch.steps.mask).sum((1, 2)), recorded)
    assert segment.version.tolist() == [3] * 3 and segment.steps.state.time[0, :25].tolist() == list(range(25))
    assert np.asarray(segment.steps.fresh)[:, :2, 0].tolist() == [[True, False]] * 3


def test_a_car_at_constant_speed_does_nothing(gathered):
    shown = of(gathered, STRAIGHT).steps
    action = np.asarray(shown.action)[np.asarray(shown.mask)]
    wanted = [np.argmin(np.abs(np.asarray(values))) for values in ENV.dynamics.grid()]
    assert (action == wanted).all()


def test_value_targets_are_discounted_rewards_of_the_log(gathered):
    # 10 m/s on a straight road: 2 m a step, no other term of the reward.
    steps = int(gathered[2].steps[STRAIGHT])
    reward = ENV.reward.progress * 2.0
    left = steps - np.arange(steps)
    expected = reward * (1.0 - BC.discount**left) / (1.0 - BC.discount)
    np.testing.assert_allclose(np.asarray(of(gathered, STRAIGHT).target)[:steps, 0], expected, rtol=2e-3)


def test_a_log_that_no_car_can_follow_is_clipped_and_counted(gathered):
    figures = jax.tree.map(lambda leaf: float(leaf[JERK]), gathered[2])
    assert 1.0 <= figures.clipped < figures.steps
    assert figures.worst > 0.1 and figures.error < figures.worst * figures.steps
    said = BC.describe(figures)
    assert said["expert_clipped_share"] == pytest.approx(figures.clipped / figures.steps)
    assert said["expert_error_worst"] == figures.worst and said["expert_failed_share"] == 0.0


def test_the_expert_steers_back_from_where_it_is(bank):
    state = jax.jit(lambda: ENV.reset(bank, 0, jax.random.key(0)))()
    own = int(state.controlled[0])
    aside = replace(
        state, agents=replace(state.agents, position=state.agents.position.at[own, 1].add(-0.5).at[own, 0].add(-0.5))
    )
    action = np.asarray(jax.jit(lambda s: expert_actions(ENV, bank, s, 6))(aside))[0]
    assert action[0] > 0.1 and action[1] > 0.005  # faster, and to the left


def test_a_tiny_batch_is_learned_by_heart(bank, gathered, policy):
    batch = of(gathered, BEND, slice(None, None, 4))
    units = jax.tree.map(lambda leaf: leaf[:, None], batch)  # of one scene
    learning = Learning(BC, Optimiser(learning_rate=1e-2), epochs=200, minibatches=1)
    state = learning.optimiser.transform().init(policy)
    learnt, _, _ = jax.jit(lambda policy, state: learn(learning, ENV, policy, state, bank, units, KEY))(policy, state)
    _, figures = jax.jit(lambda policy: BC.loss(ENV, policy, bank, batch, (), KEY))(learnt)
    assert float(figures.nll.max()) < 0.3, figures
    assert float(figures.accuracy.min()) > 0.85, figures
    assert BC.describe_loss(figures)["explained"] > 0.8, figures


def test_masked_steps_teach_nothing(bank, gathered, policy):
    batch = of(gathered, STRAIGHT, slice(6))
    kept = replace(batch, steps=replace(batch.steps, mask=batch.steps.mask.at[4:].set(False)))
    spoilt = replace(
        kept, steps=replace(kept.steps, action=batch.steps.action.at[4:].set(0)), target=batch.target.at[4:].set(1e6)
    )
    loss = jax.jit(lambda batch: BC.loss(ENV, policy, bank, batch, (), KEY))
    for a, b in zip(jax.tree.leaves(loss(kept)), jax.tree.leaves(loss(spoilt)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_smoothing_spreads_over_neighbours(bank, gathered, policy):
    batch = of(gathered, STRAIGHT, slice(1))
    seen = jax.tree.map(lambda leaf: leaf[0, 0], batch.steps.observation)
    distribution, _, _ = jax.jit(lambda seen: policy(seen, (), KEY))(seen)
    log = [np.asarray(column) for column in distribution.log_probabilities]
    expected, exact = 0.0, []
    for column, index in zip(log, np.asarray(batch.steps.action[0, 0]), strict=True):
        expected -= 0.8 * column[index] + 0.1 * column[index - 1] + 0.1 * column[index + 1]
        exact.append(-column[index])
    smoothed = replace(BC, smoothing=0.2, value_scale=0.0)
    loss, figures = jax.jit(lambda batch: smoothed.loss(ENV, policy, bank, batch, (), KEY))(batch)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(figures.nll, exact, rtol=1e-5)
