"""Who drives how well among whom, in worlds of self-play: matrices of ego × traffic, and their tables.

In every cell the same worlds, goals and lights; the ego's policy drives the first `EGOS` agents of each world, and only
they are counted.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.banks.towns import Worlds
from drivetrain.drivers.idm import IdmDriver
from drivetrain.drivers.styled import Styled
from drivetrain.drivers.tracked import Tracked
from drivetrain.evaluate.tables import plain_table
from drivetrain.evaluate.worlds import as_judged, drive_worlds, of_agents, summarise_worlds
from drivetrain.rollout import Driver, Shared
from drivetrain.runs.run import Run
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.styles import CONSERVATIVE, HASTY, MEDIAN, Styles
from drivetrain.types import by_row

EGOS = 8
"""Agents of a world that the ego's policy drives, where others drive the rest."""
SEED = 2000
"""Of worlds, goals and lights; no run is trained or judged with it but by its own seed."""
STYLES = {"conservative": CONSERVATIVE, "median": MEDIAN, "hasty": HASTY}

Matrix = dict[str, dict[str, dict[str, Any]]]
"""By ego, then by traffic: the figures of the egos (`summarise_worlds`)."""


@dataclasses.dataclass(frozen=True)
class Meetings:
    """Worlds of a run, always the same, in which drivers meet who see and move as its policy does."""

    run: Run
    worlds: int

    def among(self, egos: Mapping[str, Driver], traffic: Mapping[str, Driver]) -> Matrix:
        """Every ego among every traffic."""
        driver = jnp.where(self._mine, 0, 1)
        return {
            ego: {others: self.figures(Shared((one, other), driver)) for others, other in traffic.items()}
            for ego, one in egos.items()
        }

    def conditioned(self, driver: Driver) -> Matrix:
        """One driver in one style among itself in another; empty where agents of the run have no styles."""
        spawning = self.run.env.spawning
        if not isinstance(spawning, Anywhere) or spawning.styles is None:
            return {}
        return {
            ego: {others: self.figures(self._styled(driver, one, other)) for others, other in STYLES.items()}
            for ego, one in STYLES.items()
        }

    def idm(self) -> Driver:
        """A rule as traffic: it goes along the drive that an agent begins on, whatever its goals."""
        return Tracked(IdmDriver(), Bicycle(), self.run.env.dynamics)

    def figures(self, driver: Driver) -> dict[str, Any]:
        """Of the egos, where one driver drives everyone."""
        rows, dt = np.resize(np.arange(len(self._bank.episodes.map)), self.worlds), self.run.data.dt
        steps = round(self.run.asked.seconds / dt)
        lived = drive_worlds(self.run.env, self._bank, driver, rows, steps, jax.random.key(SEED))
        return summarise_worlds(of_agents(lived, np.flatnonzero(self._mine)), dt, SEED)

    def _styled(self, driver: Driver, ego: Styles, traffic: Styles) -> Styled:
        keys = jax.random.split(jax.random.key(SEED), len(self._mine))
        ours, theirs = (jax.vmap(style.draw)(keys).weights for style in (ego, traffic))
        return Styled(driver, by_row(self._mine, ours, theirs), as_judged(self.run.env))

    @property
    def _mine(self) -> np.ndarray:
        return np.arange(self.run.asked.town.agents) < EGOS

    @cached_property
    def _bank(self) -> Bank:
        return Worlds(self.run.data.dataset, self.run.asked.town, self.run.asked.maps, SEED).bank


def matrix_table(corner: str, matrix: Matrix, title: Callable[[str], str] = str) -> str:
    """Goals reached, and collisions per km, of the agents that the ego drives."""
    head = [corner, *(f"among {title(others)}" for others in next(iter(matrix.values())))]
    return plain_table(head, [[title(ego), *map(_cell, row.values())] for ego, row in matrix.items()])


def _cell(figures: dict[str, Any]) -> str:
    goals, collisions = figures["goals_reached"], figures["collision_per_km"]
    if goals["value"] is None or collisions["value"] is None:
        return "–"
    return (
        f"{100 * goals['value']:.1f} % ({100 * goals['low']:.1f} to {100 * goals['high']:.1f}), "
        f"{collisions['value']:.2f} ({collisions['low']:.2f} to {collisions['high']:.2f})"
    )
