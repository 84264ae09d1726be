"""One recording in the shape of a slot: whom it offers, and what does not fit."""

import numpy as np
import pytest
import scenes

from drivetrain.sim.refilling import Slots, join, prepare
from drivetrain.types import InputError

SLOTS = Slots(count=4, cells=200, episodes=3)


@pytest.fixture(scope="module")
def drawn():
    return scenes.scenario(scenes.straight_road())  # two cars


def test_egos_are_drawn_once_each_before_any_comes_again(drawn):
    both, one = np.array([True, True]), np.array([False, True])
    piece = prepare(drawn, both, 7, 0.2, SLOTS, (0, 1))
    egos = np.asarray(piece.episodes.ego)[:, 0]
    assert sorted(set(egos)) == [0, 1] and len(egos) == 3 and set(np.asarray(piece.episodes.source)) == {7}
    assert set(np.asarray(prepare(drawn, one, 7, 0.2, SLOTS, (0, 1)).episodes.ego)[:, 0]) == {1}
    single = Slots(count=4, cells=200)
    draws = {int(prepare(drawn, both, 0, 0.2, single, (0, number)).episodes.ego[0, 0]) for number in range(12)}
    assert draws == {0, 1}


def test_pieces_have_one_shape_and_are_joined(drawn):
    piece = prepare(drawn, np.array([True, True]), 0, 0.2, SLOTS, (0, 0))
    assert piece.roads.reach.shape == (1, 200) and not np.asarray(piece.roads.block)[0, -1].any()
    together = join([piece, piece])
    assert together.roads.reach.shape == (2, 200) and len(together.episodes.map) == 6


def test_what_does_not_fit_is_refused(drawn):
    with pytest.raises(InputError, match="give slots more cells"):
        prepare(drawn, np.array([True, True]), 0, 0.2, Slots(count=1, cells=2), (0, 0))
    with pytest.raises(InputError, match="episodes: none"):
        prepare(drawn, np.array([False, False]), 0, 0.2, SLOTS, (0, 0))
