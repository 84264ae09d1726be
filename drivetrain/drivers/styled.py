"""A driver whose agents are told how they are to drive: conditioned, whatever style the world drew for them."""

import equinox as eqx
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Key, Observation, State, Weights, replace


class Styled(Driver):
    """Shows the driver other weights than agents have. In an evaluation, where nobody is paid, they do nothing else."""

    driver: Driver
    weights: Weights  # [C]
    env: Env = eqx.field(static=True)  # by whose observer the driver sees

    def initial_memory(self, agents: int) -> Memory:
        """The driver's."""
        return self.driver.initial_memory(agents)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """What the driver does in such styles. The state has traits. The key is the driver's."""
        assert state.traits is not None
        state = replace(state, traits=replace(state.traits, weights=self.weights))
        return self.driver(bank, state, self.env.observe(bank, state), memory, key)
