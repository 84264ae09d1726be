"""`drivetrain status`: where a run stands."""

import time
from pathlib import Path
from typing import Annotated

import tyro

from drivetrain.runs.recipe_file import load_recipe
from drivetrain.runs.status import status


def run(words: list[str]) -> None:
    """Print a line."""
    tyro.cli(show, prog="drivetrain status", args=words)


def show(run: Annotated[str, tyro.conf.Positional], recipe: str | None = None) -> None:
    """Steps, rate, staleness, restarts and the last judgement of a run, in one line.

    Args:
        run: its folder
        recipe: FILE.py:FUNCTION, where it was begun by one
    """
    if recipe is not None:
        load_recipe(recipe)
    print(status(Path(run), time.time()))
