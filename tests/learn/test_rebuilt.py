"""Observations rebuilt of the states of a window: what was seen, to the last bit, and what is learnt of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from policies import table

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.local import _gathered, begin, update
from drivetrain.learn.algorithm import Origins, seen
from drivetrain.learn.bc import Bc
from drivetrain.learn.league import League
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.threshold import Threshold
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.observe.blur import Blur
from drivetrain.observe.sight import Sight
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.recurrent import RecurrentSizes
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.styles import Styles
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import InputError, replace

BLURRED = Sight(agents=2, road=3, errand=True, traits=True, blur=Blur(road=0.4, lanes=0.4))
ENV = Env(Jerk(), Nobody(), Anywhere(styles=Styles(blind=0.3)), ending=Lives(), observer=BLURRED)
EPISODES = jnp.arange(2)
AGENTS, WINDOW, SCENES = 6, 5, 4
STORED = Learning(Ppo(window=WINDOW), Optimiser(learning_rate=1e-2), scenes=SCENES, minibatches=1)
REBUILT = replace(STORED, rebuilt=True)
SMALL = DeepSetsSizes(tokens=8, width=8)
POLICIES = {"forgets": SMALL, "remembers": RecurrentSizes(SMALL, memory=8)}


@pytest.fixture(scope="module")
def bank():
    return worlds.crossing(agents=AGENTS, graph=False)[1]


def begun(learning, bank, policy):
    policy = POLICIES[policy].build(ENV, jax.random.key(0))
    return begin(ENV, learning, policy, bank, EPISODES, (jax.random.key(1), jax.random.key(2)))


@pytest.mark.parametrize(
    ("policy", "league"), [("forgets", League()), ("remembers", League()), ("forgets", League(size=2, share=0.5))]
)
def test_what_is_rebuilt_is_what_was_seen(bank, policy, league):
    """Also what was overlooked and misjudged, by agents that are blind or not, some of them new in the window."""
    stored, rebuilt = replace(STORED, league=league), replace(REBUILT, league=league)
    train, keys = begun(stored, bank, policy), jax.random.split(jax.random.key(3), SCENES)

    @jax.jit
    def gathered(carry):
        given = EPISODES, (train.policy, train.past), jnp.int32(1), carry, keys
        _, batch, nothing, _ = _gathered(ENV, stored, bank, *given)
        _, without, states, _ = _gathered(ENV, rebuilt, bank, *given)
        assert nothing == () and isinstance(without.steps.observation, Origins)
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), without)
        again = seen(ENV, bank, flat, states).steps.observation
        return batch, jax.tree.map(lambda leaf: leaf.reshape(-1, SCENES, *leaf.shape[1:]), again)

    batch, again = gathered(train.carry)
    stored = batch.steps.observation
    assert not np.asarray(stored.road.mask).all() and len(np.unique(stored.ego)) > 100
    for name in ("ego", "agents", "road", "route", "remaining"):
        jax.tree.map(np.testing.assert_array_equal, getattr(again, name), getattr(stored, name))


@pytest.mark.parametrize("how", [{"kept": 0.5}, {"threshold": Threshold(share=0.5, rate=0.9)}])
def test_what_is_learnt_is_the_same(bank, how):
    trained = []
    for learning in (STORED, REBUILT):
        train = begun(replace(learning, **how), bank, "forgets")
        for _ in range(2):
            train, _, learnt = update(ENV, replace(learning, **how), bank, EPISODES, train)
        trained.append((train.policy, learnt, train.sieve))
    for one, other in zip(*map(jax.tree.leaves, trained), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_less_is_held(bank):
    """The more, the more agents a scene has; half already with six of them."""
    held = []
    for learning in (STORED, REBUILT):
        train, keys = (
            jax.eval_shape(lambda: begun(STORED, bank, "forgets")),
            jax.random.split(jax.random.key(3), SCENES),
        )

        def gathered(train, learning=learning, keys=keys):
            given = EPISODES, (train.policy, ()), jnp.int32(0), train.carry, keys
            return _gathered(ENV, learning, bank, *given)[1:3]

        held.append(sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(jax.eval_shape(gathered, train))))
    assert held[1] < 0.5 * held[0]


def test_what_cannot_be_rebuilt_is_refused():
    with pytest.raises(InputError, match="rebuilt: Bc keeps what it shows"):
        Bc().origins(table(), (2, 3))
    with pytest.raises(InputError, match="rebuilt: windows of actors hold what was seen"):
        Fleet(actors=1).check(REBUILT)
