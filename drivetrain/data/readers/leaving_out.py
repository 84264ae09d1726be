"""What concerns one element of a file is left out and counted; a file is refused where nothing of its kind is left."""

from collections.abc import Callable, Iterable, MutableMapping
from typing import TypeVar

from drivetrain.types import InputError

Item = TypeVar("Item")
Element = TypeVar("Element")


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
