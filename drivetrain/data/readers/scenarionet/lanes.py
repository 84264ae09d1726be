"""What a ScenarioNet scene says of its lanes beyond their centre lines: links, neighbours, outlines, speed limits.

Links and neighbours that a scene gives replace and veto those recovered by geometry. A list counts as given where some
lane of the scene has one that is not empty: writers put empty lists for what they do not know.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.centre_lines.lane_sampling import cast, segments_of
from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.readers.waymo.road import MAX_POINTS, Roads
from drivetrain.data.recordings.recording import ControlLine, Lane

OUTLINE = (1.0, 4.0)  # m from the centre line: where a lane's outline is a border


def text_of(value: Any) -> str:
    """A plain value as text; of anything nested its type alone, for lists that share their parts may never end."""
    return str(value) if isinstance(value, str | int | float | bytes | np.generic | None) else type(value).__name__


def points_of(where: str, value: Any, columns: int = 2) -> Float[np.ndarray, "_ _"]:
    """The x and y of points, and with 3 `columns` their z (0 where there is none, or no number).

    An array or a list of rows of 2 to 4, or one row; measured before it is copied.
    """
    if isinstance(value, list | tuple) and value and not isinstance(value[0], list | tuple | np.ndarray):
        value = [value]
    if isinstance(value, list | tuple):
        if len(value) > MAX_POINTS or not all(_is_point(row) for row in value):
            refuse(where, "no list of points", "give rows of x and y")
        heights = [float(row[2]) if len(row) > 2 else 0.0 for row in value]
        value = np.array([(float(row[0]), float(row[1])) for row in value], np.float64).reshape(-1, 2)
        value = np.column_stack([value, np.array(heights, np.float64)])
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim not in (1, 2):
        refuse(where, "missing, or no array of points", "give rows of x and y")
    points = value[None] if value.ndim == 1 and len(value) else value.reshape(-1, 2) if not value.size else value
    if not 2 <= points.shape[1] <= 4 or not (np.abs(points[:, :2].astype(np.float64)) < 1e9).all():
        refuse(where, "points that are not finite, or not of 2 to 4 numbers", "give rows of x and y")
    if columns == 2:
        return points[:, :2].astype(np.float64)
    height = points[:, 2].astype(np.float64) if points.shape[1] > 2 else np.zeros(len(points))
    return np.column_stack([points[:, :2].astype(np.float64), np.where(np.abs(height) < 1e5, height, 0.0)])


def _is_point(row: Any) -> bool:
    if isinstance(row, np.ndarray):
        return row.dtype.kind in "iuf" and row.ndim == 1 and 2 <= len(row) <= 4
    return (
        isinstance(row, list | tuple)
        and 2 <= len(row) <= 4
        and all(isinstance(value, float | np.number) or (type(value) is int and abs(value) < 2**53) for value in row)
    )


def _names(value: Any) -> list[str] | None:
    """The lanes that a list names: ids, or dicts with a `feature_id`. None where there is no list."""
    if not isinstance(value, list | tuple | np.ndarray):
        return None
    items = [item.get("feature_id") if isinstance(item, dict) else item for item in value]
    return [str(item) for item in items if isinstance(item, str | int | np.integer)]


def linked(roads: Roads, given: dict[int, Any], lanes: dict[str, int], notes: dict[str, int]) -> Roads:
    """Lanes with the scene's own links in place of recovered ones, and without neighbours that the scene denies."""
    pieces: dict[int, list[int]] = {}
    for row, source in enumerate(roads.sources):
        pieces.setdefault(source, []).append(row)
    exits = {number: _names(item.get("exit_lanes")) for number, (item, _) in given.items()}
    ahead = [list(lane.successors) for lane in roads.lanes]
    links = 0
    if any(exits.values()):
        for number, rows in pieces.items():
            known = [lanes[name] for name in exits[number] or () if name in lanes]
            ahead[rows[-1]] = sorted({pieces[other][0] for other in known if other in pieces})
            links += len(ahead[rows[-1]])
    behind: list[list[int]] = [[] for _ in ahead]
    for row, others in enumerate(ahead):
        for other in others:
            behind[other].append(row)
    denied = _denied(roads, given, lanes)
    notes |= {"lane_successors_given": links, "lane_neighbours_denied": len(denied)}
    notes["lane_successors_derived"] = roads.notes.get("lane_successors_derived", 0) if not links else 0
    new, dropped = [], 0
    for row, lane in enumerate(roads.lanes):
        left, right = lane.left_neighbour, lane.right_neighbour
        lane = dataclasses.replace(lane, successors=tuple(ahead[row]), predecessors=tuple(behind[row]))
        kept = [None if other is None or frozenset((row, other)) in denied else other for other in (left, right)]
        dropped += kept.count(None) - (left, right).count(None)
        new.append(dataclasses.replace(lane, left_neighbour=kept[0], right_neighbour=kept[1]))
    notes["lane_neighbours_derived"] = roads.notes.get("lane_neighbours_derived", 0) - dropped
    return dataclasses.replace(roads, lanes=tuple(new))


