"""A part in pieces is judged as the whole is, and every piece has the same shapes."""

import jax
import numpy as np
import pytest

from drivetrain.evaluate.baselines import BASELINES
from drivetrain.evaluate.benchmark import evaluate, together
from drivetrain.evaluate.pieces import Chunks
from drivetrain.fleet.local import clone_loss, clone_sums, demonstrate, demonstrate_bank, make_policy
from drivetrain.fleet.run import Data
from drivetrain.fleet.splits import load_split


@pytest.fixture(scope="module")
def pieces(dataset):
    return Chunks((str(dataset),), "train", 1)


def test_pieces_have_one_shape_and_hold_the_whole_in_order(pieces, dataset):
    whole = load_split((Data(dataset=str(dataset)),), "train")
    found = list(pieces)
    assert len(found) == len(pieces) == 2
    assert len({tuple(leaf.shape for leaf in jax.tree.leaves(piece.bank)) for piece in found}) == 1
    assert tuple(name for piece in found for name in piece.names) == whole.names
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(piece.bank.episodes.source)[piece.rows()] for piece in found]),
        whole.bank.episodes.source,
    )
    assert [piece.first for piece in found] == [0, 2]


def test_pieces_are_judged_as_the_whole(pieces, dataset, run):
    whole = load_split((Data(dataset=str(dataset)),), "train")
    idm = BASELINES["idm"](run.env)
    one = evaluate(idm.env, whole.bank, idm.act)
    parts = [evaluate(idm.env, piece.bank, idm.act, portion=piece.portion()) for piece in pieces]
    other = together(parts)
    np.testing.assert_array_equal(one.episode, other.episode)
    np.testing.assert_array_equal(one.source, other.source)
    jax.tree.map(np.testing.assert_array_equal, one.outcome, other.outcome)


def test_the_loss_of_pieces_is_that_of_the_whole(pieces, dataset, run):
    loss, whole = run.cloning.loss, load_split((Data(dataset=str(dataset)),), "train")
    policy = make_policy(run, jax.random.key(3))
    shown, _ = demonstrate(run.env, whole.bank, loss)
    expected = clone_loss(run.env, loss, 16, whole.bank, policy, shown)
    sums, known = [], 0
    for piece in pieces:
        part, count, _ = demonstrate_bank(run.env, piece.bank, loss, piece.steps + 3, len(piece.rows()))
        sums.append(clone_sums(run.env, loss, 16, piece.bank, policy, part, count))
        known += int(count)
    assert known == len(shown.mask)
    np.testing.assert_allclose(sum(float(part.loss) for part in sums) / known, float(expected.loss), rtol=1e-5)
    np.testing.assert_allclose(sum(np.asarray(part.nll) for part in sums) / known, expected.nll, rtol=1e-5)
