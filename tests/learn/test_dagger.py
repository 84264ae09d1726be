"""Lessons on hand-drawn drives: the teacher sees by its own eyes, drives as often as told, and is caught up with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from policies import COLUMNS, ENV, Table, recurrent, table

from drivetrain.env import Env
from drivetrain.learn.bc import Bc, Demonstration
from drivetrain.learn.dagger import Dagger
from drivetrain.learn.update import Learning, Optimiser, learn
from drivetrain.observe.sight import Sight
from drivetrain.policy.anchored import acting
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.recurrent import RecurrentSizes
from drivetrain.policy.taught import Taught
from drivetrain.sim.building import make_bank
from drivetrain.types import InputError, replace

KEY = jax.random.key(0)
SEES = Env(observer=Sight(agents=2, road=4))
SIZES = DeepSetsSizes(tokens=16, width=16)
WINDOW, SCENES = 12, 8
DAGGER = Dagger(taught_in=SEES, built=SIZES, window=WINDOW, value_scale=0.0)


@pytest.fixture(scope="module")
def bank():
    cars = scenes.along_x(1.75, 20.0, 9.0), scenes.along_x(5.25, 30.0, 11.0), scenes.along_x(1.75, 45.0, 6.0)
    return make_bank([scenes.scenario(scenes.straight_road(lanes=2, length=300.0, agents=cars, steps=26))], 0.2)


def sharpened(policy, scale=60.0):
    """The same policy, surer of what it does."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: scale * leaf if "head" in jax.tree_util.keystr(path) else leaf, policy
    )


@pytest.fixture(scope="module")
def teacher():
    return sharpened(jax.jit(lambda key: SIZES.build(SEES, key))(jax.random.key(5)))


def lesson(dagger, env, policy, bank, version=0):
    """Segments and the batch [N, scenes] of a window of each scene."""

    @jax.jit
    def run():
        def scene(key):
            episodes = jnp.arange(len(bank.episodes.map))
            carry = dagger.open(env, policy, bank, episodes, key)
            _, segment, _ = dagger.gather(env, policy, bank, episodes, carry, jnp.int32(version))
            return segment, dagger.prepare(env, policy, bank, segment, key)

        return jax.vmap(scene, out_axes=(0, 1))(jax.random.split(KEY, SCENES))

    return run()


