"""Paths against closed forms: straight lines, circles, and records that stop, tremble and break off."""

import numpy as np
import scenes

from drivetrain.sim.paths import LINES, lay_paths
from drivetrain.types import AgentKind, replace


def paths_of(agents, **changes):
    given = scenes.scenario(scenes.straight_road(agents=agents, length=400.0, **changes))
    return given, lay_paths(given)


def column(given, x: float, y: float) -> int:
    """The agent that is recorded first at a place of the drawing, which compiling may shift by a common offset."""
    return int(np.argmin(np.hypot(*(first_places(given) - np.array([x, y])).T)))


def first_places(given) -> np.ndarray:
    valid, position = np.asarray(given.log.agents.valid), np.asarray(given.log.agents.position)
    places = position[np.argmax(valid, axis=0), np.arange(valid.shape[1])]
    return np.where(valid.any(axis=0)[:, None], places - places[0], 1e6)


def test_a_straight_path_is_even_and_its_pace_the_recorded_speed():
    given, paths = paths_of([scenes.along_x(1.75, 20.0), scenes.along_x(5.25, 30.0, speed=5.0, first=10, last=39)])
    late = column(given, *(np.array([30.0 + 5.0 * 2.0, 5.25]) - [20.0, 1.75]))
    points = paths.points[0]
    np.testing.assert_allclose(np.hypot(*np.diff(points[:, :2], axis=0).T), paths.spacing[0], rtol=1e-4)
    np.testing.assert_allclose(paths.spacing[0] * (len(points) - 1), 98.0, rtol=1e-5)  # 49 steps of 2 m
    np.testing.assert_allclose(points[:, 2:], np.tile([1.0, 0.0, 10.0], (len(points), 1)), atol=1e-5)
    np.testing.assert_allclose(paths.travelled[0], 2.0 * np.arange(50), atol=1e-3)
    assert paths.stays[0] and not paths.stays[late] and paths.follows[late]
    np.testing.assert_allclose(paths.travelled[late, :10], -1.0)
    np.testing.assert_allclose(paths.travelled[late, 10:40], np.arange(30), atol=1e-3)
    np.testing.assert_allclose(paths.travelled[late, 40:], 30.0, atol=1e-3)  # 29 m, and one beyond


def test_who_does_not_drive_forward_has_no_path():
    walker = scenes.along_x(9.0, 25.0, speed=1.5, kind=AgentKind.PEDESTRIAN, length=0.6, width=0.6)
    given, paths = paths_of([scenes.along_x(1.75, 20.0), walker, scenes.along_x(5.25, 60.0, speed=0.0)])
    assert paths.follows.sum() == 1
    backwards = replace(given.log.agents, heading=-np.asarray(given.log.agents.heading))
    assert lay_paths(replace(given, log=replace(given.log, agents=backwards))).follows.sum() == 0
    none = lay_paths(given, laid=False)
    assert none.points.shape[1] == 0 and not none.follows.any()


def test_a_stop_that_trembles_adds_no_way_and_its_pace_is_that_around_it(scenario):
    given = scenario()
    position = np.asarray(given.log.agents.position).copy()
    rng = np.random.default_rng(0)
    # Car 1 drives at 10 m/s to x = 40 and stands there, seen with errors of 5 cm.
    velocity = np.asarray(given.log.agents.velocity).copy()
    position[10:, 1] = position[10, 1] + rng.normal(0, 0.05, (30, 2))
    velocity[10:, 1] = 0.0
    log = replace(given.log, agents=replace(given.log.agents, position=position, velocity=velocity))
    paths = lay_paths(replace(given, log=log))
    assert paths.spacing[1] * 39 < 20.6
    np.testing.assert_allclose(np.hypot(*(paths.points[1, -1, :2] - position[10, 1])), 0.0, atol=0.7)
    assert paths.points[1, -1, 4] == 10.0 and paths.travelled[1, -1] <= paths.spacing[1] * 39 + 1e-4
    # Where it only ever stood, the pace is the least one.
    velocity[:, 1] = 0.0
    log = replace(given.log, agents=replace(given.log.agents, velocity=velocity))
    np.testing.assert_array_equal(lay_paths(replace(given, log=log)).points[1, :, 4], 1.0)


def test_points_lie_on_the_recorded_circle(scenario):
    paths = lay_paths(scenario(0.02))
    radius = np.hypot(*(paths.points[1, :, :2] - [0.0, 50.0]).T)
    np.testing.assert_allclose(radius, 46.5, atol=0.02)  # chords of 2 m: a sagitta of 1 cm
    np.testing.assert_allclose(np.hypot(*paths.points[1, :, 2:4].T), 1.0, atol=1e-5)


def test_lights_stand_where_the_path_crosses_their_lines(scenario):
    given = scenario(0.0, (8.0, 15.0, 12.0, 9.0))
    paths = lay_paths(given)
    # Car 1 starts at x = 20 in the lane of the light at x = 120; no other crosses it.
    assert paths.line.shape == (5, LINES)
    np.testing.assert_array_equal(paths.line[1], [0, -1, -1, -1])
    np.testing.assert_allclose(paths.line_arc[1, 0], 100.0, atol=1e-3)
    assert (paths.line[[0, 2, 3, 4]] == -1).all()
    against = np.asarray(given.map.lines).copy()
    against[0] = against[0, [2, 3, 0, 1]]  # for the other direction of travel
    assert (lay_paths(replace(given, map=replace(given.map, lines=against))).line == -1).all()
    modelled = replace(given.map, line_judged=np.zeros(4, bool))
    assert (lay_paths(replace(given, map=modelled)).line == -1).all()
