"""A journal holds what was measured, and a resumed run goes on exactly after what its checkpoint has seen."""

import pytest

from drivetrain.runs.journal import Journal, read_metrics
from drivetrain.types import InputError


def test_a_resumed_journal_drops_what_its_checkpoint_has_not_seen(tmp_path):
    journal = Journal(tmp_path)
    for step in range(5):
        journal.write("bc", step, {"loss": 1.0 / (step + 1)})
    journal.close()
    again = Journal(tmp_path, keep=3)
    again.write("bc", 3, {"loss": 7.0})
    again.close()
    rows = read_metrics(tmp_path)
    assert [(row["step"], row["loss"]) for row in rows] == [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 7.0)]
    assert again.lines == 4


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"stage": "bc", "step": 1}\n{"stage": "bc", "st')
    assert [row["step"] for row in read_metrics(tmp_path)] == [1]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"stage": "bc", "step": 1}\nnot json\n')
    with pytest.raises(InputError, match="line 2"):
        read_metrics(tmp_path)


def test_tensorboard_gets_the_same(tmp_path):
    journal = Journal(tmp_path)
    journal.write("bc", 1, {"loss": 1.0})
    journal.close()
    assert list((tmp_path / "events").glob("events.out.tfevents.*"))
