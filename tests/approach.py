"""An algorithm whose every step is known: a point approaches numbers."""

import jax
import jax.numpy as jnp
import numpy as np
from policies import glimpse

from drivetrain.learn.algorithm import Algorithm, Sequences
from drivetrain.policy.base import Policy
from drivetrain.types import component, record


class Point(Policy):
    place: jax.Array
    weight: jax.Array

    def __call__(self, observation, memory, key):
        raise AssertionError("nobody asks this of it")


def point() -> Point:
    return Point(jnp.array([3.0, -2.0]), jnp.ones((2, 2)))


@record
class Numbers:
    """Numbers to approach, and the sequences that every batch has."""

    steps: Sequences
    target: jax.Array


@record
class Seen:
    """What a loss was given: sums of targets and of their squares."""

    target: jax.Array
    square: jax.Array
    draw: jax.Array


@component
class Approach(Algorithm):
    """The mean square distance of a point's first coordinate to the targets."""

    def steps(self):
        return 1

    def open(self, env, policy, bank, episodes, key):
        return key

    def gather(self, env, policy, bank, episodes, carry, version):
        raise AssertionError("nobody asks this of it")

    def prepare(self, env, policy, bank, segment, key):
        raise AssertionError("nobody asks this of it")

    def loss(self, env, policy, bank, batch, moments, key):
        mask = batch.steps.mask
        total = jnp.maximum(jnp.sum(mask), 1)

        def mean(x):
            return jnp.sum(jnp.where(mask, x, 0.0)) / total

        figures = Seen(mean(batch.target), mean(batch.target**2), jax.random.uniform(key))
        return mean((policy.place[0] - batch.target) ** 2), figures


def numbers(units: int, scenes: int, length: int = 1) -> Numbers:
    rows = (units, scenes, length)
    nothing = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*rows, *leaf.shape)), glimpse(0.0, 0.0))
    steps = Sequences(nothing, (), jnp.zeros(rows, bool), jnp.zeros((*rows, 1), jnp.int32), jnp.ones(rows, bool))
    return Numbers(steps, jnp.arange(float(np.prod(rows))).reshape(rows))


@component
class Telling(Approach):
    """The same; the larger a target, the more it teaches."""

    def priority(self, batch):
        return jnp.max(jnp.where(batch.steps.mask, batch.target, -1.0), axis=-1)
