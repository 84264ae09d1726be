"""One categorical over a large vocabulary whose logits are never held: for actions that are the number of an entry.

An agent's distribution is its features; the classifier is everyone's. Whatever is asked of it passes over the
vocabulary a block at a time (`cut_cross_entropy/`), of all agents at once where they are batched.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.cut_cross_entropy.choosing import likeliest, several_likeliest
from drivetrain.cut_cross_entropy.exact import linear_divergence
from drivetrain.cut_cross_entropy.filtered import rows_together
from drivetrain.cut_cross_entropy.loss import Surprise, linear_cross_entropy
from drivetrain.env import Env
from drivetrain.policy.base import Distribution, Head
from drivetrain.policy.categorical import grid_sizes
from drivetrain.policy.dense import uniform
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.types import Array, Key, component, record


@record
class Choice(Distribution):
    """A sample holds the number of an entry, as that of a grid of one column does.

    Ask it where it stands, within the `vmap` over agents: what leaves a `vmap` is copied for each, the classifier too.
    """

    features: Float[Array, "*batch d"]  # products are taken in their type; sums in float32
    classifier: Float[Array, "*batch V d"]
    bias: Float[Array, "*batch V"]
    cut: Cut = Cut()

    def sample(self, key: Key) -> Int[Array, "1"]:
        """An entry, by the largest of logits with Gumbel noise. The key is consumed."""
        return likeliest(self.features[None], self.classifier, self.bias, self.cut, key)

    def mode(self) -> Int[Array, "1"]:
        """The likeliest entry."""
        return likeliest(self.features[None], self.classifier, self.bias, self.cut)

    def likeliest(self, count: int) -> tuple[Int[Array, "k 1"], Float[Array, "k"]]:
        """The likeliest entries."""
        rows, logs = several_likeliest(self.features[None], self.classifier, self.bias, count, self.cut)
        return rows[0][:, None], jnp.exp(logs[0])

    def log_prob(self, sample: Int[Array, "1"]) -> Float[Array, ""]:
        """Log-probability of an entry."""
        return -self._surprise(sample).loss[0]

    def entropy(self) -> Float[Array, ""]:
        """Entropy of the entries, nats."""
        return self._surprise(jnp.zeros(1, jnp.int32)).entropy[0]

    def weigh(self, sample: Int[Array, "1"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Both, in one pass."""
        surprise = self._surprise(sample)
        return -surprise.loss[0], surprise.entropy[0]

    def nll(self, sample: Int[Array, "1"], smoothing: float = 0.0) -> Float[Array, "1"]:
        """−log-probability of an entry; entries have no neighbours, and nothing is smoothed."""
        return self._surprise(sample).loss

    def divergence(self, other: "Choice") -> Float[Array, ""]:
        """KL(this ‖ other), nats."""
        one, two = ((each.features[None], each.classifier, each.bias) for each in (self, other))
        return linear_divergence(one, two, self.cut)[0]

    def express(self, dynamics: Dynamics, action: Float[Array, "1"]) -> Int[Array, "1"]:
        """The number that the action is."""
        return dynamics.encode(action)

    def _surprise(self, sample: Int[Array, "1"]) -> Surprise:
        given = self.features[None], self.classifier, sample, self.bias
        return Surprise(*rows_together(self.cut)(*given)) if self.cut.least else linear_cross_entropy(*given, self.cut)


class ChoiceLayer(eqx.Module):
    """A row and a bias of every entry."""

    classifier: Float[Array, "V d"]
    bias: Float[Array, "V"]
    cut: Cut = eqx.field(static=True)

    def __call__(self, features: Float[Array, "d"]) -> Choice:
        """The distribution of one agent."""
        return Choice(features.astype(self.cut.dtype), self.classifier.astype(self.cut.dtype), self.bias, self.cut)


@component
class VocabularyHead(Head):
    """Over a grid of one column, however long; nearly uniform at first."""

    scale: float = 0.01  # of the first weights
    least: float = 0.0  # |softmax − onehot| below which a block of steps and entries teaches nothing; 0: all teach
    block: int = 1024  # entries of a block

    def build(self, env: Env, width: int, key: Key, dtype: str = "float32") -> ChoiceLayer:
        """The key is consumed. Raises ValueError where the dynamics' actions are no single column of a grid."""
        sizes = grid_sizes(env)
        if len(sizes) != 1:
            raise ValueError(f"{type(env.dynamics).__name__} has {len(sizes)} columns of actions (use another head)")
        cut = Cut(entries=self.block, least=self.least, ordered=self.least > 0.0, dtype=dtype)
        return ChoiceLayer(self.scale * uniform(key, (sizes[0], width), width), jnp.zeros(sizes[0]), cut)
