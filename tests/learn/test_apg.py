"""Analytic policy gradients against closed forms: a straight road, and a constant acceleration as the only error."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from policies import ENV, recurrent

from drivetrain.env import Env
from drivetrain.fleet.local import begin, update
from drivetrain.learn.apg import Apg
from drivetrain.learn.margin_costs import MarginCosts
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.policy.base import Policy
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.mixture import Mixture, MixtureHead
from drivetrain.policy.point import Point
from drivetrain.sim.building import make_bank
from drivetrain.sim.simulator import movers
from drivetrain.types import InputError, replace

KEY = jax.random.key(0)
EPISODES = jnp.zeros(1, int)
DT, SPAN = 0.2, jnp.array([4.0, 0.6])
PLAIN = Apg(longest=10, reset_every=5, effort=0.0, velocity_price=0.5)


class Constant(Policy):
    """One action, whatever is seen."""

    action: jax.Array  # spans

    def __call__(self, observation, memory, key):
        return Point(self.action, SPAN, jnp.float32(0.1)), jnp.float32(0.0), memory


class Noise(Policy):
    """Two components, whatever is seen."""

    mean: jax.Array

    def __call__(self, observation, memory, key):
        return Mixture(jnp.array([0.0, 0.5]), self.mean, jnp.full((2, 2), -2.0), SPAN), jnp.float32(0.0), memory


def accelerating(acceleration: float) -> Constant:
    return Constant(jnp.array([acceleration, 0.0]) / SPAN)


def road(*agents, steps=24, controlled=1):
    drawn = scenes.scenario(scenes.straight_road(lanes=6, length=400.0, agents=agents, steps=steps))
    return make_bank([drawn], DT, controlled=controlled)


def told(bank, speed):
    """The same recording, but its first car moves so along the road."""
    agents, steps = bank.logs.agents, bank.logs.agents.position.shape[1]
    ahead = agents.position[0, 0, 0, 0] + speed * DT * jnp.arange(steps)
    position = agents.position.at[0, :, 0, 0].set(ahead)
    velocity = agents.velocity.at[0, :, 0, 0].set(speed)
    return eqx.tree_at(lambda b: (b.logs.agents.position, b.logs.agents.velocity), bank, (position, velocity))


@pytest.fixture(scope="module")
def bank():
    return road(scenes.along_x(1.75, 20.0))


def prepared(apg, bank, policy, env=ENV, version=0):
    def one(policy):
        carry = apg.open(env, policy, bank, EPISODES, KEY)
        _, segment, figures = apg.gather(env, policy, bank, EPISODES, carry, jnp.int32(version))
        return segment, apg.prepare(env, policy, bank, segment, KEY), figures

    return jax.jit(one)(policy)


def slope(apg, bank, policy, batch, env=ENV):
    loss = jax.value_and_grad(lambda policy: apg.loss(env, policy, bank, batch, (), KEY), has_aux=True)
    return jax.jit(loss)(policy)


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_the_gradient_is_the_closed_form_of_the_steps_that_it_goes_back(bank, horizon):
    """Errors below the knee: ½ e². The k-th step of a stretch is ½ a (k dt)² ahead of its log and a k dt too fast; held
    for the last n of them alone, an acceleration moves it by ½ (n dt)² and n dt.
    """
    a, apg = 0.1, replace(PLAIN, horizon=horizon)
    _, batch, _ = prepared(apg, bank, accelerating(a))
    (loss, figures), grown = slope(apg, bank, accelerating(a), batch)
    time = np.arange(10)
    k = time % 5 + 1
    begun = np.maximum(time // horizon * horizon, time // 5 * 5)  # where the pose was data last
    ahead, faster = 0.5 * a * (k * DT) ** 2, a * k * DT
    n = time - begun + 1
    by_position, by_speed = 0.5 * (n * DT) ** 2, n * DT
    expected = np.mean(0.5 * ahead**2 + 0.5 * (0.5 * faster) ** 2)
    assert float(loss) == pytest.approx(expected, rel=1e-3)
    assert float(figures.position) == pytest.approx(np.mean(ahead), rel=1e-3)
    by_acceleration = np.mean(ahead * by_position + 0.25 * faster * by_speed)
    assert float(grown.action[0]) == pytest.approx(4.0 * by_acceleration, rel=2e-3)
    assert float(grown.action[1]) == pytest.approx(0.0, abs=1e-6)


def test_sight_adds_nothing_to_a_policy_that_looks_at_nothing(bank):
    whole, sighted = replace(PLAIN, horizon=5), replace(PLAIN, sighted=True)
    grown = []
    for apg in (whole, sighted, replace(sighted, rematerialise=True), replace(whole, rematerialise=True)):
        _, batch, _ = prepared(apg, bank, accelerating(0.1))
        grown.append(np.asarray(slope(apg, bank, accelerating(0.1), batch)[1].action))
    for other in grown[1:]:
        np.testing.assert_allclose(other, grown[0], rtol=1e-3, atol=1e-7)


def test_a_batch_is_driven_again_as_it_was_gathered(bank):
    """By the same draws: the poses of the loss are those that the policy reached."""
    policy, apg = Noise(jnp.array([[0.1, 0.0], [-0.1, 0.01]])), replace(PLAIN, horizon=5)
    segment, batch, gathered = prepared(apg, bank, policy)
    (_, figures), grown = slope(apg, bank, policy, batch)
    assert float(figures.position) == pytest.approx(float(gathered.error / gathered.steps), rel=1e-4)
    assert float(gathered.error) > 0.05 and np.any(np.asarray(grown.mean) != 0.0)
    assert segment.steps.action.shape == (10, 1, 2) and not np.array_equal(*segment.steps.action[:2])  # keys


@pytest.mark.parametrize("apg", [PLAIN, replace(PLAIN, sighted=True, reset_every=0)], ids=["pose is data", "sighted"])
def test_gradients_are_finite_where_vehicles_stand_and_where_they_reverse(apg):
    env = Env()
    policy = jax.jit(lambda key: DeepSetsSizes(tokens=8, width=8, head=MixtureHead()).build(env, key))(KEY)
    beside = road(scenes.along_x(1.25, 60.0, 1.0), scenes.along_x(5.75, 60.0, 1.0), steps=40)
    priced = replace(apg, margin_price=1.0)

    @jax.jit
    def learnt(bank, policy):
        _, segment, _ = priced.gather(env, policy, bank, EPISODES, KEY, jnp.int32(0))
        batch = priced.prepare(env, policy, bank, segment, KEY)
        return jax.value_and_grad(lambda p: priced.loss(env, p, bank, batch, (), KEY), has_aux=True)(policy)

    for speed in (0.0, -3.0, 1e-4):
        (loss, figures), grown = learnt(told(beside, speed), policy)
        assert np.isfinite(loss) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((figures, grown)))
        assert float(figures.cost) > 0.0  # two cars side by side, each near a border
        assert any(np.any(leaf != 0.0) for leaf in jax.tree.leaves(grown))


def test_agents_are_put_back_every_stretch_and_when_they_are_too_far(bank):
    apg = replace(PLAIN, reset_every=4)
    segment, _, figures = prepared(apg, bank, accelerating(2.0))
    off = np.asarray(jax.vmap(movers)(segment.steps.state)[0].position[:, 0, 0]) - (20.0 + 10.0 * DT * np.arange(10))
    np.testing.assert_allclose(off, (np.arange(10) % 4 * DT) ** 2, atol=1e-3)
    assert float(figures.snapped) == 0.0
    segment, batch, figures = prepared(replace(apg, reset_every=0, snap=0.3), bank, accelerating(2.0))
    assert float(figures.snapped) == 3.0  # after three steps each time: 0.36 m
    anchored = np.asarray(batch.anchored).reshape(10)
    assert anchored.all()  # at a horizon of one step
    held = prepared(replace(apg, reset_every=0, snap=0.3, horizon=10), bank, accelerating(2.0))[1].anchored
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(held)), [0, 3, 6, 9])


def test_stretches_double_until_the_episode_is_over():
    apg = Apg(longest=40, reset_every=5, reset_doubling=100)
    assert [int(apg.stretch(jnp.int32(version))) for version in (0, 100, 200, 299, 900)] == [5, 10, 20, 39, 40]
    assert int(replace(apg, reset_every=0).stretch(jnp.int32(0))) == 40


def test_nothing_is_learnt_in_the_warm_up_nor_after_the_recording(bank):
    _, batch, figures = prepared(replace(PLAIN, longest=30, warmup=3), bank, accelerating(1.0))
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(batch.steps.mask)), np.arange(3, 23))
    assert float(figures.steps) == 20.0


def test_a_policy_that_remembers_is_taught_by_what_it_saw_before(bank):
    class Later(Policy):
        """Acts by what it saw a step ago."""

        inner: Policy

        def initial_memory(self):
            return self.inner.initial_memory()

        def __call__(self, observation, memory, key):
            _, worth, new = self.inner(observation, memory, key)
            return Point(jnp.stack([worth, 0.0]), SPAN, jnp.float32(0.1)), worth, new

    policy = Later(recurrent(KEY))
    _, batch, _ = prepared(PLAIN, bank, policy)
    assert batch.steps.mask.shape == (1, 10)
    (_, _), grown = slope(PLAIN, bank, policy, batch)
    assert float(jnp.abs(grown.inner.outer).max()) > 0.0


def test_sight_goes_back_through_one_agent_alone():
    two = road(scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 20.0), controlled=2)
    with pytest.raises(InputError, match="sighted: "):
        replace(PLAIN, sighted=True).open(ENV, accelerating(0.0), two, EPISODES, KEY)
    _, batch, _ = prepared(PLAIN, two, accelerating(0.5))
    assert batch.steps.mask.shape == (20, 1)


def test_a_log_is_learnt_without_its_actions(bank):
    """The cars of the log keep their speed; the policy begins by pulling away."""
    learning = Learning(Apg(longest=10), Optimiser(learning_rate=0.05), scenes=4, minibatches=2, epochs=2)
    train = begin(ENV, learning, accelerating(1.5), bank, EPISODES, (KEY, jax.random.key(1)))
    errors = []
    for _ in range(20):
        train, gathered, learnt = update(ENV, learning, bank, EPISODES, train)
        errors.append(learning.algorithm.describe(gathered)["driven_error"])
    assert errors[-1] < 0.1 * errors[0] and abs(float(train.policy.action[0])) < 0.05
    assert np.isfinite(list(learning.algorithm.describe_loss(learnt).values())).all()


@pytest.mark.parametrize("aside", [1.9, 2.6])
def test_slopes_of_margins_are_those_of_small_moves(aside):
    """A car closely beside another: apart, and overlapping."""
    near = road(scenes.along_x(1.75, 60.0, 1.0), scenes.along_x(1.75 + aside, 61.0, 1.0), steps=40)
    costs = MarginCosts(off_route=0.5, off_road=0.3)
    state = jax.jit(lambda: ENV.reset(near, 0, KEY))()
    after, _ = jax.jit(lambda state: ENV.step(near, state, jnp.zeros((1, 2))))(state)
    cost, grown = jax.jit(lambda before, after: costs(near, before, after))(state, after)

    @jax.jit
    def moved(by):
        agents = after.agents
        position = jnp.asarray(agents.position).at[0].add(by)
        return costs(near, state, replace(after, agents=replace(agents, position=position)))[0][0]

    assert float(cost[0]) == pytest.approx(float(moved(jnp.zeros(2))), rel=1e-5) and float(cost[0]) > 0.1
    step = 1e-2
    for axis in range(2):
        by = jnp.zeros(2).at[axis].set(step)
        rise = float(moved(by) - moved(-by)) / (2 * step)
        assert float(grown.position[0, axis]) == pytest.approx(rise, abs=5e-2 * max(abs(rise), 0.1))
    assert float(grown.position[0, 1]) > 0.1  # towards the other it costs more


def test_what_is_far_from_everything_costs_nothing():
    free = road(scenes.along_x(8.75, 60.0, 1.0, width=1.0), steps=40)
    state = jax.jit(lambda: ENV.reset(free, 0, KEY))()
    after, _ = jax.jit(lambda state: ENV.step(free, state, jnp.zeros((1, 2))))(state)
    cost, grown = jax.jit(lambda before, after: MarginCosts()(free, before, after))(state, after)
    assert float(cost[0]) == 0.0 and not np.any(grown.position)
