"""The road of a CommonRoad document: lanelets, markings, limits, stop lines and lights (formats 2018b and 2020a)."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.commonroad.signals import Signs, control_lines, read_signs, speed
from drivetrain.data.readers.hardened_xml import by_id, integer, points, references, refuse, texts
from drivetrain.data.recordings.json_fields import MAX_EXTENT
from drivetrain.data.recordings.recording import ControlLine, Feature, Lane, Light
from drivetrain.types import ElementKind

MARKINGS = {
    "solid": ElementKind.LINE_SOLID,
    "broad_solid": ElementKind.LINE_SOLID,
    "solid_solid": ElementKind.LINE_SOLID,
    "solid_dashed": ElementKind.LINE_SOLID,
    "dashed_solid": ElementKind.LINE_SOLID,
    "curb": ElementKind.LINE_SOLID,
    "lowered_curb": ElementKind.LINE_SOLID,
    "dashed": ElementKind.LINE_DASHED,
    "broad_dashed": ElementKind.LINE_DASHED,
    "dashed_dashed": ElementKind.LINE_DASHED,
}
WALKING_TYPES = {"sidewalk", "crosswalk", "bicycleLane"}
MOTOR_USERS = {"vehicle", "car", "truck", "bus", "motorcycle", "taxi"}

Border = Float[np.ndarray, "n 2"]


class Road(NamedTuple):
    """What the lanelets, signs and lights of a document say, less `origin`."""

    lanes: tuple[Lane, ...]
    control_lines: tuple[ControlLine, ...]
    lights: tuple[Light, ...]
    features: tuple[Feature, ...]
    origin: tuple[float, float]


def read_road(file: str, root: Element, first_step: int, steps: int, notes: Counter[str]) -> Road:
    """The road, in metres from `Road.origin`: the mean point of the borders, rounded to a metre.

    `first_step` and `steps` say at which time steps of the document the lights' states are wanted.
    """
    elements = by_id(file, root, "lanelet")
    if not elements:
        refuse(f"{file}: lanelet", "none", "a scene needs at least one lanelet")
    borders = {id: _borders(f"{file}: lanelet {id}", element) for id, element in elements.items()}
    every = np.concatenate([border for pair in borders.values() for border in pair])
    if np.ptp(every, axis=0).max() > MAX_EXTENT:
        refuse(f"{file}: lanelet", f"points further than {MAX_EXTENT:g} m apart", "cut the scene or mend the outlier")
    origin = np.round(every.mean(axis=0))
    borders = {id: (left - origin, right - origin) for id, (left, right) in borders.items()}
    odd = {id: words for id, pair in borders.items() if (words := _odd_borders(*pair))}
    if len(odd) == len(borders):
        id, words = next(iter(odd.items()))
        refuse(f"{file}: lanelet {id}", words, "mend the borders")
    notes["lanelets_with_odd_borders"] += len(odd)
    elements = {id: element for id, element in elements.items() if id not in odd}
    signs = read_signs(file, root, origin, first_step, steps, notes)
    crosswalks = {id for id, element in elements.items() if "crosswalk" in texts(element, "laneletType")}
    notes["crosswalks"] += len(crosswalks)
    lanes = {
        id: _lane(file, id, element, borders[id], signs, set(elements), notes)
        for id, element in elements.items()
        if id not in crosswalks
    }
    if not any(lane.drivable for lane in lanes.values()):
        refuse(f"{file}: lanelet", "none for motor vehicles", "a scene needs at least one drivable lanelet")
    lanes = _mend_links(lanes, notes)
    lines = [
        line
        for id, lane in lanes.items()
        if lane.drivable
        for line in control_lines(f"{file}: lanelet {id}", elements[id], lane, lanes, signs, origin, notes)
    ]
    outlines = (np.concatenate([left, right[::-1], left[:1]]) for left, right in (borders[id] for id in crosswalks))
    features = tuple(Feature(ElementKind.CROSSWALK, outline) for outline in outlines)
    return Road(tuple(lanes.values()), tuple(lines), tuple(signs.lights.values()), features, (origin[0], origin[1]))


def _borders(where: str, element: Element) -> tuple[Border, Border]:
    left = points(f"{where}: leftBound", element.find("leftBound"), least=2)
    return left, points(f"{where}: rightBound", element.find("rightBound"), least=2)


def _odd_borders(left: Border, right: Border) -> str:
    """What is wrong with a lane's borders; empty where it runs forward between two of some length, the left one on its
    left, that do not cross.
    """
    if not (np.ptp(left, axis=0).any() and np.ptp(right, axis=0).any()):
        return "all points of a border coincide"
    ring = np.concatenate([left, right[::-1]])
    ring = ring - ring.mean(axis=0)
    ahead = np.roll(ring, -1, axis=0)
    area = 0.5 * float(np.sum(ring[:, 0] * ahead[:, 1] - ring[:, 1] * ahead[:, 0]))
    if area >= 0.0:  # left forward, then right backward, runs clockwise
        return "left and right borders are swapped, or enclose nothing"
    return "left and right borders cross" if _cross(left, right) else ""


def _cross(left: Border, right: Border) -> bool:
    """Whether two polylines cross properly: touching, as where a lane tapers out, does not count."""

    def side(a, b, p):
        return np.sign(
            (b[..., 0] - a[..., 0]) * (p[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (p[..., 0] - a[..., 0])
        )

    c, d = right[None, :-1], right[None, 1:]
    for start in range(0, len(left) - 1, 256):  # bounded memory for long borders
        a, b = left[start : start + 256, None], left[start + 1 : start + 257, None]
        a = a[: len(b)]
        if ((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).any():
            return True
    return False


def _lane(
    file: str,
    id: int,
    element: Element,
    borders: tuple[Border, Border],
    signs: Signs,
    known: set[int],
    notes: Counter[str],
) -> Lane:
    where = f"{file}: lanelet {id}"
    users = texts(element, "userOneWay", "userBidirectional")
    return Lane(
        id=id,
        left=borders[0],
        right=borders[1],
        successors=_links(where, element, "successor", known, notes),
        predecessors=_links(where, element, "predecessor", known, notes),
        left_neighbour=_neighbour(where, element, "adjacentLeft", known, notes),
        right_neighbour=_neighbour(where, element, "adjacentRight", known, notes),
        left_border=_marking(element, "leftBound"),
        right_border=_marking(element, "rightBound"),
        speed_limit=_speed_limit(where, element, signs, notes),
        drivable=not texts(element, "laneletType") & WALKING_TYPES and (not users or bool(users & MOTOR_USERS)),
    )


def _links(where: str, element: Element, tag: str, known: set[int], notes: Counter[str]) -> tuple[int, ...]:
    wanted = dict.fromkeys(references(where, element, tag))
    own = integer(where, element.get("id"))
    kept = tuple(id for id in wanted if id in known and id != own)
    notes["dangling_references"] += len(wanted) - len(kept)
    return kept


def _neighbour(where: str, element: Element, tag: str, known: set[int], notes: Counter[str]) -> int | None:
    """The lanelet beside this one, where it runs in the same direction."""
    beside = element.find(tag)
    if beside is None or beside.get("drivingDir") != "same":
        return None
    linked = _links(where, element, tag, known, notes)
    return linked[0] if linked else None


def _marking(element: Element, bound: str) -> ElementKind:
    marking = element.findtext(f"{bound}/lineMarking", "").strip()
    return MARKINGS.get(marking, ElementKind.LINE_VIRTUAL)


def _speed_limit(where: str, element: Element, signs: Signs, notes: Counter[str]) -> float:
    """The lowest limit of the lanelet's own element (2018b) and its signs (2020a); 0 where there is none."""
    limits = [
        value for limit in element.findall("speedLimit") if (value := speed(f"{where}: speedLimit", limit.text, notes))
    ]
    for id in references(where, element, "trafficSignRef"):
        if id in signs.limits:
            limits.append(signs.limits[id])
        elif id not in signs.stops | signs.others:
            notes["dangling_references"] += 1
    return min(limits, default=0.0)


def _mend_links(lanes: dict[int, Lane], notes: Counter[str]) -> dict[int, Lane]:
    """Make successors and predecessors say the same, and drop links to lanelets that are no lanes (crosswalks)."""
    ahead = {id: [other for other in lane.successors if other in lanes] for id, lane in lanes.items()}
    behind = {id: [other for other in lane.predecessors if other in lanes] for id, lane in lanes.items()}
    for id in lanes:
        for one, two in ((ahead, behind), (behind, ahead)):
            for other in one[id]:
                if id not in two[other]:
                    two[other].append(id)
                    notes["one_sided_links_mended"] += 1
    return {
        id: replace(
            lane,
            successors=tuple(ahead[id]),
            predecessors=tuple(behind[id]),
            left_neighbour=lane.left_neighbour if lane.left_neighbour in lanes else None,
            right_neighbour=lane.right_neighbour if lane.right_neighbour in lanes else None,
        )
        for id, lane in lanes.items()
    }
