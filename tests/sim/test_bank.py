"""The bank against the scenario that it was made of, and the road's blocks against shapely."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
import shapely
from fixtures_dataset import entry

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.compile.padding import to_arrays
from drivetrain.data.recordings.recording import Feature
from drivetrain.data.store.shards import pack_record
from drivetrain.sim import roads
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import (
    bodies_of,
    control_lines,
    lane_window,
    lights_at,
    log_at,
    logged,
    reference_window,
    road_block,
)
from drivetrain.sim.roads import Indexing, box_distance, index_road
from drivetrain.sim.route_tables import PathRow, stack_tables, unroll
from drivetrain.types import ElementKind, InputError, LightState, Route, RouteFlag, replace

DT = 0.2


def test_every_ego_is_an_episode_and_admission_selects(scenario):
    small = Indexing(width=8)
    whole = make_bank([scenario(), scenario(0.01)], DT, indexing=small)
    np.testing.assert_array_equal(whole.episodes.source, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(whole.episodes.ego[:, 0], [0, 1, 2] * 2)
    np.testing.assert_array_equal(whole.episodes.track[:3, 0], [1, 0, 3])
    np.testing.assert_array_equal(whole.episodes.cursor[:3, 0], [10, 14, 20])
    admitted = [np.array([False, True, False, True]), np.zeros(4, bool)]
    few = make_bank([scenario(), scenario(0.01)], DT, admitted=admitted, indexing=small)
    assert few.episodes.ego.tolist() == [[1]]
    with pytest.raises(InputError, match="episodes"):
        make_bank([scenario()], DT, admitted=[np.zeros(4, bool)], indexing=small)


def test_a_route_stands_once_however_many_episodes_drive_it(scenario):
    whole, cut = (make_bank([scenario()], DT, indexing=Indexing(width=8), longest=most) for most in (None, 10))
    assert whole.episodes.route.tolist() == [[0], [1], [2]]
    assert cut.episodes.route.tolist() == [[0]] * 4 + [[1]] * 4 + [[2]]  # 39, 34 and 10 steps
    for one, other in zip(jax.tree.leaves(whole.routes), jax.tree.leaves(cut.routes), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pairs_share_their_window_and_start_where_the_log_is(scenario):
    bank = make_bank([scenario()], DT, controlled=2, indexing=Indexing(width=8))
    assert bank.episodes.track.tolist() == [[1, 0]]  # the third shares only 2 s
    assert (int(bank.episodes.first[0]), int(bank.episodes.last[0])) == (5, 39)
    # Cars at 10 and 8 m/s from x = 20: x = 30 and 28 at step 5, so stations 15 and 14 of 2 m.
    assert bank.episodes.cursor.tolist() == [[15, 14]]
    np.testing.assert_allclose(bank.episodes.log_distance, [[68.0, 54.4]], rtol=1e-4)


def test_accessors_read_the_rows_of_their_recording(scenario):
    second = scenario(0.01)
    second = replace(second, log=replace(second.log, lights=np.full_like(second.log.lights, LightState.GREEN)))
    bank = make_bank([scenario(), second], DT, indexing=Indexing(width=8))
    for episode, source in ((1, scenario()), (3, second)):
        agents = log_at(bank, episode, 7)
        np.testing.assert_array_equal(agents.position, source.log.agents.position[7])
        np.testing.assert_array_equal(agents.valid, source.log.agents.valid[7])
        np.testing.assert_array_equal(bodies_of(bank, episode).length, source.log.bodies.length)
        np.testing.assert_array_equal(lights_at(bank, episode, 7), source.log.lights[7])
    now = logged(bank, 3, 0, 7)
    np.testing.assert_array_equal(now.velocity, second.log.agents.velocity[7, 1])
    assert bool(now.valid)
    assert not bool(logged(bank, 3, 0, 40).valid)  # the log has steps 0 to 39


def test_lane_window_is_a_stretch_of_the_route(scenario, straight):
    window = lane_window(straight, 0, 45, 10, 53)
    assert window.left.shape == (2, 64, 4)
    np.testing.assert_allclose(window.centre[0, :, 0], 70.0 + 2.0 * np.arange(64))
    np.testing.assert_allclose(window.left[1, :, 1], 1.5 * 3.5)
    np.testing.assert_allclose(window.right[1, :, 1], 0.5 * 3.5)
    np.testing.assert_array_equal(np.argmax(window.recorded, axis=1), np.where(np.arange(35, 99) < 50, 1, 2))
    assert bool(jnp.all(window.exists[:, :3])) and not bool(jnp.any(window.exists[:, 3]))
    every = lane_window(straight, 0, 45, 10, 53, stride=4)
    np.testing.assert_array_equal(every.centre, window.centre[:, ::4])
    rows, exists = reference_window(straight, 0, 48, 0, 3)
    np.testing.assert_allclose(rows[PathRow.CENTRE_Y], [3.5, 3.5, 7.0, 7.0])
    assert bool(jnp.all(exists))


@pytest.mark.parametrize(("cursor", "known"), [(0, range(10, 21)), (100, range(11))])
def test_lane_window_ends_with_the_route(straight, cursor, known):
    window = lane_window(straight, 0, cursor, 10, 10)
    np.testing.assert_array_equal(np.flatnonzero(window.exists[:, 0]), list(known))
    gone = ~np.asarray(window.exists)
    for leaf in (window.left, window.centre, window.heading, window.limit, window.flags, window.recorded):
        assert not np.any(np.asarray(leaf)[..., gone])


def random_route(rng, count, lanes):
    """A route whose pieces and open borders are drawn, over a map of as many stations."""
    stations = rng.normal(0, 30, (count * lanes, 11)).astype(np.float32)
    flags = (rng.integers(0, 32, (count, lanes)) & rng.integers(0, 32, (count, lanes))).astype(np.uint32)
    flags[-1] &= ~np.uint32(RouteFlag.LINKED)  # nothing follows the last station
    return stations, Route(
        stations=np.arange(count * lanes, dtype=np.int32).reshape(count, lanes),
        length=np.asarray(count, np.int32),
        reference=np.zeros(count, np.int32),
        flags=flags,
        lines=np.full(1, -1, np.int32),
        line_station=np.zeros(1, np.float32),
    )


def open_sides(stations, route, first, last):
    """Ends of the open borders of the pieces that begin at stations first .. last, in no order."""
    found = set()
    for row in range(max(first, 0), min(last, len(route.flags) - 2) + 1):
        for lane, flags in enumerate(route.flags[row]):
            left0, right0 = stations[route.stations[row, lane], :4].reshape(2, 2).tolist()
            left1, right1 = stations[route.stations[row + 1, lane], :4].reshape(2, 2).tolist()
            borders = zip(
                (2, 4, 8, 16), ((left1, left0), (right0, right1), (left0, right0), (right1, left1)), strict=True
            )
            found |= {(*start, *end) for flag, (start, end) in borders if flags & 1 and flags & flag}
    return found


@pytest.mark.parametrize(("count", "lanes"), [(3, 1), (40, 2), (61, 3)])
def test_a_block_of_the_outline_holds_every_open_border_near_its_stations(count, lanes):
    stations, route = random_route(np.random.default_rng(count), count, lanes)
    arc = np.zeros(count, np.float32)
    (blocks,) = stack_tables([unroll(route, arc, stations)], 200).outline
    assert blocks.shape[2] == 200
    for cursor in range(count):
        x, y, along, up, inverse = blocks[cursor // 8].astype(float)
        there = x < 1e5
        assert not np.any(inverse[~there]) and not np.any(along[~there])
        held = np.stack([x, y, x + along, y + up], 1)[there]
        near = np.array(sorted(open_sides(stations, route, cursor - 12, cursor + 11)))
        around = open_sides(stations, route, cursor // 8 * 8 - 12, cursor // 8 * 8 + 18)
        assert len(held) == len(around)
        assert not len(near) or np.abs(near[:, None] - held).max(-1).min(1).max() < 1e-4
        np.testing.assert_allclose(inverse[there] * (along**2 + up**2)[there], 1.0, rtol=1e-5)


def test_a_block_that_is_too_full_keeps_the_sides_along_its_middle(monkeypatch):
    stations, route = random_route(np.random.default_rng(5), 40, 3)
    last = np.arange(40)[:, None] == 39
    route = replace(
        route, flags=np.broadcast_to(np.where(last, 0, 5), (40, 3)).astype(np.uint32)
    )  # all open to the right
    monkeypatch.setattr("drivetrain.sim.route_tables.SIDES", 48)
    blocks = unroll(route, np.zeros(40, np.float32), stations).outline
    assert blocks.shape == (5, 5, 48)
    row = [int(np.flatnonzero(stations[:, 2] == x)[0]) // 3 for x in blocks[2, 0]]
    assert sorted(set(row)) == list(range(11, 28))  # 16 stations of 3 lanes, around 16 .. 23


def test_control_lines_are_those_of_the_route(straight):
    lines = control_lines(straight, 0)
    np.testing.assert_array_equal(lines.kind, [2, 0])
    np.testing.assert_allclose(lines.ends[0], [120, 5.25, 120, 1.75])
    np.testing.assert_array_equal(lines.judged, [True, False])
    np.testing.assert_array_equal(lines.index, [0, -1])


def test_distance_of_segments_to_a_cell_is_exact():
    rng = np.random.default_rng(0)
    segments = rng.normal(0, 15, (2000, 4))
    segments[:20, 2:] = segments[:20, :2]  # without length
    segments[20:40, 3] = segments[20:40, 1]  # along x
    lines = shapely.linestrings(segments.reshape(-1, 2, 2))
    lines[:20] = shapely.points(segments[:20, :2])
    lower = np.array([[-4.0, 3.0], [20.0, -7.0]])
    expected = [shapely.distance(lines, shapely.box(x, y, x + 10.0, y + 10.0)) for x, y in lower]
    np.testing.assert_allclose(
        box_distance(segments.T.copy(), (lower[:, 0, None], lower[:, 1, None]), 10.0), expected, atol=1e-6
    )


@pytest.mark.parametrize("width", [400, 12])
def test_blocks_hold_everything_within_their_reach(scenario, width, monkeypatch):
    monkeypatch.setattr(roads, "PAIRS", 300 * width)  # all at once, and a part at a time
    rng = np.random.default_rng(1)
    start = rng.uniform(0, 150, (300, 2))
    elements = np.hstack([start, start + rng.normal(0, 4, (300, 2))]).astype(np.float32)
    given = scenario()
    road = replace(given.map, elements=elements, element_kind=(np.arange(300) % 4).astype(np.int32))  # 0 is padding
    bank = make_bank([replace(given, map=road)], DT, indexing=Indexing(radius=30.0, width=width))
    index = index_road(road, Indexing(radius=30.0, width=width))
    assert (np.min(index.reach) == 30.0) == (width == 400)
    there = np.flatnonzero(np.arange(300) % 4)
    lines = shapely.linestrings(elements.reshape(-1, 2, 2)[there])
    for position in rng.uniform(-40, 190, (60, 2)).astype(np.float32):
        block, kind = road_block(bank, 0, position)
        cell = np.clip(np.floor((position - index.origin) / 20.0), 0, index.size - 1).astype(int)
        reach = index.reach[cell[0] + cell[1] * index.size[0]]
        near = there[shapely.distance(lines, shapely.Point(position)) < reach - 1e-3]
        held = {tuple(row) for row in np.asarray(block)[np.asarray(kind) > 0].tolist()}
        assert all(tuple(row) in held for row in elements[near].tolist())
        for row, what in zip(np.asarray(block), np.asarray(kind), strict=True):
            assert what == 0 or np.any(np.all(elements[np.arange(300) % 4 == what] == row, axis=1))


@pytest.mark.parametrize("made", [scenes.crossing, scenes.bridge], ids=["flat", "levels"])
def test_a_driveway_is_on_the_map_and_changes_no_bit_of_a_block(made):
    """It lies before everything else and far out, at a height of its own: neither order, grid nor levels follow it."""
    outline = np.array([[5.0, -4.0], [8.0, -4.0], [8.0, -300.0], [5.0, -4.0]])
    plain = made()
    driveway = Feature(ElementKind.DRIVEWAY, outline, None if made is scenes.crossing else np.full(4, 90.0))
    walk = Feature(ElementKind.CROSSWALK, outline[:2], None if made is scenes.crossing else np.zeros(2))
    plain = dataclasses.replace(plain, features=(walk,))
    without, _ = compile_recording(plain)
    scenario, _ = compile_recording(dataclasses.replace(plain, features=(driveway, walk)))
    drawn = scenario.map.elements[scenario.map.element_kind == ElementKind.DRIVEWAY]
    assert np.hypot(*(drawn[:, 2:] - drawn[:, :2]).T).sum() == pytest.approx(
        np.hypot(*np.diff(outline, axis=0).T).sum()
    )
    assert (scenario.map.element_height is None) == (without.map.element_height is None)
    for leaf, other in zip(
        jax.tree.leaves(index_road(scenario.map, Indexing())),
        jax.tree.leaves(index_road(without.map, Indexing())),
        strict=True,
    ):
        assert leaf.tobytes() == other.tobytes() and leaf.shape == other.shape
    arrays, others = to_arrays(scenario), to_arrays(without)
    assert all(arrays[name].tobytes() == others[name].tobytes() for name in arrays if "element" not in name)
    assert pack_record(entry("a"), scenario).entry.area == pack_record(entry("a"), without).entry.area


@pytest.mark.parametrize("far", [1, 1 << 28])
def test_elements_of_a_cell_come_nearest_first_and_then_in_their_order(far):
    rng = np.random.default_rng(2)
    cell, element = rng.integers(0, 5, 400) * far, rng.permutation(400)
    distance = rng.integers(0, 9, 400).astype(np.float32)
    first, second, third = roads._nearest_first(cell, element, distance)
    rows = sorted(zip(cell.tolist(), distance.tolist(), element.tolist(), strict=True))
    assert list(zip(first.tolist(), third.tolist(), second.tolist(), strict=True)) == rows


def test_a_map_without_elements_has_an_empty_block(scenario):
    given = scenario()
    bare = replace(given.map, element_kind=np.zeros_like(given.map.element_kind))
    bank = make_bank([replace(given, map=bare)], DT, indexing=Indexing(width=8))
    _, kind = jax.jit(lambda place: road_block(bank, 0, place))(jnp.array([1e4, -1e4]))
    assert not np.any(kind)
