"""What a policy is, and what builds one: the contract of every file of this room.

Architecture   a component: `build(env, key)` → Policy
Policy         an Equinox module: observation, memory → distribution, value, memory of one agent
Head           a component: `build(env, width, key)` → a module: features → Distribution
Distribution   a record: what an agent may do; `dynamics.decode` turns its sample into an action
"""

from abc import ABC, abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, InputError, Key, Observation, component

Memory = Any
"""A pytree of arrays, of one shape for a policy; `()` where there is none."""
Sample = Any
"""What a distribution samples: indices (integers) or an action itself (floats), one row a column of the action."""


class Distribution(ABC):
    """What one agent may do, and how likely. Subclasses are records."""

    @abstractmethod
    def sample(self, key: Key) -> Sample:
        """A draw. The key is consumed."""

    def path(self, key: Key) -> Float[Array, "width"]:
        """A draw of an action that a gradient flows through, as `sample` draws it. The key is consumed.

        Raises `InputError` where samples are indices, which no gradient flows through.
        """
        raise InputError(f"head: no gradient flows through samples of {type(self).__name__} (use a mixture or a point)")

    @abstractmethod
    def mode(self) -> Sample:
        """The likeliest sample."""

    def likeliest(self, count: int) -> tuple[Sample, Float[Array, "k"]] | None:
        """At most so many samples, the likeliest first, and their probabilities; None where they have densities."""
        return None

    @abstractmethod
    def log_prob(self, sample: Sample) -> Float[Array, ""]:
        """Log-probability (or its density) of a sample."""

    @abstractmethod
    def entropy(self) -> Float[Array, ""]:
        """Entropy, nats; of a mixture a bound or an estimate, which its docstring names."""

    def weigh(self, sample: Sample) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Log-probability of a sample, and the entropy: in one pass where that is cheaper."""
        return self.log_prob(sample), self.entropy()

    def divergence(self, other: Any) -> Float[Array, ""]:
        """KL(self ‖ other), nats, of two of a kind. Raises `InputError` where nothing exact is known of it."""
        raise InputError(f"head: no divergence is known of {type(self).__name__} (use categoricals)")

    @abstractmethod
    def nll(self, sample: Sample, smoothing: float = 0.0) -> Float[Array, "width"]:
        """−log-probability of each column of a sample that is to be imitated.

        `smoothing` is the share of the target that its neighbours get, where samples have neighbours.
        """

    @abstractmethod
    def express(self, dynamics: Dynamics, action: Float[Array, "width"]) -> Sample:
        """The sample that stands for an action: what `dynamics.decode` would turn into it, or into the nearest.

        Reads no array of the distribution, so that it may be asked of shapes alone.
        """


class Policy(eqx.Module):
    """What drives one agent. All leaves are arrays, as `jax.jit` wants; batch with `vmap`."""

    @abstractmethod
    def __call__(
        self, observation: Observation, memory: Memory, key: Key
    ) -> tuple[Distribution, Float[Array, ""], Memory]:
        """What it may do, what it expects to gain, and what it remembers. The key is consumed."""

    def initial_memory(self) -> Memory:
        """What is remembered of nothing: the memory of one agent before its first step."""
        return ()


def first_memory(policy: Policy, agents: int) -> Memory:
    """The memory of so many agents before their first step, [C]."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (agents, *jnp.shape(leaf))), policy.initial_memory())


def remembers(policy: Policy) -> bool:
    """Whether it has a memory at all: known when a program is traced."""
    return bool(jax.tree.leaves(policy.initial_memory()))


@component
class Architecture(ABC):
    """How a policy is made: sizes and parts, for whatever an environment shows and takes."""

    @abstractmethod
    def build(self, env: Env, key: Key) -> Policy:
        """A policy before training. The key is consumed."""


@component
class Head(ABC):
    """How features become a distribution."""

    @abstractmethod
    def build(self, env: Env, width: int, key: Key, dtype: str = "float32") -> eqx.Module:
        """A module that maps features [width] to a `Distribution`. The key is consumed."""


def count_parameters(policy: Any) -> int:
    """Numbers that are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(policy))
