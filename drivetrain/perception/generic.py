"""Things of any class: a trunk that tells kinds apart is taught where *a* thing is, whatever it is.

    recognition   picture → features ─ mean ─▶ one of the kinds
    boxes         picture → features ─────────▶ a distribution over a `BoxSpace`, class-blind

After Huval, Coates and Ng 2013 (arXiv 1312.6885). What they had of ImageNet's classes, some with boxes and others
without, is here a set of labelled pictures whose kinds are parted so.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Int, UInt8

from drivetrain.perception.box_space import BoxSpace
from drivetrain.perception.crops import Crops
from drivetrain.perception.network import STRIDE, Head, Small, SmallTrunk
from drivetrain.types import Array, InputError, Key, component, record, replace

LOOKED_AT = 256
"""Pictures that a network is shown at once where nothing is learnt."""
TOLD = 50
"""Steps whose mean loss is told."""
MOST = 6
"""Boxes of a cut that are learnt from, at most."""


class Generic(eqx.Module):
    """One trunk, two heads."""

    trunk: SmallTrunk
    kinds: eqx.nn.Linear
    boxes: Head

    def recognise(self, picture: UInt8[Array, "S S 3"]) -> Float[Array, "kinds"]:
        """Logits of the kinds."""
        return self.kinds(jnp.mean(self._features(picture), axis=(0, 1)))

    def find(self, picture: UInt8[Array, "S S 3"]) -> Float[Array, "cells cells sizes"]:
        """Logits over the space of boxes."""
        return self.boxes(self._features(picture))

    def _features(self, picture: UInt8[Array, "S S 3"]) -> Float[Array, "h w c"]:
        return self.trunk(picture.astype(jnp.float32) * (1.0 / 64.0) - 2.0)


@component
class Teaching:
    """The network, and how it is taught."""

    trunk: Small = Small((24, 32, 48, 64), (1, 1, 1))
    space: BoxSpace = BoxSpace()
    steps: int = 1200  # of the optimiser, for each thing that is taught
    batch: int = 64  # pictures
    rate: float = 2e-3  # of Adam; it falls to nothing as half a cosine
    decay: float = 0.02

    def build(self, kinds: int, size: int, key: Key) -> Generic:
        """A network for square pictures of so many pixels along each side, untrained."""
        cells = size // STRIDE
        if size % STRIDE or self.space.cells % cells:
            raise InputError(f"things: {size} pixels for {self.space.cells} cells (a multiple of {STRIDE} that fits)")
        trunk, linear, head = jax.random.split(key, 3)
        width = self.trunk.widths[1]
        boxes = Head(width, self.trunk.head, self.space.sides**2, self.space.cells // cells, head)
        return Generic(SmallTrunk(self.trunk, trunk), eqx.nn.Linear(width, kinds, key=linear), boxes)


@record
class Lessons:
    """What is taught of some cuts."""

    pictures: UInt8[Array, "N S S 3"]
    kind: Int[Array, "N"]
    steps: Float[Array, "N M 4"]  # of their boxes
    there: Float[Array, "N M"]


def lessons_of(crops: Crops, space: BoxSpace, boxed: Bool[np.ndarray, "kinds"]) -> Lessons:
    """Of the things in each cut, boxes are given of those whose kind has some."""
    steps, there = (
        np.zeros((len(crops.pictures), MOST, 4), np.float32),
        np.zeros((len(crops.pictures), MOST), np.float32),
    )
    for row, (boxes, kind) in enumerate(zip(crops.boxes, crops.kind, strict=True)):
        given = boxes[boxed[kind]][:MOST]
        steps[row, : len(given)], there[row, : len(given)] = space.steps(given), 1.0
    return Lessons(jnp.asarray(crops.pictures), jnp.asarray(crops.about), jnp.asarray(steps), jnp.asarray(there))


Loss = Callable[[Teaching, Generic, Lessons], Float[Array, ""]]
"""Of some lessons; the mean over them."""


def recognition(teaching: Teaching, network: Generic, lessons: Lessons) -> Float[Array, ""]:
    """Cross-entropy of the kinds."""
    logits = jax.vmap(network.recognise)(lessons.pictures)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, lessons.kind))


def finding(teaching: Teaching, network: Generic, lessons: Lessons) -> Float[Array, ""]:
    """Cross-entropy of the soft targets; cuts without a box teach nothing."""
    logits = jax.vmap(network.find)(lessons.pictures)
    targets = jax.vmap(teaching.space.target)(lessons.steps, lessons.there)
    each = -jnp.sum(targets * jax.nn.log_softmax(logits, axis=(1, 2, 3)), axis=(1, 2, 3))
    return jnp.sum(each) / jnp.maximum(jnp.sum(jnp.any(lessons.there > 0.0, axis=1)), 1.0)


def teach(teaching: Teaching, network: Generic, lessons: Lessons, loss: Loss, seed: int) -> tuple[Generic, list[float]]:
    """Adam's steps on cuts drawn by the seed: the network, and mean losses, of `TOLD` steps each.

    Cuts are mirrored, and their colours and brightness vary.
    """
    state, wrong = (jax.tree.map(jnp.copy, network), _optimiser(teaching).init(network)), []  # type: ignore[arg-type]
    for step in range(teaching.steps):
        state, each = _taught(teaching, loss, lessons, jax.random.fold_in(jax.random.key(seed), step), state)
        wrong.append(each)
    means = [float(jnp.mean(jnp.stack(wrong[first : first + TOLD]))) for first in range(0, len(wrong), TOLD)]
    return state[0], means


def _optimiser(teaching: Teaching) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(0.0, teaching.rate, 50, max(teaching.steps, 51))
    return optax.chain(optax.clip_by_global_norm(5.0), optax.adamw(schedule, weight_decay=teaching.decay))


@partial(jax.jit, static_argnames=("teaching", "loss"), donate_argnames=("state",))
def _taught(teaching: Teaching, loss: Loss, lessons: Lessons, key: Key, state: Any) -> tuple[Any, Float[Array, ""]]:
    """One step. No loop of XLA's: convolutions in one take a CPU thirty times as long."""
    rows_key, look_key = jax.random.split(key)
    rows = jax.random.randint(rows_key, (teaching.batch,), 0, len(lessons.kind))
    some = _varied(jax.tree.map(lambda leaf: leaf[rows], lessons), teaching.space, look_key)
    network, optimiser = state
    wrong, slope = jax.value_and_grad(lambda network: loss(teaching, network, some))(network)
    change, optimiser = _optimiser(teaching).update(slope, optimiser, network)
    return (optax.apply_updates(network, change), optimiser), wrong


