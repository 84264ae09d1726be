"""A Perceiver-style policy (Zoox, arXiv 2312.15122, figure 3; Jaegle et al. 2021).

Self-attention across the agents first; then latents look at one modality after another; one encoder serves both heads.
The paper gives the order and the parameter counts; widths and depths are ours.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.env import Env
from drivetrain.policy.attention import CrossAttention, SelfAttention
from drivetrain.policy.base import Architecture, Distribution, Head, Policy
from drivetrain.policy.categorical import CategoricalHead
from drivetrain.policy.dense import Block, Dense, Embedding, Norm
from drivetrain.types import Array, Key, Observation, Tokens, component


@component
class PerceiverSizes(Architecture):
    """How large a Perceiver is."""

    width: int  # of every token and latent; a multiple of `heads`
    heads: int
    latents: int
    social: int = 1  # layers of self-attention across agents
    rounds: int = 1  # times that the latents look at all modalities
    blocks: int = 2  # residual blocks of each head
    expansion: int = 2  # hidden width of a dense block, in widths
    chunk: int = 4  # points of one lane of the route that make a token; divides those seen
    dtype: str = "float32"  # of matrix products: bfloat16 on GPUs
    head: Head = CategoricalHead()

    def build(self, env: Env, key: Key) -> "Perceiver":
        """A Perceiver for what an environment shows. The key is split once a part."""
        return Perceiver(self, env, key)


class Perceiver(Policy):
    """Observation → a distribution over actions, a value, and no memory."""

    ego: Embedding
    agents: Embedding
    road: Embedding
    route: Embedding
    remaining: Embedding
    latents: Float[Array, "q d"]
    social: tuple[SelfAttention, ...]
    looks: tuple[CrossAttention, ...]  # agents, road, route; agents, road, …
    norm: Norm
    join: Dense
    actor: tuple[Block, ...]
    head: eqx.Module
    critic_join: Dense
    critic: tuple[Block, ...]
    worth: Dense
    chunk: int = eqx.field(static=True)  # points of a route's lane that make a token
    lanes: int = eqx.field(static=True)

    def __init__(self, sizes: PerceiverSizes, env: Env, key: Key):
        d, dtype, hidden, widths = sizes.width, sizes.dtype, sizes.expansion * sizes.width, env.observer.widths
        keys = iter(jax.random.split(key, 10 + sizes.social + 3 * sizes.rounds + 2 * sizes.blocks))
        self.ego = Embedding(widths.ego, d, next(keys), dtype)
        self.agents = Embedding(widths.agents, d, next(keys), dtype)
        self.road = Embedding(widths.road, d, next(keys), dtype)
        self.route = Embedding(widths.route * sizes.chunk, d, next(keys), dtype)
        self.remaining = Embedding(1, d, next(keys), dtype)
        self.latents = jax.random.normal(next(keys), (sizes.latents, d))
        self.social = tuple(SelfAttention(d, sizes.heads, hidden, next(keys), dtype) for _ in range(sizes.social))
        self.looks = tuple(CrossAttention(d, sizes.heads, hidden, next(keys), dtype) for _ in range(3 * sizes.rounds))
        self.norm = Norm(sizes.latents * d)
        self.join = Dense(sizes.latents * d, d, next(keys), 1.0, dtype)
        self.actor = tuple(Block(d, hidden, next(keys), dtype) for _ in range(sizes.blocks))
        self.head = sizes.head.build(env, d, next(keys), dtype)
        self.critic_join = Dense(2 * d, d, next(keys), 1.0, dtype)
        self.critic = tuple(Block(d, hidden, next(keys), dtype) for _ in range(sizes.blocks))
        self.worth = Dense(d, 1, next(keys), 0.01, dtype)
        self.chunk, self.lanes = sizes.chunk, widths.lanes

    def encode(self, observation: Observation) -> Float[Array, "d"]:
        """What the agent makes of what it sees: all that both heads know of the scene."""
        ego = self.ego(observation.ego)
        tokens = jnp.concatenate([ego[None], self.agents(observation.agents.features.T)])
        mask = jnp.concatenate([jnp.ones(1, bool), observation.agents.mask])
        for layer in self.social:
            tokens = layer(tokens, mask)
        seen = (
            (tokens, mask),
            (self.road(observation.road.features.T), observation.road.mask),
            self.stretches(observation.route),
        )
        latents = self.latents + ego
        for index, look in enumerate(self.looks):
            latents = look(latents, *seen[index % 3])
        return self.join(self.norm(latents.reshape(-1)))

    def stretches(self, route: Tokens) -> tuple[Float[Array, "n d"], Bool[Array, "n"]]:
        """Tokens of a route, each a few points of one lane on end; masked where none of its points exists."""
        points = route.features.reshape(route.features.shape[0], -1, self.chunk, self.lanes)
        tokens = jnp.transpose(points, (3, 1, 2, 0)).reshape(-1, self.chunk * points.shape[0])
        exists = jnp.any(route.mask.reshape(-1, self.chunk, self.lanes), axis=1)
        return self.route(tokens), exists.T.reshape(-1)

    def __call__(
        self, observation: Observation, memory: tuple[()], key: Key
    ) -> tuple[Distribution, Float[Array, ""], tuple[()]]:
        """Distribution and value of one agent. `remaining` reaches the value alone. The key is not used."""
        encoded = self.encode(observation)
        hidden = encoded
        for block in self.actor:
            hidden = block(hidden)
        distribution: Distribution = self.head(hidden)  # type: ignore[operator]
        worth = self.critic_join(jnp.concatenate([encoded, self.remaining(observation.remaining[None])]))
        for block in self.critic:
            worth = block(worth)
        return distribution, self.worth(worth)[0], memory
