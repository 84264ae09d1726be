"""A league: past policies of a stage drive some agents of each world while the present one learns from all others.

Policies that only meet themselves come to rely on how they drive now; past ones keep them honest (fictitious self-play,
Heinrich et al. 2015; the opponents of Bansal et al. 2018, arXiv 1710.03748, are drawn from the past likewise). The past
policies are a ring on the device, beside what is trained: one program reads it, whoever stands in it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Int

from drivetrain.policy.anchored import acting
from drivetrain.policy.base import Policy, remembers
from drivetrain.types import Array, InputError, component

Ring = Policy | tuple[()]
"""Past policies: the leaves of one, [size, …]; no gradient reaches them. () where there is no league."""


@component
class League:
    """How many past policies there are, and whom they drive. Scenes are dealt out evenly among them, anew each update.

    All are the policy that the stage begins with at first; every so many updates the oldest gives way to the present
    one.
    """

    size: int = 0  # past policies; 0: no league, and nothing is kept or asked for it
    share: float = 0.125  # of a scene's agents: its last ones are driven by a past policy
    every: int = 64  # updates

    def __post_init__(self):
        if self.size < 0:
            raise InputError(f"league.size: {self.size} (0: none, or how many past policies)")
        if not 0.0 < self.share < 1.0:
            raise InputError(f"league.share: {self.share} (a share above 0 and below 1)")
        if self.every < 1:
            raise InputError(f"league.every: {self.every} (at least 1 update)")

    def __bool__(self) -> bool:
        return self.size > 0

    def begin(self, policy: Policy) -> Ring:
        """So many times what drives of the policy. Raises `InputError` where it remembers."""
        if not self:
            return ()
        if remembers(policy):
            raise InputError("league.size: a policy that remembers would meet others' memories (set 0)")
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.size), acting(policy))

    def agents(self, count: int) -> int:
        """How many of so many agents of a scene past policies drive. Raises `InputError` where that is none, or all."""
        driven = round(self.share * count)
        if not 0 < driven < count:
            raise InputError(f"league.share: {self.share} of {count} agents are {driven} (leave some to each)")
        return driven

    def check(self, scenes: int, agents: int) -> None:
        """Raise `InputError` unless one device's scenes, of so many agents each, can be dealt out evenly."""
        if self and scenes % self.size:
            raise InputError(f"league.size: {self.size} for the {scenes} scenes of a device (choose a divisor)")
        if self:
            self.agents(agents)

    def met(self, ring: Ring, updates: Int[Array, ""]) -> Ring:
        """The ring as it is dealt out after so many updates: turned on by one row with each."""
        return jax.tree.map(lambda leaf: jnp.roll(leaf, -updates, axis=0), ring)

    def after(self, ring: Ring, policy: Policy, updates: Int[Array, ""]) -> Ring:
        """The ring after so many updates, the last of which made the policy: round robin, from the first row on."""
        if not self:
            return ()
        due, row = updates % self.every == 0, (updates // self.every - 1) % self.size
        row = jnp.where(due, row, self.size)  # beyond the end, where nothing is written
        return jax.tree.map(lambda leaf, new: leaf.at[row].set(new, mode="drop"), ring, acting(policy))
