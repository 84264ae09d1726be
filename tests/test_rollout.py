import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
import worlds

from drivetrain.ending import Ending, Lives, retire
from drivetrain.env import Env
from drivetrain.observe.sight import Sight
from drivetrain.policy.base import Policy, count_parameters
from drivetrain.policy.categorical import Categorical
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.rollout import Driver, Others, Shared, drive, open_again, rates, rollout, start
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import logged, record_of
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import MARGINS, Array, component, happened, replace

ENV = Env()
COLUMNS = tuple(len(values) for values in ENV.dynamics.grid())
STRAIGHT = (40, 15)  # 0 m/s², 0 rad/s
LEFT = (40, 30)
ONLY = jnp.zeros(1, int)  # the first episode


class Guess(Policy):
    """Every action as likely as the next; its memory counts the steps of the episode, and its value tells the count."""

    def initial_memory(self):
        return jnp.int32(0)

    def __call__(self, observation, memory, key):
        return Categorical(tuple(jnp.zeros(count) for count in COLUMNS)), memory * 1.0, memory + 1


class Always(Policy):
    """One action, all but surely."""

    action: Array

    def __call__(self, observation, memory, key):
        logits = tuple(100.0 * jax.nn.one_hot(self.action[row], count) for row, count in enumerate(COLUMNS))
        return Categorical(logits), jnp.zeros(()), memory


def always(action):
    return Always(jnp.array(action))


begin = jax.jit(lambda bank, policy, episodes, key: start(ENV, bank, policy, episodes, key))
window = jax.jit(
    lambda bank, policy, carry, steps, episodes: rollout(ENV, bank, policy, carry, steps, episodes, version=4),
    static_argnums=3,
)


def roll(bank, policy, steps=60, episodes=None, seed=0):
    """The carry after a window, its transitions, and figures."""
    episodes = jnp.arange(len(bank.episodes.first)) if episodes is None else jnp.asarray(episodes)
    carry, segment, figures = window(bank, policy, begin(bank, policy, episodes, jax.random.key(seed)), steps, episodes)
    return carry, segment.steps, figures


@pytest.fixture(scope="module")
def bank():
    """Three cars 60 m apart in three lanes, 25 moments each: nobody meets."""
    cars = [scenes.along_x(1.75 + 3.5 * row, 20.0 + 60.0 * row) for row in range(3)]
    return make_bank([scenes.scenario(scenes.straight_road(agents=cars, length=400.0, steps=25))], 0.2)


@pytest.fixture(scope="module")
def pair():
    """Two agents controlled together: the right and the left of three lanes."""
    cars = [scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 120.0)]
    drawn = scenes.straight_road(agents=cars, length=400.0, steps=41)
    return make_bank([scenes.scenario(drawn)], 0.2, controlled=2)


def test_an_episode_lasts_as_long_as_its_recording(bank):
    _, steps, figures = roll(bank, always(STRAIGHT))
    ended = np.flatnonzero(np.asarray(steps.terminated[:, 0]))
    assert ended.tolist() == [23, 47]  # 24 steps lead from the first to the last of 25 moments
    assert np.asarray(steps.state.time).tolist() == (list(range(24)) * 3)[:60]
    assert not np.asarray(steps.truncated).any()
    assert np.asarray(steps.mask).all()
    assert float(figures.episodes) == 2.0
    assert float(figures.events.progress) == pytest.approx(120.0, abs=0.1)
    assert float(figures.reward) == pytest.approx(60 * 0.04, abs=0.01)
    assert float(figures.returns) == pytest.approx(48 * 0.04, abs=0.01)


def test_restarts_draw_from_the_table_alone(bank):
    drawn = [roll(bank, always(STRAIGHT), episodes=[2, 0, 2], seed=seed)[1].state.episode for seed in range(6)]
    assert {int(episode) for window in drawn for episode in window} == {0, 2}


def test_memory_starts_anew_with_an_episode(bank):
    carry, steps, _ = roll(bank, Guess(), seed=3)
    count, ended = 0, np.asarray(steps.terminated[:, 0])
    assert ended.any()
    for row, value in enumerate(np.asarray(steps.value[:, 0])):
        assert value == count
        count = 0 if ended[row] else count + 1
    assert carry.memory.tolist() == [count]


