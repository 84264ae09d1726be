"""Which episodes a bank offers: who is controlled, from when to when. NumPy, once, at load."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from drivetrain.types import Scenario

SHARED_SECONDS = 4.0
"""Agents controlled together share at least this long."""


class Window(NamedTuple):
    """Steps of one recording in which some of its egos are controlled together."""

    egos: tuple[int, ...]
    first: int
    last: int


def cut(window: Window, longest: int) -> list[Window]:
    """A window as consecutive ones of about equal length, none longer than so many steps."""
    steps = window.last - window.first
    parts = max(-(-steps // longest), 1)
    ends = [window.first + steps * part // parts for part in range(parts + 1)]
    return [Window(window.egos, first, last) for first, last in zip(ends, ends[1:], strict=False)]


def windows(scenario: Scenario, admitted: Bool[np.ndarray, "E"] | None, controlled: int, dt: float) -> list[Window]:
    """The episodes of one recording: each admitted ego once, or disjoint groups that share the longest windows.

    Groups are formed greedily: the first ego left takes the one with the longest common window, and so on; what cannot
    be grouped for `SHARED_SECONDS` is left out.
    """
    track = np.asarray(scenario.egos.track)
    first, last = np.asarray(scenario.egos.first), np.asarray(scenario.egos.last)
    left = [ego for ego in range(len(track)) if track[ego] >= 0 and (admitted is None or admitted[ego])]
    if controlled == 1:
        return [Window((ego,), int(first[ego]), int(last[ego])) for ego in left]
    grouped = []
    while left:
        group = [left.pop(0)]
        start, end = int(first[group[0]]), int(last[group[0]])
        while len(group) < controlled and left:
            shared = [min(end, int(last[ego])) - max(start, int(first[ego])) for ego in left]
            best = int(np.argmax(shared))
            if shared[best] * dt < SHARED_SECONDS:
                break
            ego = left.pop(best)
            group.append(ego)
            start, end = max(start, int(first[ego])), min(end, int(last[ego]))
        if len(group) == controlled:
            grouped.append(Window(tuple(group), start, end))
    return grouped
