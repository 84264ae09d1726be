"""Types and trips that are added to a network's own demand."""

from xml.etree.ElementTree import fromstring

import numpy as np

from drivetrain.data.generating.sumo.demand import REACH, Extra, extra_trips, type_definitions
from drivetrain.data.generating.sumo.network import EVERYONE, NetLane, Network

PLACE = np.zeros(2)


def lane(edge: str, x: float, allowed: frozenset[str] = EVERYONE, internal: bool = False) -> NetLane:
    return NetLane(f"{edge}_0", edge, 0, np.array([[x, 0.0], [x, 30.0]]), 3.2, 13.9, allowed, internal)


def network(*lanes: NetLane) -> Network:
    return Network("none", {one.id: one for one in lanes}, (), {}, (), ())


NEAR = network(
    lane("a", 10.0),
    lane("b", 20.0, frozenset({"pedestrian"})),
    lane("c", -REACH + 1.0),
    lane("far", REACH + 1.0),
    lane(":J_0", 1.0, internal=True),
)


def test_trips_are_as_many_as_asked_for_and_in_order():
    found = [fromstring(text) for text in extra_trips(NEAR, [PLACE], Extra(bicycles=3600.0), (100.0, 1100.0), 1)]
    assert 900 < len(found) < 1100, "Poisson, with mean 1000"
    departures = [float(trip.attrib["depart"]) for trip in found]
    assert departures == sorted(departures) and departures[0] >= 100.0 and departures[-1] <= 1100.0
    assert {trip.attrib["from"] for trip in found} == {trip.attrib["to"] for trip in found} == {"a", "c"}
    assert all(trip.attrib["from"] != trip.attrib["to"] for trip in found)
    assert len({trip.attrib["id"] for trip in found}) == len(found)


def test_people_walk_where_they_may():
    found = [fromstring(text) for text in extra_trips(NEAR, [PLACE], Extra(pedestrians=360.0), (0.0, 600.0), 2)]
    walks = [person.find("walk") for person in found]
    assert found and all(person.tag == "person" for person in found)
    assert {walk.attrib["from"] for walk in walks if walk is not None} == {"a", "b", "c"}


def test_a_seed_gives_one_demand_and_another_another():
    given = NEAR, [PLACE], Extra(trucks=100.0, buses=50.0, motorcycles=20.0), (0.0, 3600.0)
    assert extra_trips(*given, 5) == extra_trips(*given, 5) != extra_trips(*given, 6)


def test_without_roads_or_rates_nothing_is_added():
    assert extra_trips(NEAR, [PLACE], Extra(), (0.0, 1e5), 0) == []
    assert extra_trips(network(lane("a", 0.0)), [PLACE], Extra(bicycles=1e4), (0.0, 1e3), 0) == []


def test_types_without_a_definition_are_defined(tmp_path):
    routes = tmp_path / "r.rou.xml"
    routes.write_text(
        '<routes><vType id="own"/><vehicle type="own"/><vehicle type="private&lt;"/><trip type="bus"/>'
        '<flow type="ignoring"/><vehicle/></routes>'
    )
    root = fromstring(f"<additional>{''.join(type_definitions([str(routes)]))}</additional>")
    kinds = {element.attrib["id"]: element.get("vClass") for element in root.iter("vType")}
    assert kinds["bus"] == "bus" and kinds["ignoring"] == "ignoring" and "own" not in kinds
    mixed = root.find("vTypeDistribution")
    assert mixed is not None and mixed.attrib["id"] == "private<"
    assert abs(sum(float(part.attrib["probability"]) for part in mixed) - 1.0) < 1e-9
    assert {part.get("vClass") for part in mixed} == {"passenger", "delivery", "truck", "motorcycle"}
    for kind in ("car", "truck", "bus", "motorcycle", "bicycle", "pedestrian"):
        assert f"drivetrain.{kind}" in kinds
