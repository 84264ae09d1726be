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
from drivetrain.evaluate.world_tables import COLUMNS
from drivetrain.evaluate.worlds import Lived, as_judged, compare_worlds, drive_worlds, of_agents, summarise_worlds
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

    def conditioned(self, driver: Driver) -> tuple[Matrix, dict[str, dict[str, Any]]]:
        """One driver in one style among itself in another, and, by traffic, the hasty one less the conservative one.

        Both empty where agents of the run have no styles.
        """
        spawning, dt = self.run.env.spawning, self.run.data.dt
        if not isinstance(spawning, Anywhere) or spawning.styles is None:
            return {}, {}
        lived = {
            ego: {others: self._lived(self._styled(driver, one, other)) for others, other in STYLES.items()}
            for ego, one in STYLES.items()
        }
        matrix = {
            ego: {others: summarise_worlds(one, dt, SEED) for others, one in row.items()} for ego, row in lived.items()
        }
        first, *_, last = lived.values()
        return matrix, {others: compare_worlds(last[others], first[others], dt, SEED) for others in STYLES}

    def idm(self) -> Driver:
        """A rule as traffic: it goes along the drive that an agent begins on, whatever its goals."""
        return Tracked(IdmDriver(), Bicycle(), self.run.env.dynamics)

    def figures(self, driver: Driver) -> dict[str, Any]:
        """Of the egos, where one driver drives everyone."""
        return summarise_worlds(self._lived(driver), self.run.data.dt, SEED)

    def _lived(self, driver: Driver) -> Lived:
        """What the egos lived."""
        rows = np.resize(np.arange(len(self._bank.episodes.map)), self.worlds)
        steps = round(self.run.asked.seconds / self.run.data.dt)
        lived = drive_worlds(self.run.env, self._bank, driver, rows, steps, jax.random.key(SEED))
        return of_agents(lived, np.flatnonzero(self._mine))

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


def contrast_table(contrasts: Mapping[str, dict[str, Any]]) -> str:
    """A figure a row, a traffic a column."""
    head = ["Hasty less conservative", *(f"among {others}" for others in contrasts)]
    titles = COLUMNS | {"goals_reached": "Goals reached, points"}
    rows = [[title, *(_signed(each[name], name) for each in contrasts.values())] for name, title in titles.items()]
    return plain_table(head, rows)


def _signed(figure: dict[str, Any], name: str) -> str:
    if figure["value"] is None:
        return "–"
    scale = 100.0 if name == "goals_reached" else 1.0
    value, low, high = (scale * figure[key] for key in ("value", "low", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _cell(figures: dict[str, Any]) -> str:
    goals, collisions = figures["goals_reached"], figures["collision_per_km"]
    if goals["value"] is None or collisions["value"] is None:
        return "–"
    return (
        f"{100 * goals['value']:.1f} % ({100 * goals['low']:.1f} to {100 * goals['high']:.1f}), "
        f"{collisions['value']:.2f} ({collisions['low']:.2f} to {collisions['high']:.2f})"
    )
