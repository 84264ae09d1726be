"""A critic of its own: nothing that the value learns reaches the actor, for twice the memory."""

import jax
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Architecture, Distribution, Memory, Policy, remembers
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.point import PointHead
from drivetrain.types import Array, Key, Observation, component


@component
class Separate(Architecture):
    """Two policies, the distribution of one and the value of the other."""

    actor: Architecture = DeepSetsSizes(critic=False)
    critic: Architecture = DeepSetsSizes(head=PointHead())  # whose own head, the smallest, is not read

    def build(self, env: Env, key: Key) -> "Pair":
        """The key is split in two."""
        actor, critic = jax.random.split(key)
        return Pair(self.actor.build(env, actor), self.critic.build(env, critic))


class Pair(Policy):
    """An actor and a critic that share nothing."""

    actor: Policy
    critic: Policy

    def initial_memory(self) -> Memory:
        """Both memories; `()` where neither has one."""
        return (self.actor.initial_memory(), self.critic.initial_memory()) if self._remembers() else ()

    def __call__(
        self, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Distribution, Float[Array, ""], Memory]:
        """The actor's distribution, the critic's value, and what both remember. Both are given the key."""
        of_actor, of_critic = memory if self._remembers() else ((), ())
        distribution, _, of_actor = self.actor(observation, of_actor, key)
        _, value, of_critic = self.critic(observation, of_critic, key)
        return distribution, value, (of_actor, of_critic) if self._remembers() else ()

    def _remembers(self) -> bool:
        return remembers(self.actor) or remembers(self.critic)
