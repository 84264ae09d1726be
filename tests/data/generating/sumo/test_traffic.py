"""From what SUMO says of a vehicle to tracks."""

from types import SimpleNamespace

import numpy as np
import pytest

from drivetrain.data.generating.sumo.traffic import Body, Clip, Sight, look, tracks_of, velocities
from drivetrain.types import AgentKind

CAR, WALKER = Body(AgentKind.CAR, 4.0, 1.8), Body(AgentKind.PEDESTRIAN, 0.5, 0.6)


def clip(*steps: list[Sight]) -> Clip:
    made = Clip(np.zeros(2), 50.0)
    for sights in steps:
        made.add(sights, {"T": "G"})
    return made


@pytest.mark.parametrize(
    "compass, east, north",
    [(0.0, 0.0, 1.0), (90.0, 1.0, 0.0), (180.0, 0.0, -1.0), (270.0, -1.0, 0.0), (45.0, 0.5**0.5, 0.5**0.5)],
)
def test_a_box_lies_behind_its_front_bumper(compass, east, north):
    seen = clip([Sight("a", 10.0, 20.0, compass, 1.0)])
    tracks, _ = tracks_of(seen, {"a": CAR}, (3.0, 4.0), 0.1)
    np.testing.assert_allclose(tracks.position[0, 0], [7.0 - 2.0 * east, 16.0 - 2.0 * north], atol=1e-12)
    np.testing.assert_allclose([np.cos(tracks.heading[0, 0]), np.sin(tracks.heading[0, 0])], [east, north], atol=1e-12)
    assert (tracks.length[0], tracks.width[0], tracks.kind[0]) == (4.0, 1.8, AgentKind.CAR)


def test_a_person_is_where_sumo_says():
    tracks, _ = tracks_of(clip([Sight("p", 1.0, 2.0, 90.0, 1.0)]), {"p": WALKER}, (0.0, 0.0), 0.1)
    np.testing.assert_allclose(tracks.position[0, 0], [1.0, 2.0])


def test_only_what_is_near_is_seen_and_a_gap_stays_a_gap():
    steps = [[Sight("a", x, 0.0, 90.0, 10.0)] for x in (48.0, 49.0, 50.1, 49.5, 48.5)]
    tracks, cut = tracks_of(clip(*steps), {"a": CAR}, (0.0, 0.0), 0.1)
    assert tracks.valid.tolist() == [[True, True, False, True, True]] and cut == 0
    assert not tracks.position[~tracks.valid].any() and not tracks.heading[~tracks.valid].any()


def test_a_teleport_begins_another_track():
    steps = [[Sight("a", x, 0.0, 90.0, 10.0)] for x in (0.0, 1.0, 2.0, 20.0, 21.0)]
    tracks, cut = tracks_of(clip(*steps), {"a": CAR}, (0.0, 0.0), 0.1)
    assert cut == 1 and tracks.id.tolist() == [0, 1]
    assert tracks.valid.tolist() == [[True] * 3 + [False] * 2, [False] * 3 + [True] * 2]


def test_velocities_are_those_of_the_positions():
    time = np.arange(6) * 0.1
    position = np.stack([3.0 * time + time**2, -2.0 * time], axis=1)[None]
    valid = np.array([[True, True, True, False, True, False]])
    found = velocities(position, valid, 0.1)
    np.testing.assert_allclose(found[0, 1], [3.0 + 2.0 * 0.1, -2.0])  # central: exact for parabolas
    np.testing.assert_allclose(found[0, 0], [3.1, -2.0])
    np.testing.assert_allclose(found[0, 2], [3.3, -2.0])
    assert not found[0, 3:].any(), "alone, or not there"


def test_looking_leaves_out_who_rides_or_is_being_moved():
    vehicles = {"car": (1.0, 2.0), "gone": (-(2.0**30), -(2.0**30))}
    vehicle = SimpleNamespace(
        getIDList=lambda: tuple(vehicles),
        getPosition=vehicles.get,
        getAngle=lambda id: 90.0,
        getSpeed=lambda id: 5.0,
        getVehicleClass=lambda id: "trailer",
        getLength=lambda id: 9.0,
        getWidth=lambda id: 2.4,
    )
    person = SimpleNamespace(
        getIDList=lambda: ("walks", "car"),
        getVehicle=lambda id: "" if id == "walks" else "car",
        getPosition=lambda id: (3.0, 4.0),
        getAngle=lambda id: 0.0,
        getSpeed=lambda id: 1.0,
        getLength=lambda id: 0.5,
        getWidth=lambda id: 0.6,
    )
    bodies: dict[str, Body] = {}
    sights = look(SimpleNamespace(vehicle=vehicle, person=person), bodies)
    assert [sight.id for sight in sights] == ["car", "person walks"]
    assert bodies == {"car": Body(AgentKind.TRUCK, 9.0, 2.4), "person walks": Body(AgentKind.PEDESTRIAN, 0.5, 0.6)}
