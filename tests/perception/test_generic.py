"""What is taught of any class, on pictures of squares: kinds are their colours, and a box is a box."""

import jax
import numpy as np
import pytest

from drivetrain.perception.box_space import BoxSpace, recall
from drivetrain.perception.crops import Crops
from drivetrain.perception.generic import (
    Teaching,
    finding,
    lessons_of,
    likely_boxes,
    recognition,
    seen_kinds,
    teach,
)
from drivetrain.perception.network import Small
from drivetrain.types import InputError, replace

COLOURS = np.array([(230, 30, 30), (30, 230, 30), (30, 30, 230), (230, 230, 30)], np.uint8)
TEACHING = Teaching(Small((16, 16, 16, 16), (1, 1, 1), 16), BoxSpace(8, 4, 0.2, 0.8), steps=200, batch=32, rate=4e-3)


def squares(count, seed, kinds=4):
    random = np.random.default_rng(seed)
    pictures = random.integers(90, 130, (count, 32, 32, 3)).astype(np.uint8)
    kind, boxes = random.integers(0, kinds, count), []
    for picture, colour in zip(pictures, kind, strict=True):
        wide, tall = random.integers(8, 20, 2)
        x, y = random.integers(0, 32 - wide), random.integers(0, 32 - tall)
        picture[y : y + tall, x : x + wide] = COLOURS[colour]
        boxes.append(np.array([[x, y, x + wide, y + tall]]) / 32)
    return Crops(pictures, tuple("rgby"), tuple(boxes), tuple(kind[:, None]), np.arange(count))


@pytest.fixture(scope="module")
def taught():
    """A network that was taught the boxes of two kinds of four, and then nothing else."""
    crops = squares(400, 0, kinds=2)
    network = TEACHING.build(4, 32, jax.random.key(0))
    lessons = lessons_of(crops, TEACHING.space, np.array([True, True, False, False]))
    return network, *teach(TEACHING, network, lessons, finding, 0)


def test_boxes_are_found_of_kinds_that_had_none(taught):
    fresh, network, losses = taught
    assert losses[-1] < losses[0] - 0.5
    test = squares(200, 1)
    unboxed = np.concatenate(test.kind) >= 2
    found = {}
    for name, each in (("fresh", fresh), ("taught", network)):
        likely = likely_boxes(each, test.pictures)
        np.testing.assert_allclose(likely.sum(axis=(1, 2, 3)), 1.0, rtol=1e-4)
        proposals = [TEACHING.space.proposals(one, 3)[0] for one in likely]
        found[name] = np.concatenate(recall([*test.boxes], proposals, 3))
    assert found["taught"][unboxed].mean() > found["fresh"][unboxed].mean() + 0.25


def test_kinds_are_told_apart(taught):
    _, network, _ = taught
    crops, test = squares(400, 2), squares(200, 3)
    lessons = lessons_of(crops, TEACHING.space, np.zeros(4, bool))
    assert not np.asarray(lessons.there).any()
    told, _ = teach(replace(TEACHING, steps=100), network, lessons, recognition, 0)
    assert np.mean(seen_kinds(told, test.pictures) == test.about) > 0.9


def test_cuts_without_boxes_teach_none(taught):
    fresh, *_ = taught
    crops = squares(8, 4)
    boxed, wrong = np.array([True, False, True, False]), jax.jit(finding, static_argnums=0)
    whole, part = (lessons_of(each, TEACHING.space, boxed) for each in (crops, crops.only(boxed[crops.about])))
    assert float(wrong(TEACHING, fresh, whole)) == pytest.approx(float(wrong(TEACHING, fresh, part)), rel=1e-5)


def test_a_picture_that_does_not_fit_the_space_is_refused():
    with pytest.raises(InputError, match=r"things: 40 pixels for 8 cells \(a multiple of 8 that fits\)"):
        TEACHING.build(4, 40, jax.random.key(0))
