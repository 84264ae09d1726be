"""A mixture of Gaussians over actions themselves, through which gradients flow (arXiv 2409.07965: six of them).

Numbers are kept in *spans*: an action over the largest that the dynamics' limits allow, column by column.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Distribution, Head
from drivetrain.policy.dense import Dense
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, component, record

HALF_LOG_TAU = 0.9189385  # ½ log 2π


@record
class Mixture(Distribution):
    """A sample is an action, not limited; columns are independent within a component."""

    logits: Float[Array, "k"]
    mean: Float[Array, "k width"]  # spans
    log_deviation: Float[Array, "k width"]  # of spans
    span: Float[Array, "width"]

    def sample(self, key: Key) -> Float[Array, "width"]:
        """Of a component drawn by its weight. The key is split in two: which, and where."""
        which, where = jax.random.split(key)
        chosen = jax.random.categorical(which, self.logits)
        noise = jax.random.normal(where, self.span.shape)
        return self.span * (self.mean[chosen] + jnp.exp(self.log_deviation[chosen]) * noise)

    def path(self, key: Key) -> Float[Array, "width"]:
        """The same draw, its slope that of the drawn component's mean and deviation; the weights' slope is that of the
        mean over components (straight-through, Bengio et al. 2013).
        """
        which, where = jax.random.split(key)
        weights = jax.nn.softmax(self.logits)
        chosen = jax.nn.one_hot(jax.random.categorical(which, self.logits), len(weights))
        noise = jax.random.normal(where, self.span.shape)
        drawn = self.mean + jnp.exp(self.log_deviation) * noise
        steered = (weights - jax.lax.stop_gradient(weights)) @ jax.lax.stop_gradient(drawn)
        return self.span * (chosen @ drawn + steered)

    def mode(self) -> Float[Array, "width"]:
        """The mean of the component with the largest weight."""
        return self.span * self.mean[jnp.argmax(self.logits)]

    def log_prob(self, sample: Float[Array, "width"]) -> Float[Array, ""]:
        """Log-density, per span of each column."""
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + jnp.sum(self._columns(sample), axis=1))

    def entropy(self) -> Float[Array, ""]:
        """An upper bound, nats: that of the weights and the mean one of the components (Huber et al. 2008, eq. 8)."""
        logs = jax.nn.log_softmax(self.logits)
        within = jnp.sum(self.log_deviation + HALF_LOG_TAU + 0.5, axis=1)
        return jnp.sum(jnp.exp(logs) * (within - logs))

    def nll(self, sample: Float[Array, "width"], smoothing: float = 0.0) -> Float[Array, "width"]:
        """−log-density of each column given those before it. Nothing is beside an action: `smoothing` does nothing."""
        so_far = jax.nn.log_softmax(self.logits)[:, None] + jnp.cumsum(self._columns(sample), axis=1)
        return -jnp.diff(jax.nn.logsumexp(so_far, axis=0), prepend=0.0)

    def express(self, dynamics: Dynamics, action: Float[Array, "width"]) -> Float[Array, "width"]:
        """The action within the limits."""
        return dynamics.limit(action)

    def _columns(self, sample: Float[Array, "width"]) -> Float[Array, "k width"]:
        """Log-density of each column under each component."""
        away = (sample / self.span - self.mean) * jnp.exp(-self.log_deviation)
        return -0.5 * away**2 - self.log_deviation - HALF_LOG_TAU


class MixtureLayer(eqx.Module):
    """Weights, means and deviations of all components."""

    layer: Dense
    components: int = eqx.field(static=True)
    span: tuple[float, ...] = eqx.field(static=True)
    least: float = eqx.field(static=True)

    def __call__(self, features: Float[Array, "d"]) -> Mixture:
        """The distribution of one agent."""
        rows = self.layer(features).reshape(self.components, -1)
        mean, wide = jnp.split(rows[:, 1:], 2, axis=1)
        low = jnp.log(self.least)
        return Mixture(rows[:, 0], mean, low + (0.0 - low) * jax.nn.sigmoid(wide), jnp.asarray(self.span))


@component
class MixtureHead(Head):
    """Gaussians over the dynamics' actions, at first near 0 and narrow. Deviations stay between `least` and 1 span."""

    components: int = 6
    deviation: float = 0.05  # at first, spans
    least: float = 0.005  # spans
    scale: float = 0.01  # of the first weights

    def build(self, env: Env, width: int, key: Key, dtype: str = "float32") -> MixtureLayer:
        """The key is split in two: the weights, and where the components begin."""
        weights, begin = jax.random.split(key)
        span = spans(env.dynamics)
        columns = len(span)
        layer = Dense(width, self.components * (1 + 2 * columns), weights, self.scale, dtype)
        share = jnp.log(self.deviation / self.least) / jnp.log(1.0 / self.least)
        wide = jnp.full((self.components, columns), jnp.log(share / (1.0 - share)))
        mean = self.deviation * jax.random.normal(begin, (self.components, columns))
        bias = jnp.concatenate([jnp.zeros((self.components, 1)), mean, wide], axis=1)
        layer = eqx.tree_at(lambda layer: layer.bias, layer, bias.ravel())
        return MixtureLayer(layer, self.components, span, self.least)


def spans(dynamics: Dynamics) -> tuple[float, ...]:
    """The largest size of each column of an action that its limits allow. Raises ValueError where one has none."""
    with jax.ensure_compile_time_eval():
        ends = [dynamics.limit(jnp.full(dynamics.width, end)) for end in (-jnp.inf, jnp.inf)]
        span = tuple(float(size) for size in jnp.max(jnp.abs(jnp.stack(ends)), axis=0))
    if not all(0.0 < size < float("inf") for size in span):
        raise ValueError(f"{type(dynamics).__name__} has no limits of actions (use another head)")
    return span
