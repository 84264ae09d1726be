"""A driver that means other dynamics than a world has, tracked as closely as the world's allow."""

import equinox as eqx
import jax
from jaxtyping import Float

from drivetrain.policy.base import Memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Body, Dynamics, Pose
from drivetrain.sim.reading import Placement
from drivetrain.sim.simulator import movers
from drivetrain.types import Array, Key, Observation, State

AHEAD = 3
"""Steps for which an action is taken to be kept, and tracked: of 2 to 5 those by which IDM keeps most red lights."""


class Tracked(Driver):
    """Each agent goes where the driver's action would lead it under the dynamics that it is meant for.

    So a bicycle's driver may share a world with policies of other dynamics: the motions of both must hold the same.
    """

    driver: Driver
    meant: Dynamics = eqx.field(static=True)  # what the driver's actions are of
    dynamics: Dynamics = eqx.field(static=True)  # the world's

    def initial_memory(self, agents: int) -> Memory:
        """The driver's."""
        return self.driver.initial_memory(agents)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Float[Array, "C width"], Memory]:
        """Actions of the world's dynamics. The key is the driver's."""
        actions, memory = self.driver(bank, state, observation, memory, key)

        def track(pose: Pose, body: Body, action: Float[Array, "w"]) -> Float[Array, "width"]:
            def onward(pose: Pose, _: None) -> tuple[Pose, Placement]:
                after, velocity = self.meant.forward(pose, body, action, bank.dt)
                return after, Placement(after.position, after.heading, velocity, jax.numpy.asarray(True))

            places = jax.lax.scan(onward, pose, None, length=AHEAD)[1]
            return self.dynamics.limit(self.dynamics.inverse(pose, body, places, bank.dt))

        return jax.vmap(track)(*movers(state), actions), memory
