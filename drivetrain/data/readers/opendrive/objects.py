"""Objects of an OpenDRIVE document: crosswalks, painted stop lines, and the word STOP painted on a lane."""

import bisect
import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import number, quote, refuse
from drivetrain.data.readers.opendrive.links import Node
from drivetrain.data.readers.opendrive.roads import Road
from drivetrain.data.readers.stop_lines import Place, Segment, centre
from drivetrain.data.recordings.polylines import arc_length
from drivetrain.data.recordings.recording import Feature, Lane
from drivetrain.types import ElementKind, InputError

MAX_OBJECT = 500.0  # m
MAX_CORNERS = 1000


@dataclass(frozen=True)
class Net:
    """Roads, and the lanes made of them; lanes lie less `origin`, places on roads do not."""

    roads: dict[str, Road]
    lanes: tuple[Lane, ...]
    of_section: dict[tuple[str, int], list[tuple[Node, int]]]  # lanes of a road's lane section, with their rows
    origin: Float[np.ndarray, "2"]

    def at(self, road: Road, s: float) -> list[tuple[Node, int]]:
        """The lanes of a road at s."""
        row = bisect.bisect_right(road.sections, s, key=lambda section: section.start) - 1
        while row > 0 and road.sections[row].start == road.sections[row].end:  # too short to be lanes
            row -= 1
        return self.of_section.get((road.id, max(row, 0)), [])


class Objects(NamedTuple):
    """What the objects of a document say."""

    crosswalks: tuple[Feature, ...]
    stop_lines: list[Segment]
    stop_words: list[Place]  # ends of lanes on which the word stands


def read_objects(file: str, net: Net, notes: Counter[str]) -> Objects:
    """Crosswalks, stop lines and stop words, less the origin; other objects are counted."""
    crosswalks, lines, stops = [], [], []
    for road in net.roads.values():
        where = f"{file}: road {quote(road.id)}: object"
        for element in road.element.findall("objects/object"):
            name = words(f"{element.get('name', '')} {element.get('type', '')}")
            try:
                if element.get("type") == "crosswalk":
                    crosswalks.append(Feature(ElementKind.CROSSWALK, _outline(where, road, element) - net.origin))
                elif "stopline" in name:
                    lines.append(_axis(where, road, element) - net.origin)
                elif re.search(r"\bstop\b", name):
                    stops += _under(where, net, road, element)
                else:
                    notes["objects_left_out"] += 1
            except InputError:
                notes["objects_unreadable"] += 1
    notes["crosswalks"] += len(crosswalks)
    return Objects(tuple(crosswalks), lines, stops)


def words(text: str) -> str:
    """A name in lower case, its parts as words, "stop line" as one."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text[:200])
    return re.sub(r"\bstop line", "stopline", re.sub(r"[^a-z0-9]+", " ", text.lower()))


def _outline(where: str, road: Road, element: Element) -> Float[np.ndarray, "n 2"]:
    """The closed outline of an object, by its corners, else its length and width."""
    place, turn = _frame(where, road, element)
    local, on_road = list(element.iter("cornerLocal")), list(element.iter("cornerRoad"))
    if len(local) + len(on_road) > MAX_CORNERS:
        refuse(where, f"more than {MAX_CORNERS} corners", "simplify the outline")
    if len(on_road) > len(local):
        points = np.array([road.place(*_pair(where, corner, ("s", "t")))[0] for corner in on_road])
    elif len(local) >= 2:
        points = place + np.array([_pair(where, corner, ("u", "v")) for corner in local]) @ turn
    else:
        half = 0.5 * np.array(_pair(where, element, ("length", "width")))
        points = place + half * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) @ turn
    if np.abs(points - place).max() > MAX_OBJECT or not np.ptp(points, axis=0).any():
        refuse(where, f"of no extent, or corners more than {MAX_OBJECT:g} m away", "mend the object")
    return points if np.array_equal(points[0], points[-1]) else np.concatenate([points, points[:1]])


def _frame(where: str, road: Road, element: Element) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2 2"]]:
    """An object's place, and the matrix that turns rows of its coordinates into rows of the map's."""
    place, angle = road.place(*_pair(where, element, ("s", "t")))
    angle += number(f"{where}: hdg", element.get("hdg", "0"))
    return place, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _pair(where: str, element: Element, keys: tuple[str, str]) -> tuple[float, float]:
    one, other = (number(f"{where}: {element.tag}: {key}", element.get(key)) for key in keys)
    return one, other


def _axis(where: str, road: Road, element: Element) -> Segment:
    """The ends of a painted line: along the longer side of the box around it, in its middle."""
    place, turn = _frame(where, road, element)
    local = (_outline(where, road, element) - place) @ turn.T
    low, high = local.min(axis=0), local.max(axis=0)
    middle = 0.5 * (low + high)
    axis = 0 if high[0] - low[0] >= high[1] - low[1] else 1
    ends = np.stack([middle, middle])
    ends[:, axis] = low[axis], high[axis]
    return place + ends @ turn


def _under(where: str, net: Net, road: Road, element: Element) -> list[Place]:
    """The end of the lane of a road that an object lies on."""
    s, t = _pair(where, element, ("s", "t"))
    point = road.place(s, t)[0] - net.origin
    near = []
    for _, row in net.at(road, s):
        lane = net.lanes[row]
        if lane.drivable:
            middle = centre(lane)
            near.append((float(np.min(np.linalg.norm(middle - point, axis=1))), row, arc_length(middle)))
    return [Place(row, long) for off, row, long in sorted(near)[:1] if off < 2.5]
