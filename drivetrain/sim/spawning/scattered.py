"""Not quite as another rule has it: controlled agents begin aside, and askew."""

import jax
import jax.numpy as jnp

from drivetrain.geometry import rotate
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.sim.spawning.base import Spawn, Spawning
from drivetrain.sim.spawning.log import FromLog
from drivetrain.types import Key, component, replace


@component
class Scattered(Spawning):
    """Normal noise on the first pose of every controlled agent; speeds stay. The key is split in two, and passed on."""

    rule: Spawning = FromLog()
    position: float = 0.5  # m, of each coordinate
    heading: float = 0.05  # rad

    def __call__(self, bank: Bank, episode: Index, key: Key) -> Spawn:
        """Everyone where the rule has them, those controlled displaced."""
        place, turn = jax.random.split(key)
        spawn = self.rule(bank, episode, key)
        agents, me = spawn.agents, spawn.controlled
        row = jnp.where(me < 0, len(agents.valid), me)  # padding is written beyond the end, which drops it
        shift = self.position * jax.random.normal(place, (len(me), 2))
        angle = self.heading * jax.random.normal(turn, (len(me),))
        turned = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)

        def moved(rows, new):
            return jnp.asarray(rows).at[row].set(new, mode="drop")

        position = moved(agents.position, agents.position[me] + shift)
        heading = moved(agents.heading, jax.vmap(rotate)(agents.heading[me], turned))
        velocity = moved(agents.velocity, jax.vmap(rotate)(agents.velocity[me], turned))
        later = replace(spawn.later, heading=jax.vmap(rotate)(spawn.later.heading, turned))
        return replace(
            spawn, agents=replace(agents, position=position, heading=heading, velocity=velocity), later=later
        )
