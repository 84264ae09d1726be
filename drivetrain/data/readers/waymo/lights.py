"""The lights of a Waymo record: its light states by lane and step, one light a lane."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.readers.local_frame import MAX_EXTENT
from drivetrain.data.readers.waymo.controls import SeenLight
from drivetrain.data.readers.waymo.road import STATES
from drivetrain.types import LightState

MAX_STATES = 500_000


@dataclass(frozen=True)
class Seen:
    """The state of one lane's light at one step."""

    lane: int
    step: int
    state: int  # the dataset's number
    stop: tuple[float, float]  # where one stops for it, in the recording's frame


def lights_of(where: str, seen: Sequence[Seen], steps: int, notes: dict[str, int]) -> tuple[SeenLight, ...]:
    """One light a lane, by the lanes' ids: unknown where it was not seen.

    Its stop point is the median of those seen, which do not move. Of two states of a lane at one step the first counts.
    """
    if len(seen) > MAX_STATES:
        refuse(f"{where}: lights", f"{len(seen)} states", f"give up to {MAX_STATES}")
    by_lane: dict[int, dict[int, Seen]] = {}
    placed = [one for one in seen if max(abs(one.stop[0]), abs(one.stop[1])) < MAX_EXTENT]  # NaN fails this too
    notes["lights_unreadable"] = len(seen) - len(placed)
    for one in placed:
        if not 0 <= one.step < steps:
            refuse(f"{where}: lights", f"a state at step {one.step} of {steps}", "give as many steps as times")
        by_lane.setdefault(one.lane, {}).setdefault(one.step, one)
    notes["light_states_repeated"] = len(placed) - sum(len(steps) for steps in by_lane.values())
    lights = []
    for lane in sorted(by_lane):
        states = np.full(steps, int(LightState.UNKNOWN))
        for step, one in by_lane[lane].items():
            states[step] = int(STATES[one.state]) if 0 <= one.state < len(STATES) else int(LightState.UNKNOWN)
        stop = np.median([one.stop for one in by_lane[lane].values()], axis=0)
        lights.append(SeenLight(lane, stop, states))
    return tuple(lights)
