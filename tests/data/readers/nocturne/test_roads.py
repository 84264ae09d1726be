"""Signs and lights on the recovered lanes of a hand-written road."""

import numpy as np
import pytest

from drivetrain.data.readers.nocturne.roads import read_roads
from drivetrain.types import ControlKind, InputError, LightState

ORIGIN = np.array([100.0, 200.0])


def line(first, last):
    return [{"x": 100.0 + x, "y": 200.0 + y} for x, y in np.linspace(first, last, 41)]


def scene(sign=None, lights=None):
    """A lane east that continues into a junction straight on, and left; an oncoming lane on its left."""
    roads = [
        {"type": "lane", "id": 1, "geometry": line((0, 0), (50, 0))},
        {"type": "lane", "id": 2, "geometry": line((50, 0), (80, 0))},
        {"type": "lane", "id": 3, "geometry": line((50, 0), (75, 8))},
        {"type": "lane", "id": 4, "geometry": line((80, 4), (0, 4))},
    ]
    if sign:
        roads.append({"type": "stop_sign", "id": 9, "geometry": [{"x": 100.0 + sign[0], "y": 200.0 + sign[1]}]})
    return {"roads": roads, "tl_states": lights}


def test_a_sign_at_a_junction_stops_whoever_enters_it():
    for x in (49.0, 50.0, 50.3):  # level with the end of the lane, or with the start of both lanes in the junction
        roads = read_roads("file", scene(sign=(x, -4.0)), ORIGIN, 10)
        (stop,) = roads.control_lines
        assert stop.kind == ControlKind.STOP_SIGN and stop.light is None
        entering = next(lane for lane in roads.lanes if lane.id == stop.lane)
        assert entering.left[0, 0] < 1.0 and len(entering.successors) == 2
        np.testing.assert_allclose(stop.ends, [[min(x, 50.0), 2.0], [min(x, 50.0), -1.75]], atol=0.3)


def test_a_sign_left_of_one_lane_and_right_of_another_stops_the_other():
    roads = read_roads("file", scene(sign=(20.0, 6.5)), ORIGIN, 10)
    (stop,) = roads.control_lines
    oncoming = next(lane for lane in roads.lanes if lane.id == stop.lane)
    assert oncoming.left[0, 0] > oncoming.left[-1, 0]
    assert stop.ends[0, 1] < stop.ends[1, 1]  # its left is south


def test_lights_by_number_flashing_lights_and_lights_of_no_lane():
    state = {"x": 150.0, "y": 200.0}
    lights = {
        "2": state | {"state": [4, 6, 5, 7, 0], "time_index": [0, 1, 2, 3, 4]},
        "3": state | {"state": ["LANE_STATE_ARROW_STOP", "flashing_caution", "new word"]},
        "77": state | {"state": [], "time_index": []},
        "4": {"x": 900.0, "y": 200.0, "state": [], "time_index": []},
    }
    roads = read_roads("file", scene(lights=lights), ORIGIN, 6)
    green, red, yellow = LightState.GREEN, LightState.RED, LightState.YELLOW
    off, unknown = LightState.OFF, LightState.UNKNOWN
    assert roads.lights[0].states.tolist() == [red, green, yellow, off, unknown, unknown]
    assert roads.lights[1].states.tolist() == [red, off, unknown, unknown, unknown, unknown]
    assert len(roads.lights) == 2 and roads.notes["lights_without_a_lane"] == 2
    assert [line.light for line in roads.control_lines] == [0, 1]


@pytest.mark.parametrize(
    "lights", [[], {"2": {"x": 1.0, "state": []}}, {"2": {"x": 1.0, "y": float("inf"), "state": []}}]
)
def test_lights_that_are_not_lights(lights):
    with pytest.raises(InputError, match="^file: tl_states"):
        read_roads("file", scene(lights=lights), ORIGIN, 6)
