"""What drivers of a trained policy share: they differ in what they make of its distribution."""

from abc import abstractmethod

import equinox as eqx
import jax
from jaxtyping import Float

from drivetrain.policy.base import Memory, Policy, first_memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, Observation, State


class Learnt(Driver):
    """Asks the policy about each controlled agent. The key is split once an agent; memory is the policy's, [C]."""

    policy: Policy
    dynamics: Dynamics = eqx.field(static=True)

    @abstractmethod
    def act(self, observation: Observation, memory: Memory, key: Key) -> tuple[Float[Array, "width"], Memory]:
        """The action of one agent, and what the policy remembers. The key is consumed."""

    def initial_memory(self, agents: int) -> Memory:
        """The policy's, of each agent."""
        return first_memory(self.policy, agents)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """One action of each controlled agent."""
        keys = jax.random.split(key, len(state.controlled))
        return jax.vmap(self.act)(observation, memory, keys)
