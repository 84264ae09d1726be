"""A SUMO network (`.net.xml`): lanes, connections, junctions and crossings as the file gives them.

Format: https://sumo.dlr.de/docs/Networks/SUMO_Road_Networks.html. Lane 0 is the rightmost of its edge; a lane's shape
is its centre line, in the direction of travel.
"""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import integer, number, parse, quote, refuse

DEFAULT_WIDTH = 3.2
"""Width, m, of a lane that gives none."""
MAX_POINTS = 10_000  # of one shape

MOTOR = frozenset(
    {"passenger", "private", "taxi", "bus", "coach", "delivery", "truck", "trailer", "motorcycle", "moped"}
    | {"evehicle", "emergency", "authority", "army", "vip", "hov", "custom1", "custom2"}
)
"""Vehicle classes with an engine that drive on roads."""
CARS = frozenset({"passenger", "private"})
BICYCLES = frozenset({"bicycle"})
EVERYONE = MOTOR | BICYCLES | {"pedestrian"}


@dataclass(frozen=True)
class NetLane:
    """One lane: of a road, or inside a junction."""

    id: str
    edge: str
    index: int  # on its edge, from the right
    shape: Float[np.ndarray, "_ 2"]
    width: float  # m
    speed: float  # m/s
    allowed: frozenset[str]  # of EVERYONE
    internal: bool  # inside a junction
    may_change_left: bool = True
    may_change_right: bool = True
    height: Float[np.ndarray, "_"] | None = None  # m, at the points of `shape`; None: the network is flat
    into: str = ""  # the junction that it leads to; empty inside one


@dataclass(frozen=True)
class Connection:
    """From a lane to the next one; `via` leads through the junction."""

    source: str
    target: str
    via: str  # empty: none
    signal: str  # id of the program's owner; empty: no light, or a link of it that is not controlled
    link: int  # place in the signal's state
    state: str  # right of way where there is no light: M major, m minor, s stop, w all-way stop …
    turn_back: bool


@dataclass(frozen=True)
class Junction:
    """A node and its surface."""

    id: str
    kind: str
    position: Float[np.ndarray, "2"]
    shape: Float[np.ndarray, "_ 2"]


@dataclass(frozen=True)
class Network:
    """Everything of a network that a recording shows."""

    file: str
    lanes: dict[str, NetLane]
    connections: tuple[Connection, ...]
    junctions: dict[str, Junction]
    crossings: tuple[Float[np.ndarray, "_ 2"], ...]  # outlines
    walking_areas: tuple[Float[np.ndarray, "_ 2"], ...]  # outlines
    without_length: tuple[Float[np.ndarray, "2"], ...] = ()  # where lanes are left out, for their points coincide

    def edges(self) -> dict[str, list[NetLane]]:
        """Lanes by edge, from right to left."""
        by_edge: dict[str, list[NetLane]] = {}
        for lane in self.lanes.values():
            by_edge.setdefault(lane.edge, []).append(lane)
        return {edge: sorted(lanes, key=lambda lane: lane.index) for edge, lanes in by_edge.items()}


def read_network(file: str) -> Network:
    """A network file: plain, or packed with xz or gzip.

    Raises:
        InputError: one line, on anything that cannot be trusted.
    """
    root = parse(file)
    if root.tag != "net":
        refuse(file, f"root element {quote(root.tag)}", "give a SUMO network, .net.xml")
    lanes: dict[str, NetLane] = {}
    crossings, areas, without_length = [], [], []
    for edge in root.iter("edge"):
        purpose = edge.get("function", "normal")
        for element in edge.findall("lane"):
            where = f"{file}: lane {quote(element.get('id'))}"
            if purpose == "crossing":
                crossings.append(_crossing(where, element))
            elif purpose == "walkingarea":
                areas.append(_shape(f"{where}: shape", element.get("shape"), least=1))
            elif purpose in ("normal", "internal"):
                shape, height = _line(f"{where}: shape", element.get("shape"))
                if len(shape) < 2:
                    without_length.append(shape[0])
                    continue
                lane = _lane(where, edge, element, shape, height)
                if lane.id in lanes:
                    refuse(where, "two lanes with this id", "build the network again with netconvert")
                lanes[lane.id] = lane
    if not lanes:
        refuse(f"{file}: edge", "no lanes", "give a network with roads")
    junctions = {}
    for element in root.iter("junction"):
        if element.get("type") != "internal":
            junction = _junction(file, element)
            junctions[junction.id] = junction
    connections = tuple(_connection(file, element, lanes) for element in root.iter("connection"))
    known = tuple(c for c in connections if c is not None)
    return Network(file, lanes, known, junctions, tuple(crossings), tuple(areas), tuple(without_length))


