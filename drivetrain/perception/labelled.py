"""A picture and what is known of it, whoever labelled it: what every reader gives, and training and scores take.

Pixels: (column, row), x right, y down; the centre of the first pixel is (0, 0), so that a box that fills it is
−0.5 to 0.5.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from drivetrain.camera.pinhole import Camera


@dataclasses.dataclass(frozen=True)
class Boxed:
    """A thing in a rectangle round what is visible of it."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    kind: str  # as its set calls it, in lower case
    depth: float = math.nan  # m, of the nearest of it that is visible; nan: not known
    visible: float = 1.0  # share that is not hidden
    truncated: bool = False  # whether the picture's border cuts it


@dataclasses.dataclass(frozen=True)
class Line:
    """A line between lanes: the centre of its paint, from near to far."""

    points: Float[np.ndarray, "P 3"]  # column, row, depth, m; a depth of nan is not known
    visible: Bool[np.ndarray, "P"]  # whether nothing hides it
    role: str = ""  # ego_left and ego_right bound the camera's own lane; left2, right2 … are next to them


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A picture and its labels. Its pixels are read when they are needed."""

    file: Path
    width: int
    height: int
    things: tuple[Boxed, ...] | None = None  # None: nobody looked for them
    lines: tuple[Line, ...] | None = None  # None: nobody looked for them
    only_named: bool = False  # lines other than the camera's own may be missing: what is found there is not wrong
    ignored: Float[np.ndarray, "I 4"] = dataclasses.field(default_factory=lambda: np.zeros((0, 4)))
    camera: Camera | None = None  # where it is known
