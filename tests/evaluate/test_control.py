import numpy as np
import pytest
import scenes

from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import write_dataset
from drivetrain.evaluate import control
from drivetrain.evaluate.control import KINDS, Seen, control_table, run_control


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A crossing with a car that drives straight on, and a road with lanes both ways."""
    there = scenes.lane_along(1, [[0.0, 3.5], [300.0, 3.5]], [[0.0, 0.0], [300.0, 0.0]])
    back = scenes.lane_along(2, [[300.0, 3.5], [0.0, 3.5]], [[300.0, 7.0], [0.0, 7.0]])
    two_ways = scenes.recording([there, back], (scenes.along_x(1.75, 20.0, 6.0),))
    out = tmp_path_factory.mktemp("control") / "data"
    rows = []
    for name, drawn in (("crossing", scenes.crossing()), ("ways", two_ways)):
        egos = (EgoEntry(100, 1, 0, drawn.tracks.valid.shape[1] - 1, None),)
        entry = Entry(name, f"{name}.py", name, "train", "drawn", "CC0", 50, {"car": 1}, {}, {}, egos)
        rows.append((entry, scenes.scenario(drawn)))
    write_dataset(out, rows, 0.2)
    return out


def test_every_wrong_drive_is_seen(folder):
    found = run_control(folder)
    assert {kind: seen.drives for kind, seen in found.items()} == {
        "a lane to the left": 2, "a lane to the right": 2, "into oncoming lanes": 1, "off the road": 2,
        "around another corner": 1,
    }  # fmt: skip
    assert all(seen.seen == seen.drives == seen.off_route for seen in found.values())
    assert found["off the road"].off_road == 2
    assert "100.0 %" in control_table(found).splitlines()[-1]


def test_a_drive_as_recorded_is_not_seen(folder, monkeypatch):
    monkeypatch.setattr(control, "KINDS", {"as recorded": lambda drive: drive.poses})
    (seen,) = run_control(folder).values()
    assert (seen.drives, seen.seen, seen.steps_seen) == (2, 0, 0) and seen.steps > 60


def test_figures_add_up():
    assert Seen(1, 1, 1, 0, 9, 5) + Seen(2, 1, 0, 1, 1, 1) == Seen(3, 2, 1, 1, 10, 6)
    assert list(KINDS)[-1] == "around another corner"
    lines = control_table({"one": Seen(4, 3, 2, 1, 10, 5), "none": Seen()}).splitlines()
    assert lines[1].split() == ["one", "4", "75.0", "%", "50.0", "%", "25.0", "%", "50.0", "%"]
    assert lines[2].split() == ["none", "0", "–"]
    assert np.isclose(float(lines[3].split()[2]), 75.0)
