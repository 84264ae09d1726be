"""The lane graph of an OpenDRIVE document.

The format links lanes by place, not by travel: within a road from section to section, between roads at a contact
point, and through junctions by connection. All are gathered as pairs of lane ends that meet, whichever side says so;
travel then tells which of two lanes follows the other.
"""

from collections import Counter
from xml.etree.ElementTree import Element

import numpy as np

from drivetrain.data.readers.hardened_xml import integer, quote
from drivetrain.data.readers.opendrive.roads import Key, Road, Strip
from drivetrain.types import InputError

FAR = 2.0  # m; ends further apart than this are no link
MOST_BRIDGED = 64  # links that one lane too short to drive may pass on
END, START = True, False

Meeting = tuple[Key, bool, Key, bool]
"""A lane and whether its end (by s) meets, and the lane that it meets with, likewise."""
Node = tuple[Key, bool]
"""A lane and whether it is travelled along s."""


def meetings(file: str, root: Element, roads: dict[str, Road], notes: Counter[str]) -> list[Meeting]:
    """Every pair of lane ends that the document joins. Links to what is not there are counted."""
    pairs: dict[Meeting, None] = {}
    for road in roads.values():
        for meeting in _of_road(file, road, roads, notes):
            pairs[meeting] = None
    for junction in root.findall("junction"):
        for connection in junction.findall("connection"):
            for meeting in _of_connection(file, junction.get("id", ""), connection, roads, notes):
                pairs[meeting] = None
    return list(pairs)


def _of_road(file: str, road: Road, roads: dict[str, Road], notes: Counter[str]) -> list[Meeting]:
    pairs = []
    beyond = {END: _linked_end(road, "successor", roads, notes), START: _linked_end(road, "predecessor", roads, notes)}
    for row, section in enumerate(road.sections):
        for id, lane in section.lanes.items():
            for end, tag, step in ((END, "successor", 1), (START, "predecessor", -1)):
                for link in lane.findall(f"link/{tag}"):
                    try:
                        other = integer(f"{file}: road {quote(road.id)}: {tag}", link.get("id"), -1000, 1000)
                    except InputError:
                        notes["links_unreadable"] += 1
                        continue
                    if 0 <= row + step < len(road.sections):
                        met = (road.id, row + step, other), not end
                    elif (target := beyond[end]) is not None:
                        met = (target[0], target[1], other), target[2]
                    else:
                        continue  # a junction: its connections say
                    if not id or not other:
                        continue
                    if other in roads[met[0][0]].sections[met[0][1]].lanes:
                        pairs.append(((road.id, row, id), end, *met))
                    else:
                        notes["dangling_references"] += 1
    return pairs


def _linked_end(road: Road, tag: str, roads: dict[str, Road], notes: Counter[str]) -> tuple[str, int, bool] | None:
    """The road, the lane section and the end that one end of a road is linked to; None: a junction, or nothing."""
    link = road.element.find(f"link/{tag}")
    if link is None or link.get("elementType", "road") != "road":
        return None
    other = roads.get(link.get("elementId", ""))
    if other is None or not other.sections:
        notes["dangling_references"] += 1
        return None
    at_end = link.get("contactPoint") == "end"
    return other.id, len(other.sections) - 1 if at_end else 0, at_end


