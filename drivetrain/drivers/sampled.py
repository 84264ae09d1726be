"""A trained policy as a driver that samples: one of the drives that it holds for likely."""

import equinox as eqx
import jax
from jaxtyping import Float

from drivetrain.policy.base import Memory, Policy, first_memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, Observation, State


class Sampled(Driver):
    """Drives by samples of the policy's distribution. The key is split once an agent, and there in two."""

    policy: Policy
    dynamics: Dynamics = eqx.field(static=True)

    def initial_memory(self, agents: int) -> Memory:
        """The policy's, of each agent."""
        return first_memory(self.policy, agents)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """One action of each controlled agent."""

        def one(observation: Observation, memory: Memory, key: Key) -> tuple[Array, Memory]:
            forward_key, sample_key = jax.random.split(key)
            distribution, _, memory = self.policy(observation, memory, forward_key)
            return self.dynamics.decode(distribution.sample(sample_key)), memory

        keys = jax.random.split(key, len(state.controlled))
        return jax.vmap(one)(observation, memory, keys)
