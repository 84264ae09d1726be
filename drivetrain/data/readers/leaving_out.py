"""What concerns one element of a file is left out and counted; a file is refused where nothing of its kind is left."""

from collections.abc import Callable, Iterable, MutableMapping
from typing import TypeVar

import numpy as np
from jaxtyping import Bool

from drivetrain.types import InputError

Item = TypeVar("Item")
Element = TypeVar("Element")
OBJECTS_UNREADABLE = "objects_unreadable"
"""The note that counts road users that are left out."""


def readable(
    items: Iterable[Item], read: Callable[[Item], Element], notes: MutableMapping[str, int], note: str
) -> list[Element]:
    """What `read` makes of each item, in order, without those that it refuses, which are counted under a note.

    Raises what it said of the first, where it refuses them all: what is wrong then is no single element.
    """
    elements: list[Element] = []
    reasons: list[InputError] = []
    for item in items:
        try:
            elements.append(read(item))
        except InputError as reason:
            reasons.append(reason)
    if reasons and not elements:
        raise reasons[0]
    notes[note] = notes.get(note, 0) + len(reasons)
    return elements


def left_out(
    track: np.ndarray, kept: Bool[np.ndarray, "n"], odd: Bool[np.ndarray, "n"], notes: MutableMapping[str, int]
) -> Bool[np.ndarray, "n"]:
    """The rows of a table of tracks that are kept, without the tracks that have an odd row, which are counted.

    Where every track has one, all stay: what is wrong then is no single track, and whoever reads on says so.
    """
    wrong = np.unique(track[odd].astype(str))
    rest = kept & ~np.isin(track.astype(str), wrong)
    if not len(wrong) or not rest.any():
        return kept
    notes[OBJECTS_UNREADABLE] = notes.get(OBJECTS_UNREADABLE, 0) + len(wrong)
    return rest


def repeated(track: np.ndarray, step: np.ndarray) -> Bool[np.ndarray, "n"]:
    """Rows of a track and a step that stand more than once."""
    _, name = np.unique(track.astype(str), return_inverse=True)
    _, place, count = np.unique(np.stack([name, step], axis=1), axis=0, return_inverse=True, return_counts=True)
    return count[place.reshape(-1)] > 1
