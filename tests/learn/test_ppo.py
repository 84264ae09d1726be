"""PPO where the answer is known: one state, a few actions, rewards given by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.learn.ppo import Experience, Ppo
from drivetrain.learn.update import Optimiser, begin, descend
from drivetrain.policy.heads import Discrete
from drivetrain.sim.building import make_bank
from drivetrain.types import Observation, State, Tokens, Transition, component, replace

KEY = jax.random.key(0)
STEPS = 6
STATE = object.__new__(State)  # the objective does not read it


class Table(eqx.Module):
    """The same logits everywhere, and a value that is the time of day (`ego[0]`) times a weight."""

    logits: jax.Array
    weight: jax.Array

    def __call__(self, observation, memory, key):
        return Discrete((self.logits,)), self.weight * observation.ego[0], memory


@component
class Blind(Env):
    """An environment in which one sees nothing but the time."""

    def observe(self, bank, state) -> Observation:
        nothing = Tokens(jnp.zeros((1, 1)), jnp.zeros(1, bool))
        one = Observation(state.time[None].astype(jnp.float32), nothing, nothing, nothing, jnp.zeros(()))
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (state.alive.shape[0], *leaf.shape)), one)


def experience(action, advantage, log_prob, mask=None) -> Experience:
    count = len(action)
    return Experience(
        state=STATE,
        agent=jnp.zeros(count, jnp.int32),
        action=jnp.asarray(action, jnp.int32)[:, None],
        log_prob=jnp.asarray(log_prob, jnp.float32),
        advantage=jnp.asarray(advantage, jnp.float32),
        target=jnp.zeros(count),
        mask=jnp.ones(count, bool) if mask is None else jnp.asarray(mask),
    )


def windowed(states: State, *of_agents: jax.Array) -> Transition:
    """A `Transition` [T, C] whose states are [T], as a rollout makes it."""
    one = Transition(jax.tree.map(lambda leaf: leaf[0], states), *(rows[0, 0] for rows in of_agents))
    return jax.tree.unflatten(jax.tree.structure(one), jax.tree.leaves((states, of_agents)))


def objective(ppo: Ppo, logits: jax.Array, batch: Experience):
    log = jax.nn.log_softmax(logits)
    count = len(batch.mask)
    entropy = jnp.full(count, -jnp.sum(jnp.exp(log) * log))
    return ppo.objective(log[batch.action[:, 0]], entropy, jnp.zeros(count), batch)


@pytest.fixture(scope="module")
def made():
    with_two = scenes.straight_road()
    return make_bank([scenes.scenario(with_two)], 0.2, controlled=2)


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


def test_a_bandit_is_learned_in_a_few_updates():
    ppo, optimiser = Ppo(entropy=0.001), Optimiser(learning_rate=0.05)
    worth = jnp.array([0.0, 1.0, 0.2, -1.0])
    train = begin(optimiser, Table(jnp.zeros(4), jnp.zeros(())), KEY)

    @jax.jit
    def update(train, key):
        log = jax.nn.log_softmax(train.policy.logits)
        action = jax.random.categorical(key, log, shape=(64,))
        batch = replace(experience(np.zeros(64), np.zeros(64), np.zeros(64)), action=action[:, None])
        batch = replace(batch, log_prob=log[action], advantage=worth[action])
        for _ in range(4):
            train, _, _ = descend(optimiser, train, lambda policy, _: objective(ppo, policy.logits, batch))
        return train

    for key in jax.random.split(KEY, 20):
        train = update(train, key)
    probability = jax.nn.softmax(train.policy.logits)
    assert float(probability[1]) > 0.9, probability


def test_prepare_bootstraps_where_life_goes_on_and_only_there(made):
    env, ppo = Blind(), Ppo(discount=0.9, trace=0.8)
    state = jax.jit(lambda: env.reset(made, 0, jax.random.key(0)))()
    states = [replace(state, time=jnp.asarray(t, jnp.int32)) for t in range(STEPS + 1)]
    draw = np.random.default_rng(0)
    reward = jnp.asarray(draw.normal(size=(STEPS, 2)), jnp.float32)
    terminated = jnp.zeros((STEPS, 2), bool).at[2, 0].set(True)
    truncated = jnp.zeros((STEPS, 2), bool).at[3, 1].set(True)
    policy = Table(jnp.array([0.0, 0.0]), jnp.asarray(0.5))
    rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states[:-1])
    blank = jnp.full((STEPS, 2), np.log(0.5), jnp.float32)
    mask = jnp.ones((STEPS, 2), bool).at[3:, 0].set(False)
    action = jnp.ones((STEPS, 2, 1), jnp.int32)
    window = windowed(rows, action, blank, blank, reward, terminated, truncated, mask)
    batch = ppo.prepare(env, made, policy, window, states[-1], KEY)

    value = 0.5 * np.arange(STEPS + 1)
    for agent in range(2):
        advantage, later = np.zeros(STEPS), 0.0
        for t in reversed(range(STEPS)):
            after = 0.0 if terminated[t, agent] else value[t] if truncated[t, agent] else value[t + 1]
            ended = bool(terminated[t, agent] | truncated[t, agent])
            later = float(reward[t, agent]) + 0.9 * after - value[t] + (0.0 if ended else 0.9 * 0.8 * later)
            advantage[t] = later
        np.testing.assert_allclose(batch.advantage[agent::2], advantage, atol=1e-5)
        np.testing.assert_allclose(batch.target[agent::2], advantage + value[:-1], atol=1e-5)
        assert batch.agent[agent::2].tolist() == [agent] * STEPS
    assert batch.state.time[::2].tolist() == batch.state.time[1::2].tolist() == list(range(STEPS))
    np.testing.assert_array_equal(batch.mask.reshape(STEPS, 2), mask)
