import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scenes

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.compile.compiling import capacity_of, compile_recording, draft, measure, pack
from drivetrain.data.readers.commonroad import reader as commonroad
from drivetrain.types import AgentKind, ControlKind, InputError, LightState, RouteFlag

SHIPPED = Path(__file__).resolve().parents[4] / "shared" / "data" / "commonroad_ngsim" / "scenarios"


def compiled(recording, **changes):
    return compile_recording(recording, dataclasses.replace(measure([recording]), **changes))


def causes(recording):
    return [candidate.cause for candidate in draft(recording).candidates]


def leaves(value):
    if not dataclasses.is_dataclass(value):
        return [] if value is None else [np.asarray(value)]
    return [leaf for field in dataclasses.fields(value) for leaf in leaves(getattr(value, field.name))]


def test_the_log_holds_what_was_recorded_and_zeros_elsewhere():
    recording = scenes.straight_road(agents=(scenes.along_x(1.75, 20.0, last=30), scenes.along_x(5.25, 0.0, first=10)))
    log = compiled(recording, agents=5, steps=60)[0].log
    valid = np.zeros((60, 5), bool)
    valid[:31, 0] = valid[10:50, 1] = True
    np.testing.assert_array_equal(log.agents.valid, valid)
    x = 20.0 + 2.0 * np.arange(31)
    np.testing.assert_allclose(log.agents.position[:31, 0], np.stack([x, np.full(31, 1.75)], 1), atol=1e-5)
    np.testing.assert_allclose(log.agents.heading[:31, 0], np.tile([1.0, 0.0], (31, 1)), atol=1e-6)
    np.testing.assert_allclose(log.agents.velocity[:31, 0], np.tile([10.0, 0.0], (31, 1)), atol=1e-5)
    for part in (log.agents.position, log.agents.heading, log.agents.velocity):
        assert not part[~valid].any()
    assert log.steps == 50
    assert log.bodies.kind.tolist() == [1, 1, 0, 0, 0]


def test_the_map_packs_stations_in_the_documented_columns():
    road = compiled(scenes.straight_road(lanes=2, length=100.0))[0].map
    station = road.stations[road.lane_first[0] + 10]
    np.testing.assert_allclose(station, [20.0, 3.5, 20.0, 0.0, 20.0, 1.75, 1.0, 0.0, 15.0, 2.0, 0.5], atol=1e-6)
    assert road.lane_neighbours[:2].tolist() == [[1, -1], [-1, 0]]
    for lane in range(int((road.lane_count > 0).sum())):
        rows = slice(road.lane_first[lane], road.lane_first[lane] + road.lane_count[lane])
        assert (road.station_lane[rows] == lane).all()
    ahead = road.lane_successors[0, 0]
    np.testing.assert_allclose(road.stations[road.lane_first[ahead], :8], road.stations[road.lane_first[0] + 50, :8])


def test_padding_changes_nothing_but_shapes():
    recording = scenes.crossing()
    small, large = compiled(recording)[0], compiled(recording, agents=9, elements=400, stations=900, egos=4, lines=3)[0]
    for one, two in zip(leaves(small), leaves(large), strict=True):
        np.testing.assert_array_equal(two[tuple(slice(size) for size in one.shape)], one)
    assert (large.egos.track[1:] == -1).all()
    assert (large.egos.route.stations[1:] == -1).all() and (large.egos.route.lines[1:] == -1).all()


def test_any_vehicle_that_moves_long_enough_is_an_ego():
    lane = 1.75
    agents = (
        scenes.along_x(lane, 20.0),
        scenes.along_x(lane, 40.0, kind=AgentKind.MOTORCYCLE),
        scenes.along_x(lane, 60.0, kind=AgentKind.BICYCLE),
        scenes.along_x(lane, 70.0, kind=AgentKind.PEDESTRIAN, speed=1.5),
        scenes.along_x(lane, 80.0, speed=0.0),
        scenes.along_x(lane, 90.0, last=18),  # 19 steps of 0.2 s
        scenes.along_x(lane, 90.0, first=30),  # 20 steps
        scenes.along_x(-30.0, 0.0),
    )
    recording = scenes.straight_road(agents=agents)
    scenario, report = compiled(recording)
    assert [c.id for c in report.candidates] == [100, 101, 104, 105, 106, 107]
    assert [c.cause for c in report.candidates] == ["", "", "parked", "short", "", "no_lane"]
    assert scenario.egos.track.tolist() == [0, 1, 6]
    assert scenario.egos.first.tolist() == [0, 0, 30] and scenario.egos.last.tolist() == [49, 49, 49]
    assert report.notes["not_driven_parked"] == report.notes["not_driven_short"] == 1


def test_a_track_with_a_gap_is_driven_for_its_longest_stretch():
    recording = scenes.straight_road(agents=(scenes.along_x(1.75, 20.0),))
    valid = recording.tracks.valid.copy()
    valid[0, 15:20] = False
    scenario, _ = compiled(dataclasses.replace(recording, tracks=dataclasses.replace(recording.tracks, valid=valid)))
    assert (scenario.egos.first[0], scenario.egos.last[0]) == (20, 49)
    assert scenario.egos.log_distance[0] == pytest.approx(58.0, abs=1e-4)


def test_a_trembling_parked_car_does_not_move():
    recording = scenes.straight_road(agents=(scenes.along_x(1.75, 80.0, speed=0.0),))
    noise = 0.4 * np.sin(1.7 * np.arange(50))[None, :, None]
    shaken = dataclasses.replace(recording.tracks, position=recording.tracks.position + noise)
    assert np.abs(np.diff(noise[0, :, 0])).sum() > 10.0
    assert causes(dataclasses.replace(recording, tracks=shaken)) == ["parked"]


