"""A run's whole configuration as one tree of components, written to and read from `config.json`."""

import dataclasses
import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from drivetrain.types import InputError

CLASS = "class"
NAMED: dict[str, ModuleType] = {}
"""Modules of recipes that the user named (`recipe_file.py`), by their own names: whose components may stand in a file
beside the package's. Nothing that a file names is imported.
"""


def to_json(value: Any) -> Any:
    """A component tree as JSON: every component as its fields and its class's dotted name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {CLASS: f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot stand in a configuration")


def from_json(data: Any, file: str) -> Any:
    """The component tree that `to_json` wrote. Only classes of this package are ever imported.

    Raises:
        InputError: the file names a class that is no component of this package or of a recipe that the user named, or
            fields that it does not have.
    """
    if isinstance(data, list):
        return tuple(from_json(item, file) for item in data)
    if not isinstance(data, dict):
        return data
    cls = _component_class(data.get(CLASS), file)
    fields = {name: from_json(value, file) for name, value in data.items() if name != CLASS}
    try:
        return cls(**fields)
    except TypeError as error:
        raise InputError(f"{file}: {data[CLASS]}: {error} (the run belongs to another version)") from error


def _component_class(name: Any, file: str) -> type:
    module, _, qualname = str(name).rpartition(".")
    ours = module.startswith("drivetrain.")
    if not ours and module not in NAMED:
        raise InputError(
            f"{file}: class: {name!r} is not a component of drivetrain "
            "(name the recipe that has it: FILE.py:FUNCTION, or `evaluate --recipe FILE.py:FUNCTION`)"
        )
    try:
        cls = getattr(importlib.import_module(module) if ours else NAMED[module], qualname)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{file}: class: {name} does not exist (the run belongs to another version)") from error
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise InputError(f"{file}: class: {name} is not a component (use the file that the run wrote)")
    return cls


def read_config(run: Path) -> dict[str, Any]:
    """`config.json` of a run's folder. Raises `InputError` when it is missing or damaged."""
    file = run / "config.json"
    try:
        config = json.loads(file.read_text())
    except OSError as error:
        raise InputError(f"{file}: {error.strerror} (give the folder of a run)") from error
    except ValueError as error:
        raise InputError(f"{file}: not JSON: {error} (use the file that the run wrote)") from error
    if not isinstance(config, dict):
        raise InputError(f"{file}: not an object (use the file that the run wrote)")
    return config
