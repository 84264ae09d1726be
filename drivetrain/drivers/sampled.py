"""A trained policy as a driver that samples: one of the drives that it holds for likely."""

import jax
from jaxtyping import Float

from drivetrain.drivers.learnt import Learnt
from drivetrain.policy.base import Memory
from drivetrain.types import Array, Key, Observation


class Sampled(Learnt):
    """Drives by samples of the policy's distribution."""

    def act(self, observation: Observation, memory: Memory, key: Key) -> tuple[Float[Array, "width"], Memory]:
        """A sample of one agent's actions. The key is split in two: the forward pass and the sample."""
        forward_key, sample_key = jax.random.split(key)
        distribution, _, memory = self.policy(observation, memory, forward_key)
        return self.dynamics.decode(distribution.sample(sample_key)), memory
