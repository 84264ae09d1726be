"""A policy of pooled sets (Zaheer et al. 2017, "Deep Sets"): what a CPU can learn with.

Each token is embedded together with the ego, each set is pooled to its largest features, and one trunk serves both
heads. A forward pass costs 0.4 MFLOP where attention over the same tokens costs 1.3, all of it in a few large products.
"""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.env import Env
from drivetrain.policy.base import Architecture, Distribution, Head, Policy
from drivetrain.policy.categorical import CategoricalHead
from drivetrain.policy.dense import Block, Dense, Norm, contract, uniform
from drivetrain.types import Array, Key, Observation, Tokens, component


@component
class DeepSetsSizes(Architecture):
    """How large a policy of pooled sets is."""

    tokens: int = 64  # width of a token, and of what is pooled of a set
    layers: int = 2  # that embed an agent; road elements and lanes of the route have one
    width: int = 128  # of the trunk
    blocks: int = 1  # residual blocks of the trunk
    expansion: int = 1  # hidden width of a block, in widths
    critic: bool = True  # False: no value is learnt, and nothing of it is kept (it is 0)
    dtype: str = "float32"  # of matrix products: bfloat16 on GPUs
    head: Head = CategoricalHead()

    def build(self, env: Env, key: Key) -> "DeepSets":
        """A policy for what an environment shows. The key is split once a part."""
        return DeepSets(self, env, key)


@jax.custom_vjp
def largest(tokens: Float[Array, "n d"], mask: Bool[Array, "n"]) -> Float[Array, "d"]:
    """The largest of each feature over the tokens that exist, and 0: relu and maximum in one pass.

    Its slope goes to whatever equals the largest, where that is above 0. JAX's own would share it among ties, which
    takes several passes more; ties above 0 are rounding.
    """
    return jnp.max(jnp.where(mask[:, None], tokens, 0.0), axis=0, initial=0.0)


def _largest_forward(tokens: Array, mask: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    pooled = largest(tokens, mask)
    return pooled, (tokens, mask, pooled)


def _largest_backward(kept: tuple[Array, Array, Array], slope: Array) -> tuple[Array, None]:
    tokens, mask, pooled = kept
    chosen = (tokens == pooled) & (pooled > 0.0) & mask[:, None]
    return jnp.where(chosen, slope, 0.0), None


largest.defvjp(_largest_forward, _largest_backward)


class SetEmbedding(eqx.Module):
    """Tokens [f, n], and what the ego makes of itself, to the largest of each feature over the set."""

    weight: Float[Array, "f d"]
    further: tuple[Dense, ...]
    dtype: str = eqx.field(static=True)

    def __call__(
        self, features: Float[Array, "f n"], mask: Bool[Array, "n"], ego: Float[Array, "d"]
    ) -> Float[Array, "d"]:
        """Zeros where nothing is there: what is pooled is never negative."""
        tokens = contract("fn,fd->nd", features, self.weight, self.dtype) + ego
        for layer in self.further:
            tokens = layer(jax.nn.relu(tokens))
        return largest(tokens, mask)


class Critic(eqx.Module):
    """The trunk's features and what is hidden from the actor → a value."""

    join: Dense
    block: Block
    worth: Dense

    def __init__(self, sizes: DeepSetsSizes, key: Key):
        join, block, worth = jax.random.split(key, 3)
        width, dtype = sizes.width, sizes.dtype
        self.join = Dense(width + 1, width, join, 1.0, dtype)
        self.block = Block(width, sizes.expansion * width, block, dtype)
        self.worth = Dense(width, 1, worth, 0.01, dtype)

    def __call__(self, features: Float[Array, "d"], remaining: Float[Array, ""]) -> Float[Array, ""]:
        """The value of one agent's state."""
        return self.worth(self.block(self.join(jnp.append(features, remaining))))[0]


class SetsEncoder(eqx.Module):
    """Observation → features of one agent: each set pooled, all of them joined by a trunk."""

    ego: Dense
    agents: SetEmbedding
    road: SetEmbedding
    route: SetEmbedding  # a token is a lane: all its points
    conditions: Dense  # the ego, as each set's tokens see it
    norm: Norm
    join: Dense
    trunk: tuple[Block, ...]
    lanes: int = eqx.field(static=True)

    def __init__(self, sizes: DeepSetsSizes, env: Env, keys: Iterator[Key]):
        """One key a part is taken."""
        widths, d, dtype = env.observer.widths, sizes.tokens, sizes.dtype

        def embedding(features: int, layers: int = 1) -> SetEmbedding:
            weight = 2.0**0.5 * uniform(next(keys), (features, d), features)
            further = (Dense(d, d, next(keys), 2.0**0.5, dtype) for _ in range(layers - 1))
            return SetEmbedding(weight, tuple(further), dtype)

        self.ego = Dense(widths.ego, d, next(keys), 2.0**0.5, dtype)
        self.agents, self.road = embedding(widths.agents, sizes.layers), embedding(widths.road)
        self.route = embedding(widths.route * widths.points)
        self.conditions = Dense(widths.ego, 3 * d, next(keys), 1.0, dtype)
        self.norm = Norm(4 * d)
        self.join = Dense(4 * d, sizes.width, next(keys), 1.0, dtype)
        hidden = sizes.expansion * sizes.width
        self.trunk = tuple(Block(sizes.width, hidden, next(keys), dtype) for _ in range(sizes.blocks))
        self.lanes = widths.lanes

    def __call__(self, observation: Observation) -> Float[Array, "w"]:
        """What the agent makes of what it sees."""
        ego = jax.nn.relu(self.ego(observation.ego))
        of_agents, of_road, of_route = jnp.split(self.conditions(observation.ego), 3)
        agents, road = observation.agents, observation.road
        seen = [ego, self.agents(agents.features, agents.mask, of_agents), self.road(road.features, road.mask, of_road)]
        seen.append(self.route(*self.by_lane(observation.route), of_route))
        features = self.join(self.norm(jnp.concatenate(seen)))
        for block in self.trunk:
            features = block(features)
        return features

    def by_lane(self, route: Tokens) -> tuple[Float[Array, "f L"], Bool[Array, "L"]]:
        """A column a lane, all features of all its points; masked where none of them exists."""
        return route.features.reshape(-1, self.lanes), jnp.any(route.mask.reshape(-1, self.lanes), axis=0)


class DeepSets(Policy):
    """Observation → a distribution over actions, a value, and no memory."""

    encoder: SetsEncoder
    head: eqx.Module
    critic: Critic | None

    def __init__(self, sizes: DeepSetsSizes, env: Env, key: Key):
        keys = iter(jax.random.split(key, 8 + sizes.blocks + sizes.layers))
        self.encoder = SetsEncoder(sizes, env, keys)
        self.head = sizes.head.build(env, sizes.width, next(keys), sizes.dtype)
        self.critic = Critic(sizes, next(keys)) if sizes.critic else None

    def __call__(
        self, observation: Observation, memory: tuple[()], key: Key
    ) -> tuple[Distribution, Float[Array, ""], tuple[()]]:
        """Distribution and value of one agent. `remaining` reaches the value alone. The key is not used."""
        features = self.encoder(observation)
        distribution: Distribution = self.head(features)  # type: ignore[operator]
        value = jnp.zeros(()) if self.critic is None else self.critic(features, observation.remaining)
        return distribution, value, memory
