"""A policy beside its teacher, which stands still and sees the same states in its own way: `learn/dagger.py`."""

from jaxtyping import Float

from drivetrain.policy.base import Distribution, Memory, Policy
from drivetrain.types import Array, Key, Observation


class Taught(Policy):
    """Acts as the policy alone does."""

    policy: Policy
    teacher: Policy  # without a memory

    def initial_memory(self) -> Memory:
        """The policy's own."""
        return self.policy.initial_memory()

    def __call__(
        self, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Distribution, Float[Array, ""], Memory]:
        """The policy's own, as all else."""
        return self.policy(observation, memory, key)