def _varied(lessons: Lessons, space: BoxSpace, key: Key) -> Lessons:
    """Half of them mirrored, each with contrast and colours of its own."""
    flip_key, gain_key, shift_key = jax.random.split(key, 3)
    flip = jax.random.bernoulli(flip_key, 0.5, lessons.kind.shape)
    pixels = jnp.where(flip[:, None, None, None], lessons.pictures[:, :, ::-1], lessons.pictures).astype(jnp.float32)
    gain = jnp.exp(0.2 * jax.random.normal(gain_key, (len(flip), 1, 1, 3)))
    shift = 20.0 * jax.random.normal(shift_key, (len(flip), 1, 1, 1))
    pixels = jnp.clip(gain * pixels + shift, 0.0, 255.0)
    column = jnp.where(flip[:, None], space.cells - 1 - lessons.steps[..., 1], lessons.steps[..., 1])
    return replace(lessons, pictures=pixels.astype(jnp.uint8), steps=jnp.asarray(lessons.steps).at[..., 1].set(column))


def seen_kinds(network: Generic, pictures: UInt8[np.ndarray, "N S S 3"]) -> Int[np.ndarray, "N"]:
    """The likeliest kind of each."""
    return np.argmax(_over(_recognised, network, pictures), axis=-1)


def likely_boxes(network: Generic, pictures: UInt8[np.ndarray, "N S S 3"]) -> Float[np.ndarray, "N cells cells sizes"]:
    """How likely each box of the space is, of each picture."""
    logits = _over(_found, network, pictures)
    likely = np.exp(logits - logits.max(axis=(1, 2, 3), keepdims=True))
    return likely / likely.sum(axis=(1, 2, 3), keepdims=True)


@jax.jit
def _recognised(network: Generic, pictures: UInt8[Array, "N S S 3"]) -> Float[Array, "N kinds"]:
    return jax.vmap(network.recognise)(pictures)


@jax.jit
def _found(network: Generic, pictures: UInt8[Array, "N S S 3"]) -> Float[Array, "N cells cells sizes"]:
    return jax.vmap(network.find)(pictures)


def _over(look: Callable[[Generic, Array], Array], network: Generic, pictures: np.ndarray) -> np.ndarray:
    parts = []
    for first in range(0, len(pictures), LOOKED_AT):
        some = pictures[first : first + LOOKED_AT]
        filled = np.concatenate([some, np.zeros((LOOKED_AT - len(some), *some.shape[1:]), some.dtype)])
        parts.append(np.asarray(look(network, jnp.asarray(filled)))[: len(some)])
    return np.concatenate(parts)
