"""Tracks that are one vehicle: what tows, and what it tows.

Some sources give a car and its trailer, or a tractor and its semi-trailer, as two vehicles. Neither can be driven: the
one has no engine, and the other would be run into by the trailer that goes on as recorded.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from drivetrain.data.recordings.recording import Tracks

GAP = 0.5
"""Bumper to bumper: the distance of the middles differs from half of both lengths by at most this, m; at every step."""


def coupled(tracks: Tracks, rows: Sequence[int], steps: int) -> Int[np.ndarray, "n"]:
    """Which of some moving vehicles (rows of the tracks) drive bumper to bumper, one straight behind the other.

    They do so at every step that shows both, of which there are `steps` at least: nobody follows so close for so long.
    """
    own = np.array(rows, int)
    found = set()
    for place, row in enumerate(own.tolist()):
        others = own[place + 1 :]
        both = tracks.valid[row] & tracks.valid[others]
        offset = tracks.position[others] - tracks.position[row]
        near = np.hypot(*np.moveaxis(offset, -1, 0)) - 0.5 * (tracks.length[row] + tracks.length[others])[:, None]
        for other in others[(both.sum(axis=1) >= steps) & ((np.abs(near) <= GAP) | ~both).all(axis=1)].tolist():
            if _in_line(tracks, row, other):
                found |= {row, other}
    return np.array(sorted(found), int)


def _in_line(tracks: Tracks, row: int, other: int) -> bool:
    """Whether one is straight behind the other, not beside it: at half of the steps at least, as trailers swing out."""
    both = tracks.valid[row] & tracks.valid[other]
    offset, angle = tracks.position[other, both] - tracks.position[row, both], tracks.heading[row, both]
    across = np.abs(offset[:, 1] * np.cos(angle) - offset[:, 0] * np.sin(angle))
    return bool(np.median(across) <= 0.5 * min(tracks.width[row], tracks.width[other]))
