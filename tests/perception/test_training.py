"""Training: batches are their step's alone, a network learns a picture by heart, and what is damaged is refused."""

import jax
import numpy as np
import pytest
from PIL import Image

from drivetrain.perception.labelled import Boxed, Labelled
from drivetrain.perception.network import Small
from drivetrain.perception.training import Pictures, Training, advance, begin
from drivetrain.perception.warping import Warping
from drivetrain.types import InputError

TINY = Training(
    Small((8, 8, 16, 16), (1, 1, 1), 16), steps=60, batch=2, rate=4e-3, warm=5, warping=Warping(64, 64, longest=64)
)


@pytest.fixture
def pictures(tmp_path):
    made = []
    for number in range(3):
        pixels = np.full((64, 64, 3), 90, np.uint8)
        left = 8 + 12 * number
        pixels[20:40, left : left + 24] = (200, 30, 30)
        file = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(file)
        made.append(Labelled(file, 64, 64, (Boxed((left - 0.5, 19.5, left + 23.5, 39.5), "car", 10.0),), ()))
    return made


def test_a_batch_is_its_steps_alone(pictures):
    one, other = Pictures([pictures], [1.0], TINY), Pictures([pictures], [2.0], TINY)
    drawn = list(one.batches(3, 6))
    for number, (pixels, targets) in enumerate(drawn):
        again, told = other.batch(3 + number)
        assert np.array_equal(pixels, again)
        assert all(map(np.array_equal, jax.tree.leaves(targets), jax.tree.leaves(told)))
    assert not np.array_equal(drawn[0][0], drawn[1][0])


def test_a_network_learns(pictures):
    state, totals = begin(TINY), []
    for pixels, targets in Pictures([pictures], [1.0], TINY).batches(0, TINY.steps):
        state, total, wrong = advance(TINY, state, pixels, targets)
        totals.append(float(total))
    assert np.mean(totals[-10:]) < 0.5 * np.mean(totals[:10])
    assert int(state.step) == TINY.steps
    network = state.mean
    assert np.isfinite(np.asarray(network(np.zeros((64, 64, 3), np.uint8)).vehicle)).all()


def test_sets_without_pictures_are_refused(pictures):
    with pytest.raises(InputError, match="a set without any"):
        Pictures([pictures, []], [1.0, 1.0], TINY)
    with pytest.raises(InputError, match="shares"):
        Pictures([pictures], [0.0], TINY)
