"""Polylines by arc length, against shapely."""

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from drivetrain.data.recordings.polylines import arc_length, arc_lengths, at_shares


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=2, max_size=9))
def test_points_lie_as_far_along_as_shapely_says(points):
    line = np.array(points)
    parts = [shapely.LineString(line[: n + 1]).length if n else 0.0 for n in range(len(line))]
    np.testing.assert_allclose(arc_lengths(line), parts, atol=1e-9)
    np.testing.assert_allclose(arc_length(line), parts[-1], atol=1e-9)


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=2, max_size=9), st.integers(2, 30))
def test_points_at_shares_lie_where_shapely_interpolates(points, count):
    line = np.array(points)
    if np.linalg.norm(np.diff(line, axis=0), axis=1).sum() < 1.0:
        return
    shares = np.linspace(0.0, 1.0, count)
    expected = shapely.get_coordinates(
        shapely.line_interpolate_point(shapely.LineString(line), shares, normalized=True)
    )
    np.testing.assert_allclose(at_shares(line, shares), expected, atol=1e-6)
