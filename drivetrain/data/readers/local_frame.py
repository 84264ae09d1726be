"""A recording's own frame: the source's, less the middle of its tracks, so that float32 keeps millimetres."""

import dataclasses

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.recordings.recording import Tracks

MAX_EXTENT = 50_000.0  # m from the scene's middle


def centred(where: str, tracks: Tracks) -> tuple[Tracks, Float[np.ndarray, "2"]]:
    """The tracks less their middle, and that middle: the median of all valid positions, to the metre.

    Raises `InputError`, starting with `where`, on positions further than `MAX_EXTENT` from it.
    """
    origin = np.round(np.median(tracks.position[tracks.valid], axis=0))
    position = np.where(tracks.valid[..., None], tracks.position - origin, 0.0)
    if not np.abs(position).max() < MAX_EXTENT:
        refuse(where, f"positions more than {MAX_EXTENT:g} m apart", "leave the scene out")
    return dataclasses.replace(tracks, position=position), origin
