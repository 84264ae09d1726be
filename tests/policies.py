"""Small policies whose every answer is known, and an environment that shows them little more than the time."""

import jax
import jax.numpy as jnp

from drivetrain.env import Env
from drivetrain.observe.base import Observer, Widths
from drivetrain.policy.base import Policy
from drivetrain.policy.categorical import Categorical
from drivetrain.sim.bank import Bank
from drivetrain.types import Observation, Tokens, component


def glimpse(*ego) -> Observation:
    """An observation of one agent that holds these features of the ego and nothing else."""
    nothing = Tokens(jnp.zeros((1, 1)), jnp.zeros(1, bool))
    return Observation(jnp.stack([jnp.float32(x) for x in ego]), nothing, nothing, nothing, jnp.zeros(()))


@component
class Clock(Observer):
    """Sees the time, in steps of the log, and how fast the agent is, in 10 m/s."""

    @property
    def widths(self):
        return Widths(ego=2, agents=1, road=1, route=1, lanes=1, points=1)

    def __call__(self, bank, state, c):
        return glimpse(state.time, 0.1 * state.motion.speed[c])


ENV = Env(observer=Clock())
NOWHERE = object.__new__(Bank)
"""For rules that read nothing of a bank."""
COLUMNS = tuple(len(values) for values in ENV.dynamics.grid())


class Table(Policy):
    """The same logits everywhere, and a value that is the time times a weight."""

    logits: tuple[jax.Array, ...]
    weight: jax.Array

    def __call__(self, observation, memory, key):
        return Categorical(self.logits), self.weight * observation.ego[0], memory


def table(weight: float = 0.0, columns: tuple[int, ...] = COLUMNS) -> Table:
    """Every action as likely as the next."""
    return Table(tuple(jnp.zeros(count) for count in columns), jnp.float32(weight))


class Counting(Policy):
    """Every action as likely as the next; its memory counts the steps of the episode, its value weighs them."""

    weight: jax.Array

    def initial_memory(self):
        return jnp.int32(0)

    def __call__(self, observation, memory, key):
        return Categorical(tuple(jnp.zeros(count) for count in COLUMNS)), self.weight * memory, memory + 1


class Recurrent(Policy):
    """A gated cell: both answers are read from what it remembers alone; what it remembers first is learnt too."""

    gate: jax.Array
    inner: jax.Array
    outer: jax.Array
    first: jax.Array
    heads: tuple[jax.Array, ...]
    worth: jax.Array

    def initial_memory(self):
        return self.first

    def __call__(self, observation, memory, key):
        seen = observation.ego * jnp.array([0.1, 1.0])
        keep = jax.nn.sigmoid(jnp.concatenate([seen, memory]) @ self.gate)
        memory = keep * memory + (1.0 - keep) * jnp.tanh(seen @ self.inner + memory @ self.outer)
        return Categorical(tuple(memory @ head for head in self.heads)), memory @ self.worth, memory


def recurrent(key: jax.Array, width: int = 4, columns: tuple[int, ...] = COLUMNS) -> Recurrent:
    """A cell drawn at random."""
    shapes = (
        (2 + width, width),
        (2, width),
        (width, width),
        (width,),
        *((width, count) for count in columns),
        (width,),
    )
    drawn = [jax.random.normal(k, shape) for k, shape in zip(jax.random.split(key, len(shapes)), shapes, strict=True)]
    return Recurrent(*drawn[:4], tuple(drawn[4:-1]), drawn[-1])
