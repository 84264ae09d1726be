"""Signs, lights and stop lines of a CommonRoad document (formats 2018b and 2020a)."""

from collections import Counter
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import by_id, integer, number, point, points, references, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.recordings.json_fields import MAX_EXTENT
from drivetrain.data.recordings.recording import ControlLine, Lane, Light
from drivetrain.types import ControlKind, InputError, LightState

MAX_SPEED_LIMIT = 100.0  # m/s
TURN = np.deg2rad(30.0)  # a successor whose heading differs by more is a turn

SPEED_SIGNS = {"USA": ("R2-1",), "PRI": ("R2-1",), "ESP": ("R301",)}
STOP_SIGNS = {"USA": ("R1-1",), "PRI": ("R1-1",), "ESP": ("R2",)}
ANY_SPEED_SIGNS = (
    "274",
    "274.1",
    "MAXSPEED",
    "MAX_SPEED",
)  # the German number, which the format lends to all countries
ANY_STOP_SIGNS = ("206", "STOP")
LIGHT_STATES = {
    "green": LightState.GREEN,
    "yellow": LightState.YELLOW,
    "red": LightState.RED,
    "redYellow": LightState.RED_YELLOW,
    "inactive": LightState.OFF,
}


@dataclass(frozen=True)
class Signs:
    """The signs and lights that lanelets refer to."""

    limits: dict[int, float]  # m/s, by sign
    stops: set[int]  # ids of stop signs
    others: set[int]  # ids of all other signs
    lights: dict[int, Light]
    directions: dict[int, str]  # which turns a light is for, in lower case
    turns: dict[int, str]  # left, straight or right, by lanelet inside an intersection, where the document says so


def read_signs(
    file: str, root: Element, origin: Float[np.ndarray, "2"], first_step: int, steps: int, notes: Counter[str]
) -> Signs:
    """All signs and lights. Sign numbers are a country's own, by the prefix of the benchmark's id."""
    country = root.get("benchmarkID", "").removeprefix("C-")[:3]
    speed_signs = SPEED_SIGNS.get(country, ()) + ANY_SPEED_SIGNS
    stop_signs = STOP_SIGNS.get(country, ()) + ANY_STOP_SIGNS
    signs = Signs({}, set(), set(), {}, {}, {})
    for id, element in by_id(file, root, "trafficSign").items():
        signs.others.add(id)
        for part in element.findall("trafficSignElement"):
            name = part.findtext("trafficSignID", "").strip().upper()
            if name in stop_signs:
                signs.stops.add(id)
            elif name in speed_signs and (value := part.findtext("additionalValue")) is not None:
                limit = speed(f"{file}: trafficSign {id}: additionalValue", value, notes)
                if limit:
                    signs.limits[id] = min(limit, signs.limits.get(id, limit))
    lights = readable(
        by_id(file, root, "trafficLight").items(),
        lambda item: _light(f"{file}: trafficLight {item[0]}", *item, origin, first_step, steps, notes),
        notes,
        "lights_unreadable",
    )
    signs.lights.update({light.id: light for light in lights})
    for id, element in by_id(file, root, "trafficLight").items():
        signs.directions[id] = element.findtext("direction", "all").strip().lower()
    for incoming in root.iterfind("intersection/incoming"):
        for turn in ("left", "straight", "right"):
            ids = references(f"{file}: intersection", incoming, f"successors{turn.capitalize()}")
            signs.turns.update(dict.fromkeys(ids, turn))
    return signs


