"""Where a run stands, in one line that a person can read, from what lies in its folder: nothing of it is asked."""

import json
from pathlib import Path
from typing import Any

from drivetrain.fleet.supervisor import EVENTS
from drivetrain.progress import clock_face, spoken
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.run import Run, Stage, load_run
from drivetrain.types import InputError

SAID = {
    "val_failure_rate": "failure {:.1%}",
    "val_progress_ratio": "progress {:.1%}",
    "val_goals_reached": "goals {:.1%}",
    "val_loss": "loss {:.4g}",
}
"""What is told of the last judgement on validation, where it was measured."""


def status(folder: Path, now: float) -> str:
    """Stage, steps, rate, staleness, restarts, the last judgement, and how long ago (s since the epoch: `now`).

    Raises `InputError` where the folder is no run's.
    """
    run, rows = load_run(folder), read_metrics(folder)
    if not rows:
        return " · ".join([f"{folder}: begun", *_restarts(folder, now)])
    row = rows[-1]
    stage = next((each for each in run.stages if each.name == row["stage"]), None)
    if stage is None:
        raise InputError(f"{folder / 'metrics.jsonl'}: stage: {row['stage']} is none of the run's (start a new run)")
    number = run.stages.index(stage) + 1
    words = [
        f"{folder}: {stage.name} (stage {number} of {len(run.stages)})",
        f"{row['step']:,} of {stage.agent_steps:,} agent-steps ({min(row['step'] / stage.agent_steps, 1.0):.0%})",
    ]
    if row.get("seconds"):
        words.append(f"{spoken(_steps_of_update(run, stage) / row['seconds'])} agent-steps/s in the last update")
    if "staleness_mean" in row:
        waits = f"learner waits {row['waiting_share_of_seconds']:.0%}"
        words.append(f"staleness {row['staleness_mean']:.1f} updates (p95 {row['staleness_p95']:.0f}), {waits}")
    words += _restarts(folder, now)
    judged = [text.format(row[name]) for name, text in SAID.items() if name in row]
    words += [f"validation: {', '.join(judged)}"] if judged else []
    over = (folder / "evaluation.json").exists()
    ago = max(now - (folder / "metrics.jsonl").stat().st_mtime, 0.0)
    words.append("ended, evaluated" if over else f"last measured {clock_face(ago)} ago")
    return " · ".join(words)


def _steps_of_update(run: Run, stage: Stage) -> int:
    """Agent-steps."""
    on_map = bool(run.asked) and not stage.recorded
    return stage.scenes * stage.algorithm.steps() * (run.asked.town.agents if on_map else run.controlled)


def _restarts(folder: Path, now: float) -> list[str]:
    """Of groups: how many there are, how often they were begun again, why at last, and which assistants were replaced;
    nothing where there are none.
    """
    file = folder / EVENTS
    if not file.exists():
        return []
    events = [_event(file, number, line) for number, line in enumerate(file.read_text().splitlines(), 1)]
    lost = [event for event in events if event.get("event") == "lost"]
    begun = [event for event in events if event.get("event") == "begun"]
    words = [f"{begun[-1]['groups']} groups"] if begun else []
    if lost:
        ago = clock_face(max(now - lost[-1]["time"], 0.0))
        words.append(f"begun again {len(lost)} times (last {ago} ago: {lost[-1]['why'][:80]})")
    replaced = [event for event in events if event.get("event") == "replaced"]
    if replaced:
        words.append(f"assistants replaced {len(replaced)} times (last: {replaced[-1]['who']})")
    return words


def _event(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(f"{file}: line {number}: not JSON (remove the line)") from error