def test_log_probability_of_a_uniform_policy(bank):
    _, steps, _ = roll(bank, Guess())
    expected = -np.log(COLUMNS[0]) - np.log(COLUMNS[1])
    np.testing.assert_allclose(steps.log_prob, expected, rtol=1e-5)
    actions = np.asarray(steps.action[:, 0])
    assert actions.min() >= 0
    assert (actions.max(0) < COLUMNS).all()
    assert len(np.unique(actions[:, 0])) > 3


def test_a_failure_ends_the_episode_and_the_next_step_is_a_fresh_one(bank):
    _, steps, figures = roll(bank, always(LEFT))
    ended = np.flatnonzero(np.asarray(steps.terminated[:, 0]))
    assert 0 < ended[0] < 20
    assert float(steps.reward[ended[0], 0]) < -9.0
    assert int(steps.state.time[ended[0] + 1]) == 0
    assert float(figures.events.off_route) == len(ended) == float(figures.episodes)
    assert float(figures.events.collision) == 0.0


def test_scan_equals_a_loop(bank):
    """The window, written out with the environment's own functions and the actions that were sampled."""
    _, steps, _ = roll(bank, Guess(), seed=5)
    step, rewards = jax.jit(ENV.step), jax.jit(ENV.rewards)
    state = jax.jit(ENV.reset)(bank, steps.state.episode[0], jax.random.key(0))
    for row in range(8):
        np.testing.assert_allclose(steps.state.agents.position[row], state.agents.position, atol=1e-4)
        action = jax.vmap(ENV.dynamics.decode)(steps.action[row])
        state, events = step(bank, state, action)
        np.testing.assert_allclose(steps.reward[row], rewards(bank, events, None), atol=1e-5)
        ended = ENV.endings(bank, state, events)[0]
        assert ended.tolist() == steps.terminated[row].tolist()
        if bool(ended.all()):
            break
        state = retire(state, ended)


def test_two_windows_equal_one(bank):
    _, whole, _ = roll(bank, Guess(), seed=2)
    carry, first, _ = roll(bank, Guess(), 30, seed=2)
    _, second, _ = window(bank, Guess(), carry, 30, jnp.arange(3))
    for one, a, b in zip(*map(jax.tree.leaves, (whole, first, second.steps)), strict=True):
        np.testing.assert_array_equal(one, np.concatenate([a, b]))


def test_a_segment_is_whole_in_itself(bank):
    """Where it begins, what it led to, who drove, and whose recordings."""
    carry = window(bank, Guess(), begin(bank, Guess(), jnp.arange(3), jax.random.key(2)), 30, jnp.arange(3))[0]
    after, segment, _ = window(bank, Guess(), carry, 30, jnp.arange(3))
    assert segment.memory.tolist() == carry.memory.tolist() and int(segment.version) == 4
    np.testing.assert_array_equal(segment.id, jax.random.key_data(carry.key))
    steps = segment.steps
    fresh = np.asarray(steps.fresh)[:, 0]
    np.testing.assert_array_equal(fresh[1:], np.asarray(steps.terminated)[:-1, 0])
    assert bool(fresh[0]) is bool(carry.fresh) and fresh.any()
    np.testing.assert_array_equal(np.asarray(steps.state.time)[fresh], 0)
    for row in (0, 29):
        np.testing.assert_array_equal(segment.record[row], record_of(bank, steps.state.episode[row]))
    assert steps.reached is None  # no ending truncates
    assert segment.final.memory.tolist() == [int(steps.value[-1, 0]) + 1]
    if not np.asarray(steps.terminated)[-1, 0]:
        np.testing.assert_array_equal(segment.final.state.agents.position, after.state.agents.position)


@component
class Short(Ending):
    """Life goes on unseen after five steps."""

    def __call__(self, bank, state, events):
        over = state.time - bank.episodes.first[state.episode] >= 5
        return jnp.zeros_like(state.alive), state.alive & over


