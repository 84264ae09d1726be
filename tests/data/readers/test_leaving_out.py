import numpy as np
import pytest

from drivetrain.data.readers.leaving_out import left_out, readable, repeated
from drivetrain.types import InputError


def even(number: int) -> int:
    if number % 2:
        raise InputError(f"{number}: odd (halve it)")
    return number // 2


def test_what_is_refused_is_left_out_and_counted():
    notes = {"odd_ones": 1}
    assert readable([4, 3, 2, 1], even, notes, "odd_ones") == [2, 1] and notes == {"odd_ones": 3}
    assert readable([], even, notes, "odd_ones") == [] and notes == {"odd_ones": 3}


def test_where_all_are_refused_the_first_says_why():
    with pytest.raises(InputError, match="5: odd"):
        readable([5, 3], even, {}, "odd_ones")


def test_a_track_with_an_odd_row_is_left_out_whole():
    track, notes = np.array(["a", "b", "a", "c"], object), {}
    odd = np.array([False, True, False, False])
    assert left_out(track, np.array([True, True, True, False]), odd, notes).tolist() == [True, False, True, False]
    assert notes == {"objects_unreadable": 1}
    assert left_out(track, np.ones(4, bool), ~odd | odd, notes).all() and notes == {"objects_unreadable": 1}


def test_rows_of_one_track_and_step_are_repeated():
    assert repeated(np.array(["a", "b", "a", "a"]), np.array([1, 1, 1, 2])).tolist() == [True, False, True, False]
