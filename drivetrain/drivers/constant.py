"""Constant velocity: what happens where nobody reacts."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.traffic.constant import constant_velocity
from drivetrain.types import Array, Key, Observation, State, replace


class ConstantVelocity(Driver):
    """Straight on at the velocity at the start."""

    def rules(self, env: Env) -> Env:
        """Agents are put in place."""
        return replace(env, dynamics=Playback())

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C 4"], Memory]:
        """Each agent's pose a step on."""
        return jax.vmap(lambda c: constant_velocity(bank, state, c))(jnp.arange(len(state.controlled))), memory
