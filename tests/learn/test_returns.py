import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.learn.returns import discounted_returns, explained, fit, leave_one_out, vtrace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    rlax = pytest.importorskip("rlax")

STEPS = 12


@pytest.fixture
def drawn() -> dict[str, jax.Array]:
    draw = np.random.default_rng(3)
    alive = draw.random(STEPS) < 0.8
    rows = {
        "value": draw.normal(size=STEPS + 1),
        "reward": draw.normal(size=STEPS),
        "discount": 0.9 * alive,
        "ratio": np.exp(draw.normal(size=STEPS)),
    }
    return {name: jnp.asarray(row, jnp.float32) for name, row in rows.items()}


def test_returns_agree_with_a_loop(drawn):
    expected, after = [], 2.5
    for reward, discount in zip(drawn["reward"][::-1].tolist(), drawn["discount"][::-1].tolist(), strict=True):
        after = reward + discount * after
        expected.append(after)
    np.testing.assert_allclose(
        discounted_returns(drawn["reward"], drawn["discount"], 2.5), expected[::-1], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("trace", [1.0, 0.95, 0.0])
def test_vtrace_agrees_with_rlax(drawn, trace):
    value, row = drawn["value"], jnp.full(STEPS, trace)
    args = (value[:-1], value[1:], drawn["reward"], drawn["discount"], drawn["ratio"])
    oracle = rlax.vtrace_td_error_and_advantage(*args, lambda_=row)
    target, advantage = vtrace(*args, row)
    np.testing.assert_allclose(target, oracle.errors + value[:-1], atol=1e-5)
    np.testing.assert_allclose(advantage, oracle.q_estimate - value[:-1], atol=1e-5)


def test_vtrace_clips_where_it_is_told(drawn):
    value, ratio = np.asarray(drawn["value"], float), np.asarray(drawn["ratio"], float)
    rho, c = np.minimum(2.0, ratio), 0.9 * np.minimum(0.7, ratio)
    reward, discount = np.asarray(drawn["reward"], float), np.asarray(drawn["discount"], float)
    expected = value[:-1].copy()
    for s in range(STEPS):  # eq. 1 of the paper, term by term
        weight = 1.0
        for t in range(s, STEPS):
            expected[s] += weight * rho[t] * (reward[t] + discount[t] * value[t + 1] - value[t])
            weight *= discount[t] * c[t]
    rows = [jnp.asarray(x, jnp.float32) for x in (value[:-1], value[1:], reward, discount, ratio)]
    target, _ = vtrace(*rows, jnp.full(STEPS, 0.9), rho_bar=2.0, c_bar=0.7)
    np.testing.assert_allclose(target, expected, atol=1e-5)


def test_on_policy_it_is_the_generalised_advantage(drawn):
    value = drawn["value"]
    target, advantage = vtrace(
        value[:-1], value[1:], drawn["reward"], drawn["discount"], jnp.ones(STEPS), jnp.full(STEPS, 0.95)
    )
    expected = rlax.truncated_generalized_advantage_estimation(drawn["reward"], drawn["discount"], 0.95, value)
    np.testing.assert_allclose(advantage, expected, atol=1e-5)
    np.testing.assert_allclose(target, advantage + value[:-1], atol=1e-5)


def test_nothing_crosses_a_restart(drawn):
    value = drawn["value"]
    discount, trace = jnp.full(STEPS, 0.9), jnp.where(jnp.arange(STEPS) == 5, 0.0, 0.9)

    def before(reward):
        return vtrace(value[:-1], value[1:], reward, discount, drawn["ratio"], trace)

    changed = drawn["reward"].at[6:].add(10.0)
    for old, new in zip(before(drawn["reward"]), before(changed), strict=True):
        np.testing.assert_array_equal(old[:6], new[:6])
        assert np.abs(old[6:] - new[6:]).min() > 0.0


def test_leave_one_out_agrees_with_a_loop():
    returns = np.array([1.0, 4.0, -2.0, 7.0], np.float32)
    expected = [returns[k] - np.delete(returns, k).mean() for k in range(4)]
    np.testing.assert_allclose(leave_one_out(returns), expected, rtol=1e-6)


def test_how_well_values_fit():
    target, mask = jnp.arange(6.0), jnp.array([True, True, True, True, False, False])

    def share(value):
        return explained(fit(value, target, mask))["explained"]

    assert share(target.at[5].set(99.0)) == pytest.approx(1.0)  # what is masked is nothing
    assert share(jnp.full(6, 1.5)) == pytest.approx(0.0, abs=1e-6)
    assert share(0.5 * target) == pytest.approx(0.75)
    assert share(target + 3.0) == pytest.approx(1.0)  # a constant is no variance
    assert explained(fit(target + 3.0, target, mask))["value_error"] == pytest.approx(9.0)


def test_fits_of_parts_add_up_and_of_nothing_are_zero():
    draw = np.random.default_rng(5)
    value, target = (jnp.asarray(draw.normal(size=9), jnp.float32) for _ in range(2))
    mask = jnp.asarray(draw.random(9) < 0.7)
    parts = [(fit(value[row], target[row], mask[row]), float(mask[row].sum())) for row in (slice(0, 4), slice(4, 9))]
    total = jax.tree.map(
        lambda *means: sum(m * n for m, (_, n) in zip(means, parts, strict=True)), *(f for f, _ in parts)
    )
    whole = jax.tree.map(lambda mean: mean * mask.sum(), fit(value, target, mask))
    np.testing.assert_allclose(jax.tree.leaves(total), jax.tree.leaves(whole), rtol=1e-5)
    assert not any(jax.tree.leaves(fit(value, target, jnp.zeros(9, bool))))


def test_values_of_a_stale_policys_rewards_come_nearer_to_the_learners_with_the_correction():
    """A choice of two, one reward of 1: the fixed points in closed form (Espeholt et al. 2018, eq. 5)."""
    drove, learns, reward = np.array([0.5, 0.5]), np.array([0.9, 0.1]), jnp.array([1.0, 0.0])
    zero = jnp.zeros(1)

    def settled(ratio):
        ratio = jnp.asarray(ratio, jnp.float32)

        def nearer(_, value):  # to the expected target, over what the stale policy chose
            chosen = reward[:, None], ratio[:, None]
            target = jax.vmap(lambda reward, ratio: vtrace(value[None], zero, reward, zero, ratio, zero)[0][0])(*chosen)
            return value + 0.1 * (jnp.dot(jnp.asarray(drove, jnp.float32), target) - value)

        return float(jax.lax.fori_loop(0, 300, nearer, jnp.float32(0.0)))

    corrected, plain = settled(learns / drove), settled(np.ones(2))
    least = np.minimum(drove, learns)
    assert corrected == pytest.approx(least[0] / least.sum(), abs=1e-3)
    assert plain == pytest.approx(drove[0], abs=1e-3)
    assert abs(corrected - learns[0]) < 0.2 * abs(plain - learns[0])
