"""Drivetrain trains driving policies at scale, in JAX, from recorded traffic and from self-play."""

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`drivetrain.load_policy`, looked up when it is asked for: JAX comes with it, and the command line needs none."""
    if name == "load_policy":
        return importlib.import_module("drivetrain.runs.trained").load_policy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
