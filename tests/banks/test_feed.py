"""A bank that is fed: what it holds, that it resumes, and which scenes start anew."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures_runs import recorded

from drivetrain.banks.feed import Feed, slots_for
from drivetrain.banks.streamed import Streamed
from drivetrain.data.store.shards import read_manifest, write_dataset
from drivetrain.data.store.streaming import Stream
from drivetrain.env import Env
from drivetrain.fleet.local import begin
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Learning
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import logged, road_block
from drivetrain.types import InputError, replace

COUNT = 3  # slots


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Seven recordings whose cars differ in speed."""
    folder = tmp_path_factory.mktemp("feeding") / "data"
    write_dataset(folder, [recorded(f"r{seed}", "train", seed) for seed in range(7)], 0.2)
    return Stream(str(folder), seed=4, threads=2)


@pytest.fixture(scope="module")
def slots(stream):
    return slots_for(read_manifest(stream.folder).recordings, COUNT, episodes=2)


@pytest.fixture
def opened(stream, slots):
    feeds = []

    def open_feed(turnover=2, state=None):
        feeds.append(Feed(stream, slots, turnover, state))
        return feeds[-1]

    yield open_feed
    for one in feeds:
        one.close()


ENV, PPO = Env(), Ppo(window=2)


def begun(source, scenes=6):
    policy = DeepSetsSizes(tokens=4, width=4).build(ENV, jax.random.key(0))
    learning = Learning(PPO, scenes=scenes)
    return begin(ENV, learning, policy, source.bank, source.episodes, (jax.random.key(1), jax.random.key(2)))


def renewed(source, train):
    return source.renew(ENV, PPO, train)


def assert_same(one, other):
    for has, was in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(has, was)


def test_a_bank_holds_the_last_samples_of_the_stream(stream, opened):
    source = Streamed(opened())
    train = begun(source)
    names = [sample.name for sample in itertools.islice(stream.open(), COUNT + 8)]
    samples = {sample.name: sample for sample in itertools.islice(stream.open(), 7)}
    for turn in range(5):
        bank = source.bank
        for slot in range(COUNT):
            at = max(i for i in range(COUNT + 2 * turn) if i % COUNT == slot)
            sample = samples[names[at]]
            alone = make_bank([sample.scenario], 0.2, admitted=[sample.admitted])
            for episode in (2 * slot, 2 * slot + 1):
                (same,) = np.flatnonzero(np.asarray(alone.episodes.ego)[:, 0] == int(bank.episodes.ego[episode, 0]))
                for time in (0, 11, 24):
                    here = logged(bank, episode, 0, time)
                    assert_same(here, logged(alone, int(same), 0, time))
                    near = road_block(alone, int(same), here.position)  # no wider than its map needs
                    slots = road_block(bank, episode, here.position)
                    assert_same([leaf[: len(near[1])] for leaf in slots], near)
                    assert not slots[1][len(near[1]) :].any()
            egos = {int(bank.episodes.ego[2 * slot, 0]), int(bank.episodes.ego[2 * slot + 1, 0])}
            assert egos == {0, 1}
        if turn < 4:
            train = renewed(source, train)


def test_a_feed_resumes_with_the_same_bank_and_goes_on_with_the_same_lots(opened):
    first = Streamed(opened())
    train = begun(first)
    for _ in range(3):
        train = renewed(first, train)
    second = Streamed(opened(state=first.state()))
    assert second.state() == first.state() and first.state()["position"] == COUNT + 6
    assert_same(second.bank, first.bank)
    for _ in range(2):
        assert_same(second.feed.refill(), first.feed.refill())


def test_scenes_on_replaced_slots_start_anew_and_others_go_on(opened):
    source = Streamed(opened(turnover=1))
    train = begun(source, scenes=12)
    before = eqx.tree_at(lambda carry: carry.gained, train.carry, train.carry.gained + 5.0)
    kept, policy = jax.tree.map(jnp.copy, before), jax.tree.map(np.asarray, train.policy)
    train = renewed(source, replace(train, carry=before))
    bank, after, slot = source.bank, train.carry, 0  # the oldest
    assert_same(train.policy, policy)
    over = np.asarray(kept.state.episode) // 2 == slot
    assert over.any() and not over.all()
    np.testing.assert_array_equal(np.asarray(after.gained)[:, 0], np.where(over, 0.0, 5.0))
    np.testing.assert_array_equal(after.state.time == bank.episodes.first[after.state.episode], True)

    def data(carry):
        carry = eqx.tree_at(lambda carry: carry.key, carry, jax.random.key_data(carry.key))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[~over], carry)

    assert_same(data(after), data(kept))
    keys = np.asarray(jax.random.key_data(after.key)), np.asarray(jax.random.key_data(kept.key))
    assert (keys[0] != keys[1]).any(axis=1).tolist() == over.tolist()


def test_slots_that_cannot_be_are_refused(stream, slots):
    for turnover in (0, COUNT + 1):
        with pytest.raises(InputError, match="turnover"):
            Feed(stream, slots, turnover)
    with pytest.raises(InputError, match="give slots more cells"):
        Feed(stream, replace(slots, cells=3), 1)
