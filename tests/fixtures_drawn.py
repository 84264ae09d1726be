"""A reader of drives that are only names, for tests of what happens around reading.

"name", "name|group", "name|group|split"; "town", a map without road users, with 100 stop lines; or something that
fails: "bad", "odd", "parked", "slow…".
"""

import dataclasses
import os
import time
from pathlib import Path

import numpy as np

from drivetrain.data.readers import READERS
from drivetrain.data.recordings.recording import MAP_DT, ControlLine, Lane, Recording, Tracks, no_tracks
from drivetrain.types import ControlKind, InputError


def drive(name: str, group: str = "", split: str = "") -> Recording:
    """A car at 10 m/s on a straight lane of 200 m, and a parked one."""
    steps = 60
    x = 20.0 + np.arange(steps)
    position = np.stack([np.stack([x, np.zeros(steps)], axis=1), np.tile([150.0, 0.0], (steps, 1))])
    velocity = np.zeros((2, steps, 2))
    velocity[0, :, 0] = 10.0
    tracks = Tracks(
        id=np.array([5, 9]),
        kind=np.array([1, 1]),
        length=np.array([4.5, 4.5]),
        width=np.array([1.8, 1.8]),
        position=position,
        heading=np.zeros((2, steps)),
        velocity=velocity,
        valid=np.ones((2, steps), bool),
    )
    along = np.linspace(0.0, 200.0, 21)
    lane = Lane(1, np.stack([along, 0 * along + 1.75], 1), np.stack([along, 0 * along - 1.75], 1))
    file = f"{name}.drawn"
    return Recording(name, file, 0.1, tracks, (lane,), group=group, split=split, source="drawn", licence="CC0")


def town(file: str) -> Recording:
    """The lane alone, with a stop line every 2 m."""
    ends = np.array([[0.0, 1.75], [0.0, -1.75]])
    lines = tuple(ControlLine(ends + [2.0 * row, 0.0], 1, ControlKind.LINE) for row in range(100))
    return dataclasses.replace(drive("town"), file=file, dt=MAP_DT, tracks=no_tracks(), control_lines=lines)


class Drawn:
    """See above. With READ_LOG in the environment, every reading adds a line to that file."""

    def find(self, source: str) -> list[str]:
        """The name itself; "many:7" are seven of them."""
        kind, _, count = source.partition(":")
        return [f"{kind}{number:03d}" for number in range(int(count))] if count else [source]

    def read(self, file: str) -> Recording:
        """The drive of that name."""
        if "READ_LOG" in os.environ:
            with Path(os.environ["READ_LOG"]).open("a") as log:
                log.write(f"{file}\n")
        name, group, split, *_ = [*Path(file).name.split("|"), "", ""]
        if name == "bad":
            raise InputError(f"{file}: lanes: none (draw some)")
        if name == "odd":
            raise KeyError("first\nsecond")
        if name.startswith("slow"):
            time.sleep(0.05)
        if name == "town":
            return town(file)
        recording = drive(name, group, split)
        if name == "parked":
            still = dataclasses.replace(recording.tracks, position=0 * recording.tracks.position + 50.0)
            return dataclasses.replace(recording, tracks=still)
        return dataclasses.replace(recording, file=file)


def install() -> None:
    """Make the format known to this process."""
    READERS["drawn"] = Drawn()
