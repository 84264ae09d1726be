"""The Intelligent Driver Model along the route."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.traffic.idm import IDM
from drivetrain.types import Array, Key, Observation, State, replace


class IdmDriver(Driver):
    """IDM, on a bicycle with its usual limits."""

    def rules(self, env: Env) -> Env:
        """Agents are bicycles."""
        return replace(env, dynamics=Bicycle())

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C 2"], Memory]:
        """Each agent's acceleration and steering rate."""
        return jax.vmap(lambda c: IDM()(bank, state, c, Bicycle()))(jnp.arange(len(state.controlled))), memory
