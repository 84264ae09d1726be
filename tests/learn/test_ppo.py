"""PPO where the answer is known: one state, a few actions, rewards given by hand; and values that tell the time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from policies import ENV, NOWHERE, Counting, Table, glimpse, table

from drivetrain.ending import Ending
from drivetrain.learn.algorithm import Sequences
from drivetrain.learn.ppo import Experience, Ppo
from drivetrain.learn.update import Learning, Optimiser, alone, learn
from drivetrain.sim.building import make_bank
from drivetrain.types import component, happened, replace

KEY = jax.random.key(0)


def experience(action, advantage, log_prob, mask=None) -> Experience:
    """Single steps [N, 1] of one action column."""
    count = len(action)
    mask = jnp.ones(count, bool) if mask is None else jnp.asarray(mask)
    seen = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, 1, *leaf.shape)), glimpse(0.0, 0.0))
    steps = Sequences(
        seen, (), jnp.zeros((count, 1), bool), jnp.asarray(action, jnp.int32)[:, None, None], mask[:, None]
    )
    rows = (jnp.asarray(x, jnp.float32)[:, None] for x in (log_prob, advantage, np.zeros(count)))
    return Experience(steps, *rows)


def objective(ppo: Ppo, logits: jax.Array, batch: Experience):
    log = jax.nn.log_softmax(logits)
    entropy = jnp.full(batch.log_prob.shape, -jnp.sum(jnp.exp(log) * log))
    moments = ppo.moments(batch, alone)
    return ppo.objective(log[batch.steps.action[..., 0]], entropy, jnp.zeros_like(batch.log_prob), batch, moments)


def test_the_gradient_prefers_the_better_arm():
    ppo = Ppo(entropy=0.0, normalise=False)
    batch = experience([0, 1], [1.0, -1.0], np.log([0.5, 0.5]))
    slope = jax.grad(lambda logits: objective(ppo, logits, batch)[0])(jnp.zeros(2))
    assert slope[0] < 0.0 < slope[1]


@pytest.mark.parametrize(
    ("advantage", "ratio", "moves"), [(1.0, 1.5, False), (1.0, 0.5, True), (-1.0, 1.5, True), (-1.0, 0.5, False)]
)
def test_the_clip_stops_what_goes_too_far_and_nothing_else(advantage, ratio, moves):
    ppo = Ppo(entropy=0.0, normalise=False, clip=0.3)
    batch = experience([0], [advantage], [np.log(0.5) - np.log(ratio)])
    slope = jax.grad(lambda logits: objective(ppo, logits, batch)[0])(jnp.zeros(2))
    assert bool(jnp.abs(slope).max() > 1e-6) is moves
    _, figures = objective(ppo, jnp.zeros(2), batch)
    assert float(figures.ratio) == pytest.approx(ratio, rel=1e-5) and float(figures.clipped) == 1.0
    assert float(figures.divergence) == pytest.approx(ratio - 1.0 - np.log(ratio), rel=1e-4)


def test_entropy_is_rewarded():
    ppo = Ppo(entropy=0.1)
    batch = experience([0], [0.0], [0.0])
    peaked = jnp.array([2.0, 0.0])
    slope = jax.grad(lambda logits: objective(ppo, logits, batch)[0])(peaked)
    assert slope[0] > 0.0 > slope[1]


def test_masked_steps_teach_nothing():
    ppo = Ppo()
    kept = experience([0, 1, 0], [1.0, -0.5, 0.2], [-0.7, -0.6, -0.9])
    more = experience(
        [0, 1, 0, 1, 1], [1.0, -0.5, 0.2, 1e6, jnp.inf], [-0.7, -0.6, -0.9, -1e3, 5.0], [True, True, True, False, False]
    )
    logits = jnp.array([0.3, -0.1])
    for a, b in zip(
        jax.value_and_grad(lambda x: objective(ppo, x, kept)[0])(logits),
        jax.value_and_grad(lambda x: objective(ppo, x, more)[0])(logits),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_advantages_are_normalised_by_the_moments_of_the_whole_minibatch():
    batch = experience([0, 1, 0, 1], [1.0, 3.0, -2.0, 50.0], np.zeros(4), [True, True, True, False])
    moments = Ppo().moments(batch, alone)
    assert float(moments.mean) == pytest.approx(2.0 / 3.0)
    assert float(moments.deviation) == pytest.approx(np.std([1.0, 3.0, -2.0]), rel=1e-5)
    twice = Ppo().moments(batch, lambda tree: jax.tree.map(lambda leaf: 2.0 * leaf, tree))  # two learners of one mind
    np.testing.assert_allclose(jax.tree.leaves(twice), jax.tree.leaves(moments), rtol=1e-5)
    plain = Ppo(normalise=False).moments(batch, alone)
    assert (float(plain.mean), float(plain.deviation)) == (0.0, 1.0)


def test_a_bandit_is_learned_in_a_few_updates():
    learning = Learning(Ppo(entropy=0.001), Optimiser(learning_rate=0.05), epochs=4, minibatches=1)
    worth = jnp.array([0.0, 1.0, 0.2, -1.0])
    policy = table(columns=(4,))
    optimiser = learning.optimiser.transform().init(policy)

    @jax.jit
    def update(policy, optimiser, key):
        log = jax.nn.log_softmax(policy.logits[0])
        action = jax.random.categorical(key, log, shape=(64,))
        batch = experience(action, worth[action], log[action])
        units = jax.tree.map(lambda leaf: leaf[:, None], batch)  # of one scene
        return learn(learning, ENV, policy, optimiser, NOWHERE, units, key)[:2]

    for key in jax.random.split(KEY, 20):
        policy, optimiser = update(policy, optimiser, key)
    probability = jax.nn.softmax(policy.logits[0])
    assert float(probability[1]) > 0.9, probability


# ------------------------------------------------------------------------------------------------------------- prepare


@component
class After(Ending):
    """Life goes on unseen after so many steps, and a collision ends it: whichever comes first."""

    steps: int = 3

    def __call__(self, bank, state, events):
        terminated = state.alive & happened(events.collision)
        over = state.time - bank.episodes.first[state.episode] >= self.steps
        return terminated, state.alive & over & ~terminated


@pytest.fixture(scope="module")
def made():
    """Two controlled cars in one lane, and a wall of a lorry that the first of them meets at its second step."""
    cars = (scenes.along_x(1.75, 20.0), scenes.along_x(1.75, 60.0), scenes.along_x(1.75, 66.2, speed=0.1))
    return make_bank([scenes.scenario(scenes.straight_road(agents=cars))], 0.2, controlled=2)


def lambda_returns(segment, value, discount, trace):
    """Advantages [T, C] of a window, by a loop. `value(t)` is that of the state at a time of the episode."""
    steps = segment.steps
    reward, terminated, truncated = (np.asarray(x) for x in (steps.reward, steps.terminated, steps.truncated))
    time = np.asarray(steps.state.time)
    advantage = np.zeros(reward.shape)
    for c in range(reward.shape[1]):
        later = 0.0
        for t in reversed(range(len(time))):
            ended = terminated[t, c] or truncated[t, c]
            after = 0.0 if terminated[t, c] else value(time[t] + 1)  # of the state reached, whatever begins then
            later = reward[t, c] + discount * after - value(time[t]) + (0.0 if ended else discount * trace * later)
            advantage[t, c] = later
    return advantage


@pytest.mark.parametrize("remembered", [False, True])
def test_what_is_truncated_goes_on_with_the_value_of_the_state_it_reached(made, remembered):
    """The value is the time, which the ego's features tell, or the memory: 3 after the third step, not 2, nor 0."""
    env, ppo = replace(ENV, ending=After()), Ppo(window=8, discount=0.9, trace=0.8)
    policy = Counting(jnp.float32(0.5)) if remembered else table(0.5)

    @jax.jit
    def run(policy):
        episodes = jnp.zeros(1, int)
        carry = ppo.open(env, policy, made, episodes, KEY)
        _, segment, _ = ppo.gather(env, policy, made, episodes, carry, jnp.int32(0))
        return segment, ppo.prepare(env, policy, made, segment, KEY)

    segment, batch = run(policy)
    steps = segment.steps
    assert steps.state.time.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert np.asarray(steps.truncated).any(axis=1).tolist() == [False, False, True, False, False, True, False, False]
    expected = lambda_returns(segment, lambda time: 0.5 * time, 0.9, 0.8)
    by_step = [np.asarray(x).T if remembered else np.asarray(x).reshape(8, 2) for x in (batch.advantage, batch.target)]
    mask = np.asarray(steps.mask)
    assert mask.all(axis=1).any() and (np.asarray(steps.truncated) & mask).sum() >= 2
    np.testing.assert_allclose(by_step[0][mask], expected[mask], atol=1e-5)
    np.testing.assert_allclose(
        by_step[1][mask], (expected + 0.5 * np.asarray(steps.state.time)[:, None])[mask], atol=1e-5
    )


