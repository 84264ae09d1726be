"""A run's measurements: a line of JSON each in `metrics.jsonl`, the same for TensorBoard, and for whoever else listens.

Times are in fields that end in `_seconds`, apart from figures, which repeat bit for bit (but where actors run ahead).
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tensorboardX import SummaryWriter

from drivetrain.atomic import write_atomically
from drivetrain.runs.wandb import Sink
from drivetrain.types import InputError


class Journal:
    """Appends measurements. Opened with `keep`, it drops every line after that many: what a checkpoint has not seen.

    One that does not write counts its lines alone: of several processes of a run, one has the journal.
    """

    def __init__(self, folder: Path, keep: int = 0, sinks: Sequence[Sink] = (), writes: bool = True):
        self.file = folder / "metrics.jsonl"
        lines = read_metrics_text(self.file)[:keep]
        self.lines, self.sinks, self.events = len(lines), sinks, None
        if writes:
            write_atomically(self.file, "".join(line + "\n" for line in lines).encode())
            self.events = SummaryWriter(str(folder / "events"))

    def write(self, stage: str, step: int, figures: dict[str, float]) -> None:
        """One measurement of a stage, after so many agent-steps."""
        self.lines += 1
        if self.events is None:
            return
        with open(self.file, "a") as stream:
            stream.write(json.dumps({"stage": stage, "step": step, **figures}) + "\n")
        for name, value in figures.items():
            self.events.add_scalar(f"{stage}/{name}", value, step)
        for sink in self.sinks:
            sink.write(stage, step, figures)

    def close(self) -> None:
        """Flush what TensorBoard reads."""
        if self.events is not None:
            self.events.close()


def read_metrics_text(file: Path) -> list[str]:
    """The whole lines of a journal; a last line that a kill cut short is left out."""
    if not file.exists():
        return []
    text = file.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def read_metrics(folder: Path) -> list[dict]:
    """Every measurement of a run, in order. Raises `InputError` on a line that is not JSON."""
    rows = []
    for number, line in enumerate(read_metrics_text(folder / "metrics.jsonl"), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise InputError(f"{folder / 'metrics.jsonl'}: line {number}: not JSON (remove the line)") from error
    return rows
