"""As recorded: everyone begins where the log has them."""

import jax
import jax.numpy as jnp

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, bodies_of, log_at, logged
from drivetrain.sim.spawning.base import Spawn, Spawning
from drivetrain.types import Key, component


@component
class FromLog(Spawning):
    """The first step of the episode as its log has it; the key is not used."""

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
        )
