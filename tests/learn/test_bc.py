"""Cloning of hand-drawn drives: straight on, around a bend, and one that no car can follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import capacity_of, draft, pack
from drivetrain.env import Env
from drivetrain.learn.bc import Bc, expert_actions
from drivetrain.learn.update import Optimiser, begin, descend
from drivetrain.observe import Observer, RouteView
from drivetrain.policy.perceiver import Perceiver, Sizes
from drivetrain.sim.building import make_bank
from drivetrain.types import replace

KEY = jax.random.key(0)
ENV = Env(observer=Observer(agents=2, road=4, route=RouteView(stride=9, chunk=8)))
BC = Bc(value_scale=0.1, horizon=4)
STEPS = 30
STRAIGHT, BEND, JERK = range(3)  # episodes of the bank


@pytest.fixture(scope="module")
def bank():
    straight = scenes.straight_road(agents=(scenes.along_x(scenes.WIDTH / 2, 20.0),), steps=26)
    kink = scenes.Agent([(20.0, 1.75), (50.0, 1.75), (53.5, 5.25), (300.0, 5.25)])  # 45° at 10 m/s
    drafts = [draft(straight), draft(scenes.curve(steps=26)), draft(scenes.straight_road(agents=(kink,), steps=26))]
    capacity = capacity_of(drafts)
    return make_bank([pack(drafted, capacity)[0] for drafted in drafts], 0.2)


@pytest.fixture(scope="module")
def gathered(bank):
    gather = jax.jit(jax.vmap(lambda episode: BC.gather(ENV, bank, episode, STEPS)))
    return gather(jnp.arange(bank.episodes.map.shape[0]))


@pytest.fixture(scope="module")
def policy() -> Perceiver:
    grid = ENV.dynamics.grid()
    sizes = Sizes(width=16, heads=2, latents=1, blocks=1)
    actions = tuple(len(values) for values in grid)
    return jax.jit(lambda key: Perceiver(sizes, ENV.observer.widths, actions, key))(KEY)


def test_the_expert_follows_its_log(bank, gathered):
    batch, figures = gathered
    assert float(figures.worst[:JERK].max()) < 0.3  # m
    assert not figures.clipped[:JERK].any() and not figures.ended.any()
    recorded = np.minimum(np.asarray(bank.episodes.last - bank.episodes.first), STEPS)
    np.testing.assert_array_equal(figures.steps, recorded)
    np.testing.assert_array_equal(np.asarray(batch.mask).sum(1), recorded)


def test_a_car_at_constant_speed_does_nothing(gathered):
    action = np.asarray(gathered[0].action[STRAIGHT])[np.asarray(gathered[0].mask[STRAIGHT])]
    wanted = [np.argmin(np.abs(np.asarray(values))) for values in ENV.dynamics.grid()]
    assert (action == wanted).all()


def test_value_targets_are_discounted_rewards_of_the_log(bank, gathered):
    # 10 m/s on a straight road: 2 m a step, no other term of the reward.
    batch, steps = gathered[0], int(gathered[1].steps[0])
    reward = ENV.reward.progress * 2.0
    left = steps - np.arange(steps)
    expected = reward * (1.0 - BC.discount**left) / (1.0 - BC.discount)
    np.testing.assert_allclose(np.asarray(batch.target[0])[:steps], expected, rtol=2e-3)


def test_a_log_that_no_car_can_follow_is_clipped_and_counted(gathered):
    figures = jax.tree.map(lambda leaf: float(leaf[JERK]), gathered[1])
    assert 1.0 <= figures.clipped < figures.steps
    assert figures.worst > 0.1 and figures.error < figures.worst * figures.steps


def test_the_expert_steers_back_from_where_it_is(bank):
    state = jax.jit(lambda: ENV.reset(bank, 0, jax.random.key(0)))()
    own = int(state.controlled[0])
    aside = replace(
        state, agents=replace(state.agents, position=state.agents.position.at[own, 1].add(-0.5).at[own, 0].add(-0.5))
    )
    action = np.asarray(jax.jit(lambda s: expert_actions(ENV, bank, s, 6))(aside))[0]
    assert action[0] > 0.1 and action[1] > 0.005  # faster, and to the left


def test_a_tiny_batch_is_learned_by_heart(bank, gathered, policy):
    batch = jax.tree.map(lambda leaf: leaf[BEND, ::4], gathered[0])
    optimiser = Optimiser(learning_rate=1e-2)
    train = begin(optimiser, policy, KEY)
    step = jax.jit(lambda train: descend(optimiser, train, lambda p, k: BC.loss(ENV, bank, p, batch, k)))
    for _ in range(150):
        train, figures, _ = step(train)
    assert float(figures.nll.max()) < 0.3, figures
    assert float(figures.accuracy.min()) > 0.85, figures
    assert float(figures.explained) > 0.8, figures


def test_masked_steps_teach_nothing(bank, gathered, policy):
    batch = jax.tree.map(lambda leaf: leaf[STRAIGHT, :6], gathered[0])
    spoilt = replace(
        batch,
        action=batch.action.at[4:].set(0),
        target=batch.target.at[4:].set(1e6),
        mask=batch.mask.at[4:].set(False),
    )
    kept = replace(batch, mask=batch.mask.at[4:].set(False))
    loss = jax.jit(lambda batch: BC.loss(ENV, bank, policy, batch, KEY))
    for a, b in zip(jax.tree.leaves(loss(kept)), jax.tree.leaves(loss(spoilt)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_smoothing_spreads_over_neighbours(bank, gathered, policy):
    batch = jax.tree.map(lambda leaf: leaf[STRAIGHT, :1], gathered[0])
    state = jax.tree.map(lambda leaf: leaf[0], batch.state)
    distribution, _, _ = jax.jit(lambda state: policy(ENV.observer(bank, state, 0), (), KEY))(state)
    log = [np.asarray(column) for column in distribution.log_probabilities]
    expected = 0.0
    for column, index in zip(log, np.asarray(batch.action[0]), strict=True):
        expected -= 0.8 * column[index] + 0.1 * column[index - 1] + 0.1 * column[index + 1]
    smoothed = replace(BC, smoothing=0.2, value_scale=0.0)
    loss, _ = jax.jit(lambda batch: smoothed.loss(ENV, bank, policy, batch, KEY))(batch)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
