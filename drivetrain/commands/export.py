"""`drivetrain export`: a run's policy as a folder that stands alone, laid out as model hubs expect."""

from typing import Annotated

import tyro

from drivetrain.runs.trained import export


def run(words: list[str]) -> None:
    """Write the folder."""
    tyro.cli(export_policy, prog="drivetrain export", args=words)


def export_policy(policy: Annotated[str, tyro.conf.Positional], out: str, recipe: str | None = None) -> None:
    """Write config.json, model.safetensors and README.md, the model card with what was measured.

    Args:
        policy: a run's folder, or one of its checkpoints
        out: folder that is new or empty; it appears whole or not at all
        recipe: FILE.py:FUNCTION, where the run was trained by one
    """
    print(export(policy, out, recipe))
