"""One line of a run's folder."""

import json
import os

import pytest
from fixtures_runs import silent

from drivetrain.commands import status as command
from drivetrain.runs.status import status
from drivetrain.runs.training import train
from drivetrain.types import InputError, replace


def test_where_a_run_stands(run, tmp_path, capsys):
    folder = tmp_path / "run"
    with pytest.raises(InputError, match=r"config\.json"):
        status(folder, 0.0)
    small = replace(run, stages=run.stages[:1])
    train(small, folder, False, silent)
    (folder / "fleet.jsonl").write_text(
        "".join(
            json.dumps(event) + "\n"
            for event in (
                {"time": 10.0, "event": "begun", "groups": 2},
                {"time": 20.0, "event": "lost", "why": "a member is gone", "done": 3},
                {"time": 21.0, "event": "begun", "groups": 2},
                {"time": 22.0, "event": "replaced", "who": "actor 1 of group 0", "why": "it was killed"},
            )
        )
    )
    capsys.readouterr()
    command.run([str(folder)])
    assert capsys.readouterr().out.startswith(f"{folder}: bc (stage 1 of 1)")
    line = status(folder, 80.0)
    rows = [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]
    last, stage = rows[-1], small.stages[0]
    assert "\n" not in line and f"{folder}: bc (stage 1 of 1) · {last['step']:,} of {stage.agent_steps:,}" in line
    assert f"validation: loss {last['val_loss']:.4g}" in line and line.endswith("ended, evaluated")
    assert "2 groups · begun again 1 times (last 1:00 ago: a member is gone)" in line
    assert "assistants replaced 1 times (last: actor 1 of group 0)" in line
    assert "agent-steps/s in the last update" in line
    rows[-1] |= {"staleness_mean": 1.25, "staleness_p95": 2.0, "waiting_share_of_seconds": 0.031}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(folder / "metrics.jsonl", (100.0, 100.0))
    (folder / "evaluation.json").unlink()
    line = status(folder, 165.0)
    assert "staleness 1.2 updates (p95 2), learner waits 3%" in line and line.endswith("last measured 1:05 ago")
    (folder / "metrics.jsonl").write_text("")
    assert status(folder, 0.0).startswith(f"{folder}: begun")
    (folder / "fleet.jsonl").write_text("{\n")
    with pytest.raises(InputError, match=r"fleet\.jsonl: line 1: not JSON"):
        status(folder, 0.0)
