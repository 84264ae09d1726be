import numpy as np
import pytest

from drivetrain.env import Env
from drivetrain.evaluate.admission import admit
from drivetrain.evaluate.pieces import Split


@pytest.fixture(scope="module")
def admission(bank):
    return admit(Env(), Split(bank, ("straight", "curve", "overlap"), (0, 0, 0)))


def test_only_logs_that_fail_nothing_are_admitted(admission, rows):
    assert set(admission.of_recording(0).values()) == {None}
    assert set(admission.of_recording(1).values()) == {None}
    assert set(admission.of_recording(2).values()) == {"collision"}


def test_every_ego_is_counted_once(admission, rows):
    table = admission.table()
    assert table == {
        "admitted": len(rows["straight"]) + len(rows["curve"]),
        "collision": len(rows["overlap"]),
        "off_route": 0,
    }
    assert admission.facts["collision"] == admission.facts["failure"] == len(rows["overlap"])


def test_marks_for_a_bank(admission, rows):
    marks = admission.admitted(0, 5)
    assert marks.dtype == bool and marks.shape == (5,)
    assert marks.sum() == len(rows["straight"])
    assert not admission.admitted(2, 5).any()
    assert not np.any(admission.admitted(9, 5))
