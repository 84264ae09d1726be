"""Independent categoricals: one for each column of an action, over the values of the dynamics' grid."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.env import Env
from drivetrain.policy.base import Distribution, Head
from drivetrain.policy.dense import Dense
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, component, record


@record
class Categorical(Distribution):
    """A sample holds an index into each column's grid."""

    logits: tuple[Float[Array, "*batch _"], ...]

    @property
    def log_probabilities(self) -> tuple[Array, ...]:
        """Normalised logits of each column."""
        return tuple(jax.nn.log_softmax(logits) for logits in self.logits)

    def sample(self, key: Key) -> Int[Array, "width"]:
        """One index a column. The key is split once a column."""
        keys = jax.random.split(key, len(self.logits))
        return jnp.stack([jax.random.categorical(k, logits) for k, logits in zip(keys, self.logits, strict=True)])

    def mode(self) -> Int[Array, "width"]:
        """The likeliest index of each column."""
        return jnp.stack([jnp.argmax(logits, axis=-1) for logits in self.logits])

    def log_prob(self, sample: Int[Array, "width"]) -> Float[Array, ""]:
        """Log-probability of the whole action."""
        return jnp.sum(self._at(sample))

    def entropy(self) -> Float[Array, ""]:
        """Sum of the columns' entropies, nats."""
        return sum((-jnp.sum(jnp.exp(log) * log) for log in self.log_probabilities), jnp.zeros(()))

    def divergence(self, other: "Categorical") -> Float[Array, ""]:
        """Sum of the columns' divergences."""
        pairs = zip(self.log_probabilities, other.log_probabilities, strict=True)
        return sum((jnp.sum(jnp.exp(log) * (log - its)) for log, its in pairs), jnp.zeros(()))

    def nll(self, sample: Int[Array, "width"], smoothing: float = 0.0) -> Float[Array, "width"]:
        """−log-probability of each index; the two values beside it get half of `smoothing` each."""
        exact = -self._at(sample)
        if not smoothing:
            return exact
        beside = -0.5 * (self._at(sample - 1) + self._at(sample + 1))
        return (1.0 - smoothing) * exact + smoothing * beside

    def express(self, dynamics: Dynamics, action: Float[Array, "width"]) -> Int[Array, "width"]:
        """The nearest indices of the grid."""
        return dynamics.encode(action)

    def _at(self, sample: Int[Array, "width"]) -> Float[Array, "width"]:
        """Log-probability of each column's index, which is held to its range."""
        logs = self.log_probabilities
        return jnp.stack([log[jnp.clip(sample[i], 0, log.shape[0] - 1)] for i, log in enumerate(logs)])


class CategoricalLayer(eqx.Module):
    """Logits of each action column."""

    columns: tuple[Dense, ...]

    def __call__(self, features: Float[Array, "d"]) -> Categorical:
        """The distribution of one agent."""
        return Categorical(tuple(column(features) for column in self.columns))


def grid_sizes(env: Env) -> tuple[int, ...]:
    """Values of each column of the dynamics' grid. Raises ValueError where they offer none."""
    counts = tuple(len(values) for values in env.dynamics.grid())
    if not counts:
        raise ValueError(f"{type(env.dynamics).__name__} offers no grid of actions (use another head)")
    return counts


@component
class CategoricalHead(Head):
    """Over the dynamics' grid; nearly uniform at first."""

    scale: float = 0.01  # of the first weights

    def build(self, env: Env, width: int, key: Key, dtype: str = "float32") -> CategoricalLayer:
        """The key is split once a column. Raises ValueError where the dynamics offer no grid."""
        counts = grid_sizes(env)
        keys = jax.random.split(key, len(counts))
        return CategoricalLayer(
            tuple(Dense(width, count, k, self.scale, dtype) for k, count in zip(keys, counts, strict=True))
        )
