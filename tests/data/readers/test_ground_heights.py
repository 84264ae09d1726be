"""The ground below boxes. What each format gives is in its reader's tests."""

import numpy as np

from drivetrain.data.readers.ground_heights import ground_heights

VALID = np.array([[True, True, False]])


def test_the_ground_is_half_a_box_below_its_middle():
    height = ground_heights(np.array([[5.0, 6.0, np.nan]]), np.array([[2.0, 3.0, 1.0]]), VALID)
    np.testing.assert_array_equal(height, [[4.0, 4.5, 0.0]])


def test_an_unbelievable_box_has_no_height_of_its_own():
    for tall in (-1.0, 0.0, 11.0, np.nan, np.inf):
        np.testing.assert_array_equal(ground_heights(np.full((1, 3), 5.0), np.full((1, 3), tall), VALID), [[5, 5, 0]])


def test_one_place_without_a_height_leaves_all_without():
    for z in (np.nan, np.inf, 1e9):
        assert ground_heights(np.array([[5.0, z, 0.0]]), np.zeros((1, 3)), VALID) is None
