"""A policy that is held near another, which stands still: reinforcement that is not to forget how people drive.

Published for self-play beside half an hour of recordings: 0.075 · KL(cloned policy ‖ policy). Acting reads the policy
alone; only `Ppo.anchor` asks what the other would do.
"""

import jax
from jaxtyping import Float

from drivetrain.policy.base import Distribution, Memory, Policy, Sample
from drivetrain.policy.taught import Taught
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, Observation, record


@record
class Held(Distribution):
    """What a policy may do, and what the other would, of which nothing is learnt."""

    own: Distribution
    anchor: Distribution

    def sample(self, key: Key) -> Sample:
        """The policy's own, as all below."""
        return self.own.sample(key)

    def path(self, key: Key) -> Float[Array, "width"]:
        """See `Distribution.path`."""
        return self.own.path(key)

    def mode(self) -> Sample:
        """See `Distribution.mode`."""
        return self.own.mode()

    def log_prob(self, sample: Sample) -> Float[Array, ""]:
        """See `Distribution.log_prob`."""
        return self.own.log_prob(sample)

    def entropy(self) -> Float[Array, ""]:
        """See `Distribution.entropy`."""
        return self.own.entropy()

    def weigh(self, sample: Sample) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """See `Distribution.weigh`."""
        return self.own.weigh(sample)

    def nll(self, sample: Sample, smoothing: float = 0.0) -> Float[Array, "width"]:
        """See `Distribution.nll`."""
        return self.own.nll(sample, smoothing)

    def express(self, dynamics: Dynamics, action: Float[Array, "width"]) -> Sample:
        """See `Distribution.express`."""
        return self.own.express(dynamics, action)


def strayed(held: Distribution) -> Float[Array, ""]:
    """KL(anchor ‖ policy), nats, of what an `Anchored` policy answers."""
    assert isinstance(held, Held)
    return jax.tree.map(jax.lax.stop_gradient, held.anchor).divergence(held.own)


class Anchored(Policy):
    """A policy with its anchor, whose weights no gradient reaches and no decay pulls at. `Ppo.begin` makes it."""

    policy: Policy
    anchor: Policy

    def initial_memory(self) -> Memory:
        """The policy's own."""
        return self.policy.initial_memory()

    def __call__(
        self, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Distribution, Float[Array, ""], Memory]:
        """The policy's distribution beside the anchor's, and the policy's value and memory. Both are given the key."""
        own, value, memory = self.policy(observation, memory, key)
        other = jax.tree.map(jax.lax.stop_gradient, self.anchor)(observation, (), key)[0]
        return Held(own, other), value, memory


def acting(policy: Policy) -> Policy:
    """What drives: the policy itself, without its anchor or its teacher where it has one."""
    return policy.policy if isinstance(policy, Anchored | Taught) else policy
