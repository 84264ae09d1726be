"""A recording in neutral form: what a reader makes of a dataset's file, of variable size, in NumPy.

Shapes: n points of a polyline · I tracks · T steps. Coordinates are float64 metres in the recording's frame less
`Recording.origin`; a lane's borders run in its direction of travel.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.types import ControlKind, ElementKind

Polyline = Float[np.ndarray, "n 2"]

LEVELS_APART = 2.5
"""What differs by more than this in height, m, lies above or below, not beside."""
SPLITS = ("train", "val", "test")
MAP_DT = 0.1
"""Step, s, of the recording of a map without traffic, which has one step."""


@dataclass(frozen=True)
class Lane:
    """A piece of lane between two borders, with its place in the lane graph.

    Neighbours run in the same direction side by side; `left_border` and `right_border` say what is painted there.
    """

    id: int
    left: Float[np.ndarray, "n 2"]
    right: Float[np.ndarray, "m 2"]
    successors: tuple[int, ...] = ()
    predecessors: tuple[int, ...] = ()
    left_neighbour: int | None = None
    right_neighbour: int | None = None
    left_border: ElementKind = ElementKind.LINE_VIRTUAL
    right_border: ElementKind = ElementKind.LINE_VIRTUAL
    speed_limit: float = 0.0  # m/s; 0: unknown
    drivable: bool = True  # False: for bicycles or pedestrians alone
    height: Float[np.ndarray, "n"] | None = None  # m, at the points of `left`; None: the source has none


@dataclass(frozen=True)
class ControlLine:
    """A stop line of one lane, and what makes one stop there: a sign, or a light."""

    ends: Float[np.ndarray, "2 2"]  # left end, right end, seen in the direction of travel
    lane: int
    kind: ControlKind
    light: int | None = None  # id of the light


@dataclass(frozen=True)
class Light:
    """A traffic light: its state at every step of the recording."""

    id: int
    states: Int[np.ndarray, "T"]  # LightState
    recorded: bool  # False: a modelled cycle; drawn and observed, but nobody fails by it
    position: Float[np.ndarray, "2"] | None = None


@dataclass(frozen=True)
class Feature:
    """Anything else drawn on the road: an edge, a painted line, a crosswalk's outline, a speed bump."""

    kind: ElementKind
    points: Polyline
    height: Float[np.ndarray, "n"] | None = None  # m, at the points; None: the source has none


@dataclass(frozen=True)
class Tracks:
    """Every road user at every step. Invalid steps hold zeros."""

    id: Int[np.ndarray, "I"]
    kind: Int[np.ndarray, "I"]  # AgentKind
    length: Float[np.ndarray, "I"]  # m
    width: Float[np.ndarray, "I"]  # m
    position: Float[np.ndarray, "I T 2"]  # box centre
    heading: Float[np.ndarray, "I T"]  # rad
    velocity: Float[np.ndarray, "I T 2"]  # m/s
    valid: Bool[np.ndarray, "I T"]
    height: Float[np.ndarray, "I T"] | None = None  # m, of the ground below the box; None: the source has none


@dataclass(frozen=True)
class Recording:
    """One recorded drive or scene."""

    name: str  # unique within a dataset
    file: str  # where it was read, for messages
    dt: float  # s
    tracks: Tracks
    lanes: tuple[Lane, ...] = ()
    control_lines: tuple[ControlLine, ...] = ()
    lights: tuple[Light, ...] = ()
    features: tuple[Feature, ...] = ()
    group: str = ""  # recordings that show the same traffic share a group, and a split; empty: its own
    split: str = ""  # train, val or test where the source fixes it; empty: by a hash of the group
    source: str = ""
    licence: str = ""
    marked: tuple[int, ...] = ()  # ids of tracks that the source marks as the vehicle that recorded
    origin: tuple[float, float] = (0.0, 0.0)  # what was subtracted from the source's coordinates
    notes: dict[str, int] = field(default_factory=dict)  # what was left out, derived or mended: counts by name


def no_tracks() -> Tracks:
    """No road user, at one step."""
    none = np.zeros(0)
    return Tracks(
        id=np.zeros(0, np.int64),
        kind=np.zeros(0, np.int32),
        length=none,
        width=none,
        position=np.zeros((0, 1, 2)),
        heading=np.zeros((0, 1)),
        velocity=np.zeros((0, 1, 2)),
        valid=np.zeros((0, 1), bool),
    )


@runtime_checkable
class Reader(Protocol):
    """What a file of `readers/` offers: files in, recordings out.

    A file of many recordings is listed as its *items*, `path#00017` for record 17: `find` gives them for the file, or
    an item itself; `read` takes one, and reaches it without reading those before. An item is a file like any other.
    """

    def find(self, source: str, /) -> list[str]:
        """The files (or items) below a path that this reader takes, or the file (or item) itself, sorted."""
        ...

    def read(self, file: str, /) -> Recording:
        """Read one file or item. Raises `InputError` (one line: file, field, remedy) on anything it cannot trust."""
        ...
