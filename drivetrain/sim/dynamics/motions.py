"""Motions of a vocabulary as actions: an agent sets out to follow one of them, and chooses anew at the next step.

    forward   the motion, laid where the agent is → the model's inverse → the model's own action, for one step
    inverse   the recorded places, from where the agent is → the nearest motion

So one categorical says where to be over the next second or two, and the agent still moves as its model of motion can.
"""

import functools
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from drivetrain.cut_cross_entropy.choosing import likeliest
from drivetrain.data.store.motions import HEADING
from drivetrain.data.store.vocabulary import Vocabulary, read_vocabulary
from drivetrain.geometry import Scalar, rotate, unrotate
from drivetrain.sim.dynamics.base import Body, Dynamics, Grid, Moved, Pose
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.reading import Placement
from drivetrain.types import Array, InputError, Motion, component

ROUNDING = 1e-3
"""Steps by which a time may miss a step of the log."""


@component
class Motions(Dynamics):
    """Action: the number of a motion, of the table of the agent's kind. Limits: those of the model that follows it.

    Any step will do: the motion is followed at its own, recorded places are read at its own.
    """

    file: str = ""  # that `data vocabulary` wrote
    digest: str = ""  # of its motions; where it is given, another file under that name is refused
    model: Dynamics = Bicycle()

    width: ClassVar[int] = 1

    def vocabulary(self) -> Vocabulary:
        """The file's, read once a process. Raises `InputError` where it is none, or another."""
        return _read(self.file, self.digest)

    def grid(self) -> Grid:
        """The numbers of all motions."""
        return (np.arange(self.vocabulary().motions.shape[1], dtype=np.float32),)

    def limit(self, action: Float[Array, "1"]) -> Float[Array, "1"]:
        """A number that there is."""
        return jnp.clip(action, 0.0, self.vocabulary().motions.shape[1] - 1.0)

    def encode(self, action: Float[Array, "1"]) -> Int[Array, "1"]:
        """The number as an index."""
        return jnp.round(self.limit(action)).astype(jnp.int32)

    def start(self, now: Placement, later: Placement, body: Body, dt: Scalar) -> Motion:
        """The model's."""
        return self.model.start(now, later, body, dt)

    def forward(self, pose: Pose, body: Body, action: Float[Array, "1"], dt: Scalar) -> Moved:
        """A step of the model, by its own action that keeps to the motion."""
        targets = self.targets(pose, body, self.encode(action)[0])
        followed = self.model.inverse(pose, body, targets, self.vocabulary().dt)
        return self.model.forward(pose, body, self.model.limit(followed), dt)

    def ahead(self, pose: Pose, body: Body, action: Float[Array, "1"], dt: Scalar, steps: int) -> Float[Array, "H 2"]:
        """The places of the motion itself, as many as it has."""
        return self.targets(pose, body, self.encode(action)[0]).position

    def targets(self, pose: Pose, body: Body, number: Int[Array, ""]) -> Placement:
        """Where a motion leads from a pose, [H]."""
        vocabulary = self.vocabulary()
        tables, count, steps, _ = vocabulary.motions.shape
        row = jnp.asarray(vocabulary.table)[body.kind] * count + number
        motion = jnp.asarray(vocabulary.motions.reshape(tables * count, -1))[row].reshape(steps, 2, 2)
        position, heading = rotate(motion[:, 0], pose.heading), rotate(motion[:, 1], pose.heading)
        moved = jnp.diff(position, axis=0, prepend=jnp.zeros((1, 2)))
        return Placement(pose.position + position, heading, moved / vocabulary.dt, jnp.ones(steps, bool))

    def inverse(self, pose: Pose, body: Body, targets: Placement, dt: Scalar) -> Float[Array, "1"]:
        """The number of the motion that is nearest to the targets that there are (`data.store.motions`)."""
        vocabulary = self.vocabulary()
        wanted, counted = _resampled(pose, targets, dt, vocabulary)
        # |wanted − motion|², less what does not depend on the motion, as one product: −2 wanted · motion + |motion|².
        row = jnp.concatenate([(counted[:, None] * wanted).reshape(-1), counted])
        nearest = [likeliest(row[None], jnp.asarray(table))[0] for table in _products(self.file, self.digest)]
        return jnp.stack(nearest)[jnp.asarray(vocabulary.table)[body.kind]][None].astype(jnp.float32)


def _resampled(
    pose: Pose, targets: Placement, dt: Scalar, vocabulary: Vocabulary
) -> tuple[Float[Array, "H 4"], Float[Array, "H"]]:
    """The targets as a motion, seen from the agent, scaled as its points are; and 1 where they are known."""
    place = vocabulary.dt * np.arange(1, vocabulary.motions.shape[2] + 1) / dt  # in steps of the targets
    seen = [unrotate(targets.position - pose.position, pose.heading), HEADING * unrotate(targets.heading, pose.heading)]
    known = jnp.concatenate([*seen, targets.valid[:, None]], axis=1)
    known = jnp.concatenate([jnp.array([[0.0, 0.0, HEADING, 0.0, 1.0]]), known])  # at 0 the agent itself
    before = jnp.floor(place + ROUNDING).astype(jnp.int32)
    share = jnp.where(place - before > ROUNDING, place - before, 0.0)[:, None]
    last = len(known) - 1
    read = (1.0 - share) * known[jnp.minimum(before, last)] + share * known[jnp.minimum(before + 1, last)]
    counted = (read[:, 4] > 1.0 - ROUNDING) & (place < last + ROUNDING)
    return read[:, :4], counted.astype(jnp.float32)


@functools.lru_cache(maxsize=4)
def _read(file: str, digest: str) -> Vocabulary:
    vocabulary = read_vocabulary(file)
    if digest and vocabulary.digest != digest:
        raise InputError(f"{file}: digest: other motions than those that were trained on (put that file back)")
    return vocabulary


@functools.lru_cache(maxsize=4)
def _products(file: str, digest: str) -> tuple[Float[np.ndarray, "V k"], ...]:
    """Of each table, the rows whose product with a weighed motion is largest for the nearest."""
    scaled = _read(file, digest).motions * np.array([1.0, 1.0, HEADING, HEADING], np.float32)
    return tuple(
        np.concatenate([table.reshape(len(table), -1), -0.5 * np.sum(table**2, axis=-1)], axis=1) for table in scaled
    )
