import pytest

from drivetrain.data.readers.leaving_out import readable
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