def test_what_is_terminated_is_worth_its_reward(made):
    """The second car runs into the third at once; the window's end bootstraps, the collision does not."""
    ppo = Ppo(window=12, discount=0.9, trace=0.8)
    straight = tuple(100.0 * jax.nn.one_hot(row, count) for row, count in zip((40, 15), (71, 31), strict=True))
    policy = Table(straight, jnp.float32(0.5))

    @jax.jit
    def run(policy):
        episodes = jnp.zeros(1, int)
        carry = ppo.open(ENV, policy, made, episodes, KEY)
        _, segment, _ = ppo.gather(ENV, policy, made, episodes, carry, jnp.int32(0))
        return segment, ppo.prepare(ENV, policy, made, segment, KEY)

    segment, batch = run(policy)
    steps = segment.steps
    assert steps.reached is None and np.asarray(steps.terminated).sum() == 1
    expected = lambda_returns(segment, lambda time: 0.5 * time, 0.9, 0.8)
    mask = np.asarray(steps.mask)
    assert 12 < mask.sum() < 24
    np.testing.assert_allclose(np.asarray(batch.advantage).reshape(12, 2)[mask], expected[mask], atol=1e-5)
    np.testing.assert_array_equal(batch.steps.mask.reshape(12, 2), mask)


def test_a_window_of_another_policy_is_weighed_by_the_one_that_learns(made):
    """Lagging: the values of the learner, and its ratios, clipped at 1; without, what was recorded."""
    ppo = Ppo(window=5, discount=0.9, trace=0.8, lagging=True)
    drove = table(0.5)
    learns = Table((0.3 * jnp.arange(71.0) / 71.0, drove.logits[1]), jnp.float32(0.25))

    @jax.jit
    def run(drove, learns):
        episodes = jnp.zeros(1, int)
        carry = ppo.open(ENV, drove, made, episodes, KEY)
        _, segment, _ = ppo.gather(ENV, drove, made, episodes, carry, jnp.int32(0))
        return segment, ppo.prepare(ENV, learns, made, segment, KEY)

    segment, batch = run(drove, learns)
    steps, value = segment.steps, 0.25 * np.arange(6)
    log = np.asarray(jax.nn.log_softmax(learns.logits[0]))
    for c in range(2):
        ratio = np.exp(log[np.asarray(steps.action)[:, c, 0]] + np.log(71.0))
        keep = 0.9 * (1.0 - np.asarray(steps.terminated)[:, c])
        correction, advantage = 0.0, np.zeros(5)
        for t in reversed(range(5)):
            going = 0.8 * (keep[t] > 0.0)
            advantage[t] = steps.reward[t, c] + keep[t] * (value[t + 1] + going * correction) - value[t]
            error = steps.reward[t, c] + keep[t] * value[t + 1] - value[t]
            correction = min(1.0, ratio[t]) * (error + keep[t] * going * correction)
        mask = np.asarray(steps.mask)[:, c]
        np.testing.assert_allclose(np.asarray(batch.advantage).reshape(5, 2)[mask, c], advantage[mask], atol=1e-5)
    np.testing.assert_array_equal(batch.log_prob.reshape(5, 2), steps.log_prob)  # ratios of the loss are to μ
