"""Figures of self-play from moments made by hand, and a drive of a drawn world."""

import numpy as np
import pytest
from fixtures_worlds import DT, C, T, W, drawn

from drivetrain.evaluate.worlds import CAUSES, causes, summarise_worlds


def test_each_end_has_one_cause():
    found = {name: np.argwhere(where).tolist() for name, where in causes(drawn()).items()}
    assert found == {name: [] for name in CAUSES} | {
        "collision": [[0, 4, 0]],
        "arrived": [[0, 7, 1]],
        "late": [[1, 9, 1]],
    }


def test_figures_by_hand():
    figures = summarise_worlds(drawn(), DT, seed=0)
    steps = W * T * C - 3
    assert figures["agent_km"] == pytest.approx(steps * 10.0 * DT / 1000.0, abs=1e-3)
    assert figures["goals"] == 3 and figures["goals_reached"]["value"] == pytest.approx(3 / 5)
    assert figures["collision_per_km"]["value"] == pytest.approx(1 / (steps * 0.005))
    assert figures["late_per_km"]["value"] == pytest.approx(1 / (steps * 0.005))
    assert figures["off_road_per_km"]["value"] == 0.0
    assert figures["km_between_incidents"]["value"] == pytest.approx(steps * 0.005)
    assert figures["speed"]["value"] == pytest.approx(10.0)
    assert figures["lives"] == dict.fromkeys(CAUSES, 0) | {"collision": 1, "arrived": 1, "late": 1}
    assert (figures["worlds"], figures["agents"], figures["seconds"]) == (2, 2, 5.0)


def test_worlds_are_driven_by_the_rules_of_self_play(lived):
    _, moments = lived
    alive, fresh, ended = (np.asarray(leaf) for leaf in (moments.alive, moments.fresh, moments.ended))
    assert alive.shape == (3, 60, 5) and alive.any() and ended.any()
    assert not (ended & ~alive).any()
    assert not (np.asarray(moments.events.collision)[~alive] < 50.0).any()
    after_end = ended[:, :-1]
    assert (fresh[:, 1:][after_end & alive[:, 1:]]).all()  # there again only as somebody new
    assert not (fresh & ~alive).any()
    assert not np.array_equal(moments.position[1], moments.position[2])  # one world, other draws
