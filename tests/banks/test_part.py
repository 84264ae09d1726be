"""A part in lots is judged as the whole is, and every lot has the same shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.banks.part import Part
from drivetrain.banks.resident import Resident
from drivetrain.drivers import BASELINES
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate, portion_of, together
from drivetrain.fleet.local import losses
from drivetrain.learn.bc import Bc
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.types import InputError


@pytest.fixture(scope="module")
def lots(dataset):
    return Part((str(dataset),), "train", 1)


@pytest.fixture(scope="module")
def whole(dataset):
    return Part((str(dataset),), "train")


def test_lots_have_one_shape_and_hold_the_whole_in_order(lots, whole):
    found = list(lots)
    assert len(found) == len(lots) == 2
    assert len({tuple(leaf.shape for leaf in jax.tree.leaves(lot.bank)) for lot in found}) == 1
    assert tuple(name for lot in found for name in lot.names) == whole.whole.names == ("a", "b")
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(lot.bank.episodes.source)[lot.rows()] for lot in found]),
        whole.whole.bank.episodes.source,
    )
    assert [lot.first for lot in found] == [0, 2]
    assert lots.episodes() == whole.episodes() == 4


def test_a_part_that_is_resident_is_one_lot_that_is_kept(whole):
    (one,), (again,) = list(whole), list(whole)
    assert len(whole) == 1 and one is again is whole.whole
    source = Resident(whole)
    assert source.bank is one.bank and source.state() is None
    np.testing.assert_array_equal(source.episodes, one.rows())


def test_episodes_of_the_own_dataset_are_repeated_to_their_share(dataset):
    lot = Part((str(dataset), str(dataset)), "train").whole
    assert lot.dataset == (0, 0, 1, 1)
    drawn = np.asarray(lot.drawn(0.75))
    own = lot.episode_dataset()[drawn] == 0
    assert own.mean() == pytest.approx(0.75)
    assert sorted(set(drawn.tolist())) == list(range(8))  # every episode of either


def test_drives_are_cut_to_the_seconds_that_are_asked(dataset):
    lot = Part((str(dataset),), "train", seconds=2.0).whole
    steps = np.asarray(lot.bank.episodes.last) - np.asarray(lot.bank.episodes.first)
    assert lot.steps == 10 and steps.tolist() == [8] * 12  # thirds of 24 steps, none left out


def test_a_part_of_which_there_is_nothing_is_refused(dataset):
    with pytest.raises(InputError, match="nothing"):
        _ = Part((str(dataset),), "nothing").whole


def test_lots_are_judged_as_the_whole(lots, whole):
    env, idm = Env(), BASELINES["idm"]
    one = evaluate(env, whole.whole.bank, idm)
    other = together([evaluate(env, lot.bank, idm, portion_of(lot)) for lot in lots])
    np.testing.assert_array_equal(one.episode, other.episode)
    np.testing.assert_array_equal(one.source, other.source)
    jax.tree.map(np.testing.assert_array_equal, one.outcome, other.outcome)


def test_the_loss_of_lots_is_that_of_the_whole(lots, whole):
    env, bc = Env(), Bc(longest=24)
    policy = DeepSetsSizes(tokens=8, width=8).build(env, jax.random.key(3))

    def of(lot):
        rows = jnp.asarray(lot.rows(), jnp.int32)
        return losses(env, bc, lot.bank, policy, rows, jnp.ones(len(rows)))

    weight, expected = of(whole.whole)
    sums = [of(lot) for lot in lots]
    assert sum(float(part) for part, _ in sums) == float(weight) == 4 * 24
    for name in ("loss", "nll", "accuracy"):
        total = sum(np.asarray(getattr(figures, name)) for _, figures in sums)
        np.testing.assert_allclose(total, getattr(expected, name), rtol=1e-5)