def test_a_stop_line_is_met_where_it_lies_on_the_route():
    egos = compiled(scenes.crossing())[0].egos
    assert egos.route.lines[0, :2].tolist() == [0, -1]
    # the car starts at x = -60, a cursor's stations before it; the line is at x = 0
    assert egos.route.line_station[0, 0] == pytest.approx(egos.cursor[0] + 30.0)


def test_a_line_within_a_lane_is_met_between_stations():
    recording = scenes.crossing(control=ControlKind.STOP_SIGN)
    line = dataclasses.replace(recording.control_lines[0], ends=np.array([[-2.5, 1.75], [-2.5, -1.75]]))
    egos = compiled(dataclasses.replace(recording, control_lines=(line,)))[0].egos
    assert egos.route.line_station[0, 0] == pytest.approx(egos.cursor[0] + 28.75)


def test_a_line_on_a_lane_that_is_not_permitted_is_not_met():
    recording = scenes.crossing()
    line = dataclasses.replace(recording.control_lines[0], lane=scenes.CROSS_IN)
    scenario, _ = compiled(dataclasses.replace(recording, control_lines=(line,)))
    assert (scenario.egos.route.lines == -1).all()


@pytest.mark.parametrize(
    ("control", "recorded", "judged"),
    [
        (ControlKind.STOP_SIGN, True, True),
        (ControlKind.LIGHT, True, True),
        (ControlKind.LIGHT, False, False),
        (ControlKind.LINE, True, False),
    ],
)
def test_signs_and_recorded_lights_are_judged(control, recorded, judged):
    road = compiled(scenes.crossing(control, recorded=recorded))[0].map
    assert road.line_kind[0] == control
    assert bool(road.line_judged[0]) is judged
    np.testing.assert_allclose(road.lines[0], [0.0, 1.75, 0.0, -1.75])


def test_lights_are_shown_step_by_step():
    states = [LightState.RED] * 20 + [LightState.GREEN] * 30
    scenario, _ = compiled(scenes.crossing(states=states))
    assert scenario.log.lights[:, 0].tolist() == [int(s) for s in states]
    np.testing.assert_allclose(scenario.map.light_position[0], [20.0, 3.0])


def test_elements_and_agents_beyond_the_capacity_are_counted_and_egos_stay():
    crowd = [scenes.along_x(1.75, 20.0, last=25), *(scenes.along_x(5.25, 10.0 * n, speed=0.0) for n in range(6))]
    recording = scenes.straight_road(agents=crowd)
    full = measure([recording])
    scenario, report = compiled(recording, agents=3, elements=20)
    assert report.cropped == {"steps": 0, "egos": 0, "agents": 4, "elements": full.elements - 20, "lines": 0}
    assert scenario.egos.track[0] == 0 and scenario.log.agents.valid[:26, 0].all()
    mean = recording.tracks.position[recording.tracks.valid].mean(axis=0)
    assert np.abs(scenario.map.elements[:, [0, 2]] - mean[0]).max() < 60.0


def test_what_cannot_be_left_out_must_fit():
    recording = scenes.straight_road()
    with pytest.raises(InputError, match=r"scene.py: lanes: 9 in a capacity of 8 \(measure the capacity again\)"):
        compiled(recording, lanes=8)


def test_a_capacity_holds_the_largest_of_each():
    one, two = scenes.straight_road(lanes=3), scenes.crossing(steps=80)
    both, first, second = measure([one, two]), measure([one]), measure([two])
    pairs = zip(dataclasses.astuple(first), dataclasses.astuple(second), strict=True)
    assert both == Capacity(*(max(pair) for pair in pairs))
    assert both.steps == 80


def test_the_same_recording_compiles_to_the_same_bytes():
    one, two = compiled(scenes.crossing())[0], compiled(scenes.crossing())[0]
    assert [leaf.tobytes() for leaf in leaves(one)] == [leaf.tobytes() for leaf in leaves(two)]
    assert {leaf.dtype for leaf in leaves(one)} == {np.dtype(t) for t in ("f4", "i4", "u4", "?")}


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="the shipped recordings are not here")
def test_a_shipped_motorway_gives_every_moving_car_a_route():
    recording = commonroad.read(str(SHIPPED / "USA_US101-16_2_T-1.xml.xz"))
    drafted = draft(recording)
    scenario, report = pack(drafted, capacity_of([drafted]))
    assert {c.cause for c in report.candidates} <= {"", "short", "parked"}
    assert report.mending.shift < 0.25
    egos, road = scenario.egos, scenario.map
    assert len(egos.track) >= 15
    for ego in range(len(egos.track)):
        length = int(egos.route.length[ego])
        on = egos.route.stations[ego, np.arange(length), egos.route.reference[ego, :length]]
        assert (on >= 0).all()
        start = scenario.log.agents.position[egos.first[ego], egos.track[ego]]
        assert np.hypot(*(road.stations[on[egos.cursor[ego]], 4:6] - start)) < 3.0
        flags = egos.route.flags[ego, np.arange(length - 1), egos.route.reference[ego, : length - 1]]
        linked = (flags & RouteFlag.LINKED) > 0
        assert linked.mean() > 0.95  # but for the rows at which the reference changes at a lane's very end
        moved = scenario.log.agents.position[[egos.first[ego], egos.last[ego]], egos.track[ego]]
        assert egos.log_distance[ego] == pytest.approx(np.hypot(*(moved[1] - moved[0])), rel=0.02)
