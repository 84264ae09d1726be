"""One categorical over all combinations of the dynamics' grid: "brake *or* swerve", which columns apart cannot say."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.env import Env
from drivetrain.policy.base import Distribution, Head
from drivetrain.policy.categorical import grid_sizes
from drivetrain.policy.dense import Dense
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, component, record


@record
class Joint(Distribution):
    """A sample holds an index into each column's grid, as that of independent columns does."""

    logits: Float[Array, "*columns"]  # an axis a column

    def sample(self, key: Key) -> Int[Array, "width"]:
        """A combination. The key is consumed."""
        return self._combination(jax.random.categorical(key, self.logits.ravel()))

    def mode(self) -> Int[Array, "width"]:
        """The likeliest combination."""
        return self._combination(jnp.argmax(self.logits))

    def likeliest(self, count: int) -> tuple[Int[Array, "k width"], Float[Array, "k"]]:
        """The likeliest combinations."""
        shares, numbers = jax.lax.top_k(jax.nn.softmax(self.logits.ravel()), min(count, self.logits.size))
        return jax.vmap(self._combination)(numbers), shares

    def log_prob(self, sample: Int[Array, "width"]) -> Float[Array, ""]:
        """Log-probability of the combination."""
        return -jnp.sum(self.nll(sample))

    def entropy(self) -> Float[Array, ""]:
        """Entropy of the combinations, nats."""
        logs = jax.nn.log_softmax(self.logits.ravel())
        return -jnp.sum(jnp.exp(logs) * logs)

    def nll(self, sample: Int[Array, "width"], smoothing: float = 0.0) -> Float[Array, "width"]:
        """−log-probability of each column's index given those before it; the two values beside it get half of
        `smoothing` each.
        """
        given, columns = self.logits, []
        for index in range(self.logits.ndim):
            logs = jax.nn.log_softmax(jax.nn.logsumexp(given.reshape(given.shape[0], -1), axis=1))
            at = jnp.clip(sample[index] + jnp.arange(-1, 2), 0, logs.shape[0] - 1)
            weights = jnp.array([0.5 * smoothing, 1.0 - smoothing, 0.5 * smoothing])
            columns.append(-jnp.sum(weights * logs[at]) if smoothing else -logs[at[1]])
            given = given[at[1]]
        return jnp.stack(columns)

    def express(self, dynamics: Dynamics, action: Float[Array, "width"]) -> Int[Array, "width"]:
        """The nearest indices of the grid."""
        return dynamics.encode(action)

    def _combination(self, number: Int[Array, ""]) -> Int[Array, "width"]:
        return jnp.stack(jnp.unravel_index(number, self.logits.shape))


class JointLayer(eqx.Module):
    """Logits of all combinations."""

    layer: Dense
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, features: Float[Array, "d"]) -> Joint:
        """The distribution of one agent."""
        return Joint(self.layer(features).reshape(self.shape))


@component
class JointHead(Head):
    """Over the dynamics' grid, 2,201 combinations of the bicycle's; nearly uniform at first."""

    scale: float = 0.01  # of the first weights

    def build(self, env: Env, width: int, key: Key, dtype: str = "float32") -> JointLayer:
        """The key is consumed. Raises ValueError where the dynamics offer no grid."""
        shape = grid_sizes(env)
        return JointLayer(Dense(width, math.prod(shape), key, self.scale, dtype), shape)
