"""As recorded: everyone begins where the log has them."""

import jax
import jax.numpy as jnp

from drivetrain.sim.bank import Bank, GoalRow
from drivetrain.sim.reading import Index, bodies_of, goals_of, log_at, logged, reference_window
from drivetrain.sim.route_tables import PathRow
from drivetrain.sim.spawning.base import Spawn, Spawning
from drivetrain.types import Array, Errand, Key, component


@component
class FromLog(Spawning):
    """The first step of the episode as its log has it, with errands where routes have goals; the key is not used."""

    least: float = 10.0  # m to the first goal

    def __call__(self, bank: Bank, episode: Index, key: Key) -> Spawn:
        """Everyone where the log has them."""
        episodes = bank.episodes
        first, track = episodes.first[episode], episodes.track[episode]
        return Spawn(
            time=first,
            agents=log_at(bank, episode, first),
            bodies=bodies_of(bank, episode),
            controlled=track,
            alive=track >= 0,
            later=jax.vmap(lambda c: logged(bank, episode, c, first + 1))(jnp.arange(len(track))),
            route=episodes.route[episode],
            cursor=episodes.cursor[episode],
            errand=None if bank.routes.goals is None else self._errand(bank, episode),
        )

    def _errand(self, bank: Bank, episode: Index) -> Errand:
        """The first goal far enough ahead of each controlled agent."""

        def first(route: Array, cursor: Array) -> Array:
            along = reference_window(bank, route, cursor, 0, 0)[0][PathRow.ARC, 0]
            return jnp.sum(goals_of(bank, route)[:, GoalRow.ARC] < along + self.least)

        goal = jax.vmap(first)(bank.episodes.route[episode], bank.episodes.cursor[episode])
        return jax.vmap(Errand)(goal, jnp.zeros_like(goal))
