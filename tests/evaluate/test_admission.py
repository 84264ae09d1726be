import numpy as np
import pytest
import scenes
from fixtures_runs import recorded, silent

from drivetrain.banks.part import Lot
from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.store.shards import read_manifest, write_dataset
from drivetrain.env import Env
from drivetrain.evaluate import admission as admission_module
from drivetrain.evaluate.admission import admit, admit_dataset
from drivetrain.types import replace


@pytest.fixture(scope="module")
def admission(bank):
    return admit(Env(), Lot(bank, ("straight", "curve", "overlap"), (0, 0, 0)))


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


def test_a_dataset_is_admitted_in_lots_as_it_is_at_once(tmp_path, monkeypatch):
    found = []
    for recordings in (1, 2, 32):
        folder = tmp_path / str(recordings)
        pairs = []
        for seed, cars in enumerate((20.0, 36.0, 23.0)):  # the second and the third run into the car in front
            entry, _ = recorded(f"r{seed}", "train", seed)
            ahead = (scenes.along_x(1.75, 20.0, 9.0), scenes.along_x(5.25 if seed == 0 else 1.75, cars, 2.0))
            drawn = scenes.straight_road(lanes=2, length=400.0, agents=ahead, steps=25, name=f"r{seed}")
            egos = tuple(replace(ego, cause="") for ego in entry.egos)
            pairs.append((replace(entry, egos=egos), compile_recording(drawn)[0]))
        write_dataset(folder, pairs, 0.2)
        monkeypatch.setattr(admission_module, "RECORDINGS", recordings)
        whole = admit_dataset(folder, silent)
        found.append((whole.table(), [[ego.cause for ego in entry.egos] for entry in read_manifest(folder).recordings]))
    assert found[0] == found[1] == found[2]
    assert found[0][0]["collision"] == 4 and found[0][1][0] == [None, None]