def _denied(roads: Roads, given: dict[int, Any], lanes: dict[str, int]) -> set[frozenset[int]]:
    """Pairs of recovered neighbours that neither lane's own list names, in scenes that list neighbours at all."""
    listed: dict[int, set[int]] = {}
    for number, (item, _) in given.items():
        names = [name for key in ("left_neighbor", "right_neighbor") for name in _names(item.get(key)) or ()]
        listed[number] = {lanes[name] for name in names if name in lanes}
    if not any(listed.values()):
        return set()
    denied = set()
    for row, lane in enumerate(roads.lanes):
        for other in (lane.left_neighbour, lane.right_neighbour):
            if other is not None:
                one, two = roads.sources[row], roads.sources[other]
                if two not in listed[one] and one not in listed[two]:
                    denied.add(frozenset((row, other)))
    return denied


def outlined(roads: Roads, given: dict[int, Any], origin: Float[np.ndarray, "2"], notes: dict[str, int]) -> Roads:
    """Lanes whose outer borders lie on their own outline, where it has one."""
    moved, lanes = 0, list(roads.lanes)
    for row, lane in enumerate(roads.lanes):
        outline = given[roads.sources[row]][0].get("polygon")
        if outline is None or (lane.left_neighbour is not None and lane.right_neighbour is not None):
            continue
        ring = points_of("polygon", outline) - origin
        if len(ring) < 3:
            continue
        start, end, _ = segments_of([np.concatenate([ring, ring[:1]])])
        for side in ("left", "right"):
            border = _on_outline(lane, side, start, end) if getattr(lane, f"{side}_neighbour") is None else None
            if border is not None:
                lanes[row] = dataclasses.replace(lanes[row], **{side: border})
                moved += 1
    notes["lane_borders_by_outline"] = moved
    lines = tuple(_stretched(line, roads.lanes[line.lane], lanes[line.lane]) for line in roads.control_lines)
    return dataclasses.replace(roads, lanes=tuple(lanes), control_lines=lines)


def _on_outline(
    lane: Lane, side: str, start: Float[np.ndarray, "s 2"], end: Float[np.ndarray, "s 2"]
) -> Float[np.ndarray, "_ 2"] | None:
    """A border moved across to an outline; None unless most cross-sections meet it at a lane's half width."""
    centre = (lane.left + lane.right) / 2
    out = (lane.left if side == "left" else lane.right) - centre
    out = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    ray, _, distance, _ = cast(centre, out, OUTLINE[1], start, end)
    ray, first = np.unique(ray, return_index=True)
    plausible = distance[first] >= OUTLINE[0]
    ray, away = ray[plausible], distance[first][plausible]
    if 2 * len(ray) <= len(centre):
        return None
    offset = np.interp(np.arange(len(centre)), ray, away)
    return centre + offset[:, None] * out


def _stretched(line: ControlLine, before: Lane, after: Lane) -> ControlLine:
    """A control line from border to border again, where its lane's borders moved."""
    ends = []
    for end, old, new in zip(line.ends, (before.left, before.right), (after.left, after.right), strict=True):
        chord = np.diff(old, axis=0)
        share = ((end - old[:-1]) * chord).sum(axis=1) / np.maximum((chord**2).sum(axis=1), 1e-12)
        share = np.clip(share, 0.0, 1.0)
        at = int(np.argmin(np.linalg.norm(end - old[:-1] - share[:, None] * chord, axis=1)))
        ends.append((1 - share[at]) * new[at] + share[at] * new[at + 1])
    return dataclasses.replace(line, ends=np.array(ends))


def limited(roads: Roads, given: dict[int, Any]) -> Roads:
    """Lanes with their speed limits, m/s: given in km/h or mph."""
    lanes = []
    for lane, source in zip(roads.lanes, roads.sources, strict=True):
        item = given[source][0]
        for key, factor in (("speed_limit_kmh", 1 / 3.6), ("speed_limit_mph", 0.44704)):
            value = item.get(key)
            if isinstance(value, int | float | np.number) and 0.0 < float(value) * factor < 60.0:
                lane = dataclasses.replace(lane, speed_limit=float(value) * factor)
                break
        lanes.append(lane)
    return dataclasses.replace(roads, lanes=tuple(lanes))
