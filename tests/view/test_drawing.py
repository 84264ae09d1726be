import json

import numpy as np
import pytest
import scenes

from drivetrain.types import ControlKind, ElementKind, LightState, replace
from drivetrain.view.drawing import MARGINS, Drive, Episode, Scene, page_data
from drivetrain.view.packing import MISSING
from drivetrain.view.page import ego_episodes


@pytest.fixture(scope="module")
def compiled():
    states = [LightState.GREEN] * 20 + [LightState.RED] * 30
    return scenes.scenario(scenes.crossing(states=states))


def drive(margins, alive=None):
    steps = len(margins)
    x = np.arange(steps, dtype=np.float64)[:, None]
    return Drive(
        driver="idm",
        position=np.stack([x, 0.5 * x], -1),
        heading=np.tile([[[1.0, 0.0]]], (steps, 1, 1)),
        speed=np.full((steps, 1), 5.25),
        limit=np.full((steps, 1), 15.0),
        margins=np.asarray(margins, np.float64)[:, None, :],
        alive=np.ones((steps, 1), bool) if alive is None else np.asarray(alive)[:, None],
        progress_ratio=0.5,
    )


def test_a_scene_keeps_its_light_and_its_road(unpack, compiled):
    drawn = page_data([Scene("crossing", 0.2, compiled.map, compiled.log)], [])["scenes"][0]
    json.dumps(drawn, allow_nan=False)
    (control,) = drawn["controls"]
    assert control["k"] == ControlKind.LIGHT and control["judged"] and control["lamp"] == [2000, 300]
    assert control["ends"] == [0, 175, 0, -175]
    lights = unpack(drawn["lights"])
    assert lights.shape[0] == drawn["steps"] == 50
    assert lights[:, control["i"]].tolist() == [LightState.GREEN] * 20 + [LightState.RED] * 30
    assert {chain["k"] for chain in drawn["lines"]} >= {ElementKind.ROAD_EDGE}


def test_chains_hold_every_segment(unpack, compiled):
    drawn = page_data([Scene("crossing", 0.2, compiled.map, compiled.log)], [])["scenes"][0]
    real = np.asarray(compiled.map.element_kind) != ElementKind.NONE
    total = np.hypot(*(compiled.map.elements[real, 2:] - compiled.map.elements[real, :2]).T).sum()
    paths = [unpack(chain["p"]) / 100 for chain in drawn["lines"]]
    assert sum(np.hypot(*np.diff(path, axis=0).T).sum() for path in paths) == pytest.approx(total, rel=2e-3)
    assert len(paths) < real.sum()


def test_tracks_are_the_log(unpack, compiled):
    drawn = page_data([Scene("crossing", 0.2, compiled.map, compiled.log)], [])["scenes"][0]
    (agent,) = drawn["agents"]
    assert (agent["l"], agent["w"], agent["f"], agent["k"]) == (450, 200, 0, 1)
    recorded = np.asarray(compiled.log.agents.position)[:50, agent["c"]]
    assert np.abs(unpack(agent["p"])[:, :2] / 100 - recorded).max() <= 0.0101


def test_an_agent_that_comes_and_goes_has_gaps(unpack, compiled):
    valid = np.array(compiled.log.agents.valid)
    valid[10:15] = False
    valid[:3] = False
    log = replace(compiled.log, agents=replace(compiled.log.agents, valid=valid))
    (agent,) = page_data([Scene("gaps", 0.2, compiled.map, log)], [])["scenes"][0]["agents"]
    assert agent["f"] == 3
    assert np.flatnonzero(unpack(agent["gaps"])[:, 0] == 0).tolist() == [7, 8, 9, 10, 11]


def test_the_corridor_of_the_route_is_drawn_lane_by_lane(unpack, compiled):
    whole, ego = ego_episodes(0, compiled, {0: "off_route"})
    drawn = page_data([Scene("crossing", 0.2, compiled.map, compiled.log)], [whole, ego])["episodes"]
    assert drawn[0]["routes"] == [] and drawn[0]["last"] == 49
    assert drawn[1]["note"] == "off_route"
    points = np.concatenate([unpack(shape) for shape in drawn[1]["routes"][0]]) / 100
    assert points[:, 0].max() > 20.0
    # straight on, a lane 3.5 m wide: 0.7 m beyond its unpainted borders, 2 m within the junction
    junction = (points[:, 0] > 8.25) & (points[:, 0] < 11.75)
    assert np.abs(points[junction, 1]).max() == pytest.approx(3.75, abs=0.02)
    away = np.abs(points[:, 0] - 10.0) > 30.0
    np.testing.assert_allclose(np.abs(points[away, 1]), 2.45, atol=0.02)


def test_margins_and_what_is_missing(unpack, compiled):
    margins = np.full((4, len(MARGINS)), 60.0)
    margins[2, 0] = -0.001
    alive = [True, True, True, False]
    episode = Episode(0, (0,), 0, 3, (), (drive(margins, alive),))
    drawn = page_data([Scene("crossing", 0.2, compiled.map, compiled.log)], [episode])["episodes"][0]["drives"]["idm"]
    figures = unpack(drawn["figures"][0])
    assert figures[0, :5].tolist() == [MISSING] * 5 and figures[3].tolist() == [MISSING] * 7
    assert figures[1].tolist() == [5000] * 5 + [525, 1500]
    assert figures[2, 0] == -1
    assert drawn["progress"] == 0.5
    assert unpack(drawn["paths"][0])[:, :2].tolist() == [[0, 0], [100, 50], [200, 100], [200, 100]]


def test_what_is_considered_stands_where_the_ego_was(unpack, compiled):
    """Two choices of three places, at each moment but the last: centimetres from the ego, thousandths."""
    one, steps = drive(np.ones((4, len(MARGINS)))), np.array([1.0, 2.0, 3.0])
    offset = np.stack([np.stack([steps, 0.0 * steps], -1), np.stack([steps, -0.5 * steps], -1)])
    ahead = (one.position[:3, 0, None, None] + offset)[:, None]
    shown = replace(one, ahead=ahead, likely=np.tile([0.75, 0.0625], (3, 1, 1)))
    episode = Episode(0, (0,), 0, 3, drives=(shown,))
    raw = page_data([Scene("crossing", 0.2, compiled.map, compiled.log)], [episode])["episodes"][0]["drives"]["idm"]
    (own,) = raw["considered"]
    assert own["k"] == 2
    np.testing.assert_allclose(
        unpack(own["paths"]).reshape(3, 2, 3, 2) / 100, np.tile(offset, (3, 1, 1, 1)), atol=0.011
    )
    np.testing.assert_allclose(unpack(own["shares"]), np.tile([750, 62], (3, 1)))
    plain = page_data([Scene("", 0.2, compiled.map, compiled.log)], [replace(episode, drives=(one,))])
    assert "considered" not in plain["episodes"][0]["drives"]["idm"]
