"""Packed numbers, read back by the decoder of conftest.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivetrain.view.packing import centimetres, pack, pack_path, pose_rows

integers = st.integers(-(2**30), 2**30)


@given(st.lists(st.tuples(integers, integers), min_size=1, max_size=40))
def test_rows_come_back(unpack, rows):
    values = np.array(rows)
    assert np.array_equal(unpack(pack(values)), values)


@given(st.lists(st.tuples(st.integers(-(2**29), 2**29), st.integers(-9, 9)), min_size=1, max_size=40))
def test_paths_come_back(unpack, rows):
    values = np.array(rows)
    assert np.array_equal(unpack(pack_path(values)), values)


@pytest.mark.parametrize(
    ("value", "kind"), [(127, "i1"), (-128, "i1"), (128, "i2"), (-32768, "i2"), (32768, "i4"), (0, "i1")]
)
def test_the_smallest_type_that_holds_it(value, kind):
    assert pack(np.array([value]))["t"] == kind


def test_nothing_is_packed_as_nothing():
    assert pack(np.zeros((0, 3)))["d"] == pack_path(np.zeros((0, 3)))["d"] == ""


@given(st.floats(-50, 50, width=32))
def test_a_margin_keeps_its_sign(margin):
    assert (centimetres(np.array([margin]))[0] < 0) == (margin < 0)


def test_poses_hold_through_gaps_and_headings_do_not_jump():
    angle = np.array([3.1, -3.1, 0.0, -3.0])  # over the cut at π
    heading = np.stack([np.cos(angle), np.sin(angle)], -1)
    rows = pose_rows(np.array([[1.0, 2.0], [1.5, 2.0], [0.0, 0.0], [2.0, 2.25]]), heading, np.array([1, 1, 0, 1], bool))
    assert rows[:, :2].tolist() == [[100, 200], [150, 200], [150, 200], [200, 225]]
    assert np.abs(np.diff(rows[:, 2])).max() < 200
    assert np.allclose(np.cos(rows[:, 2] / 1000), np.cos([3.1, -3.1, -3.1, -3.0]), atol=1e-3)
