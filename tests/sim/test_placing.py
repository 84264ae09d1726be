"""Where an agent is on the lanes, and its way to a goal, on roads drawn by hand; ways against Dijkstra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sim.test_lane_graph import GRAPHING, dijkstra, drawn_map, random_map
from sim.test_lane_graph import straight as line

from drivetrain.sim.lane_graph import UNIT, Graphing, lane_graph, stack_graphs
from drivetrain.sim.placing import lines_near, locate, way_left
from drivetrain.types import Place, replace

EAST = jnp.array([1.0, 0.0])


def with_graph(bank, map_, graphing: Graphing = GRAPHING):
    graph = stack_graphs([lane_graph(map_, graphing, np.random.default_rng(0))])
    return replace(bank, graph=jax.tree.map(jnp.asarray, graph))


def goal(lane, along, x=0.0, y=0.0):
    return jnp.array([x, y, lane, along, 0.0], jnp.float32)


def place(lane, left):
    return Place(jnp.int32(lane), jnp.float32(left), jnp.float32(0.0), EAST, jnp.float32(0.0))


def located(bank, x, y, heading=EAST, goal=None, last=None):
    return jax.jit(lambda position: locate(bank, 0, position, jnp.asarray(heading), goal, last))(jnp.array([x, y]))


@pytest.mark.parametrize("seed", range(3))
def test_ways_from_and_to_the_middle_of_lanes_are_those_of_dijkstra(straight, seed):
    map_, lanes, successors, bundles = random_map(seed)
    bank = with_graph(straight, map_)
    pairs = [(a, b) for a in range(len(lanes)) for b in range(len(lanes))]
    random = np.random.default_rng(seed)
    ends = random.integers(0, 6, (len(pairs), 2))

    def metres(lane, number):
        return float(np.linalg.norm(np.diff(lanes[lane][: number + 1], axis=0), axis=1).sum())

    left = jnp.array([metres(a, 5) - metres(a, start) for (a, _), (start, _) in zip(pairs, ends, strict=True)])
    along = jnp.array([metres(b, end) for (_, b), (_, end) in zip(pairs, ends, strict=True)])
    lane, other = (jnp.array(column) for column in zip(*pairs, strict=True))
    ours = jax.vmap(lambda a, left, b, along: way_left(bank, 0, goal(b, along), place(a, left)))
    ours = np.asarray(ours(lane, left, other, along))
    for value, (a, b), (start, end) in zip(ours, pairs, ends.tolist(), strict=True):
        truth = dijkstra(lanes, successors, bundles, (a, start)).get((b, end), np.inf)
        assert abs(value - truth) <= 0.5 * UNIT + 0.01 if np.isfinite(truth) else value == np.inf


def test_nowhere_is_infinitely_far(straight):
    bank = with_graph(straight, random_map(0)[0])
    assert way_left(bank, 0, jnp.full(5, jnp.inf), place(0, 5.0)) == np.inf
    assert way_left(bank, 0, goal(0, 1.0), place(-1, 0.0)) == np.inf


def test_an_agent_is_where_it_is_along_its_lane(straight):
    bank = with_graph(straight, drawn_map([line(60.0)], [[]], []))
    here = located(bank, 21.3, 0.8)
    assert (int(here.lane), float(here.limit)) == (0, 10.0)
    np.testing.assert_allclose([here.left, here.aside], [38.7, 0.8], rtol=1e-4)
    np.testing.assert_allclose(here.heading, [1.0, 0.0], atol=1e-6)


def test_who_drives_against_a_lane_follows_none_and_is_nearest_to_it(straight):
    bank = with_graph(straight, drawn_map([line(60.0), line(60.0, 3.5)[::-1]], [[], []], []))
    last = place(1, 12.0)
    here = located(bank, 21.0, -0.3, [-1.0, 0.0], last=last)
    assert (int(here.lane), float(here.left)) == (1, 12.0)
    np.testing.assert_allclose(here.heading, [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(here.aside, -0.3, rtol=1e-4)


def test_who_is_on_no_lane_keeps_the_last(straight):
    bank = with_graph(straight, drawn_map([line(60.0)], [[]], []))
    here = located(bank, 21.0, 2.3, last=place(0, 50.0))
    assert (int(here.lane), float(here.left)) == (0, 50.0)
    np.testing.assert_allclose(here.aside, 2.3, rtol=1e-4)
    assert int(located(bank, 21.0, 2.3).lane) == -1
    far = located(bank, 500.0, 500.0, last=place(0, 50.0))
    assert int(far.lane) == 0


def test_where_lanes_lie_over_each_other_the_goal_says_which_is_followed(straight):
    """Lane 0 forks into 1, straight on, and 2, which turns left."""
    angle = np.linspace(0.0, np.pi / 2, 14)
    turn = np.stack([20.0 + 15.0 * np.sin(angle), 15.0 - 15.0 * np.cos(angle)], 1)
    map_ = drawn_map([line(20.0), line(30.0, x=20.0), turn], [[1, 2], [], []], [])
    bank = with_graph(straight, map_)
    for lane in (1, 2):
        here = located(bank, 23.0, 0.2, goal=goal(lane, 20.0))
        assert int(here.lane) == lane
        np.testing.assert_allclose(way_left(bank, 0, goal(lane, 20.0), here), 17.0, atol=0.1)
    past = located(bank, 33.0, 8.6, [0.5, 0.866], goal=goal(1, 20.0))  # it has turned: no lane leads back
    assert int(past.lane) == 2 and way_left(bank, 0, goal(1, 20.0), past) == np.inf


def test_no_bend_leaves_a_gap(straight):
    """Around a turn of 7 m, up to 1.8 m from its middle, the metres left fall without a jump."""
    angle = np.linspace(0.0, np.pi, 12)
    turn = np.stack([7.0 * np.sin(angle), 7.0 - 7.0 * np.cos(angle)], 1)
    bank = with_graph(straight, drawn_map([turn], [[]], []))
    at = np.linspace(0.1, np.pi - 0.1, 200)
    for radius in (5.2, 7.0, 8.8):
        position = np.stack([radius * np.sin(at), 7.0 - radius * np.cos(at)], 1).astype(np.float32)
        heading = np.stack([np.cos(at), np.sin(at)], 1).astype(np.float32)
        places = jax.jit(jax.vmap(lambda p, h: locate(bank, 0, p, h, None, None)))(position, heading)
        assert (np.asarray(places.lane) == 0).all()
        np.testing.assert_allclose(places.left, 7.0 * (np.pi - at), atol=0.6)
        np.testing.assert_allclose(places.aside, 7.0 - radius, atol=0.15)


def test_the_line_ahead_is_the_one_that_is_driven_over(straight):
    """The map has a light's line across x = 0, for those who drive east, and one at x = 9 that says nothing."""
    bank = with_graph(straight, drawn_map([line(60.0, x=-30.0)], [[]], []))
    lines = jax.jit(lambda p, h: lines_near(bank, 0, p, h))
    ahead = lines(jnp.array([-12.0, 0.5]), EAST)
    met = np.flatnonzero(np.isfinite(ahead.station))
    assert len(met) == 1 and int(ahead.index[met[0]]) == 0
    np.testing.assert_allclose(ahead.station[met[0]], 12.0, rtol=1e-5)
    assert not np.isfinite(lines(jnp.array([-12.0, 2.5]), EAST).station).any()  # it passes beside it
    assert not np.isfinite(lines(jnp.array([12.0, 0.5]), -EAST).station).any()  # it is the other way's
