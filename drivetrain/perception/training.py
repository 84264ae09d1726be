"""Training of the network: pictures drawn from sets and made otherwise, Adam, and a moving mean of the weights.

A state is arrays alone, so that it can be kept and gone on with: pictures are drawn by its step and the seed.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Int, UInt8

from drivetrain.camera.sets import pillow
from drivetrain.perception.appearing import Looks
from drivetrain.perception.labelled import Labelled
from drivetrain.perception.losses import Weighing, Wrong, loss
from drivetrain.perception.network import Network, Paper, Small
from drivetrain.perception.pixels import read_pixels
from drivetrain.perception.targets import Targets, targets_of
from drivetrain.perception.warping import Warping, drawn
from drivetrain.types import Array, InputError, component, record

AHEAD = 4
"""Batches that are drawn ahead of the one that is learnt from."""


@component
class Training:
    """How a network is trained."""

    architecture: Small | Paper = Small()
    steps: int = 3600  # of the optimiser
    batch: int = 8  # pictures
    rate: float = 1.5e-3  # of Adam, after `warm` steps; it falls to nothing as half a cosine
    warm: int = 200
    decay: float = 0.01  # of weights, a step, times the rate
    clip: float = 10.0  # norm of the gradient at most
    mean: float = 0.998  # of the moving mean of the weights, a step
    seed: int = 0
    threads: int = 2  # that draw pictures
    warping: Warping = Warping()
    looks: Looks = Looks()
    weighing: Weighing = Weighing()

    def optimiser(self) -> optax.GradientTransformation:
        """Adam with decay of what is no gain and no bias."""
        schedule = optax.warmup_cosine_decay_schedule(0.0, self.rate, self.warm, max(self.steps, self.warm + 1))
        many = lambda tree: jax.tree.map(lambda leaf: leaf.ndim > 1, tree)  # noqa: E731
        return optax.chain(
            optax.clip_by_global_norm(self.clip), optax.adamw(schedule, weight_decay=self.decay, mask=many)
        )


@record
class State:
    """What training goes on with."""

    network: Any  # a Network, as the mean is
    mean: Any  # the moving mean of its weights
    optimiser: Any
    step: Int[Array, ""]


def begin(training: Training) -> State:
    """Before the first step."""
    network = training.architecture.build(jax.random.key(training.seed))
    optimiser = training.optimiser().init(network)  # type: ignore[arg-type]
    return State(network, jax.tree.map(jnp.array, network), optimiser, jnp.int32(0))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def advance(
    training: Training, state: State, pictures: UInt8[Array, "n H W 3"], targets: Targets
) -> tuple[State, Array, Wrong]:
    """One step: the next state, the loss and its parts."""

    def of(network: Network) -> tuple[Array, Wrong]:
        return loss(jax.vmap(network)(pictures), targets, training.weighing)

    (total, wrong), slope = jax.value_and_grad(of, has_aux=True)(state.network)
    change, optimiser = training.optimiser().update(slope, state.optimiser, state.network)
    network = optax.apply_updates(state.network, change)
    # At first the mean follows closely.
    keep = jnp.minimum(training.mean, (1.0 + state.step) / (10.0 + state.step))
    mean = jax.tree.map(lambda old, new: keep * old + (1.0 - keep) * new, state.mean, network)
    return State(network, mean, optimiser, state.step + 1), total, wrong


# ------------------------------------------------------------------------------------------------------------- pictures


class Pictures:
    """Labelled pictures that batches are drawn from: sets, each as often as its weight says.

    A batch is its step's and the seed's alone, whoever draws it.
    """

    def __init__(self, sets: Sequence[Sequence[Labelled]], shares: Sequence[float], training: Training):
        """`shares`: how often a picture of each set is drawn, in any unit."""
        if not sets or any(not len(each) for each in sets):
            raise InputError("pictures: a set without any (leave it out)")
        if len(shares) != len(sets) or min(shares) <= 0.0:
            raise InputError("pictures: shares: not one above 0 for each set (give as many)")
        self.sets, self.training = sets, training
        self.shares = np.asarray(shares, float) / math.fsum(shares)
        pillow()  # before threads begin

    def batch(self, step: int) -> tuple[UInt8[np.ndarray, "n H W 3"], Targets]:
        """The pictures of a step and what the network should say of them."""
        made = [self._one(step, row) for row in range(self.training.batch)]
        return np.stack([pixels for pixels, _ in made]), jax.tree.map(
            lambda *leaves: np.stack(leaves), *[t for _, t in made]
        )

    def batches(self, first: int, last: int) -> Iterator[tuple[UInt8[np.ndarray, "n H W 3"], Targets]]:
        """The batches of steps `first` to `last`, drawn ahead by threads."""
        with ThreadPoolExecutor(self.training.threads) as pool:
            waiting = [pool.submit(self.batch, step) for step in range(first, min(first + AHEAD, last))]
            for step in range(first, last):
                ready = waiting.pop(0).result()
                if step + AHEAD < last:
                    waiting.append(pool.submit(self.batch, step + AHEAD))
                yield ready

    def _one(self, step: int, row: int) -> tuple[UInt8[np.ndarray, "H W 3"], Targets]:
        random = np.random.default_rng((self.training.seed, step, row))
        chosen = self.sets[int(random.choice(len(self.sets), p=self.shares))]
        labelled = chosen[int(random.integers(len(chosen)))]
        warp = self.training.warping(labelled, random)
        pixels = drawn(read_pixels(labelled.file, (labelled.width, labelled.height)), warp, pillow())
        return self.training.looks(pixels, random), targets_of(labelled, warp)
