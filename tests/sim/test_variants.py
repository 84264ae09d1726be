"""Stretched, sheared and mirrored maps against shapely's affine transforms of the map as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
import shapely
import shapely.affinity
import shapely.ops
import worlds

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.events.off_route import off_route
from drivetrain.sim.reading import reference_window
from drivetrain.sim.route_tables import PathRow
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.towns import Town, town_bank
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.sim.variants import Warps, variant, without_signs
from drivetrain.types import ControlKind, Cross, ElementKind, InputError, RouteFlag, replace

STRETCHED = np.array([[1.2, 0.1], [0.0, 0.9]])
MIRRORED = np.array([[1.1, -0.12], [0.0, -0.95]])
WARPS = pytest.mark.parametrize("warp", [STRETCHED, MIRRORED])
DRIVE = 0


@pytest.fixture(scope="module")
def town():
    return worlds.crossing()[0]


def lanes_of(scenario, drive):
    """The union of the lanes of a drive, as a polygon, from its stations as they are given."""
    route, stations = scenario.egos.route, np.asarray(scenario.map.stations, float)
    index, flags = np.asarray(route.stations[drive]), np.asarray(route.flags[drive])
    pieces = []
    for row, slot in zip(*np.nonzero(flags & int(RouteFlag.LINKED)), strict=True):
        here, there = stations[index[row, slot]], stations[index[row + 1, slot]]
        pieces.append(shapely.Polygon([here[0:2], here[2:4], there[2:4], there[0:2]]).buffer(1e-6))
    return shapely.union_all(pieces)


def warped(shape, warp):
    return shapely.affinity.affine_transform(shape, [*warp[0], *warp[1], 0.0, 0.0])


@WARPS
def test_margins_of_a_drive_are_those_of_its_warped_lanes(town, warp):
    bank = town_bank([variant(town, warp)], ["warped"], 0.2, Town(agents=1, programmes=1, seconds=2.0), 0)
    env = Env(traffic=Nobody(), spawning=Anywhere(), ending=Lives())
    state = jax.jit(lambda key: env.reset(bank, 0, key))(jax.random.key(0))
    lanes, random = warped(lanes_of(town, DRIVE), warp), np.random.default_rng(0)
    length = int(town.egos.route.length[DRIVE])

    @jax.jit
    def margin(position, heading, cursor):
        agents = replace(state.agents, position=position[None], heading=heading[None])
        bodies = replace(state.bodies, length=jnp.array([4.5]), width=jnp.array([1.8]))
        after = replace(state, agents=agents, bodies=bodies, route=jnp.array([DRIVE]), cursor=cursor[None])
        return off_route(bank, state, after, 0)

    for _ in range(60):
        cursor = int(random.integers(12, length - 12))
        row = np.asarray(reference_window(bank, DRIVE, cursor, 0, 0)[0])[:, 0]
        angle = np.arctan2(row[PathRow.SIN], row[PathRow.COS]) + random.normal(0.0, 0.2)
        centre = row[[PathRow.CENTRE_X, PathRow.CENTRE_Y]] + random.normal(0.0, 1.2, 2)
        box = np.array([[2.25, 0.9], [2.25, -0.9], [-2.25, -0.9], [-2.25, 0.9]])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = shapely.points(box @ turn.T + centre)
        inside = shapely.contains(lanes, corners)
        expected = np.where(inside, 1.0, -1.0) * shapely.distance(lanes.boundary, corners)
        ours = margin(jnp.float32(centre), jnp.float32([np.cos(angle), np.sin(angle)]), jnp.int32(cursor))
        np.testing.assert_allclose(float(ours), expected.min(), atol=2e-3)


@WARPS
def test_left_of_an_edge_and_of_a_lane_stays_left(town, warp):
    """What lies beside each border in the warped map lies there in the map itself."""
    edges = scenes.scenario(scenes.bridge()).map
    drawn = replace(town, map=replace(town.map, elements=edges.elements, element_kind=edges.element_kind))
    after = variant(drawn, warp)
    back = np.linalg.inv(warp)
    kept = np.asarray(edges.element_kind) == ElementKind.ROAD_EDGE
    assert kept.sum() > 10
    for old, new in zip(np.asarray(edges.elements)[kept], np.asarray(after.map.elements)[kept], strict=True):
        along = new[2:] - new[:2]
        point = back @ (0.5 * (new[:2] + new[2:]) + 0.01 * np.array([-along[1], along[0]]))
        direction = old[2:] - old[:2]
        assert direction[0] * (point - old[:2])[1] - direction[1] * (point - old[:2])[0] > 0.0
    stations = np.asarray(after.map.stations)[np.asarray(after.map.station_lane) >= 0]
    across = stations[:, Cross.LEFT_X : Cross.RIGHT_X] - stations[:, Cross.RIGHT_X : Cross.CENTRE_X]
    heading = stations[:, Cross.COS : Cross.LIMIT]
    assert (heading[:, 0] * across[:, 1] - heading[:, 1] * across[:, 0] > 0.0).all()
    np.testing.assert_allclose(np.linalg.norm(heading, axis=1), 1.0, rtol=1e-5)
    lane = np.flatnonzero(np.diff(np.asarray(after.map.station_lane)) == 0)
    steps = np.asarray(after.map.stations)[lane + 1, 4:6] - np.asarray(after.map.stations)[lane, 4:6]
    assert (np.sum(steps * np.asarray(after.map.stations)[lane, 6:8], axis=1) > 0.0).mean() > 0.99


@WARPS
def test_lines_are_crossed_the_way_that_is_driven(town, warp):
    """From right to left a line runs to the left of who drives over it: along the lanes that it ends."""
    after = variant(town, warp)
    row = int(np.flatnonzero(np.asarray(after.map.line_kind) == ControlKind.LIGHT)[0])
    left, right = np.asarray(after.map.lines)[row].reshape(2, 2)
    east = warp @ np.array([1.0, 0.0])  # the light is for those who drive east
    across = left - right
    assert east[0] * across[1] - east[1] * across[0] > 0.0
    np.testing.assert_allclose(0.5 * (left + right), warp @ np.array([0.0, 0.0]), atol=1e-5)


@WARPS
def test_drives_are_as_long_as_their_warped_middles(town, warp):
    after = variant(town, warp)
    for drive in np.flatnonzero(np.asarray(town.egos.route.length) > 0)[:8]:
        station = np.asarray(town.egos.route.stations)[drive, :, :]
        slot = np.asarray(town.egos.route.reference)[drive]
        length, first = int(town.egos.route.length[drive]), int(town.egos.cursor[drive])
        middle = np.asarray(town.map.stations, float)[station[np.arange(length), slot[:length]], 4:6]
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
        whole = shapely.LineString(np.unique(np.c_[arc, middle], axis=0)[:, 1:])
        part = shapely.ops.substring(whole, arc[first], arc[first] + float(town.egos.log_distance[drive]))
        np.testing.assert_allclose(float(after.egos.log_distance[drive]), warped(part, warp).length, atol=0.05)


def test_neighbours_change_sides():
    road = scenes.scenario(scenes.straight_road(3))
    empty = replace(road, egos=jax.tree.map(np.asarray, road.egos))
    with pytest.raises(InputError, match="traffic"):
        variant(empty, STRETCHED)


def test_some_signs_are_dropped(town):
    kinds = np.array([ControlKind.STOP_SIGN, ControlKind.LIGHT] * 50, np.int32)
    signed = replace(
        town,
        map=replace(
            town.map,
            line_kind=kinds,
            lines=np.zeros((100, 4), np.float32),
            line_judged=np.ones(100, bool),
            light_position=np.zeros((100, 2), np.float32),
        ),
    )
    kept = np.asarray(without_signs(signed, 0.4, np.random.default_rng(0)).map.line_kind)
    assert (kept[1::2] == ControlKind.LIGHT).all() and 10 < (kept == ControlKind.LINE).sum() < 30


def test_a_town_has_its_variants_and_is_itself_first(town):
    plain = town_bank([town], ["crossing"], 0.2, Town(agents=1, programmes=2, seconds=2.0), 5)
    varied = town_bank([town], ["crossing"], 0.2, Town(agents=1, programmes=2, seconds=2.0, variants=2), 5)
    assert len(varied.roads.size) == 3 and len(varied.routes.map) == 3 * len(plain.routes.map)
    np.testing.assert_array_equal(varied.lines.ends[0], plain.lines.ends[0])
    assert not np.allclose(varied.lines.ends[1], varied.lines.ends[2])
    np.testing.assert_array_equal(varied.episodes.map, [0, 0, 1, 1, 2, 2])


def test_warps_are_in_their_ranges():
    random, warps = np.random.default_rng(0), Warps(scale=(0.5, 1.5), shear=0.1, mirrored=0.25)
    drawn = np.stack([warps.draw(random) for _ in range(500)])
    assert np.abs(drawn[:, 0, 0]).min() >= 0.5 and np.abs(drawn[:, 1, 1]).max() <= 1.5 and (drawn[:, 1, 0] == 0.0).all()
    assert (np.abs(drawn[:, 0, 1]) <= 0.15).all() and 0.15 < (np.linalg.det(drawn) < 0.0).mean() < 0.35
    with pytest.raises(InputError, match="scale"):
        Warps(scale=(1.2, 1.0))