def one(batch):
    """The sequences of all scenes, one after the other."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)


def test_the_teacher_is_asked_about_every_state_by_its_own_eyes(bank, teacher):
    policy = Taught(table(), teacher)
    segment, batch = lesson(DAGGER, ENV, policy, bank)  # the learner sees a clock, the teacher the road
    state = jax.tree.map(lambda leaf: leaf[2, 5], segment.steps.state)
    seen = jax.jit(SEES.observe)(bank, state)
    told = jax.jit(lambda seen: teacher(jax.tree.map(lambda leaf: leaf[0], seen), (), KEY)[0])(seen)
    for ours, its in zip(batch.steps.action.logits, told.logits, strict=True):
        np.testing.assert_allclose(ours[5, 2, 0], its, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("beta", "weaned", "version", "share"), [(1.0, 0, 9, 1.0), (0.5, 10, 5, 0.25), (1.0, 10, 10, 0.0)]
)
def test_the_teacher_drives_a_share_that_falls(bank, beta, weaned, version, share):
    sure = Table(tuple(jnp.full(count, -30.0).at[0].set(30.0) for count in COLUMNS), jnp.zeros(()))
    other = Table(tuple(jnp.full(count, -30.0).at[1].set(30.0) for count in COLUMNS), jnp.zeros(()))
    dagger = replace(DAGGER, beta=beta, weaned=weaned, taught_in=ENV)
    assert float(dagger.share(jnp.int32(version))) == pytest.approx(share)
    segment, _ = lesson(dagger, ENV, Taught(other, sure), bank, version)
    assert np.mean(np.asarray(segment.steps.action) == 0) == pytest.approx(share, abs=0.12)


def test_the_loss_of_a_sure_teacher_is_that_of_cloning_it(bank, teacher):
    sure = sharpened(teacher, 1e4)
    learner = jax.jit(lambda key: SIZES.build(SEES, key))(KEY)
    policy = Taught(learner, sure)
    _, batch = lesson(replace(DAGGER, weaned=0), SEES, policy, bank)
    batch = one(batch)
    loss, figures = jax.jit(lambda: DAGGER.loss(SEES, policy, bank, batch, (), KEY))()
    taken = jax.vmap(jax.vmap(lambda told: told.mode()))(batch.steps.action)
    shown = Demonstration(replace(batch.steps, action=taken), batch.target)
    cloned, of_cloning = jax.jit(lambda: Bc(value_scale=0.0).loss(SEES, learner, bank, shown, (), KEY))()
    assert float(loss) == pytest.approx(float(cloned), rel=1e-3) and float(loss) > 1.0
    np.testing.assert_allclose(figures.agreement, of_cloning.accuracy, atol=1e-6)
    assert "explained" in DAGGER.describe_loss(figures)


def test_who_sees_all_comes_to_do_as_the_teacher_and_the_teacher_stays(bank, teacher):
    learner = jax.jit(lambda key: SIZES.build(SEES, key))(KEY)
    policy = Taught(learner, teacher)
    _, batch = lesson(DAGGER, SEES, policy, bank)
    learning = Learning(DAGGER, Optimiser(learning_rate=5e-3, weight_decay=0.1), epochs=60, minibatches=2)
    state = learning.optimiser.transform().init(policy)
    learnt, _, _ = jax.jit(lambda policy, state: learn(learning, SEES, policy, state, bank, batch, KEY))(policy, state)
    _, before = jax.jit(lambda policy: DAGGER.loss(SEES, policy, bank, one(batch), (), KEY))(policy)
    _, after = jax.jit(lambda policy: DAGGER.loss(SEES, policy, bank, one(batch), (), KEY))(learnt)
    assert float(after.divergence) < 0.15 * float(before.divergence), (before, after)
    assert float(after.agreement.min()) > 0.7
    jax.tree.map(np.testing.assert_array_equal, learnt.teacher, teacher)


def test_masked_steps_teach_nothing(bank, teacher):
    policy = Taught(jax.jit(lambda key: SIZES.build(SEES, key))(KEY), teacher)
    batch = one(lesson(DAGGER, SEES, policy, bank)[1])
    kept = replace(batch, steps=replace(batch.steps, mask=batch.steps.mask.at[3:].set(False)))
    spoilt = replace(
        kept,
        steps=replace(kept.steps, action=jax.tree.map(lambda leaf: leaf.at[3:].set(7.0), batch.steps.action)),
        target=batch.target.at[3:].set(1e6),
    )
    dagger = replace(DAGGER, value_scale=0.1)
    slope = jax.jit(jax.grad(lambda policy, batch: dagger.loss(SEES, policy, bank, batch, (), KEY)[0]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), slope(policy, kept), slope(policy, spoilt)
    )


def test_a_policy_begins_beside_a_teacher_of_the_right_shapes(bank):
    policy = table()
    begun = DAGGER.begin(policy)
    assert acting(begun) is policy and DAGGER.begin(begun) is begun
    wanted = jax.eval_shape(lambda: SIZES.build(SEES, KEY))
    assert jax.tree.map(jnp.shape, begun.teacher) == jax.tree.map(jnp.shape, wanted)
    with pytest.raises(InputError, match="teacher: it remembers"):
        replace(DAGGER, built=RecurrentSizes(SIZES, 4)).begin(policy)
    with pytest.raises(InputError, match="teacher: Table has none"):
        DAGGER.says(policy, bank, jax.jit(lambda: ENV.reset(bank, 0, KEY))())


def test_a_learner_that_remembers_is_taught_whole_windows(bank, teacher):
    policy = Taught(recurrent(KEY), teacher)
    _, batch = lesson(DAGGER, ENV, policy, bank)
    assert batch.steps.mask.shape == (1, SCENES, WINDOW)
    loss, _ = jax.jit(lambda: DAGGER.loss(ENV, policy, bank, one(batch), (), KEY))()
    assert np.isfinite(loss)
