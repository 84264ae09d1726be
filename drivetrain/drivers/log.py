"""The log itself, put in place step by step."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import logged
from drivetrain.sim.simulator import movers
from drivetrain.types import Array, Key, Observation, State, replace


class LogDriver(Driver):
    """The recorded pose of the next step; straight on where the recording has none."""

    def rules(self, env: Env) -> Env:
        """Agents are put in place."""
        return replace(env, dynamics=Playback())

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C 4"], Memory]:
        """Each agent's next recorded pose."""
        agents = jnp.arange(len(state.controlled))
        target = jax.vmap(lambda c: logged(bank, state.episode, c, state.time + 1))(agents)
        targets = jax.tree.map(lambda leaf: leaf[:, None], target)
        return jax.vmap(Playback().inverse, (0, 0, 0, None))(*movers(state), targets, bank.dt), memory
