"""A policy that remembers: scene encoder → gated recurrent unit (Cho et al. 2014) → head, as in arXiv 2409.07965."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Architecture, Distribution, Policy
from drivetrain.policy.deep_sets import Critic, DeepSetsSizes, SetsEncoder
from drivetrain.policy.dense import Dense
from drivetrain.types import Array, Key, Observation, component


@component
class RecurrentSizes(Architecture):
    """How large a policy that remembers is: what encodes the scene, and what is remembered of it."""

    sets: DeepSetsSizes = DeepSetsSizes()
    memory: int = 128  # numbers that are remembered

    def build(self, env: Env, key: Key) -> "Recurrent":
        """A policy for what an environment shows. The key is split once a part."""
        return Recurrent(self, env, key)


class Recurrent(Policy):
    """Both heads read what is seen and what is remembered, joined."""

    encoder: SetsEncoder
    cell: eqx.nn.GRUCell
    join: Dense
    head: eqx.Module
    critic: Critic | None

    def __init__(self, sizes: RecurrentSizes, env: Env, key: Key):
        sets = sizes.sets
        keys = iter(jax.random.split(key, 10 + sets.blocks + sets.layers))
        self.encoder = SetsEncoder(sets, env, keys)
        self.cell = eqx.nn.GRUCell(sets.width, sizes.memory, key=next(keys))
        self.join = Dense(sets.width + sizes.memory, sets.width, next(keys), 1.0, sets.dtype)
        self.head = sets.head.build(env, sets.width, next(keys), sets.dtype)
        self.critic = Critic(sets, next(keys)) if sets.critic else None

    def initial_memory(self) -> Float[Array, "m"]:
        """Zeros."""
        return jnp.zeros(self.cell.hidden_size)

    def __call__(
        self, observation: Observation, memory: Float[Array, "m"], key: Key
    ) -> tuple[Distribution, Float[Array, ""], Float[Array, "m"]]:
        """Distribution, value and memory of one agent. `remaining` reaches the value alone. The key is not used."""
        seen = self.encoder(observation)
        memory = self.cell(jnp.asarray(seen), jnp.asarray(memory))
        features = seen + self.join(jnp.concatenate([seen, memory]))
        distribution: Distribution = self.head(features)  # type: ignore[operator]
        value = jnp.zeros(()) if self.critic is None else self.critic(features, observation.remaining)
        return distribution, value, memory
