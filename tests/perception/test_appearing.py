"""Looks: seeded, of the same shape, and different from one another."""

import numpy as np

from drivetrain.perception.appearing import Looks


def test_looks_are_drawn_from_a_seed():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    made = [Looks()(pixels, np.random.default_rng(seed)) for seed in (1, 1, *range(2, 12))]
    assert np.array_equal(made[0], made[1])
    assert all(one.shape == pixels.shape and one.dtype == np.uint8 for one in made)
    assert np.std([one.mean() for one in made]) > 5.0


def test_no_look_changes_nothing():
    still = Looks((0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    made = still(pixels, np.random.default_rng(0)).astype(int)
    assert np.abs(made - pixels).max() <= 2
