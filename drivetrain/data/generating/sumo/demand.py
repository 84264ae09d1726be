"""Demand that a network's own files lack: bicycles and people on foot around a place, and the types of its vehicles."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
import shapely
from jaxtyping import Float

from drivetrain.data.generating.sumo.network import Network
from drivetrain.data.readers.hardened_xml import parse

REACH = 200.0
"""Trips that are added begin and end within this distance, m, of a place, or so."""
TYPE_TAGS = ("vType", "vTypeDistribution")
CLASSES = frozenset(
    {"ignoring", "bus", "coach", "truck", "trailer", "delivery", "motorcycle", "moped", "taxi", "bicycle"}
)
DRIVER = 'carFollowModel="IDM" tau="1.0" minGap="2.0" laneChangeModel="SL2015" jmTimegapMinor="1.5"'
"""How vehicles of the types below drive: the Intelligent Driver Model, and sublanes for lane changes."""


@dataclass(frozen=True)
class Extra:
    """What is added to the demand, trips an hour around every place."""

    bicycles: float = 0.0
    pedestrians: float = 0.0
    trucks: float = 0.0
    buses: float = 0.0
    motorcycles: float = 0.0


def type_definitions(files: Sequence[str]) -> list[str]:
    """XML of the vehicle types of the extra demand, and of those that route files name without defining them.

    A type named like a vehicle class of SUMO gets that class. Any other is ordinary traffic: cars, with 5 % vans, 3 %
    trucks and 4 % motorcycles.
    """
    named, defined = set(), set()
    for file in files:
        root = parse(file)
        named |= {element.get("type", "") for tag in ("vehicle", "trip", "flow") for element in root.iter(tag)}
        defined |= {element.get("id", "") for tag in TYPE_TAGS for element in root.iter(tag)}
    wanted = sorted(named - defined - {"", "DEFAULT_VEHTYPE"})
    lines = [_type(f"drivetrain.{name}", name, name, "") for name in ("car", "truck", "bus", "motorcycle", "bicycle")]
    lines.append('<vType id="drivetrain.pedestrian" vClass="pedestrian" length="0.5" width="0.6" minGap="0.4"/>')
    for name in wanted:
        if name in CLASSES:
            lines.append(_type(name, "car", name, ""))
            continue
        parts = (("car", 0.88), ("van", 0.05), ("truck", 0.03), ("motorcycle", 0.04))
        inner = "".join(_type(f"{name}.{kind}", kind, kind, f'probability="{share}"') for kind, share in parts)
        lines.append(f"<vTypeDistribution id={quoteattr(name)}>{inner}</vTypeDistribution>")
    return lines


def _type(id: str, kind: str, vclass: str, more: str) -> str:
    sizes = {
        "car": 'length="4.6" width="1.8" accel="2.2" decel="3.0" speedDev="0.1"',
        "van": 'length="5.8" width="2.0" accel="1.5" decel="3.0" speedDev="0.1"',
        "truck": 'length="8.0" width="2.4" accel="1.0" decel="2.5" speedDev="0.05"',
        "bus": 'length="11.0" width="2.5" accel="1.0" decel="2.5" speedDev="0.05"',
        "motorcycle": 'length="2.2" width="0.8" accel="2.2" decel="3.5" speedDev="0.1"',
        "bicycle": 'length="1.7" width="0.6" accel="0.9" decel="2.5" maxSpeed="5.5" speedDev="0.1"',
    }
    vclass = {"car": "passenger", "van": "delivery"}.get(vclass, vclass)
    return f'<vType id={quoteattr(id)} vClass="{vclass}" {sizes[kind]} {DRIVER} {more}/>'


def extra_trips(
    network: Network,
    places: Sequence[Float[np.ndarray, "2"]],
    extra: Extra,
    span: tuple[float, float],
    seed: int,
) -> list[str]:
    """XML of random trips that depart within a span of seconds, in order.

    Routes are found by SUMO; trips without a route do not take place.
    """
    draw = np.random.default_rng(seed)
    trips: list[tuple[float, str]] = []
    wanted = (
        ("bicycle", "bicycle", extra.bicycles),
        ("pedestrian", "pedestrian", extra.pedestrians),
        ("truck", "truck", extra.trucks),
        ("bus", "bus", extra.buses),
        ("motorcycle", "motorcycle", extra.motorcycles),
    )
    for spot, place in enumerate(places):
        for kind, vclass, hourly in wanted:
            edges = _edges_near(network, place, vclass)
            number = int(draw.poisson(hourly * (span[1] - span[0]) / 3600.0)) if len(edges) >= 2 else 0
            for index in range(number):
                depart = round(float(draw.uniform(*span)), 1)
                start, end = draw.choice(len(edges), size=2, replace=False)
                trips.append((depart, _trip(f"{kind}.{spot}.{index}", kind, depart, edges[start], edges[end])))
    return [text for _, text in sorted(trips)]


def _edges_near(network: Network, place: Float[np.ndarray, "2"], vclass: str) -> list[str]:
    """Edges between junctions open to a class and within reach of a place."""
    spot = shapely.Point(*place)
    return sorted(
        {
            lane.edge
            for lane in network.lanes.values()
            if not lane.internal and vclass in lane.allowed and shapely.LineString(lane.shape).distance(spot) < REACH
        }
    )


def _trip(id: str, kind: str, depart: float, start: str, end: str) -> str:
    where = f"from={quoteattr(start)} to={quoteattr(end)}"
    if kind == "pedestrian":
        walk = f"<walk {where}/>"
        return f'<person id="{id}" type="drivetrain.{kind}" depart="{depart}" departPos="random">{walk}</person>'
    return f'<trip id="{id}" type="drivetrain.{kind}" depart="{depart}" {where} departSpeed="max" departLane="best"/>'
