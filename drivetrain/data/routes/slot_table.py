"""A route's bundles of lanes laid out in rows (one a station) and slots (one a lane, and after it its successor)."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from drivetrain.data.roads.lanes import Lanes

Indices = Int[np.ndarray, "_"]


class Strip(NamedTuple):
    """Stations `first` … `last` of a lane, its station 0 `offset` rows after the segment's."""

    lane: int
    first: int
    last: int
    offset: int


@dataclass
class Segment:
    """A bundle of lanes of a route; `reference` holds a lane for each station."""

    reference: Indices
    lanes: list[int] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)


class SlotTable:
    """Segments laid out in rows and slots."""

    def __init__(self, lanes: Lanes, segments: list[Segment], slots: int):
        size = sum(len(s.reference) - 1 for s in segments) + 1
        self.stations = np.full((size, slots), -1)
        self.reference = np.zeros(size, int)
        self.offset: dict[int, list[int]] = {}
        self.left_out = 0
        before: dict[int, int] = {}
        row = 0
        for segment in segments:
            before = self._lay(lanes, segment, before, row)
            row += len(segment.reference) - 1

    def _lay(self, lanes: Lanes, segment: Segment, before: dict[int, int], row: int) -> dict[int, int]:
        """One segment from `row` on, given the slot of each lane of the segment before; the slots of its own."""
        count = len(segment.reference)
        driven = list(dict.fromkeys(segment.reference.tolist()))
        places = [segment.lanes.index(lane) for lane in driven]
        others = [lane for lane in segment.lanes if lane not in driven]
        others.sort(key=lambda lane: min(abs(segment.lanes.index(lane) - place) for place in places))
        strips = [Strip(lane, 0, count - 1, 0) for lane in driven + others] + segment.strips
        slots: dict[int, int] = {}
        for strip in strips:  # a lane goes on in the slot of its predecessor
            slot = next((before[p] for p in lanes.predecessors[strip.lane] if p in before), None)
            if slot is not None and strip.first == 0 and strip.offset == 0 and slot not in slots.values():
                slots[strip.lane] = slot
        for strip in strips:
            if strip.lane not in slots:
                slot = self._free(row + strip.offset + strip.first, row + count, set(slots.values()))
                if slot is None:
                    self.left_out += 1
                else:
                    slots[strip.lane] = slot
        for strip in strips:
            if strip.lane in slots:
                self._write(strip, row, int(lanes.first[strip.lane]), slots[strip.lane])
        self.reference[row : row + count] = [slots[int(lane)] for lane in segment.reference]
        return {strip.lane: slots[strip.lane] for strip in strips if strip.lane in slots}

    def _write(self, strip: Strip, row: int, station: int, slot: int) -> None:
        start, own = row + strip.offset, np.arange(strip.first, strip.last + 1)
        self.stations[start + own, slot] = station + own
        self.offset.setdefault(strip.lane, []).append(start)

    def _free(self, first: int, last: int, taken: set[int]) -> int | None:
        """A slot that is empty from one row to another, or else one whose lane gives up its last piece."""
        free = [slot for slot in range(self.stations.shape[1]) if slot not in taken]
        return min(free, key=lambda slot: (int((self.stations[first:last, slot] >= 0).sum()), slot), default=None)


def linked_rows(lanes: Lanes, stations: Int[np.ndarray, "P L"]) -> Bool[np.ndarray, "P L"]:
    """Where the next row of a slot continues this one: the next station of its lane, or the first of a successor.

    A lane's last station and its successor's first are one place; the row between two lanes holds the latter.
    """
    lane = np.append(lanes.lane, -1)  # −1: no station
    here, there = stations[:-1], stations[1:]
    linked = np.zeros(stations.shape, bool)
    linked[:-1] = (here >= 0) & (there == here + 1) & (lane[here] == lane[there])
    last = lanes.first + lanes.count - 1
    for row, slot in zip(*np.nonzero((here >= 0) & (there >= 0) & ~linked[:-1]), strict=True):
        one, two = int(lane[here[row, slot]]), int(lane[there[row, slot]])
        ends = here[row, slot] == last[one] - 1 and there[row, slot] == lanes.first[two]
        linked[row, slot] = ends and two in lanes.successors[one]
    return linked
