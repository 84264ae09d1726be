"""A deterministic head: one action, and nothing else, of what is seen."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.env import Env
from drivetrain.policy.base import Distribution, Head
from drivetrain.policy.dense import Dense
from drivetrain.policy.mixture import HALF_LOG_TAU, spans
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, component, record


@record
class Point(Distribution):
    """Every draw is the action itself. To imitate it is a normal distribution of a fixed width: squared errors."""

    mean: Float[Array, "width"]  # spans
    span: Float[Array, "width"]
    deviation: Float[Array, ""]  # spans

    def sample(self, key: Key) -> Float[Array, "width"]:
        """The action; the key is not used."""
        return self.mode()

    def path(self, key: Key) -> Float[Array, "width"]:
        """The action; the key is not used."""
        return self.mode()

    def mode(self) -> Float[Array, "width"]:
        """The action."""
        return self.span * self.mean

    def log_prob(self, sample: Float[Array, "width"]) -> Float[Array, ""]:
        """Log-density of the normal distribution, per span of each column."""
        return -jnp.sum(self.nll(sample))

    def entropy(self) -> Float[Array, ""]:
        """That of the normal distribution, nats: it never changes."""
        return len(self.mean) * (jnp.log(self.deviation) + HALF_LOG_TAU + 0.5)

    def nll(self, sample: Float[Array, "width"], smoothing: float = 0.0) -> Float[Array, "width"]:
        """−log-density of each column. Nothing is beside an action: `smoothing` does nothing."""
        away = (sample / self.span - self.mean) / self.deviation
        return 0.5 * away**2 + jnp.log(self.deviation) + HALF_LOG_TAU

    def express(self, dynamics: Dynamics, action: Float[Array, "width"]) -> Float[Array, "width"]:
        """The action within the limits."""
        return dynamics.limit(action)


class PointLayer(eqx.Module):
    """The action."""

    layer: Dense
    span: tuple[float, ...] = eqx.field(static=True)
    deviation: float = eqx.field(static=True)

    def __call__(self, features: Float[Array, "d"]) -> Point:
        """The distribution of one agent."""
        return Point(self.layer(features), jnp.asarray(self.span), jnp.asarray(self.deviation))


@component
class PointHead(Head):
    """One action, near 0 at first. No rule that explores can learn with it: BC and APG can."""

    deviation: float = 0.05  # spans; of the errors that imitation makes
    scale: float = 0.01  # of the first weights

    def build(self, env: Env, width: int, key: Key, dtype: str = "float32") -> PointLayer:
        """The key is consumed."""
        span = spans(env.dynamics)
        return PointLayer(Dense(width, len(span), key, self.scale, dtype), span, self.deviation)
