"""Heights of polylines in recording files; whole files are in test_recording_files.py."""

import numpy as np
import pytest

from drivetrain.data.recordings.file_heights import elevations, marked
from drivetrain.data.recordings.json_fields import Fields
from drivetrain.types import InputError


def test_heights_are_shared_out_among_the_lines_that_have_some():
    steps = np.array([1000, 500, -2000, 0, 250], np.int32)
    lines = [Fields("x", marked(np.zeros(2))), Fields("x", marked(None)), Fields("x", marked(np.zeros(3)))]
    one, none, two = elevations("x", {"elevation": steps}, lines, [2, 7, 3])
    np.testing.assert_allclose(one, [1.0, 1.5])
    assert none is None
    np.testing.assert_allclose(two, [-2.0, -2.0, -1.75])


@pytest.mark.parametrize("counts", [[2, 0, 2], [2, 0, 4], [5, 0, 0]])
def test_too_few_or_too_many_are_refused(counts):
    steps, lines = np.zeros(5, np.int32), [Fields("x", {"heights": count > 0}) for count in counts]
    if sum(counts) == 5:
        assert elevations("x", {"elevation": steps}, lines, counts)[0].shape == (5,)
    else:
        with pytest.raises(InputError, match="x: elevation"):
            elevations("x", {"elevation": steps}, lines, counts)
