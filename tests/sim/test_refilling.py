"""A bank whose slots are replaced holds what one made of the same recordings holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compiling import compile_recording, measure
from drivetrain.sim.bank import Indexing, lane_window, log_at, make_bank, road_block
from drivetrain.sim.refilling import Slots, first_fill, join, prepare, refill
from drivetrain.types import InputError

INDEXING = Indexing(width=32)
ALL = np.ones(2, bool)


def slots(cells: int = 400) -> Slots:
    return Slots(count=2, cells=cells, episodes=2, indexing=INDEXING)


@pytest.fixture(scope="module")
def scenarios():
    drawn = [scenes.straight_road(lanes=2, length=length) for length in (200.0, 230.0, 260.0)]
    capacity = measure(drawn)
    return [compile_recording(recording, capacity)[0] for recording in drawn]


def prepared(scenario, group: int):
    marks = np.zeros(len(scenario.egos.track), bool)
    marks[:2] = ALL
    return prepare(scenario, marks, group, 0.2, slots(), (0, group))


def test_a_refilled_slot_is_another_recording(scenarios):
    pieces = [prepared(scenario, group) for group, scenario in enumerate(scenarios)]
    bank = first_fill(join(pieces[:2]), slots())
    bank = refill(bank, jax.tree.map(jnp.asarray, pieces[2]), jnp.array([0]))
    np.testing.assert_array_equal(bank.episodes.map, [0, 0, 1, 1])
    np.testing.assert_array_equal(bank.episodes.source, [2, 2, 1, 1])
    for slot, scenario in ((0, scenarios[2]), (1, scenarios[1])):
        alone = make_bank([scenario], 0.2, indexing=INDEXING)
        for row in (0, 1):
            episode = 2 * slot + row
            own = int(np.flatnonzero(np.asarray(alone.episodes.track)[:, 0] == int(bank.episodes.track[episode, 0]))[0])
            for has, should in (
                (log_at(bank, episode, 3), log_at(alone, own, 3)),
                (lane_window(bank, episode, 0, 20, 10, 10), lane_window(alone, own, 0, 20, 10, 10)),
            ):
                jax.tree.map(np.testing.assert_array_equal, has, should)
            place = log_at(alone, own, 3).position[0]
            segments, kind = road_block(bank, episode, place)
            expected, kinds = road_block(alone, own, place)
            np.testing.assert_array_equal(segments[: len(kinds)], expected)
            np.testing.assert_array_equal(kind[: len(kinds)], kinds)
            assert not kind[len(kinds) :].any()


def test_a_road_that_is_too_large_is_refused(scenarios):
    with pytest.raises(InputError, match="cells"):
        prepare(scenarios[0], ALL, 0, 0.2, slots(cells=3), (0, 0))