def test_what_a_truncated_step_reached_is_kept_before_anything_restarts(bank):
    env = replace(ENV, ending=Short())

    @jax.jit
    def run(policy):
        carry = start(env, bank, policy, jnp.arange(3), jax.random.key(0))
        return rollout(env, bank, policy, carry, 12, jnp.arange(3))

    _, segment, figures = run(Guess())
    steps = segment.steps
    assert np.flatnonzero(steps.truncated[:, 0]).tolist() == [4, 9] and float(figures.episodes) == 2.0
    np.testing.assert_array_equal(steps.reached.state.time, np.asarray(steps.state.time) + 1)
    np.testing.assert_array_equal(steps.reached.memory[:, 0], np.asarray(steps.value)[:, 0] + 1)
    going = ~np.asarray(steps.truncated)[:-1, 0]
    for name in ("position", "heading", "velocity"):
        reached, next_ = (np.asarray(getattr(state.agents, name)) for state in (steps.reached.state, steps.state))
        np.testing.assert_array_equal(reached[:-1][going], next_[1:][going])
    assert np.asarray(steps.state.time)[[5, 10]].tolist() == [0, 0]
    assert np.asarray(steps.reached.state.alive).all()  # as they were: nobody is retired yet


def test_without_episodes_a_scene_that_is_over_stays_masked(bank):
    roll = jax.jit(lambda policy, carry: rollout(ENV, bank, policy, carry, 30, None))
    carry, segment, figures = roll(always(STRAIGHT), begin(bank, always(STRAIGHT), ONLY, jax.random.key(0)))
    steps = segment.steps
    assert steps.mask[:, 0].tolist() == [True] * 24 + [False] * 6 and float(figures.steps) == 24.0
    assert not np.asarray(steps.reward)[24:].any() and not np.asarray(steps.fresh)[1:].any()
    assert not carry.state.alive.any()


def test_scenes_whose_recording_was_replaced_open_anew(bank):
    carry = roll(bank, Guess(), 5, episodes=[1])[0]
    for slots, opened in ((jnp.array([0]), True), (jnp.array([3, 1]), False)):
        again = open_again(ENV, bank, Guess(), jnp.arange(3), carry, slots)
        assert (int(again.state.time), int(again.memory[0])) == ((0, 0) if opened else (5, 5))


def test_sums_are_spoken_of_as_means(bank):
    _, _, figures = roll(bank, always(LEFT))
    said = rates(figures)
    assert said["episodes"] == float(figures.episodes) and said["train_off_route_share"] == 1.0
    assert said["returns"] == pytest.approx(float(figures.returns) / said["episodes"])
    assert said["progress_per_step"] == pytest.approx(float(figures.events.progress) / 60.0)
    assert {name for name in said if name.startswith("train_")} == {f"train_{name}_share" for name in MARGINS}


def test_scenes_batch(bank):
    episodes = jnp.arange(3)
    carries = [begin(bank, Guess(), episodes, jax.random.key(seed)) for seed in range(3)]
    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *carries)
    many = jax.jit(jax.vmap(lambda carry: rollout(ENV, bank, Guess(), carry, 10, episodes)[1].steps))(stacked)
    for row, carry in enumerate(carries):
        _, single, _ = window(bank, Guess(), carry, 30, episodes)
        for one, batched in zip(jax.tree.leaves(single.steps), jax.tree.leaves(many), strict=True):
            np.testing.assert_allclose(one[:10], batched[row], rtol=1e-4, atol=1e-4)


def test_who_ends_first_waits_masked_until_all_have_ended(pair):
    """Both turn left: the left lane's car leaves the road at once, the right lane's three lanes later."""
    _, steps, figures = roll(pair, always(LEFT))
    ends = [np.flatnonzero(np.asarray(steps.terminated[:, c])) for c in (0, 1)]
    columns = np.asarray(steps.state.controlled[0])
    first, last = (0, 1) if columns[0] == 1 else (1, 0)
    early, late = int(ends[first][0]), int(ends[last][0])
    assert early < late
    mask = np.asarray(steps.mask)
    assert mask[: late + 1, last].all()
    assert mask[: early + 1, first].all()
    assert not mask[early + 1 : late + 1, first].any()
    assert mask[late + 1].all()  # restarted
    assert np.asarray(steps.state.time)[[late, late + 1]].tolist() == [late, 0]
    gone = np.asarray(steps.state.agents.valid[early + 1 : late + 1, int(columns[first])])
    assert not gone.any()
    assert not np.asarray(steps.reward[early + 1 : late + 1, first]).any()
    assert float(figures.steps) == mask.sum()


