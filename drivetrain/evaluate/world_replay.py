"""A world of self-play as a replay: everyone in it, and each life as a drive of its own, with its route and goals."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from drivetrain.banks.towns import Worlds
from drivetrain.evaluate.benchmark import Drives, Evaluation
from drivetrain.evaluate.metrics import Outcome
from drivetrain.evaluate.replay import write_replay
from drivetrain.evaluate.worlds import Lived
from drivetrain.sim.bank import Episodes
from drivetrain.sim.building import stacked
from drivetrain.types import MARGINS, AgentKind, Agents, Array, Bodies, ControlKind, Events, Log, replace

LEAST = 5
"""Steps of a life that is shown as a drive; who lives less is seen beside the others all the same."""


class Life(NamedTuple):
    """One agent from its spawning to its end: steps `first` … `last` are those that it began."""

    agent: int
    first: int
    last: int


def lives(lived: Lived) -> list[Life]:
    """Every life of one world ([T, C]), in the order in which they begin."""
    alive, fresh = np.asarray(lived.alive), np.asarray(lived.fresh)
    steps, found = len(alive), []
    for agent in range(alive.shape[1]):
        begins = np.flatnonzero(alive[:, agent] & (fresh[:, agent] | (np.arange(steps) == 0)))
        for begin, after in zip(begins, [*begins[1:], steps], strict=True):
            gone = np.flatnonzero(~alive[begin:after, agent])
            found.append(Life(agent, int(begin), int(begin + gone[0] if len(gone) else after) - 1))
    return sorted(found, key=lambda life: (life.first, life.agent))


def write_world(file: str | Path, worlds: Worlds, world: int, lived: Lived, driver: str) -> None:
    """Keep what one driver lived in one world: `world` is a row of the bank's episodes, `lived` its moments [T, C]."""
    map_ = int(np.asarray(worlds.bank.episodes.map)[world])
    scenario, all_ = worlds.scenarios[map_], lives(lived)
    shown = [column for column, life in enumerate(all_) if life.last - life.first + 1 >= LEAST]
    bank = replace(
        worlds.bank,
        logs=stacked([_log(lived, all_)]),
        episodes=_episodes(worlds, map_, lived, all_, shown),
    )
    evaluation = Evaluation(
        episode=np.arange(len(shown)),
        source=np.zeros(len(shown), np.int32),
        outcome=_nothing(len(shown)),
        drives=stacked([_drive(lived, all_[column]) for column in shown]),
    )
    lights = np.asarray(scenario.map.line_kind) == ControlKind.LIGHT
    shown_map = replace(scenario.map, line_judged=np.asarray(scenario.map.line_judged) | lights)  # they go as shown
    write_replay(file, bank, [(shown_map, scenario.egos)], {driver: evaluation}, [worlds.names[map_]])


def _log(lived: Lived, all_: list[Life]) -> Log:
    """The world as a recording: a column a life."""
    steps = len(np.asarray(lived.alive))

    def columns(values: Array) -> np.ndarray:
        return np.stack([np.asarray(values)[:, life.agent] for life in all_], axis=1)

    there = np.stack([(np.arange(steps) >= life.first) & (np.arange(steps) <= life.last) for life in all_], axis=1)
    heading = columns(lived.heading)
    length, width = (
        np.array([np.asarray(size)[life.first, life.agent] for life in all_]) for size in (lived.length, lived.width)
    )
    return Log(
        agents=Agents(columns(lived.position), heading, columns(lived.speed)[..., None] * heading, there),
        bodies=Bodies(length, width, np.full(len(all_), AgentKind.CAR, np.int32)),
        lights=np.asarray(lived.lights),
        steps=np.asarray(steps, np.int32),
    )


def _episodes(worlds: Worlds, map_: int, lived: Lived, all_: list[Life], shown: list[int]) -> Episodes:
    """Each life that is shown, as an episode of one agent."""
    some = [all_[column] for column in shown]
    route = np.array([np.asarray(lived.route)[life.first, life.agent] for life in some], np.int32)
    nothing = np.zeros(len(some), np.int32)
    return Episodes(
        map=nothing,
        log=nothing,
        first=np.array([life.first for life in some], np.int32),
        last=np.array([life.last for life in some], np.int32),
        track=np.array(shown, np.int32)[:, None],
        route=route[:, None],
        cursor=nothing[:, None],
        log_distance=nothing[:, None].astype(np.float32),
        source=nothing,
        ego=worlds.drive(map_, route)[:, None].astype(np.int32),
    )


def _drive(lived: Lived, life: Life) -> Drives:
    """What a page shows of one life, from its beginning on, in as many moments as the world has."""
    steps = len(np.asarray(lived.alive))
    rows = np.minimum(life.first + np.arange(steps), life.last)

    def own(values: Array) -> np.ndarray:
        return np.asarray(values)[rows, life.agent][:, None]

    return Drives(
        position=own(lived.position),
        heading=own(lived.heading),
        speed=own(lived.speed),
        arc_length=own(lived.arc_length),
        events=_events(lived, life),
        mask=(np.arange(steps - 1) + life.first < life.last)[:, None],
        goal=own(lived.goal),
    )


def _events(lived: Lived, life: Life) -> Events:
    """What happened in each step; the margins of the step that ended the life stand at its last moment.

    What came after that step is not kept.
    """
    steps, last = len(np.asarray(lived.alive)), life.last - life.first

    def own(path: tuple, leaf: Array) -> np.ndarray:
        values = np.asarray(leaf)[:, life.agent]
        rows = values[np.minimum(life.first + np.arange(steps - 1), life.last)]
        if last > 0 and path[0].name in MARGINS:
            rows[last - 1] = min(rows[last - 1], values[life.last])
        return rows[:, None]

    return jax.tree_util.tree_map_with_path(own, lived.events)


def _nothing(count: int) -> Outcome:
    """A replay reads no figures: its margins say what happened."""
    zeros = np.zeros((count, 1), np.float32)
    none = np.zeros((count, 1), bool)
    return Outcome(~none, dict.fromkeys(("failure", *MARGINS), none), *[zeros] * 6)
