"""What all algorithms share: a window as sequences, shown again to a policy that remembers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from policies import ENV, Counting, Recurrent, recurrent, table

from drivetrain.learn.algorithm import by_sequence, cut, scalars, unroll
from drivetrain.learn.bc import Bc
from drivetrain.learn.loop import Loop
from drivetrain.learn.ppo import Ppo, PpoFigures
from drivetrain.learn.returns import Fit
from drivetrain.policy.base import first_memory, remembers
from drivetrain.sim.building import make_bank

KEY = jax.random.key(0)
EPISODES = jnp.zeros(1, int)
PPO = Ppo(window=13)


@pytest.fixture(scope="module")
def bank():
    """Two cars, three lanes apart from one another, for 23 steps."""
    cars = (scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 90.0))
    return make_bank([scenes.scenario(scenes.straight_road(agents=cars, steps=24))], 0.2, controlled=2)


def second_window(bank, policy):
    """A window that begins within an episode, and in which another begins."""
    carry = PPO.open(ENV, policy, bank, EPISODES, KEY)
    carry, _, _ = PPO.gather(ENV, policy, bank, EPISODES, carry, jnp.int32(0))
    return PPO.gather(ENV, policy, bank, EPISODES, carry, jnp.int32(1))[1]


@pytest.mark.parametrize("kind", ["recurrent", "counting", "without memory"])
def test_a_window_shown_again_gets_the_answers_that_it_recorded(bank, kind):
    policy = {"recurrent": recurrent(KEY), "counting": Counting(jnp.float32(0.5)), "without memory": table(0.5)}[kind]
    whole = kind != "without memory"
    assert remembers(policy) is whole

    @jax.jit
    def again(policy):
        segment = second_window(bank, policy)
        steps = cut(policy, segment)
        log_prob, value = unroll(policy, steps, jax.random.key(9), lambda d, a: d.log_prob(a))
        return segment, steps, value, log_prob

    segment, steps, value, log_prob = again(policy)
    fresh = np.asarray(segment.steps.fresh).any(axis=1)
    assert not fresh[0] and fresh[1:].any() and int(segment.version) == 1
    expected = by_sequence((segment.steps.value, segment.steps.log_prob), whole)
    assert value.shape == ((2, 13) if whole else (26, 1))
    np.testing.assert_allclose(value, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_prob, expected[1], rtol=1e-5, atol=1e-5)
    if whole:
        memory = np.asarray(segment.memory)
        assert not np.array_equal(memory, first_memory(policy, 2))
        stale = jax.tree.map(lambda leaf: leaf + 1, segment.memory)
        other = unroll(policy, cut(policy, with_memory(segment, stale)), KEY, lambda d, a: d.log_prob(a))[1]
        begins = int(np.flatnonzero(fresh)[0])
        assert np.abs(np.asarray(other - value)[:, :begins]).min() > 1e-5
        np.testing.assert_allclose(other[:, begins:], value[:, begins:], rtol=1e-5, atol=1e-5)  # forgotten


def with_memory(segment, memory):
    return jax.tree.unflatten(
        jax.tree.structure(segment), jax.tree.leaves((segment.steps, memory, segment.final, *rest(segment)))
    )


def rest(segment):
    return segment.id, segment.version, segment.record


def test_sequences_are_single_steps_or_whole_agents(bank):
    policy = table()
    segment = jax.jit(lambda policy: second_window(bank, policy))(policy)
    for whole, shape in ((None, (26, 1)), (False, (26, 1)), (True, (2, 13))):
        steps = cut(policy, segment, whole)
        assert all(leaf.shape[:2] == shape for leaf in jax.tree.leaves((steps.observation, steps.action)))
        assert steps.mask.shape == steps.fresh.shape == shape
        assert steps.memory == ()
    time = np.asarray(segment.steps.state.time)
    np.testing.assert_array_equal(cut(policy, segment).observation.ego[::2, 0, 0], time)
    np.testing.assert_array_equal(cut(policy, segment).observation.ego[1::2, 0, 0], time)
    np.testing.assert_array_equal(cut(policy, segment, True).observation.ego[1, :, 0], time)


@pytest.mark.parametrize(
    "algorithm", [PPO, Bc(longest=6, horizon=2), Loop(rollouts=2, longest=6, least=0.0)], ids=["ppo", "bc", "loop"]
)
def test_every_algorithm_teaches_a_policy_that_remembers(bank, algorithm):
    @jax.jit
    def slope(policy: Recurrent):
        carry = algorithm.open(ENV, policy, bank, EPISODES, KEY)
        _, segment, _ = algorithm.gather(ENV, policy, bank, EPISODES, carry, jnp.int32(0))
        batch = algorithm.prepare(ENV, policy, bank, segment, KEY)
        moments = algorithm.moments(batch, lambda tree: tree)
        return batch, jax.value_and_grad(lambda p: algorithm.loss(ENV, p, bank, batch, moments, KEY), has_aux=True)(
            policy
        )

    batch, ((loss, figures), slopes) = slope(recurrent(KEY))
    assert batch.steps.mask.shape == {Ppo: (2, 13), Bc: (2, 6), Loop: (4, 6)}[type(algorithm)]
    assert np.isfinite(loss) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((figures, slopes)))
    for name in ("gate", "inner", "outer", "heads"):
        assert max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(getattr(slopes, name))) > 1e-7, name
    assert np.isfinite(list(algorithm.describe_loss(figures).values())).all()


def test_numbers_of_a_record_by_name():
    fit = Fit(*map(jnp.float32, (0.0, 1.0, 2.0, 8.0)))
    figures = PpoFigures(*map(jnp.float32, range(6)), fit, jnp.float32(6.0))
    assert scalars(figures) == {
        "loss": 0.0, "surrogate": 1.0, "entropy": 2.0, "ratio": 3.0, "clipped": 4.0, "divergence": 5.0,
        "strayed": 6.0,
    }  # fmt: skip
    said = Ppo().describe_loss(figures)
    assert said["value_error"] == 1.0 and said["explained"] == pytest.approx(0.75)
