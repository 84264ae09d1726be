"""Weights & Biases, where a run asks for it: every measurement of its journal, and the figures of its evaluation.

    drivetrain train quickstart --wandb.project driving [--wandb.mode offline]

The journal stays what it is. A run that is continued goes on under its own id, which stands in `RUN/wandb.id`; what was
measured between its last checkpoint and the kill is there twice. Nothing leaves this machine without a project's name.
"""

import contextlib
import importlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from drivetrain.atomic import write_atomically
from drivetrain.types import InputError, component


@component
class Wandb:
    """Whether and where a run is also written to."""

    project: str = ""  # "": it is not
    entity: str = ""  # whose project; "": the default of who is logged in
    mode: Literal["online", "offline"] = "online"

    def client(self) -> ModuleType | None:
        """The module `wandb`, None where it is not asked for. Raises `InputError` where it is not installed."""
        if not self.project:
            return None
        try:
            return importlib.import_module("wandb")
        except ImportError:
            raise InputError(
                "wandb: not installed (pip install 'drivetrain[wandb]', or leave --wandb.project out)"
            ) from None


class Sink:
    """A run of Weights & Biases: measurements by stage, each over the agent-steps of its stage."""

    def __init__(self, handle: Any, stages: Sequence[str]):
        self.handle = handle
        for stage in stages:
            handle.define_metric(f"{stage}/*", step_metric=f"{stage}/agent_steps")

    def write(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """One measurement of a stage, after so many agent-steps."""
        self.handle.log({f"{stage}/agent_steps": step} | {f"{stage}/{name}": value for name, value in figures.items()})

    def conclude(self, evaluation: Mapping[str, Any]) -> None:
        """The figures of an evaluation, by driver."""
        self.handle.summary.update(
            {
                f"test/{driver}/{name}": figure["value"]
                for driver, figures in evaluation.items()
                for name, figure in figures.items()
                if isinstance(figure, dict) and "value" in figure
            }
        )


@contextlib.contextmanager
def open_sinks(
    settings: Wandb, folder: Path, name: str, stages: Sequence[str], config: Mapping[str, Any]
) -> Iterator[tuple[Sink, ...]]:
    """What the journal of the run in `folder` is also written to. Raises `InputError` where it cannot be opened."""
    client = settings.client()
    if client is None:
        yield ()
        return
    file = folder / "wandb.id"
    if not file.exists():
        write_atomically(file, uuid.uuid4().hex[:12].encode())
    try:
        handle = client.init(
            project=settings.project,
            entity=settings.entity or None,
            mode=settings.mode,
            dir=str(folder),
            id=file.read_text(),
            resume="allow",
            name=name,
            config=dict(config),
        )
    except client.Error as error:
        raise InputError(f"wandb: {error} (log in with `wandb login`, or --wandb.mode offline)") from None
    with handle:
        yield (Sink(handle, stages),)