# --------------------------------------------------------------------------------------------------------------- others


class Counting(Policy):
    """Presses harder with every step of the episode: its action is its memory."""

    first: int = eqx.field(static=True, default=30)

    def initial_memory(self):
        return jnp.int32(0)

    def __call__(self, observation, memory, key):
        row = jnp.minimum(self.first + memory, COLUMNS[0] - 1)
        logits = (100.0 * jax.nn.one_hot(row, COLUMNS[0]), 100.0 * jax.nn.one_hot(STRAIGHT[1], COLUMNS[1]))
        return Categorical(logits), 7.0 + memory, memory + 1


accompanied = jax.jit(
    lambda bank, policy, others, carry, steps: rollout(ENV, bank, policy, carry, steps, ONLY, others),
    static_argnums=4,
)


def beside(bank, policy, others, seed):
    return start(ENV, bank, policy, ONLY, jax.random.key(seed), others)


def test_the_same_policy_as_learner_and_as_the_other_drives_as_it_does_alone(pair):
    """Bit for bit: agents keep their keys, whoever is asked about them."""
    others = Others(Guess(), 1)
    alone = begin(pair, Guess(), ONLY, jax.random.key(4))
    one = window(pair, Guess(), alone, 20, ONLY)[1].steps
    two = accompanied(pair, Guess(), others, beside(pair, Guess(), others, 4), 20)[1].steps
    over = int(np.argmax(np.asarray(two.fresh)[1:].any(axis=1))) + 1  # then the learner has failed: both begin anew
    assert over > 3 and not np.asarray(two.mask)[:, 1].any()
    for name in ("action", "log_prob", "value", "reward"):
        np.testing.assert_array_equal(getattr(one, name)[:over], getattr(two, name)[:over])


def test_others_drive_the_last_agents_and_nothing_is_learnt_of_it(pair):
    """The learner guesses, with a memory; the other's action counts its own steps, from nothing in every episode."""
    others = Others(Counting(), 1)
    _, segment, figures = accompanied(pair, Guess(), others, beside(pair, Guess(), others, 1), 90)
    steps = segment.steps
    mask, time = np.asarray(steps.mask), np.asarray(steps.state.time)
    assert not mask[:, 1].any() and mask[:, 0].all()
    assert (np.diff(time) < 0).any()  # the learner has failed, and both have started anew
    expected = np.stack([np.minimum(30 + time, COLUMNS[0] - 1), np.full(90, STRAIGHT[1])], 1)
    np.testing.assert_array_equal(steps.action[:, 1], expected)
    np.testing.assert_array_equal(steps.value[:, 1], 7.0 + time)
    np.testing.assert_array_equal(steps.value[:, 0], time)
    assert segment.final.memory.tolist() == [int(time[-1]) + 1] * 2
    assert len(np.unique(np.asarray(steps.action[:, 0, 0]))) > 3
    assert float(figures.steps) == 90.0
    assert float(figures.reward) == pytest.approx(float(steps.reward[:, 0].sum()), abs=1e-4)

    # The same agent gets the same draws, whoever drives the other one.
    single = window(pair, Guess(), begin(pair, Guess(), ONLY, jax.random.key(1)), 5, ONLY)[1]
    np.testing.assert_array_equal(steps.action[:5, 0], single.steps.action[:, 0])


def test_who_has_ended_among_the_others_is_gone_while_the_learner_drives_on(pair):
    """The right lane's car is the learner's here; the left lane's leaves the road at once."""
    seed = next(n for n in range(9) if int(jnp.argmax(ENV.reset(pair, 0, jax.random.key(n)).controlled)) == 1)
    others = Others(always(LEFT), 1)
    carry = beside(pair, always(STRAIGHT), others, seed)
    column = int(carry.state.controlled[1])
    steps = accompanied(pair, always(STRAIGHT), others, carry, 40)[1].steps
    ended = np.flatnonzero(np.asarray(steps.terminated[:, 1]))
    assert len(ended) == 1 and ended[0] < 30
    assert steps.mask[:, 0].all() and steps.state.time.tolist() == list(range(40))
    assert not steps.state.agents.valid[ended[0] + 1 :, column].any()