def _light(
    where: str,
    id: int,
    element: Element,
    origin: Float[np.ndarray, "2"],
    first_step: int,
    steps: int,
    notes: Counter[str],
) -> Light:
    """A light with its cycle played out; phase 0 is at step `timeOffset`. Without a cycle its state is unknown.

    `cycleElement` stands in `cycle`, in other wrappings, or bare, as versions of the format have it.
    """
    position = None
    if (hangs := element.find("position/point")) is not None:
        position = np.array(point(f"{where}: position", hangs)) - origin
        if np.abs(position).max() > MAX_EXTENT:  # files exist that give (0, 0) in a far-off frame
            position, notes["light_positions_dropped"] = None, notes["light_positions_dropped"] + 1
    cycle = [(part.findtext("duration"), part.findtext("color", "").strip()) for part in element.iter("cycleElement")]
    states = np.full(steps, LightState.UNKNOWN, np.int32)
    if cycle:
        ends = np.cumsum([integer(f"{where}: duration", duration, 0, 10**7) for duration, _ in cycle])
        if ends[-1] == 0:
            refuse(f"{where}: duration", "a cycle of no length", "give durations in time steps")
        offset = integer(
            f"{where}: timeOffset", next((e.text for e in element.iter("timeOffset")), "0"), -(10**9), 10**9
        )
        phase = (first_step + np.arange(steps) - offset) % ends[-1]
        colours = np.array([LIGHT_STATES.get(colour, LightState.UNKNOWN) for _, colour in cycle], np.int32)
        states = colours[np.searchsorted(ends, phase, side="right")]
    if element.findtext("active", "true").strip().lower() in ("false", "0"):
        states = np.full(steps, LightState.OFF, np.int32)
    return Light(id, states, recorded=False, position=position)


def speed(where: str, text: str | None, notes: Counter[str]) -> float:
    """A speed limit in m/s; 0, and counted, where it makes no sense."""
    try:
        limit = number(where, text)
    except InputError:
        limit = 0.0
    readable_limit = 0.0 < limit <= MAX_SPEED_LIMIT
    notes["speed_limits_unreadable"] += not readable_limit
    return limit if readable_limit else 0.0


def control_lines(
    where: str,
    element: Element,
    lane: Lane,
    lanes: dict[int, Lane],
    signs: Signs,
    origin: Float[np.ndarray, "2"],
    notes: Counter[str],
) -> list[ControlLine]:
    """What stops one on this lane: one line per light that governs it, else its stop sign's, else its bare line."""
    drawn = element.find("stopLine")
    holders = [element] if drawn is None else [element, drawn]
    refs = list(dict.fromkeys(id for holder in holders for id in references(where, holder, "trafficLightRef")))
    known = [id for id in refs if id in signs.lights]
    notes["dangling_references"] += len(refs) - len(known)
    stop = any(id in signs.stops for holder in holders for id in references(where, holder, "trafficSignRef"))
    if drawn is None and not known and not stop:
        return []
    ends = _line_ends(f"{where}: stopLine", drawn, lane, origin)
    lines = [ControlLine(ends, lane.id, ControlKind.STOP_SIGN if stop else ControlKind.LINE)]
    if known:
        lights = _governing(lane, lanes, known, signs)
        lines = [ControlLine(ends, lane.id, ControlKind.LIGHT, id) for id in lights]
    notes["stop_lines_derived"] += len(lines) if drawn is None or drawn.find("point") is None else 0
    return lines


def _line_ends(
    where: str, drawn: Element | None, lane: Lane, origin: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "2 2"]:
    """The drawn line, left end first; where it has no points, the lane's end."""
    if drawn is None or drawn.find("point") is None:
        return np.stack([lane.left[-1], lane.right[-1]])
    ends = points(where, drawn, least=2)[[0, -1]] - origin
    if np.abs(ends).max() > MAX_EXTENT or not np.ptp(ends, axis=0).any():
        refuse(where, "no length, or out of the scene", "mend the points or drop them")
    middle = ends.mean(axis=0)
    nearest = [border[np.argmin(np.sum((border - middle) ** 2, axis=1))] for border in (lane.left, lane.right)]
    leftward = float(np.dot(ends[0] - ends[1], nearest[0] - nearest[1]))
    return ends if leftward >= 0.0 else ends[::-1].copy()


def _governing(lane: Lane, lanes: dict[int, Lane], known: list[int], signs: Signs) -> list[int]:
    """Of several lights at one line, those for the turns that the lane leads to; all, where none matches."""
    turns = {signs.turns.get(id) or _turn(lanes[id]) for id in lane.successors}
    fit = [id for id in known if signs.directions[id] == "all" or any(turn in signs.directions[id] for turn in turns)]
    return fit or known


def _turn(lane: Lane) -> str:
    centre = [0.5 * (lane.left[i] + lane.right[j]) for i, j in ((0, 0), (1, 1), (-2, -2), (-1, -1))]
    entry, leave = centre[1] - centre[0], centre[3] - centre[2]
    angle = np.arctan2(entry[0] * leave[1] - entry[1] * leave[0], float(np.dot(entry, leave)))
    return "left" if angle > TURN else "right" if angle < -TURN else "straight"
