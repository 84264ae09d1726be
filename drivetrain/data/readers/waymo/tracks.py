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
    kept = states.valid.any(axis=1)
    if not kept.any():
        refuse(f"{where}: tracks", "none is valid at any step", "leave the record out")
    valid, ids = states.valid[kept], states.id[kept]
    if (states.id < 0).any():
        refuse(f"{where}: tracks", f"id {states.id.min()}", "give ids from 0")
    unique, times = np.unique(states.id, return_counts=True)
    if (times > 1).any():
        refuse(f"{where}: tracks", f"two objects with id {unique[times > 1][0]}", "make the ids unique")
    position, velocity = (np.where(valid[..., None], a[kept], 0.0) for a in (states.position, states.velocity))
    heading = np.where(valid, states.heading[kept], 0.0)
    bad = ~(np.abs(np.concatenate([position, velocity, heading[..., None]], axis=-1)) < MAX_VALUE).all(axis=(1, 2))
    if bad.any():
        what = "a value that is not finite, or absurd, at a valid step"
        refuse(f"{where}: track {ids[bad][0]}", what, "mark the step invalid")
    kind = np.array([int(KINDS.get(type, AgentKind.OTHER)) for type in states.type[kept].tolist()])
    size, unsized = _sizes(where, states.size[kept], valid, ids, kind)
    notes["objects_never_valid"] = int((~kept).sum())
    notes["objects_without_size"] = unsized
    height = None
    if states.z is not None and states.tall is not None:
        height = ground_heights(states.z[kept], states.tall[kept], valid)
    return Tracks(ids, kind, size[:, 0], size[:, 1], position, heading, velocity, valid, height)


def _sizes(
    where: str,
    size: Float[np.ndarray, "I T 2"],
    valid: Bool[np.ndarray, "I T"],
    ids: Int[np.ndarray, "I"],
    kind: Int[np.ndarray, "I"],
) -> tuple[Float[np.ndarray, "I 2"], int]:
    """Each object's median length and width, m, and how many have none and stand at their kind's."""
    result, unsized = np.empty((len(ids), 2)), 0
    for row in range(len(ids)):
        median = np.median(size[row][valid[row]], axis=0)
        if not (np.abs(median) < MAX_SIZE).all():  # NaN fails this too
            refuse(f"{where}: track {ids[row]}: size", f"{median[0]:g} m by {median[1]:g} m", "give a road user's size")
        unsized += bool((median <= 0).any())
        result[row] = np.where(median > 0, median, SIZES[AgentKind(kind[row])])
    return result, unsized


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
