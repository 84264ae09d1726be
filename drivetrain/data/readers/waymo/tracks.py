"""The road users of a Waymo record, whichever layout tells them, and what a record says of time.

A vehicle is read as a car: the dataset says no more. A track's size is the median of its measured ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.body_sizes import MAX_SIZE, SIZES
from drivetrain.data.readers.ground_heights import ground_heights
from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.recordings.recording import Tracks
from drivetrain.types import AgentKind

MAX_OBJECTS = 4096
MAX_STEPS = 2048
MAX_VALUE = 1e9  # no position, size or speed is larger
DT = (0.02, 1.0)  # s
KINDS = {1: AgentKind.CAR, 2: AgentKind.PEDESTRIAN, 3: AgentKind.BICYCLE}  # the dataset's object types
SOURCE = "Waymo Open Motion Dataset"
LICENCE = "Waymo Dataset License Agreement for Non-Commercial Use"


@dataclass(frozen=True)
class States:
    """What a record says of its objects at every step, in the source's frame; anything may stand at invalid steps."""

    id: Int[np.ndarray, "I"]
    type: Int[np.ndarray, "I"]  # the dataset's number
    position: Float[np.ndarray, "I T 2"]
    size: Float[np.ndarray, "I T 2"]  # length, width
    heading: Float[np.ndarray, "I T"]
    velocity: Float[np.ndarray, "I T 2"]
    valid: Bool[np.ndarray, "I T"]
    z: Float[np.ndarray, "I T"] | None = None  # of the box's middle
    tall: Float[np.ndarray, "I T"] | None = None


def tracks_of(where: str, states: States, notes: dict[str, int]) -> Tracks:
    """Every object that is valid at some step, positions still in the source's frame."""
    count, steps = states.valid.shape
    if not 0 < count <= MAX_OBJECTS or not 2 <= steps <= MAX_STEPS:
        what = f"{count} objects of {steps} steps"
        refuse(f"{where}: tracks", what, f"give 1 to {MAX_OBJECTS} objects of 2 to {MAX_STEPS} steps")
    seen = states.valid.any(axis=1)
    if not seen.any():
        refuse(f"{where}: tracks", "none is valid at any step", "leave the record out")
    if (states.id < 0).any():
        refuse(f"{where}: tracks", f"id {states.id.min()}", "give ids from 0")
    unique, times = np.unique(states.id, return_counts=True)
    if (times > 1).any():
        refuse(f"{where}: tracks", f"two objects with id {unique[times > 1][0]}", "make the ids unique")
    size = np.zeros((count, 2))
    for row in np.flatnonzero(seen):
        size[row] = np.median(states.size[row, states.valid[row]], axis=0)
    moves = np.concatenate([states.position, states.velocity, states.heading[..., None]], axis=-1)
    finite = np.all(np.abs(np.where(states.valid[..., None], moves, 0.0)) < MAX_VALUE, axis=(1, 2))
    fits = (np.abs(size) < MAX_SIZE).all(axis=1)  # NaN fails both
    kept = seen & finite & fits
    if not kept.any():
        row = int(np.argmax(seen))
        what = "a value that is not finite, or absurd, at a valid step"
        what = what if not finite[row] else f"size: {size[row, 0]:g} m by {size[row, 1]:g} m"
        refuse(f"{where}: track {states.id[row]}", what, "mark the step invalid")
    valid, ids, size = states.valid[kept], states.id[kept], size[kept]
    position, velocity = (np.where(valid[..., None], a[kept], 0.0) for a in (states.position, states.velocity))
    heading = np.where(valid, states.heading[kept], 0.0)
    kind = np.array([int(KINDS.get(type, AgentKind.OTHER)) for type in states.type[kept].tolist()])
    notes["objects_never_valid"] = int((~seen).sum())
    notes["objects_unreadable"] = int((seen & ~kept).sum())
    notes["objects_without_size"] = int((size <= 0).any(axis=1).sum())
    size = np.where(size > 0, size, [SIZES[AgentKind(one)] for one in kind.tolist()])
    height = None
    if states.z is not None and states.tall is not None:
        height = ground_heights(states.z[kept], states.tall[kept], valid)
    return Tracks(ids, kind, size[:, 0], size[:, 1], position, heading, velocity, valid, height)


def step_of(where: str, times: Float[np.ndarray, "T"]) -> float:
    """The step, s, of a record's times. Raises `InputError` where they go backwards, leap or are no numbers."""
    gaps = np.diff(times)
    if not np.isfinite(times).all() or not len(gaps):
        refuse(f"{where}: timestamps", "none, or not finite numbers", "give the seconds of every step")
    if not (gaps > 0).all():
        refuse(f"{where}: timestamps", f"time stands or goes back at step {int(np.argmin(gaps > 0)) + 1}", "sort them")
    dt = float(np.round(np.median(gaps), 3))
    if not DT[0] <= dt <= DT[1]:
        refuse(f"{where}: timestamps", f"steps of {dt:g} s", f"give steps of {DT[0]:g} to {DT[1]:g} s")
    if np.abs(gaps - dt).max() > dt / 2:
        refuse(f"{where}: timestamps", f"a leap at step {int(np.argmax(np.abs(gaps - dt))) + 1}", "give even steps")
    return dt
