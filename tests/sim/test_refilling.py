"""A bank whose slots are replaced holds what one made of the same recordings holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import compile_recording, measure
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import control_lines, lane_window, log_at, road_block
from drivetrain.sim.refilling import Slots, first_fill, join, prepare, refill
from drivetrain.sim.roads import Indexing, empty_blocks
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


def prepared(scenarios, given: Slots):
    """The recordings' pieces, and the blocks that hold their roads."""
    blocks = empty_blocks(len(scenarios), given.cells, scenarios[0].map, given.indexing)
    marks = np.zeros(len(scenarios[0].egos.track), bool)
    marks[:2] = ALL
    pieces = [
        prepare(scenario, marks, group, 0.2, given, (0, group), blocks[group : group + 1])
        for group, scenario in enumerate(scenarios)
    ]
    return pieces, blocks


def route_of(bank, episode: int):
    route = bank.episodes.route[episode, 0]
    return lane_window(bank, route, 20, 10, 10), control_lines(bank, route)


def assert_slot(bank, slot: int, scenario):
    """A slot holds what a bank made of its recording alone holds."""
    alone = make_bank([scenario], 0.2, indexing=INDEXING)
    for episode in (2 * slot, 2 * slot + 1):
        own = int(np.flatnonzero(np.asarray(alone.episodes.track)[:, 0] == int(bank.episodes.track[episode, 0]))[0])
        for has, should in (
            (log_at(bank, episode, 3), log_at(alone, own, 3)),
            (route_of(bank, episode), route_of(alone, own)),
        ):
            jax.tree.map(np.testing.assert_array_equal, has, should)
        place = log_at(alone, own, 3).position[0]
        segments, kind = road_block(bank, episode, place)
        expected, kinds = road_block(alone, own, place)
        np.testing.assert_array_equal(segments[: len(kinds)], expected)
        np.testing.assert_array_equal(kind[: len(kinds)], kinds)
        assert not kind[len(kinds) :].any()


def test_a_refilled_slot_is_another_recording(scenarios):
    pieces, blocks = prepared(scenarios, slots())
    bank = first_fill(join(pieces[:2], blocks[:2]), slots())
    bank = refill(bank, jax.tree.map(jnp.asarray, pieces[2]), jnp.array([0]))
    np.testing.assert_array_equal(bank.episodes.map, [0, 0, 1, 1])
    np.testing.assert_array_equal(bank.episodes.source, [2, 2, 1, 1])
    assert_slot(bank, 0, scenarios[2])
    assert_slot(bank, 1, scenarios[1])


def test_a_bank_refilled_whole_is_what_was_prepared_and_can_be_refilled_in_part(scenarios):
    pieces, blocks = prepared(scenarios, slots())
    bank = first_fill(join(pieces[:2], blocks[:2]), slots())
    lot = jax.device_put(join(pieces[1:], blocks[1:]))
    given, before = np.asarray(lot.roads.block), jax.tree.leaves(bank)
    bank = refill(bank, lot, jnp.arange(2))
    assert all(leaf.is_deleted() for leaf in before)
    np.testing.assert_array_equal(bank.episodes.map, [0, 0, 1, 1])
    np.testing.assert_array_equal(bank.episodes.log, [0, 0, 1, 1])
    np.testing.assert_array_equal(bank.episodes.source, [1, 1, 2, 2])
    np.testing.assert_array_equal(bank.roads.block, given)
    assert_slot(bank, 0, scenarios[1])
    assert_slot(bank, 1, scenarios[2])
    bank = refill(bank, jax.tree.map(jnp.asarray, pieces[0]), jnp.array([1]))
    assert_slot(bank, 0, scenarios[1])
    assert_slot(bank, 1, scenarios[0])


def test_a_road_that_is_too_large_is_refused(scenarios):
    with pytest.raises(InputError, match="cells: .* in slots of 3 .give slots more cells"):
        prepared(scenarios, slots(cells=3))
