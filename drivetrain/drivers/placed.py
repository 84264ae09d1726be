"""An agent put where a table says, step by step of the log."""

from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.types import Array, Key, Observation, State, replace


class Placed(Driver):
    """The pose of the next step, of the one controlled agent of each episode of a bank."""

    poses: Float[Array, "E T 4"]  # x, y, cos, sin, by episode and step of the log

    def rules(self, env: Env) -> Env:
        """Agents are put in place."""
        return replace(env, dynamics=Playback())

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "1 4"], Memory]:
        """Where it is to be after the step."""
        return self.poses[state.episode, state.time + 1][None], memory