def _lane(
    where: str,
    edge: Element,
    element: Element,
    shape: Float[np.ndarray, "n 2"],
    height: Float[np.ndarray, "n"] | None,
) -> NetLane:
    return NetLane(
        id=element.get("id") or refuse(where, "no id", "build the network again with netconvert"),
        edge=edge.get("id") or "",
        index=integer(f"{where}: index", element.get("index"), high=1000),
        shape=shape,
        width=_width(where, element),
        speed=number(f"{where}: speed", element.get("speed")),
        allowed=permissions(element.get("allow"), element.get("disallow")),
        internal=edge.get("function") == "internal",
        may_change_left=_may_change(element.get("changeLeft")),
        may_change_right=_may_change(element.get("changeRight")),
        height=height,
        into=edge.get("to") or "",
    )


def permissions(allow: str | None, disallow: str | None) -> frozenset[str]:
    """The classes that may use a lane: those of `allow`, or all but those of `disallow`."""
    if allow is not None:
        return EVERYONE if "all" in allow.split() else EVERYONE & frozenset(allow.split())
    denied = frozenset((disallow or "").split())
    return frozenset() if "all" in denied else EVERYONE - denied


def _may_change(classes: str | None) -> bool:
    return classes is None or bool(permissions(classes, None) & CARS)


def _width(where: str, element: Element) -> float:
    width = number(f"{where}: width", element.get("width", str(DEFAULT_WIDTH)))
    if width <= 0.0:
        return DEFAULT_WIDTH  # −1: the default
    return width if width <= 100.0 else refuse(f"{where}: width", f"{width:g} m", "give at most 100 m")


def _crossing(where: str, element: Element) -> Float[np.ndarray, "_ 2"]:
    """A crossing's outline: its own, or a rectangle about its middle line."""
    line = _shape(f"{where}: shape", element.get("shape"), least=2)
    width = _width(where, element)
    along = line[-1] - line[0]
    length = max(float(np.hypot(*along)), 1e-9)
    aside = np.array([-along[1], along[0]]) / length * width / 2
    return np.array([line[0] + aside, line[-1] + aside, line[-1] - aside, line[0] - aside, line[0] + aside])


def _junction(file: str, element: Element) -> Junction:
    where = f"{file}: junction {quote(element.get('id'))}"
    return Junction(
        id=element.get("id") or "",
        kind=element.get("type", ""),
        position=np.array([number(f"{where}: {axis}", element.get(axis)) for axis in ("x", "y")]),
        shape=_shape(f"{where}: shape", element.get("shape"), least=0),
    )


def _connection(file: str, element: Element, lanes: dict[str, NetLane]) -> Connection | None:
    """A connection between lanes of the network; those of crossings and walking areas are none."""
    source = f"{element.get('from')}_{element.get('fromLane')}"
    target = f"{element.get('to')}_{element.get('toLane')}"
    if source not in lanes or target not in lanes:
        return None
    where = f"{file}: connection {quote(source)} to {quote(target)}"
    signal, via = element.get("tl", ""), element.get("via", "")
    link = integer(f"{where}: linkIndex", element.get("linkIndex"), low=-1, high=10_000) if signal else -1
    return Connection(
        source=source,
        target=target,
        via=via if via in lanes else "",
        signal=signal if link >= 0 else "",
        link=max(link, 0),
        state=element.get("state", ""),
        turn_back=element.get("dir", "") in ("t", "T"),
    )


def _shape(where: str, text: str | None, least: int) -> Float[np.ndarray, "_ 2"]:
    """Points 'x,y x,y …' without their heights. Points that repeat come once."""
    corners, _ = _line(where, text, least)
    if len(corners) < min(least, 2):
        refuse(where, "all points coincide", "give a line of some length")
    return corners


def _line(
    where: str, text: str | None, least: int = 2
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"] | None]:
    """Points 'x,y x,y …', of which those that repeat come once; and their heights, where each has a third number."""
    words = (text or "").split()
    if not least <= len(words) <= MAX_POINTS:
        refuse(where, f"{len(words)} points", f"give {least} to {MAX_POINTS}")
    points = []
    for word in words:
        parts = [number(where, part) for part in word.split(",")]
        if len(parts) not in (2, 3):
            refuse(where, f"{quote(word)} is no point", "write x,y")
        points.append(parts)
    corners = np.array([point[:2] for point in points], np.float64).reshape(-1, 2)
    step = np.hypot(*np.diff(corners, axis=0).T) > 1e-3
    fresh = np.concatenate([np.ones(min(len(corners), 1), bool), step])
    flat = not points or any(len(point) < 3 for point in points)
    return corners[fresh], None if flat else np.array([point[2] for point in points], np.float64)[fresh]
