"""Any driver whose vehicle does not do quite what it is asked: noise in the dynamics, for tests of robustness."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Key, Observation, State


class Noisy(Driver):
    """Adds normal noise to every action, independent from step to step. The key is split in two."""

    driver: Driver
    deviation: Float[Array, "width"]  # in the units of the action

    def rules(self, env: Env) -> Env:
        """The driver's."""
        return self.driver.rules(env)

    def initial_memory(self, agents: int) -> Memory:
        """The driver's."""
        return self.driver.initial_memory(agents)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """What the driver asks for, and noise."""
        own, noise = jax.random.split(key)
        action, memory = self.driver(bank, state, observation, memory, own)
        return action + self.deviation * jax.random.normal(noise, jnp.shape(action)), memory
