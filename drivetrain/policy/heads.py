"""Distributions over actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.types import Array, Key, record


@record
class Discrete:
    """Independent categoricals, one for each column of an action; a sample holds an index into each column's grid."""

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

    def log_probs(self, action: Int[Array, "width"]) -> Float[Array, "width"]:
        """Log-probability of each column's index."""
        return jnp.stack([log[action[column]] for column, log in enumerate(self.log_probabilities)])

    def log_prob(self, action: Int[Array, "width"]) -> Float[Array, ""]:
        """Log-probability of the whole action."""
        return jnp.sum(self.log_probs(action))

    def entropy(self) -> Float[Array, ""]:
        """Sum of the columns' entropies, nats."""
        return sum((-jnp.sum(jnp.exp(log) * log) for log in self.log_probabilities), jnp.zeros(()))
