"""A league: who stands in the ring and when, who drives whom, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from policies import table

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.fleet.local import _gathered, begin, update
from drivetrain.learn.bc import Bc
from drivetrain.learn.league import League
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.observe.sight import Sight
from drivetrain.policy.anchored import Anchored
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.recurrent import RecurrentSizes
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import InputError, replace

ENV = Env(Jerk(), Nobody(), Anywhere(), ending=Lives(), observer=Sight(agents=2, road=2, errand=True))
COLUMNS = tuple(len(values) for values in ENV.dynamics.grid())
EPISODES = jnp.arange(2)
KEY = jax.random.key(0)
AGENTS, OTHERS, WINDOW = 8, 2, 4
LEARNING = Learning(
    Ppo(window=WINDOW), Optimiser(learning_rate=1e-2), scenes=4, minibatches=1, league=League(2, OTHERS / AGENTS, 2)
)


def presses(row):
    """A policy that always takes one longitudinal jerk of the grid, and never steers."""
    logits = tuple(100.0 * jax.nn.one_hot(choice, count) for choice, count in zip((row, 1), COLUMNS, strict=True))
    return replace(table(columns=COLUMNS), logits=logits)


def small(seed=0):
    return DeepSetsSizes(tokens=8, width=8).build(ENV, jax.random.key(seed))


def begun(learning, policy):
    """A bank of worlds, and a stage on it before its first update."""
    _, bank = worlds.crossing(agents=AGENTS, graph=False)
    return bank, begin(ENV, learning, policy, bank, EPISODES, (jax.random.key(1), jax.random.key(2)))


def stacked(*policies):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *policies)


def test_the_oldest_gives_way_round_robin():
    league = League(size=3, every=2)
    ring, stood = league.begin(table(-1.0)), []
    for updates in range(1, 11):
        ring = league.after(ring, table(float(updates)), jnp.int32(updates))
        stood.append(ring.weight.tolist())
    first = [-1.0] * 3
    assert stood == [
        first,
        [2, -1, -1],
        [2, -1, -1],
        [2, 4, -1],
        [2, 4, -1],
        [2, 4, 6],
        [2, 4, 6],
        [8, 4, 6],
        [8, 4, 6],
        [8, 10, 6],
    ]


def test_who_is_met_turns_on_with_every_update():
    ring = stacked(*(table(float(row)) for row in range(3)))
    met = [League(size=3).met(ring, jnp.int32(updates)).weight.tolist() for updates in range(4)]
    assert met == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize("updates", [0, 1])
def test_past_policies_drive_the_last_agents_of_their_scenes_and_nothing_is_learnt_of_it(updates):
    """One always brakes, the other always accelerates; the learner, whose logits are even, does this and that."""
    learner = table(columns=COLUMNS)
    bank, train = begun(LEARNING, learner)
    ring, keys = stacked(presses(0), presses(3)), jax.random.split(jax.random.key(3), 4)

    @jax.jit
    def gathered(ring, carry, updates):
        return _gathered(ENV, LEARNING, bank, EPISODES, (learner, ring), updates, carry, keys)

    carry, batch, _, figures = gathered(ring, train.carry, jnp.int32(updates))
    jerk = np.asarray(batch.steps.action)[..., 0, 0].reshape(WINDOW, AGENTS, 4)
    mask = np.asarray(batch.steps.mask)[..., 0].reshape(WINDOW, AGENTS, 4)
    own, its = slice(AGENTS - OTHERS), slice(AGENTS - OTHERS, None)
    for scene in range(4):
        assert (jerk[:, its, scene] == (0, 3)[(scene + updates) % 2]).all()
        assert len(np.unique(jerk[:, own, scene])) == 4
    assert not mask[:, its].any() and mask[:, own].any()
    np.testing.assert_array_equal(figures.steps, mask.sum(axis=(0, 1)))
    assert carry.state.time.tolist() == [WINDOW] * 4


def test_a_stage_keeps_its_past_and_never_compiles_again():
    policy = small()
    bank, train = begun(LEARNING, policy)
    assert_rows(train.past, policy, policy)
    drove, programs = [], []
    for _ in range(4):
        train, gathered, _ = update(ENV, LEARNING, bank, EPISODES, train)
        drove.append(jax.tree.map(np.asarray, train.policy))
        programs.append(update._cache_size())
        assert 0 < float(gathered.steps) <= 4 * (AGENTS - OTHERS) * WINDOW
    assert programs[1] == programs[3]  # the second and the fourth update replaced one
    assert_rows(train.past, drove[1], drove[3])


def assert_rows(ring, *policies):
    jax.tree.map(np.testing.assert_array_equal, ring, stacked(*policies))


def test_of_a_policy_that_is_held_near_another_only_what_drives_is_kept():
    _, bank = worlds.crossing(agents=AGENTS, graph=False)
    held = Anchored(small(0), small(1))
    learning = replace(LEARNING, algorithm=Ppo(window=WINDOW, anchor=0.1), league=League(2, 0.25, 1))
    _, train = begun(learning, held)
    assert_rows(train.past, held.policy, held.policy)
    train, *_ = update(ENV, learning, bank, EPISODES, train)
    assert isinstance(train.policy, Anchored)
    assert_rows(train.past, train.policy.policy, held.policy)
    jax.tree.map(np.testing.assert_array_equal, train.policy.anchor, held.anchor)


@pytest.mark.parametrize(
    ("learning", "what"),
    [
        (replace(LEARNING, league=League(3)), "league.size: 3 for the 4 scenes"),
        (replace(LEARNING, league=League(2, share=0.01)), "league.share: 0.01 of 8 agents are 0"),
        (replace(LEARNING, league=League(2, share=0.99)), "league.share: 0.99 of 8 agents are 8"),
    ],
)
def test_what_cannot_be_dealt_out_is_refused(learning, what):
    with pytest.raises(InputError, match=what):
        begun(learning, table(columns=COLUMNS))


def test_what_a_league_is_not_for_is_refused():
    remembering = RecurrentSizes(DeepSetsSizes(tokens=8, width=8), memory=8).build(ENV, KEY)
    with pytest.raises(InputError, match=r"league.size: a policy that remembers"):
        begun(LEARNING, remembering)
    cloning = replace(LEARNING, algorithm=Bc(longest=2))
    bank, train = begun(cloning, small())
    with pytest.raises(InputError, match="league.size: Bc drives every agent itself"):
        update(ENV, cloning, bank, EPISODES, train)


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"size": -1}, "size"), ({"share": 0.0}, "share"), ({"share": 1.0}, "share"), ({"every": 0}, "every")],
)
def test_a_league_of_no_sense_is_named(fields, what):
    with pytest.raises(InputError, match=f"league.{what}"):
        League(**fields)