def _of_connection(
    file: str, junction: str, connection: Element, roads: dict[str, Road], notes: Counter[str]
) -> list[Meeting]:
    incoming = roads.get(connection.get("incomingRoad", ""))
    name = connection.get("connectingRoad") or connection.get("linkedRoad", "")
    leading = roads.get(name)
    if incoming is None or leading is None or not incoming.sections or not leading.sections:
        notes["dangling_references"] += 1
        return []
    contact = connection.get("contactPoint", "start")
    if contact not in ("start", "end"):
        notes["links_unreadable"] += 1
        return []
    at_end = contact == "end"
    row = len(leading.sections) - 1 if at_end else 0
    end = _incoming_end(incoming, junction, leading, at_end)
    own = len(incoming.sections) - 1 if end else 0
    where = f"{file}: junction {quote(junction)}: laneLink"
    try:
        pairs = [
            tuple(integer(where, link.get(key), -1000, 1000) for key in _ENDS)
            for link in connection.findall("laneLink")
        ]
    except InputError:
        notes["links_unreadable"] += 1
        return []
    pairs = pairs or [(id, id) for id in leading.sections[row].lanes if id]
    meetings = []
    for one, other in pairs:
        if one in incoming.sections[own].lanes and other in leading.sections[row].lanes:
            meetings.append(((incoming.id, own, one), end, (leading.id, row, other), at_end))
        else:
            notes["dangling_references"] += 1
    return meetings


_ENDS = ("from", "to")


def _incoming_end(incoming: Road, junction: str, leading: Road, at_end: bool) -> bool:
    """The end of a road that a connection starts at: the one at the junction; of two, the nearer."""
    ends = []
    for end, tag in ((END, "successor"), (START, "predecessor")):
        link = incoming.element.find(f"link/{tag}")
        if link is not None and link.get("elementType") == "junction" and link.get("elementId") == junction:
            ends.append(end)
    if len(ends) == 1:
        return ends[0]
    goal, _ = leading.place(leading.length if at_end else 0.0, 0.0)
    gap = {end: np.hypot(*(incoming.place(incoming.length if end else 0.0, 0.0)[0] - goal)) for end in (END, START)}
    return END if gap[END] <= gap[START] else START


def successors_of(strips: dict[Key, Strip], pairs: list[Meeting], notes: Counter[str]) -> dict[Node, tuple[Node, ...]]:
    """The lanes that follow each lane, by travel: lanes that are none pass on what follows them."""
    ahead: dict[Node, set[Node]] = {
        (strip.key, forward): set() for strip in strips.values() for forward in strip.forward
    }
    behind: dict[Node, set[Node]] = {node: set() for node in ahead}
    for one, one_end, other, other_end in pairs:
        if one not in strips or other not in strips or one == other:
            continue
        linked = False
        for a in strips[one].forward:
            for b in strips[other].forward:
                leaves, enters = a == one_end, b != other_end
                if leaves != enters:
                    continue
                source, target = ((one, a), (other, b)) if leaves else ((other, b), (one, a))
                ahead[source].add(target)
                behind[target].add(source)
                linked = True
        notes["links_against_travel"] += not linked and strips[one].drivable and strips[other].drivable
    _bridge(strips, ahead, behind, notes)
    result = {}
    for node, targets in ahead.items():
        near = [target for target in sorted(targets) if _gap(strips, node, target) <= FAR]
        notes["links_over_gaps_dropped"] += len(targets) - len(near)
        result[node] = tuple(near)
    return result


def _bridge(
    strips: dict[Key, Strip], ahead: dict[Node, set[Node]], behind: dict[Node, set[Node]], notes: Counter[str]
) -> None:
    """Take lanes that are none out of the graph."""
    for node in [node for node in ahead if not strips[node[0]].usable]:
        sources, targets = behind.pop(node) - {node}, ahead.pop(node) - {node}
        for source in sources:
            ahead[source].discard(node)
        for target in targets:
            behind[target].discard(node)
        if len(sources) * len(targets) > MOST_BRIDGED:
            notes["links_of_short_lanes_dropped"] += 1
            continue
        for source in sources:
            for target in targets:
                ahead[source].add(target)
                behind[target].add(source)


def _gap(strips: dict[Key, Strip], source: Node, target: Node) -> float:
    """From where one lane's centre ends to where the other's starts, m."""
    return float(np.hypot(*(_tip(strips[source[0]], source[1]) - _tip(strips[target[0]], not target[1]))))


def _tip(strip: Strip, at_end: bool) -> np.ndarray:
    row = -1 if at_end else 0
    return 0.5 * (strip.low[row] + strip.high[row])
