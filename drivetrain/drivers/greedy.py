"""A trained policy as a driver: the likeliest action of each controlled agent."""

import equinox as eqx
import jax
from jaxtyping import Float

from drivetrain.drivers.learnt import Learnt
from drivetrain.policy.base import Memory
from drivetrain.rollout import Considered
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Body, Pose
from drivetrain.sim.simulator import movers
from drivetrain.types import Array, Key, Observation, State

AHEAD = 5
"""Steps for which an action of a grid is shown as if it were kept."""


class Greedy(Learnt):
    """Drives by the mode of the policy's distribution; what it considers are the distribution's likeliest samples."""

    shown: int = eqx.field(static=True, default=0)  # of them, at most

    def act(self, observation: Observation, memory: Memory, key: Key) -> tuple[Float[Array, "width"], Memory]:
        """The likeliest action of one agent."""
        distribution, _, memory = self.policy(observation, memory, key)
        return self.dynamics.decode(distribution.mode()), memory

    def considered(
        self, bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
    ) -> Considered | None:
        """Where the likeliest samples would lead; None of a distribution that does not count them."""

        def of_agent(observation: Observation, memory: Memory, key: Key, pose: Pose, body: Body) -> Considered | None:
            distribution, *_ = self.policy(observation, memory, key)
            found = distribution.likeliest(self.shown)
            if found is None:
                return None
            actions = jax.vmap(self.dynamics.decode)(found[0])
            paths = jax.vmap(lambda action: self.dynamics.ahead(pose, body, action, bank.dt, AHEAD))(actions)
            return Considered(paths, found[1])

        if not self.shown:
            return None
        keys = jax.random.split(key, len(state.controlled))
        return jax.vmap(of_agent)(observation, memory, keys, *movers(state))
