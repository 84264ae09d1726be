"""What a network finds in a picture: what decoding gives, and scores and pages take. Pixels as in `labelled`."""

import dataclasses
import math

from drivetrain.perception.labelled import Line


@dataclasses.dataclass(frozen=True)
class Detection:
    """A thing in a rectangle round what is visible of it, and how sure that is."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    score: float  # 0 .. 1
    depth: float = math.nan  # m, of the nearest of it; nan: not told
    kind: str = ""  # empty: not told


@dataclasses.dataclass(frozen=True)
class FoundLine:
    """A line between lanes, and how sure it is; its role as `Line` has it."""

    line: Line
    score: float  # 0 .. 1


@dataclasses.dataclass(frozen=True)
class Found:
    """All that is found in a picture."""

    things: tuple[Detection, ...] = ()
    lines: tuple[FoundLine, ...] = ()
