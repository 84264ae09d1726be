"""A clip of a recording: its log cut to some steps, with the egos that are there for all of them."""

import dataclasses

import numpy as np
from jaxtyping import Int

from drivetrain.data.compile.compiling import past_shapes
from drivetrain.data.routes.arc_length import arc_lengths, place_on_route
from drivetrain.data.store.difficulty import agents_during
from drivetrain.data.store.manifest import Entry
from drivetrain.types import Route, Scenario, replace


def cut_clip(entry: Entry, scenario: Scenario, start: int, steps: int) -> tuple[Entry, Scenario]:
    """Steps `start` … `start + steps` (both included) of a recording, named `NAME@start`.

    Egos that may be driven and are there from the first step to the last stay, unchecked: a drive that begins later has
    its own first place on the route. The map, the routes and everybody else's columns stay as they are.
    """
    kept_egos = [row for row, ego in enumerate(entry.egos) if covers(entry, row, start, steps)]
    egos, log = scenario.egos, scenario.log
    places = [_places(scenario, row, start, start + steps) for row in kept_egos]
    kept = slice(start, start + steps + 1)
    shorter = replace(
        log,
        agents=agents_during(log.agents, kept),
        lights=np.asarray(log.lights)[kept],
        steps=np.asarray(steps + 1, np.int32),
    )
    picked = np.array(kept_egos, int)
    chosen = replace(
        egos,
        track=np.asarray(egos.track)[picked],
        first=np.zeros(len(kept_egos), np.int32),
        last=np.full(len(kept_egos), steps, np.int32),
        route=_rows(egos.route, picked),
        cursor=np.array([cursor for cursor, _ in places], np.int32),
        log_distance=np.array([distance for _, distance in places], np.float32),
    )
    entries = tuple(
        dataclasses.replace(entry.egos[row], first=0, last=steps, cause="", worst=None) for row in kept_egos
    )
    named = dataclasses.replace(entry, name=f"{entry.name}@{start}", steps=steps + 1, egos=entries)
    return named, replace(scenario, log=shorter, egos=chosen)


def clip_starts(entry: Entry, steps: int) -> list[int]:
    """Where a clip of so many steps may begin: some ego that may be driven is there throughout."""
    return [
        start
        for start in range(entry.steps - steps)
        if any(covers(entry, row, start, steps) for row in range(len(entry.egos)))
    ]


def covers(entry: Entry, row: int, start: int, steps: int) -> bool:
    """Whether an ego may be driven and is there from the first step to the last."""
    ego = entry.egos[row]
    return ego.cause is None and ego.first <= start and start + steps <= ego.last


def _places(scenario: Scenario, ego: int, first: int, last: int) -> tuple[int, float]:
    """The station of the route where an ego begins, and how far along it the log goes, m."""
    arc = arc_lengths(scenario, ego)
    cursor, begun = place_on_route(scenario, ego, arc, first, int(scenario.egos.cursor[ego]))
    _, ended = place_on_route(scenario, ego, arc, last, cursor)
    return cursor, ended - begun


def _rows(route: Route, picked: Int[np.ndarray, "n"]) -> Route:
    """Some rows of stacked routes."""
    return past_shapes(Route, {name: np.asarray(getattr(route, name))[picked] for name in vars(route)})
