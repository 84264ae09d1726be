"""A trained policy as a driver: the likeliest action of each controlled agent."""

from jaxtyping import Float

from drivetrain.drivers.learnt import Learnt
from drivetrain.policy.base import Memory
from drivetrain.types import Array, Key, Observation


class Greedy(Learnt):
    """Drives by the mode of the policy's distribution."""

    def act(self, observation: Observation, memory: Memory, key: Key) -> tuple[Float[Array, "width"], Memory]:
        """The likeliest action of one agent."""
        distribution, _, memory = self.policy(observation, memory, key)
        return self.dynamics.decode(distribution.mode()), memory