def test_each_policy_is_asked_about_its_own_agents_alone():
    """By the operations of the compiled program: an eighth of the agents driven by another cost nothing more.

    A policy that were asked about everybody, as the learner is, would double them.
    """
    _, bank = worlds.crossing(agents=8)
    env = Env(Jerk(), Nobody(), Anywhere(), ending=Lives(), observer=Sight(agents=2, road=2, errand=True))
    policy = DeepSetsSizes(tokens=64, width=256).build(env, jax.random.key(0))

    def operations(*past):
        def drive(policy, past, key):
            others = Others(past[0], 1) if past else None
            carry = start(env, bank, policy, ONLY, key, others)
            steps = rollout(env, bank, policy, carry, 4, ONLY, others)[1].steps
            return steps.action, steps.value

        compiled = jax.jit(drive).lower(policy, past, jax.random.key(0)).compile()
        return compiled.cost_analysis()["flops"]

    alone, among = operations(), operations(policy)
    assert alone > 8 * 2 * count_parameters(policy)  # the policy is most of what is counted
    assert abs(among / alone - 1.0) < 0.05


# ---------------------------------------------------------------------------------------------------------------- drive


class Hold(Driver):
    """One action, always."""

    action: Array

    def __call__(self, bank, state, observation, memory, key):
        return jnp.tile(self.action, (len(state.alive), 1)), memory


class Follow(Driver):
    """Is where the log is, under dynamics of its own; counts its steps."""

    def rules(self, env):
        return replace(env, dynamics=Playback())

    def initial_memory(self, agents):
        return jnp.int32(0)

    def __call__(self, bank, state, observation, memory, key):
        def pose(c):
            there = logged(bank, state.episode, c, state.time + 1)
            return jnp.concatenate([there.position, there.heading])

        return jax.vmap(pose)(jnp.arange(len(state.alive))), memory + 1


class Waver(Driver):
    """Accelerates by its memory, which changes its sign with every step."""

    first: Array

    def initial_memory(self, agents):
        return jnp.full(agents, self.first)

    def __call__(self, bank, state, observation, memory, key):
        return jnp.stack([memory, jnp.zeros_like(memory)], axis=1), -memory


driven = jax.jit(
    lambda bank, driver, episode, steps: drive(ENV, bank, driver, episode, steps, jax.random.key(0)), static_argnums=3
)


def test_drive_goes_on_after_a_failure(bank):
    way = driven(bank, Hold(jnp.array([0.0, 0.6])), 0, 30)
    failed = np.asarray(happened(way.events.off_route[:, 0]))
    assert failed.sum() > 1
    assert way.time.tolist() == list(range(31))
    assert way.mask[:, 0].tolist() == [True] * 24 + [False] * 6
    assert way.agents.position.shape[0] == 31


def test_drive_of_the_log_is_the_log(bank):
    way = driven(bank, Follow(), 1, 24)
    column = int(way.controlled[0])
    np.testing.assert_allclose(way.agents.position[:, column, 0], 80.0 + 2.0 * np.arange(25), atol=1e-3)
    np.testing.assert_allclose(way.arc_length[:, 0] - way.arc_length[0, 0], 2.0 * np.arange(25), atol=1e-2)
    np.testing.assert_allclose(way.speed, 10.0, atol=1e-2)
    assert way.mask.all()
    assert not np.asarray(happened(way.events.off_route)).any()


def test_each_agent_has_its_own_driver_and_each_driver_its_memory(pair):
    act = Shared((Hold(jnp.array([1.0, 0.0])), Waver(jnp.float32(-1.0))), jnp.array([1, 0]))
    way = driven(pair, act, 0, 10)
    np.testing.assert_allclose(way.speed[-1], [10.0, 10.0 + 2.0], rtol=1e-4)
    np.testing.assert_allclose(way.speed[1], [10.0 - 0.2, 10.0 + 0.2], rtol=1e-4)
    first = act.initial_memory(2)
    assert first[0] == () and first[1].tolist() == [-1.0, -1.0]
